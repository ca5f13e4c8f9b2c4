package sigv4

import (
	"bytes"
	"io"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	signer, cred := new(Signer), exampleCredential()
	header := fields("content-length:4096", "content-type:application/octet-stream", "host:s3.example.com", "x-amz-meta-a:1",
		"x-amz-meta-b:2", "x-amz-date:", "x-amz-content-sha256:", "authorization:")
	r := &Request{Method: "PUT", Path: "/bucket/some/key/of/an/object", Host: "s3.example.com", Header: header}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign(r, cred, "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v, r := verifierAt(exampleTime, exampleCredential()), signedRequest(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	data := testData(16 << 20)
	buf := make([]byte, 1<<20)
	for name, mode := range allModes {
		for _, chunk := range []int{64 << 10, 16 << 20} {
			enc := encodeBody(b, mode, data, chunk)
			b.Run(name+"/"+map[bool]string{true: "one chunk", false: "64 KiB chunks"}[chunk > 64<<10], func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					p, err := NewPayload(bytes.NewReader(enc.wire), enc.opts)
					if err != nil {
						b.Fatal(err)
					}
					for err == nil {
						_, err = p.Read(buf)
					}
					if err != io.EOF || p.Verify() != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
