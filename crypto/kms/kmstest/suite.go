package kmstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"s3veil/crypto/kms"
)

// Subject is a provider under test with keys of its KMS that the suite may use.
type Subject struct {
	Provider kms.Provider
	Key      string // may wrap and unwrap
	Other    string // likewise, another key of the same KMS
	Unknown  string // no such key
	Disabled string // a key that is disabled; empty where the KMS knows no such state
	Deleted  string // a key that is deleted or about to be; empty likewise
	// Fault makes the server fail in one way for every request until undo is called; nil for real servers, and an undo of nil
	// for what this KMS cannot have.
	Fault func(Fault) (undo func())
	// Answer makes the server answer every request with a success and this body until undo is called; nil likewise.
	Answer func(body string) (undo func())
	// Disable and Delete take the keys Disabled and Deleted out of service once the suite has wrapped under them; nil: they are.
	Disable, Delete func()
}

// maxBlob is the longest wrapping that fits an envelope (FORMAT.md 3.3).
const maxBlob = 1024

// Run tests that a provider keeps the contract of FORMAT.md B.1.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"named", testNamed},
		{"round trip", testRoundTrip},
		{"blobs and keys are fresh", testFresh},
		{"context", testContext},
		{"blob made under another key", testOtherKey},
		{"unknown key", testUnknown},
		{"disabled key", testDisabled},
		{"deleted key", testDeleted},
		{"garbage", testGarbage},
		{"truncated and extended blobs", testLengths},
		{"flipped bits", testFlips},
		{"rewrap", testRewrap},
		{"concurrent use", testConcurrent},
		{"health", testHealth},
		{"cancelled context", testCancelled},
		{"faults", testFaults},
		{"answers that are none", testAnswers},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func realm() kms.Context { return kms.RealmContext("realm-a", nil) }

func generate(t *testing.T, s Subject, kek string) (kms.Key32, []byte) {
	t.Helper()
	key, wrapped, err := s.Provider.Generate(t.Context(), kek, realm())
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return key, wrapped
}

// refuse fails the test unless Unwrap refuses with one of the classes, and without giving a key away.
func refuse(t *testing.T, s Subject, kek string, wrapped []byte, ec kms.Context, classes ...error) {
	t.Helper()
	key, err := s.Provider.Unwrap(t.Context(), kek, wrapped, ec)
	if key != (kms.Key32{}) {
		t.Error("a refusal came with a key")
	}
	for _, class := range classes {
		if errors.Is(err, class) {
			return
		}
	}
	t.Errorf("got %v, want one of %v", err, classes)
}

func testNamed(t *testing.T, s Subject) {
	if s.Provider.Name() == "" {
		t.Error("the provider has no name")
	}
}

func testRoundTrip(t *testing.T, s Subject) {
	key, wrapped := generate(t, s, s.Key)
	if key == (kms.Key32{}) {
		t.Error("Generate returned zeros")
	}
	if len(wrapped) == 0 || len(wrapped) > maxBlob {
		t.Errorf("blob of %d bytes", len(wrapped))
	}
	if bytes.Contains(wrapped, key[:]) {
		t.Error("the blob holds the key in clear")
	}
	for range 2 {
		if back, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, realm()); err != nil || back != key {
			t.Errorf("Unwrap after Generate: %v", err)
		}
	}
	given := kms.Key32{1, 2, 3, 31: 4}
	wrapped, err := s.Provider.Wrap(t.Context(), s.Key, given, realm())
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if back, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, realm()); err != nil || back != given {
		t.Errorf("Unwrap after Wrap: %v", err)
	}
	if given != (kms.Key32{1, 2, 3, 31: 4}) {
		t.Error("Wrap changed the caller's key")
	}
}

func testFresh(t *testing.T, s Subject) {
	key1, blob1 := generate(t, s, s.Key)
	key2, blob2 := generate(t, s, s.Key)
	if key1 == key2 || bytes.Equal(blob1, blob2) {
		t.Error("two calls of Generate gave one key or one blob")
	}
}

