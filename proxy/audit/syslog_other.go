//go:build windows || plan9

package audit

import "errors"

// Syslog reports that this system has none.
func Syslog(network, addr string, chain bool) (*Log, error) {
	return nil, errors.New("audit: this system has no syslog")
}
