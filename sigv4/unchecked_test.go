package sigv4

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lenient takes unknown keys; "known" is one that it knows.
func lenient(any bool) *Verifier {
	return &Verifier{Region: func(string) bool { return true }, Expected: "us-east-1", Now: time.Now, AnyUnknownKey: any,
		Lookup: func(key string) (Credential, bool) {
			return Credential{AccessKey: key, Secret: "right"}, key == "known"
		}}
}

func TestUnknownKeysAreTakenOnDemand(t *testing.T) {
	for _, c := range []struct {
		key     string
		any, ok bool
	}{{"unknown", true, true}, {"unknown", false, false}, {"known", true, false}, {"known", false, false}} {
		r := &Request{Method: "PUT", Path: "/b/k", Host: "s3.example"}
		var s Signer
		if _, err := s.Sign(r, Credential{AccessKey: c.key, Secret: "wrong", SessionToken: ""}, "eu-west-1", "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
			t.Fatal(err)
		}
		v, err := lenient(c.any).Verify(r)
		if (err == nil) != c.ok {
			t.Errorf("%s, any %t: %v", c.key, c.any, err)
		}
		if err == nil && (!v.Unverified || v.AccessKey != c.key || v.Region != "eu-west-1") {
			t.Errorf("%+v", v)
		}
	}
}

// Form, date and the list of signed headers are held to the rules all the same.
func TestUnknownKeysAreNoExcuse(t *testing.T) {
	for name, change := range map[string]func(r *Request){
		"unsigned header": func(r *Request) { r.Header = append(r.Header, Field{"x-amz-acl", "public-read"}) },
		"repeated":        func(r *Request) { r.Header = append(r.Header, r.Header[len(r.Header)-1]) },
		"scope": func(r *Request) {
			r.Header[len(r.Header)-1].Value = strings.Replace(r.Header[len(r.Header)-1].Value, "/s3/", "/iam/", 1)
		},
	} {
		r := &Request{Method: "PUT", Path: "/b/k", Host: "s3.example"}
		var s Signer
		if _, err := s.Sign(r, Credential{AccessKey: "unknown", Secret: "wrong"}, "eu-west-1", "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
			t.Fatal(err)
		}
		if r.Header[len(r.Header)-1].Name != "authorization" {
			t.Fatal("the signature is not the last header")
		}
		change(r)
		if _, err := lenient(true).Verify(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := &Request{Method: "PUT", Path: "/b/k", Host: "s3.example"}
	var s Signer
	if _, err := s.Sign(r, Credential{AccessKey: "unknown", Secret: "wrong"}, "eu-west-1", "s3", "UNSIGNED-PAYLOAD", time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := lenient(true).Verify(r); err == nil {
		t.Error("an old request: accepted")
	}
}

// The body is what was promised, whoever has signed it: signatures of chunks have to be there, digests have to fit.
func TestBodiesOfUnknownKeys(t *testing.T) {
	chunk := "5;chunk-signature=" + strings.Repeat("a", 64) + "\r\nhello\r\n0;chunk-signature=" + strings.Repeat("b", 64) + "\r\n\r\n"
	for name, c := range map[string]struct {
		mode PayloadMode
		body string
		hash [32]byte
		ok   bool
	}{
		"chunks":                   {PayloadSignedChunks, chunk, [32]byte{}, true},
		"chunks without signature": {PayloadSignedChunks, "5\r\nhello\r\n0\r\n\r\n", [32]byte{}, false},
		"cut":                      {PayloadSignedChunks, chunk[:40], [32]byte{}, false},
		"digest that differs":      {PayloadHash, "hello", [32]byte{1}, false},
		"digest that fits": {PayloadHash, "hello", [32]byte{0x2c, 0xf2, 0x4d, 0xba, 0x5f, 0xb0, 0xa3, 0x0e, 0x26, 0xe8, 0x3b, 0x2a, 0xc5, 0xb9, 0xe2, 0x9e,
			0x1b, 0x16, 0x1e, 0x5c, 0x1f, 0xa7, 0x42, 0x5e, 0x73, 0x04, 0x33, 0x62, 0x93, 0x8b, 0x98, 0x24}, true},
	} {
		v := &Verified{Kind: Header, Payload: c.mode, Hash: c.hash, Unverified: true}
		if c.mode == PayloadSignedChunks {
			v.chunk = uncheckedChunks{}
		}
		o := PayloadOptions{Verified: v, ContentLength: int64(len(c.body)), DecodedLength: -1}
		if c.mode.Chunked() {
			o.DecodedLength = 5
		}
		p, err := NewPayload(strings.NewReader(c.body), o)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(p)
			err = errors.Join(err, p.Verify())
		}
		if (err == nil) != c.ok || c.ok && !bytes.Equal(got, []byte("hello")) {
			t.Errorf("%s: %s, %v", name, strconv.Quote(string(got)), err)
		}
	}
}