func testContext(t *testing.T, s Subject) {
	pairs := kms.RealmContext("realm-a", kms.Context{"team": "rød", "a": ""})
	key, wrapped, err := s.Provider.Generate(t.Context(), s.Key, pairs)
	if err != nil {
		t.Fatalf("Generate with pairs: %v", err)
	}
	if back, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, pairs); err != nil || back != key {
		t.Errorf("Unwrap with pairs: %v", err)
	}
	for name, ec := range map[string]kms.Context{
		"other realm":    kms.RealmContext("realm-b", kms.Context{"team": "rød", "a": ""}),
		"pairs stripped": realm(),
		"value changed":  kms.RealmContext("realm-a", kms.Context{"team": "blue", "a": ""}),
		"pair added":     kms.RealmContext("realm-a", kms.Context{"team": "rød", "a": "", "b": "1"}),
	} {
		// A KMS without a context may give the key; then IKEK' (FORMAT.md 4.3) separates what the contexts separate.
		back, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, ec)
		if err == nil && kms.Bind(back, ec) == kms.Bind(key, pairs) {
			t.Errorf("%s: the same bound key", name)
		}
		if err != nil && !errors.Is(err, kms.ErrBadCiphertext) && !errors.Is(err, kms.ErrAccessDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testOtherKey(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Other)
	refuse(t, s, s.Key, wrapped, realm(), kms.ErrBadCiphertext, kms.ErrAccessDenied)
	_, wrapped = generate(t, s, s.Key)
	refuse(t, s, s.Other, wrapped, realm(), kms.ErrBadCiphertext, kms.ErrAccessDenied)
	if r, ok := s.Provider.(kms.Rewrapper); ok {
		blob, _, err := r.Rewrap(t.Context(), s.Other, s.Key, wrapped, realm())
		if blob != nil || !errors.Is(err, kms.ErrBadCiphertext) && !errors.Is(err, kms.ErrAccessDenied) {
			t.Errorf("Rewrap: %v", err)
		}
	}
}

// expectRefusals checks every operation of a key that must not serve.
func expectRefusals(t *testing.T, s Subject, kek string, wrapped []byte, classes ...error) {
	t.Helper()
	is := func(err error) bool {
		for _, class := range classes {
			if errors.Is(err, class) {
				return true
			}
		}
		return false
	}
	if key, blob, err := s.Provider.Generate(t.Context(), kek, realm()); !is(err) || key != (kms.Key32{}) || blob != nil {
		t.Errorf("Generate: %v", err)
	}
	if blob, err := s.Provider.Wrap(t.Context(), kek, kms.Key32{1}, realm()); !is(err) || blob != nil {
		t.Errorf("Wrap: %v", err)
	}
	refuse(t, s, kek, wrapped, realm(), classes...)
	if r, ok := s.Provider.(kms.Rewrapper); ok {
		blob, changed, err := r.Rewrap(t.Context(), kek, s.Other, wrapped, realm())
		if !is(err) && !errors.Is(err, kms.ErrBadCiphertext) || blob != nil || changed { // it may look at the blob first
			t.Errorf("Rewrap: changed %v, %v", changed, err)
		}
	}
}

// leave takes a key out of service, where it is not already, and expects refusals of it, of a blob made while it served as well.
func leave(t *testing.T, s Subject, kek string, out func(), classes ...error) {
	t.Helper()
	from := s.Key
	if out != nil {
		from = kek
	}
	_, wrapped := generate(t, s, from)
	if out != nil {
		out()
	}
	expectRefusals(t, s, kek, wrapped, classes...)
}

func testUnknown(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Key)
	expectRefusals(t, s, s.Unknown, wrapped, kms.ErrKeyNotFound, kms.ErrAccessDenied)
}

func testDisabled(t *testing.T, s Subject) {
	if s.Disabled == "" {
		return // this KMS has no such state
	}
	leave(t, s, s.Disabled, s.Disable, kms.ErrKeyDisabled)
}

