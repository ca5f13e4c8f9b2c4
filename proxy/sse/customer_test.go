package sse

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"s3veil/crypto/kms"
)

func customerKey(t *testing.T, key string) *CustomerKey {
	t.Helper()
	k, err := ParseCustomer(headers(trio("", key)...), true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCustomerKeyOpensWhatItWrapped(t *testing.T) {
	k := customerKey(t, secret)
	wrapped, bound := k.NewKey("realm")
	if again, other := k.NewKey("realm"); string(again) == string(wrapped) || other == bound {
		t.Error("two objects share a key")
	}
	got, err := k.OpenKey(wrapped, "realm")
	if err != nil || got != bound {
		t.Errorf("opening: %v", err)
	}
	if _, err := k.OpenKey(wrapped, "another"); !errors.Is(err, kms.ErrBadCiphertext) {
		t.Errorf("another realm: %v", err)
	}
	for _, other := range []*CustomerKey{customerKey(t, strings.ToUpper(secret)), customerKey(t, "short")} {
		if _, err := other.OpenKey(wrapped, "realm"); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("another key: %v", err)
		}
	}
	// What is under a key of zeros, which anybody can make, opens under no key that was never there.
	var zeros kms.Key32
	planted := kms.SealBlob(&zeros, kms.LabelSSEC, &bound, kms.RealmContext("realm", nil))
	for _, unusable := range []string{"short", secret + "and more"} {
		if _, err := customerKey(t, unusable).OpenKey(planted, "realm"); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("%q opens what lies under zeros: %v", unusable, err)
		}
	}
	k.Zero()
	if _, err := k.OpenKey(planted, "realm"); err == nil {
		t.Error("a zeroed key opens what lies under zeros")
	}
	if k.key != (kms.Key32{}) {
		t.Error("the key is still there")
	}
	if _, err := k.OpenKey(wrapped, "realm"); err == nil {
		t.Error("a zeroed key opens")
	}
	(*CustomerKey)(nil).Zero()
}

func TestHeadersThatHoldCustomerKeys(t *testing.T) {
	for name, want := range map[string]bool{
		"x-amz-server-side-encryption-customer-key": true, "x-amz-copy-source-server-side-encryption-customer-key": true,
		"x-amz-server-side-encryption-customer-key-md5": false, "x-amz-server-side-encryption": false, "x-amz-copy-source": false,
	} {
		if Secret(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

func TestCustomerKeyDoesNotPrintItself(t *testing.T) {
	k := customerKey(t, secret)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", *k)
		fmt.Fprintf(&out, verb+"\n", struct{ K *CustomerKey }{k})
		fmt.Fprintf(&out, verb+"\n", Request{Type: Customer, Customer: k})
		fmt.Fprintf(&out, verb+"\n", Choice{Customer: k})
		fmt.Fprintf(&out, verb+"\n", struct{ hidden *CustomerKey }{k})
	}
	text, err := json.Marshal(map[string]any{"key": k, "choice": Choice{Customer: k}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", k, "choice", Choice{Customer: k})
	for _, leak := range []string{secret[:8], b64(secret)[:8], fmt.Sprintf("%x", secret)[:12], "97 110 32 97", "61, 0x6e", sum(secret)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the output contains %q", leak)
		}
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("nothing was printed")
	}
}
