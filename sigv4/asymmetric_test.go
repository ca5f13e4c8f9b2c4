package sigv4

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestPublishedKeyDerivation holds the derivation against the key pair in the test suites of the AWS SDKs.
func TestPublishedKeyDerivation(t *testing.T) {
	key, err := deriveKeyPair("AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const want = "0415d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0"
	if got := hex.EncodeToString(raw); got != want {
		t.Errorf("public key %s", got)
	}
}

// signerV4A signs as a client does, written from the same pages and sharing nothing but the key.
type signerV4A struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	prev string
	// padded says that the padding of a signature is part of what the next one covers.
	padded bool
}

func newSignerV4A(t *testing.T) *signerV4A {
	key, err := deriveKeyPair(exampleKey, exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	return &signerV4A{t: t, key: key}
}

func (s *signerV4A) sign(text string) string {
	digest := sha256.Sum256([]byte(text))
	der, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return hex.EncodeToString(der)
}

const scopeV4A = "20130524/s3/aws4_request"

func (s *signerV4A) request(payload, regions string) *Request {
	hash := func(text string) string { d := sha256.Sum256([]byte(text)); return hex.EncodeToString(d[:]) }
	canonical := "PUT\n/b/k\n\nhost:h\nx-amz-content-sha256:" + payload + "\nx-amz-date:20130524T000000Z\nx-amz-region-set:" + regions +
		"\n\nhost;x-amz-content-sha256;x-amz-date;x-amz-region-set\n" + payload
	s.prev = s.sign("AWS4-ECDSA-P256-SHA256\n20130524T000000Z\n" + scopeV4A + "\n" + hash(canonical))
	return &Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields("x-amz-content-sha256:"+payload, "x-amz-date:20130524T000000Z",
		"x-amz-region-set:"+regions, "authorization:AWS4-ECDSA-P256-SHA256 Credential="+exampleKey+"/"+scopeV4A+
			", SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-region-set, Signature="+s.prev)}
}

// link returns the signature of the next chunk or trailer.
func (s *signerV4A) link(kind string, data []byte) string {
	prev := s.prev
	if s.padded && len(prev) < 144 {
		prev += strings.Repeat("*", 144-len(prev))
	}
	middle := emptySHA256 + "\n"
	if kind == "TRAILER" {
		middle = ""
	}
	sum := sha256.Sum256(data)
	s.prev = s.sign("AWS4-ECDSA-P256-SHA256-" + kind + "\n20130524T000000Z\n" + scopeV4A + "\n" + prev + "\n" + middle + hex.EncodeToString(sum[:]))
	return s.prev + strings.Repeat("*", 144-len(s.prev))
}

func TestAsymmetricSignatures(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	for _, regions := range []string{"us-east-1", "*", "eu-west-1,us-east-1", "us-*", "eu-west-1, us-east-1"} {
		got, err := v.Verify(newSignerV4A(t).request("UNSIGNED-PAYLOAD", regions))
		if err != nil || got.AccessKey != exampleKey || got.Kind != Header || got.Payload != PayloadUnsigned {
			t.Errorf("%s: %+v, %v", regions, got, err)
		}
	}
	for name, c := range map[string]struct {
		change func(r *Request)
		code   string
	}{
		"path":      {func(r *Request) { r.Path = "/b/k2" }, "SignatureDoesNotMatch"},
		"method":    {func(r *Request) { r.Method = "GET" }, "SignatureDoesNotMatch"},
		"region":    {func(r *Request) { r.replace("x-amz-region-set", "us-east-1", "*") }, "SignatureDoesNotMatch"},
		"signature": {func(r *Request) { v := &r.Header[3].Value; *v = (*v)[:len(*v)-2] }, "SignatureDoesNotMatch"},
		"not hex":   {func(r *Request) { r.Header[3].Value += "zz" }, "SignatureDoesNotMatch"},
		"hmac mode": {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", streamingSigned) }, "InvalidArgument"},
		"no regions": {func(r *Request) {
			r.drop("x-amz-region-set")
			r.Header[len(r.Header)-1].Value = strings.Replace(r.Header[len(r.Header)-1].Value, ";x-amz-region-set", "", 1)
		}, "AuthorizationHeaderMalformed"},
		"unknown key": {func(r *Request) { r.replace("authorization", "AKIA", "AKIB") }, "InvalidAccessKeyId"},
	} {
		r := newSignerV4A(t).request("UNSIGNED-PAYLOAD", "us-east-1")
		c.change(r)
		_, err := v.Verify(r)
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code) })
	}
	_, err := v.Verify(newSignerV4A(t).request("UNSIGNED-PAYLOAD", "eu-west-1,eu-*"))
	wantCode(t, err, "AuthorizationHeaderMalformed")
	_, err = verifierAt(exampleTime.Add(16*time.Minute), exampleCredential()).Verify(newSignerV4A(t).request("UNSIGNED-PAYLOAD", "*"))
	wantCode(t, err, "RequestTimeTooSkewed")
}

