package sigv4

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// The credential of the examples in the S3 API reference.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func exampleCredential() Credential {
	return Credential{AccessKey: exampleKey, Secret: exampleSecret}
}

// verifierAt knows creds and region us-east-1, at a fixed time.
func verifierAt(now time.Time, creds ...Credential) *Verifier {
	return &Verifier{
		Lookup: func(key string) (Credential, bool) {
			for _, c := range creds {
				if c.AccessKey == key {
					return c, true
				}
			}
			return Credential{}, false
		},
		Region:   func(region string) bool { return region == "us-east-1" },
		Expected: "us-east-1",
		Now:      func() time.Time { return now },
	}
}

// fields parses "name:value" lines.
func fields(lines ...string) []Field {
	var f []Field
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		f = append(f, Field{name, value})
	}
	return f
}

func (r *Request) clone() *Request {
	c := *r
	c.Header = append([]Field(nil), r.Header...)
	return &c
}

// wantCode fails unless err is an *Error with the code.
func wantCode(t *testing.T, err error, code string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error with code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got %v, want code %s", err, code)
	}
	return e
}
