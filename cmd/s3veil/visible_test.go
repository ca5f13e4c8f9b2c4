package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"s3veil/proxy"
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

// What an envelope says in clear is nobody's word until it has been opened. Encryption contexts, ETags and keys neither add rows to
// what inspect shows nor command the terminal.
func TestInspectionsHoldNoForgedRows(t *testing.T) {
	evil := "x\nmetadata\tas written\x1b[2K\u009b2J\u202e\r"
	i := &proxy.Inspection{Bucket: "data", Key: "é" + evil, VersionID: evil, StoreBucket: evil, ETag: evil, Format: "s3veil/1", Problems: []string{evil},
		Envelope: &proxy.InspectedEnvelope{KID: "main", Pairs: map[string]string{evil: evil}}}
	var plain, rows bytes.Buffer
	if err := printInspection(&plain, &proxy.Inspection{Bucket: "data", Key: "k", VersionID: "v", StoreBucket: "b", ETag: "e", Format: "s3veil/1",
		Problems: []string{"p"}, Envelope: &proxy.InspectedEnvelope{KID: "main", Pairs: map[string]string{"a": "b"}}}, false); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		rows.Reset()
		if err := printInspection(&rows, i, asJSON); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows.String() {
			if r != '\n' && (r < ' ' || r > '~' && r != 'é') {
				t.Errorf("%U in %q", r, rows.String())
			}
		}
		if !asJSON && strings.Count(rows.String(), "\n") != strings.Count(plain.String(), "\n") {
			t.Errorf("%s", rows.String())
		}
	}
	if got := printableLines(errors.Join(errors.New("a\x1b[2J"), errors.New("b日\u2066")).Error()); got != "a\\x1b[2J\nb日\\u2066" {
		t.Errorf("%q", got)
	}
}
