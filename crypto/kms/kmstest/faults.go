package kmstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"s3veil/crypto/kms"
)

// Fault is something that goes wrong between a provider and its KMS.
type Fault int

// The faults. A server under test answers every request with one of them until it is taken back.
const (
	Throttle    Fault = iota // the KMS asks to come back later
	ServerError              // an internal error, a sealed or starting server
	Denied                   // the caller may not use the key
	Hang                     // no answer at all
	NoAnswer                 // the connection breaks
	Garbage                  // a success whose body is not the protocol
	Empty                    // a success without the expected content
	ShortKey                 // a success with a key of 16 bytes
)

// answers are the classes in which each fault may show.
var answers = map[string]struct {
	fault   Fault
	classes []error
}{
	"throttled":      {Throttle, []error{kms.ErrThrottled}},
	"server error":   {ServerError, []error{kms.ErrUnavailable}},
	"denied":         {Denied, []error{kms.ErrAccessDenied}},
	"no answer":      {NoAnswer, []error{kms.ErrUnavailable}},
	"garbage answer": {Garbage, []error{kms.ErrUnavailable, kms.ErrBadCiphertext}},
	"empty answer":   {Empty, []error{kms.ErrUnavailable, kms.ErrBadCiphertext}},
	"short key":      {ShortKey, []error{kms.ErrUnavailable, kms.ErrBadCiphertext}},
}

// testFaults brings every fault over the server and takes it back: errors have their class, no key comes with them, and the
// next call succeeds at once.
func testFaults(t *testing.T, s Subject) {
	if s.Fault == nil {
		return // a real server, or none at all
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			_, wrapped := generate(t, s, s.Key)
			undo := s.Fault(a.fault)
			if undo == nil {
				return // this KMS cannot have it
			}
			// A KMS that makes no keys answers Wrap with a blob only, in which a short key cannot show.
			if a.fault != ShortKey {
				expectRefusals(t, s, s.Key, wrapped, a.classes...)
				if err := s.Provider.Health(t.Context()); err == nil {
					t.Error("healthy")
				}
			}
			refuse(t, s, s.Key, wrapped, realm(), a.classes...)
			undo()
			if _, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, realm()); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
	t.Run("time-out", func(t *testing.T) { testHang(t, s) })
}

// testHang: every call ends with its context.
func testHang(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Key)
	undo := s.Fault(Hang)
	if undo == nil {
		return
	}
	defer undo()
	for name, call := range map[string]func(context.Context) error{
		"Generate": func(ctx context.Context) error { _, _, err := s.Provider.Generate(ctx, s.Key, realm()); return err },
		"Wrap": func(ctx context.Context) error {
			_, err := s.Provider.Wrap(ctx, s.Key, kms.Key32{1}, realm())
			return err
		},
		"Unwrap": func(ctx context.Context) error { _, err := s.Provider.Unwrap(ctx, s.Key, wrapped, realm()); return err },
		"Health": s.Provider.Health,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s goes on without its context", name)
		}
		cancel()
	}
}

// bodies are answers that no KMS gives.
var bodies = []string{
	"", "{}", "null", "[]", "0", `""`, "{", "OK", "\x00\xff\xfe", `{"data":null}`, `{"data":{}}`, `{"value":""}`,
	`{"Plaintext":"","CiphertextBlob":""}`, `{"Plaintext":1,"CiphertextBlob":2,"KeyId":3}`, `{"data":{"plaintext":[],"ciphertext":{}}}`,
	`{"plaintext":"AAAA","ciphertext":"AAAA"}`, `{"Plaintext":"AAAA","CiphertextBlob":"AAAA","KeyId":"k"}`, `{"kid":"https://kms/keys/k/1","value":"AAAA"}`,
	`{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA"}}`, strings.Repeat("[", 100_000), `{"pad":"` + strings.Repeat("A", 1<<20) + `"}`,
}

// testAnswers checks that an answer which is not the KMS's is a failure with a class, and never a key.
func testAnswers(t *testing.T, s Subject) {
	if s.Answer == nil {
		return
	}
	_, wrapped := generate(t, s, s.Key)
	for i, body := range bodies {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			defer s.Answer(body)()
			expectRefusals(t, s, s.Key, wrapped, kms.ErrUnavailable, kms.ErrBadCiphertext)
			if err := s.Provider.Health(t.Context()); err == nil {
				t.Error("healthy")
			}
		})
	}
}

func testDeleted(t *testing.T, s Subject) {
	if s.Deleted == "" {
		return // this KMS keeps no trace of deleted keys
	}
	leave(t, s, s.Deleted, s.Delete, kms.ErrKeyDisabled, kms.ErrKeyNotFound)
}
