package main

import (
	"fmt"
	"io"
	"path/filepath"

	"s3veil/proxy/audit"
)

func (l *loaded) checkAudit() {
	a := &l.Audit
	l.oneOf("audit.to", a.To, "stdout", "file", "syslog", "off")
	l.oneOf("audit.on_failure", a.OnFailure, "continue", "refuse")
	switch {
	case a.To == "file" && a.File == "":
		l.wrong("audit.file", "is missing: audit.to is file")
	case a.To != "file" && a.File != "":
		l.wrong("audit.file", "is given, but audit.to is %s", a.To)
	}
	l.checkSyslog(a)
}

func (l *loaded) checkSyslog(a *Audit) {
	s := &a.Syslog
	if a.To != "syslog" && l.given("audit.syslog") {
		l.wrong("audit.syslog", "is given, but audit.to is %s", a.To)
	}
	l.oneOf("audit.syslog.network", s.Network, "local", "udp", "tcp", "unixgram", "unix")
	switch socket := s.Network == "local" || s.Network == "unix" || s.Network == "unixgram"; {
	case s.Address == "" && s.Network != "local":
		l.wrong("audit.syslog.address", "is missing: audit.syslog.network is %s", s.Network)
	case s.Address != "" && socket && !filepath.IsAbs(s.Address):
		l.wrong("audit.syslog.address", "%q is not the absolute path of a socket", s.Address)
	case s.Address != "" && !socket:
		l.address("audit.syslog.address", s.Address)
	}
}

// auditLog is where audit lines go.
type auditLog struct {
	sink   audit.Sink  // nil: off
	file   *audit.File // nil unless it is a file
	closer io.Closer   // nil: nothing to close
}

// openAudit opens the sink of audit lines.
func openAudit(a Audit, stdout io.Writer) (*auditLog, error) {
	switch a.To {
	case "stdout":
		return &auditLog{sink: audit.New(stdout, a.Chain, "")}, nil
	case "file":
		log, file, err := audit.OpenFile(string(a.File), a.Chain)
		if err != nil {
			return nil, fmt.Errorf("audit.file: %w", err)
		}
		return &auditLog{sink: log, file: file, closer: file}, nil
	case "syslog":
		log, conn, err := audit.Syslog(audit.SyslogOptions{Network: a.Syslog.Network, Address: a.Syslog.Address}, a.Chain)
		if err != nil {
			return nil, fmt.Errorf("audit.syslog: %w", err)
		}
		return &auditLog{sink: log, closer: conn}, nil
	}
	return &auditLog{}, nil
}

// reopen opens a file anew, after a rotation.
func (a *auditLog) reopen() error {
	if a.file == nil {
		return nil
	}
	return a.file.Reopen()
}

func (a *auditLog) close() {
	if a.closer != nil {
		_ = a.closer.Close()
	}
}
