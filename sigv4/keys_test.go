package sigv4

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestDerivedKeysFollowTheSecret(t *testing.T) {
	current := exampleCredential()
	v := verifierAt(exampleTime)
	v.Lookup = func(string) (Credential, bool) { return current, true }
	old := signedRequest(t, nil)
	for range 2 { // computed, then cached
		if _, err := v.Verify(old); err != nil {
			t.Fatal(err)
		}
	}
	current.Secret = "rotated"
	_, err := v.Verify(old)
	wantCode(t, err, "SignatureDoesNotMatch")
	if _, err := v.Verify(signAs(t, &Request{Method: "GET", Path: "/", Host: "h"}, current)); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}

func TestKeyringIsBoundedAndClosedToStrangers(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	v.Region = func(string) bool { return true }
	for i := range 2 * maxKeys {
		r := &Request{Method: "GET", Path: "/", Host: "h"}
		region := fmt.Sprintf("region-%d", i)
		if _, err := new(Signer).Sign(r, exampleCredential(), region, "s3", unsignedPayload, exampleTime); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			r.replace("authorization", region, region+"x")
		}
		if _, err := v.Verify(r); (err != nil) != (i%2 == 1) {
			t.Fatal(i, err)
		}
	}
	if n := len(v.keys.keys); n != maxKeys {
		t.Errorf("%d keys, want the %d right ones", n, maxKeys)
	}
	r := &Request{Method: "GET", Path: "/", Host: "h"}
	if _, err := new(Signer).Sign(r, exampleCredential(), "one-more", "s3", unsignedPayload, exampleTime); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(r); err != nil || len(v.keys.keys) != maxKeys {
		t.Errorf("%d keys, %v", len(v.keys.keys), err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Credential{AccessKey: exampleKey, Secret: exampleSecret, SessionToken: "hush"}
	v := verifierAt(exampleTime, exampleCredential())
	r := &Request{Method: "PUT", Path: "/", Host: "h"}
	if _, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", streamingSigned, exampleTime); err != nil {
		t.Fatal(err)
	}
	verified, err := v.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	key := derive(exampleSecret, "20130524", "us-east-1", "s3").key
	json, _ := c.Secret.MarshalText()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(format, c) + fmt.Sprintf(format, &c) + fmt.Sprintf(format, c.Secret) + fmt.Sprintf(format, verified) + string(json)
		for _, secret := range []string{exampleSecret, "hush", fmt.Sprintf("%x", exampleSecret), fmt.Sprintf("%x", key), fmt.Sprint(key)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s prints %s", format, text)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	v, signer := verifierAt(exampleTime, exampleCredential()), new(Signer)
	v.Region = func(string) bool { return true }
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			for j := range 50 {
				r := &Request{Method: "GET", Path: fmt.Sprintf("/b/%d", i), Query: fmt.Sprintf("j=%d", j), Host: "h"}
				if _, err := signer.Sign(r, exampleCredential(), fmt.Sprintf("region-%d", j%5), "s3", unsignedPayload, exampleTime); err != nil {
					t.Error(err)
				}
				if _, err := v.Verify(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
}
