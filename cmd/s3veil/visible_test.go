package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// Row 39. Causes name keys, which clients choose: whoever reads the log on a terminal sees them and obeys none.
func TestLogCommandsNoTerminal(t *testing.T) {
	cause := "client may not read data/\x1b[2J\u009b2J\x7f\u202egpj\nlevel=é"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		newLogger(&out, Log{Format: format}).Info("request refused", "cause", cause)
		line := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		for _, r := range string(line) {
			if r < ' ' || r > '~' && r != 'é' {
				t.Errorf("%U in %s", r, line)
			}
		}
		if format == "text" {
			continue
		}
		var back struct{ Cause string }
		if err := json.Unmarshal(line, &back); err != nil || back.Cause != cause {
			t.Errorf("%q, %v", back.Cause, err)
		}
	}
}
