//go:build !windows && !plan9

package audit

import (
	"fmt"
	"log/syslog"
)

// Syslog returns a log to the system log daemon, or to the one at addr ("" for that of this machine) over network ("udp",
// "tcp", "unixgram"), with priority info of facility authpriv. It connects again when the connection is lost. A chain
// begins with every start of the process. A line is lost only where Write says so, or on the way of an unreliable network.
func Syslog(network, addr string, chain bool) (*Log, error) {
	w, err := syslog.Dial(network, addr, syslog.LOG_INFO|syslog.LOG_AUTHPRIV, "s3veil")
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return New(w, chain, ""), nil
}
