package audit

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// SyslogOptions say where a system log daemon is.
type SyslogOptions struct {
	Network string // "local" (also when empty): the daemon of this machine; "udp", "tcp", "unix", "unixgram"
	Address string // host:port, or the path of a socket; for "local" a socket in place of the usual ones
}

// The patience with a daemon: a log that is stuck must not stop every request.
const (
	syslogTimeout  = 2 * time.Second
	syslogPause    = time.Second // between attempts to reach a daemon that has failed
	syslogPriority = 10<<3 | 6   // authpriv.info (RFC 5424 6.2.1)
)

// syslogSockets are where a local daemon listens.
var syslogSockets = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// Syslog returns a log to a system log daemon, with priority authpriv.info and the tag s3veil. The connection is made
// again when it is lost. A chain begins with every start of the process. A line is lost where Write says so, and on the way
// of a network that loses it; the chain shows either at the receiver.
func Syslog(o SyslogOptions, chain bool) (*Log, *SyslogWriter, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	w := &SyslogWriter{options: o, host: host, tag: fmt.Sprintf("s3veil[%d]", os.Getpid())}
	if err := w.connect(); err != nil {
		return nil, nil, fmt.Errorf("audit: syslog: %w", err)
	}
	return New(w, chain, ""), w, nil
}

// SyslogWriter sends lines to a system log daemon. It is safe for concurrent use.
type SyslogWriter struct {
	options   SyslogOptions
	host, tag string

	mu     sync.Mutex
	conn   net.Conn
	local  bool // the daemon of this machine, which knows the host
	stream bool // messages end in a line break (RFC 6587 3.4.2)
	again  time.Time
	failed error
}

// Write sends one line. On an error nothing counts as sent.
func (w *SyslogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil && w.send(line) == nil {
		return len(line), nil
	}
	if time.Now().Before(w.again) {
		return 0, w.failed
	}
	err := w.connect()
	if err == nil {
		err = w.send(line)
	}
	if err != nil {
		w.failed, w.again = err, time.Now().Add(syslogPause)
		return 0, err
	}
	return len(line), nil
}

// Close closes the connection.
func (w *SyslogWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	err := w.conn.Close()
	w.conn = nil
	return err
}

// send writes one message of RFC 3164, as local daemons and relays take it, and gives the connection up when that fails.
func (w *SyslogWriter) send(line []byte) error {
	now := time.Now()
	head := fmt.Sprintf("<%d>%s %s: ", syslogPriority, now.Format(time.Stamp), w.tag)
	if !w.local {
		head = fmt.Sprintf("<%d>%s %s %s: ", syslogPriority, now.Format(time.RFC3339), w.host, w.tag)
	}
	message := head + strings.TrimSuffix(string(line), "\n")
	if w.stream {
		message += "\n"
	}
	err := w.conn.SetWriteDeadline(now.Add(syslogTimeout))
	if err == nil {
		_, err = w.conn.Write([]byte(message))
	}
	if err != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
	return err
}

// connect dials anew.
func (w *SyslogWriter) connect() error {
	network, address := cmp.Or(w.options.Network, "local"), w.options.Address
	if network != "local" {
		return w.dial(network, address)
	}
	w.local = true
	sockets := syslogSockets
	if address != "" {
		sockets = []string{address}
	}
	var errs []error
	for _, path := range sockets {
		for _, kind := range []string{"unixgram", "unix"} {
			err := w.dial(kind, path)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *SyslogWriter) dial(network, address string) error {
	conn, err := net.DialTimeout(network, address, syslogTimeout)
	if err != nil {
		return err
	}
	w.conn, w.stream = conn, network == "tcp" || network == "unix"
	w.local = w.local || strings.HasPrefix(network, "unix")
	if w.stream {
		go w.watch(conn)
	}
	return nil
}

// watch notices that the daemon has closed a connection: the next write into it would succeed and be lost.
func (w *SyslogWriter) watch(conn net.Conn) {
	var b [64]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = conn.Close()
	if w.conn == conn {
		w.conn = nil
	}
}
