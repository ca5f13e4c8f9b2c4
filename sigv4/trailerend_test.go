package sigv4

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// Clients end trailer fields in three ways; what follows the end of the body is refused in all of them.
func TestTrailerFieldEndings(t *testing.T) {
	const field = "x-amz-checksum-crc32:NhCmhg==" // of "hello"
	for what, c := range map[string]struct {
		end string
		ok  bool
	}{
		"CRLF":                     {"\r\n\r\n", true},
		"LF":                       {"\n\r\n", true},
		"LF alone":                 {"\n\n", false},
		"half a CRLF behind":       {"\n\r\n\r", false},
		"LF and CRLF":              {"\n\r\n\r\n", true},
		"no empty line":            {"\r\n", false},
		"bytes behind CRLF":        {"\r\n\r\nx", false},
		"bytes behind LF":          {"\n\r\nx", false},
		"bytes behind LF and CRLF": {"\n\r\n\r\nx", false},
		"another line behind":      {"\n\r\n\r\n\r\n", false},
		"another field behind":     {"\n\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", false},
	} {
		wire := "5\r\nhello\r\n0\r\n" + field + c.end
		p, err := NewPayload(strings.NewReader(wire), PayloadOptions{Verified: &Verified{Payload: PayloadUnsignedChunksTrailer},
			ContentLength: int64(len(wire)), DecodedLength: 5, Trailer: []string{"x-amz-checksum-crc32"}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p)
		if err == nil {
			err = p.Verify()
		}
		if (err == nil) != c.ok || c.ok && string(got) != "hello" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// The signature of the trailer covers the field with LF, whichever way it ended on the wire.
func TestSignedTrailerFieldEndings(t *testing.T) {
	for _, end := range []string{"\r\n", "\n", "\n\r\n"} {
		r := referenceHeaders[5].request.clone()
		seed, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", exampleTime)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		const field = "x-amz-checksum-crc32:NhCmhg=="
		wire := fmt.Sprintf("5;chunk-signature=%s\r\nhello\r\n", seed.Next([]byte("hello")))
		wire += fmt.Sprintf("0;chunk-signature=%s\r\n", seed.Next(nil))
		wire += field + end + "x-amz-trailer-signature:" + seed.Trailer(field+"\n") + "\r\n\r\n"
		p, err := NewPayload(strings.NewReader(wire), PayloadOptions{Verified: v, ContentLength: int64(len(wire)), DecodedLength: 5,
			Trailer: []string{"x-amz-checksum-crc32"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(p); err != nil {
			t.Errorf("%q: %v", end, err)
		} else if err := p.Verify(); err != nil {
			t.Errorf("%q: %v", end, err)
		}
	}
}
