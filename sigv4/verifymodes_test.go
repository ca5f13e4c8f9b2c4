package sigv4

import (
	"fmt"
	"testing"
)

// Each payload mode × {header, query, both, neither} × {right signature, wrong signature}: a request gets through with the
// kind it has proved, or not at all.
func TestPayloadModesByAuthentication(t *testing.T) {
	modes := map[string]PayloadMode{emptyHash: PayloadHash, unsignedPayload: PayloadUnsigned, streamingSigned: PayloadSignedChunks,
		streamingSignedTrailer: PayloadSignedChunksTrailer, streamingUnsigned: PayloadUnsignedChunksTrailer, "": PayloadAbsent}
	v := verifierAt(exampleTime, exampleCredential())
	for value, mode := range modes {
		build := func() *Request {
			r := &Request{Method: "PUT", Path: "/b/k", Host: "h"}
			if value != "" {
				r.Header = fields("x-amz-content-sha256:" + value)
			}
			return r
		}
		check := func(what string, r *Request, kind Kind, code string) {
			t.Helper()
			got, err := v.Verify(r)
			if code != "" {
				t.Logf("%q by %s", value, what)
				wantCode(t, err, code)
			} else if err != nil || got.Kind != kind || got.Payload != mode {
				t.Errorf("%q by %s: %+v, %v", value, what, got, err)
			}
		}
		names := []string{"host"}
		if value != "" {
			names = append(names, "x-amz-content-sha256")
		}
		wrong := exampleCredential()
		wrong.Secret = "guess"

		header := func(c Credential) *Request {
			r := build()
			payload := value
			if payload == "" {
				payload = unsignedPayload
			}
			if _, err := new(Signer).Sign(r, c, "us-east-1", "s3", payload, exampleTime); err != nil {
				t.Fatal(err)
			}
			if value == "" {
				r.drop("x-amz-content-sha256")
			}
			return r
		}
		missing := ""
		if value == "" {
			missing = "InvalidRequest"
		}
		check("header", header(exampleCredential()), Header, missing)
		if missing == "" {
			missing = "SignatureDoesNotMatch"
		}
		check("header with a wrong secret", header(wrong), 0, missing)

		streaming := ""
		if mode.Chunked() {
			streaming = "InvalidArgument"
		}
		check("query", presign(t, build(), exampleCredential(), "60", names...), Presigned, streaming)
		if streaming == "" {
			streaming = "SignatureDoesNotMatch"
		}
		check("query with a wrong secret", presign(t, build(), wrong, "60", names...), 0, streaming)

		both := presign(t, header(exampleCredential()), exampleCredential(), "60", names...)
		check("both", both, 0, "InvalidArgument")
		onlyKey := build()
		onlyKey.Query = "X-Amz-Credential=" + exampleKey + "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		check("credential in the query alone", onlyKey, 0, "AuthorizationQueryParametersError")

		anonymous := ""
		if mode == PayloadSignedChunks || mode == PayloadSignedChunksTrailer {
			anonymous = "InvalidRequest"
		}
		check("neither", build(), Anonymous, anonymous)
	}
}

func TestPresignedPayloadHash(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	r := presign(t, &Request{Method: "PUT", Path: "/b/k", Host: "h", Query: "X-Amz-Content-Sha256=" + emptyHash}, exampleCredential(), "60", "host")
	if got, err := v.Verify(r); err != nil || got.Payload != PayloadHash || fmt.Sprintf("%x", got.Hash) != emptyHash {
		t.Errorf("%+v, %v", got, err)
	}
	r.Header = fields("x-amz-content-sha256:" + unsignedPayload)
	_, err := v.Verify(r)
	wantCode(t, err, "InvalidArgument")
	r = presign(t, &Request{Method: "PUT", Path: "/b/k", Host: "h", Query: "X-Amz-Content-Sha256=" + streamingUnsigned}, exampleCredential(), "60", "host")
	_, err = v.Verify(r)
	wantCode(t, err, "InvalidArgument")
}