func TestAsymmetricPresigned(t *testing.T) {
	s := newSignerV4A(t)
	query := "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=" + url.QueryEscape(exampleKey+"/"+scopeV4A) +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=3600&X-Amz-Region-Set=us-east-1&X-Amz-SignedHeaders=host"
	sum := sha256.Sum256([]byte("GET\n/b/k\n" + query + "\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"))
	signature := s.sign("AWS4-ECDSA-P256-SHA256\n20130524T000000Z\n" + scopeV4A + "\n" + hex.EncodeToString(sum[:]))
	r := &Request{Method: "GET", Path: "/b/k", Host: "h", Query: query + "&X-Amz-Signature=" + signature}
	v := verifierAt(exampleTime, exampleCredential())
	if got, err := v.Verify(r); err != nil || got.Kind != Presigned {
		t.Errorf("%+v, %v", got, err)
	}
	r.Query = strings.Replace(r.Query, "3600", "3601", 1)
	_, err := v.Verify(r)
	wantCode(t, err, "SignatureDoesNotMatch")
}

func TestAsymmetricChunks(t *testing.T) {
	for _, padded := range []bool{false, true} {
		for _, trailer := range []bool{false, true} {
			s := newSignerV4A(t)
			s.padded = padded
			mode := streamingECDSA
			if trailer {
				mode = streamingECDSATrailer
			}
			verified, err := verifierAt(exampleTime, exampleCredential()).Verify(s.request(mode, "*"))
			if err != nil {
				t.Fatal(err)
			}
			var wire bytes.Buffer
			for _, data := range []string{"hello ", "world", ""} {
				fmt.Fprintf(&wire, "%x;chunk-signature=%s\r\n%s", len(data), s.link("PAYLOAD", []byte(data)), data)
				if data != "" {
					wire.WriteString("\r\n")
				}
			}
			opts := PayloadOptions{Verified: verified, ContentLength: -1, DecodedLength: 11}
			if trailer {
				opts.Trailer = []string{"x-amz-checksum-crc32"}
				wire.WriteString("x-amz-checksum-crc32:DUoRhQ==\r\n")
				fmt.Fprintf(&wire, "x-amz-trailer-signature:%s\r\n", s.link("TRAILER", []byte("x-amz-checksum-crc32:DUoRhQ==\n")))
			}
			wire.WriteString("\r\n")
			whole := wire.Bytes()
			if got, _, err := readBody(bytes.NewReader(whole), opts, 100); err != nil || string(got) != "hello world" {
				t.Errorf("padded %v, trailer %v: %q, %v", padded, trailer, got, err)
			}
			for i := range whole {
				changed := bytes.Clone(whole)
				changed[i] ^= 1
				if got, _, err := readBody(bytes.NewReader(changed), opts, 100); err == nil {
					t.Errorf("padded %v, trailer %v: byte %d changed, %q read", padded, trailer, i, got)
				}
			}
		}
	}
}