func testGarbage(t *testing.T, s Subject) {
	for _, b := range [][]byte{nil, {}, {0}, bytes.Repeat([]byte{0}, 76), bytes.Repeat([]byte("x"), 200), bytes.Repeat([]byte{0xff}, maxBlob),
		[]byte("vault:v1:AAAA"), []byte(`{"ciphertext":""}`)} {
		refuse(t, s, s.Key, b, realm(), kms.ErrBadCiphertext, kms.ErrAccessDenied)
	}
}

func testLengths(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Key)
	for n := range wrapped {
		refuse(t, s, s.Key, wrapped[:n], realm(), kms.ErrBadCiphertext)
	}
	refuse(t, s, s.Key, append(bytes.Clone(wrapped), 0), realm(), kms.ErrBadCiphertext)
}

// testFlips changes every byte. A KMS may call a changed key id inside its blob an unknown or forbidden key.
func testFlips(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Key)
	for i := range wrapped {
		forged := bytes.Clone(wrapped)
		forged[i] ^= 1 << (i % 8)
		refuse(t, s, s.Key, forged, realm(), kms.ErrBadCiphertext, kms.ErrAccessDenied, kms.ErrKeyNotFound)
	}
}

func testRewrap(t *testing.T, s Subject) {
	r, ok := s.Provider.(kms.Rewrapper)
	if !ok {
		return // optional
	}
	key, wrapped := generate(t, s, s.Key)
	out, changed, err := r.Rewrap(t.Context(), s.Key, s.Other, wrapped, realm())
	if err != nil || !changed {
		t.Fatalf("Rewrap: changed %v, %v", changed, err)
	}
	if back, err := s.Provider.Unwrap(t.Context(), s.Other, out, realm()); err != nil || back != key {
		t.Errorf("Unwrap under the new key: %v", err)
	}
	refuse(t, s, s.Key, out, realm(), kms.ErrBadCiphertext, kms.ErrAccessDenied)
	out, _, err = r.Rewrap(t.Context(), s.Key, s.Key, wrapped, realm())
	if err != nil {
		t.Fatalf("Rewrap to the same key: %v", err)
	}
	if back, err := s.Provider.Unwrap(t.Context(), s.Key, out, realm()); err != nil || back != key {
		t.Errorf("Unwrap after Rewrap to the same key: %v", err)
	}
	wrapped[len(wrapped)-1] ^= 1
	if out, _, err := r.Rewrap(t.Context(), s.Key, s.Other, wrapped, realm()); !errors.Is(err, kms.ErrBadCiphertext) || out != nil {
		t.Errorf("Rewrap of a forged blob: %v", err)
	}
}

func testConcurrent(t *testing.T, s Subject) {
	key, wrapped := generate(t, s, s.Key)
	var wg sync.WaitGroup
	errs := make(chan error, 32)
	for i := range 16 {
		wg.Go(func() {
			if back, err := s.Provider.Unwrap(t.Context(), s.Key, wrapped, realm()); err != nil || back != key {
				errs <- fmt.Errorf("Unwrap: %w", err)
			}
			ec := kms.RealmContext(fmt.Sprint("realm-", i), nil)
			mine, blob, err := s.Provider.Generate(t.Context(), s.Key, ec)
			if err != nil {
				errs <- fmt.Errorf("Generate: %w", err)
				return
			}
			if back, err := s.Provider.Unwrap(t.Context(), s.Key, blob, ec); err != nil || back != mine {
				errs <- fmt.Errorf("Unwrap of an own blob: %w", err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func testHealth(t *testing.T, s Subject) {
	if err := s.Provider.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func testCancelled(t *testing.T, s Subject) {
	_, wrapped := generate(t, s, s.Key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Provider.Generate(ctx, s.Key, realm()); !errors.Is(err, context.Canceled) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := s.Provider.Wrap(ctx, s.Key, kms.Key32{1}, realm()); !errors.Is(err, context.Canceled) {
		t.Errorf("Wrap: %v", err)
	}
	if _, err := s.Provider.Unwrap(ctx, s.Key, wrapped, realm()); !errors.Is(err, context.Canceled) {
		t.Errorf("Unwrap: %v", err)
	}
	if err := s.Provider.Health(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Health: %v", err)
	}
}
