package main

import (
	"fmt"
	"io"

	"s3veil/proxy/audit"
)

func (l *loaded) checkAudit() {
	switch a := &l.Audit; {
	case a.To == "syslog":
		l.wrong("audit.to", "syslog: %s", notHere)
	case a.To == "file" && a.File == "":
		l.wrong("audit.file", "is missing: audit.to is file")
	case a.To != "file" && a.File != "":
		l.wrong("audit.file", "is given, but audit.to is %s", a.To)
	default:
		l.oneOf("audit.to", a.To, "stdout", "file", "off")
	}
}

// openAudit returns the sink of audit lines, nil for none, and what reopens and closes its file.
func openAudit(a Audit, stdout io.Writer) (audit.Sink, *audit.File, error) {
	switch a.To {
	case "stdout":
		return audit.New(stdout, a.Chain, ""), nil, nil
	case "file":
		log, file, err := audit.OpenFile(string(a.File), a.Chain)
		if err != nil {
			return nil, nil, fmt.Errorf("audit.file: %w", err)
		}
		return log, file, nil
	}
	return nil, nil, nil
}
