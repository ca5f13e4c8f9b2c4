package proxy

import (
	"net/http"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
)

// What the store says to whoever asks for an upload that does not exist comes before that, and before a document that cannot be read.
func TestUploadsThatDoNotExistAreTheStoresToDeny(t *testing.T) {
	f := newFixture(t, nil)
	for op, ask := range map[string]struct{ method, part, body string }{"ListParts": {"GET", "", ""}, "AbortMultipartUpload": {"DELETE", "", ""},
		"UploadPart": {"PUT", "partNumber=7&", "secret"}, "CompleteMultipartUpload": {"POST", "", "no XML"}} {
		for code, want := range map[string]int{"AccessDenied": 403, "NoSuchBucket": 404, "NoSuchUpload": 404, "Odd": 404} {
			f.store.Forget()
			remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
				if string(c.Op) != op {
					return nil
				}
				status := 404
				if code == "AccessDenied" {
					status = 403
				}
				return &proxytest.Answer{Status: status, Header: http.Header{}, Body: []byte("<Error><Code>" + code + "</Code></Error>")}
			}})
			resp, doc := f.do(ask.method, "/data/key?"+ask.part+"uploadId=nonsense", []byte(ask.body))
			remove()
			if code == "Odd" {
				code = "NoSuchUpload"
			}
			if resp.StatusCode != want || !strings.Contains(string(doc), "<Code>"+code+"</Code>") {
				t.Errorf("%s, %s: %d %s", op, code, resp.StatusCode, doc)
			}
			if calls := f.store.Calls(op); len(calls) != 1 || strings.Contains(calls[0].Target, "nonsense") || f.store.Saw("secret") != "" {
				t.Errorf("%s: %v", op, calls)
			}
		}
	}
}

// A Delete without objects is the store's to judge.
func TestDeleteOfNothingGoesToTheStore(t *testing.T) {
	f := newFixture(t, nil)
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "DeleteObjects" {
			return nil
		}
		return &proxytest.Answer{Status: 400, Header: http.Header{}, Body: []byte("<Error><Code>MalformedXML</Code></Error>")}
	}})
	defer remove()
	if resp, doc := f.do("POST", "/data?delete=", []byte("<Delete></Delete>")); resp.StatusCode != 400 || len(f.store.Calls("DeleteObjects")) != 1 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// Without a key marker S3 ignores the marker of an upload.
func TestUploadMarkersAloneAreIgnored(t *testing.T) {
	f := newFixture(t, nil)
	f.must("GET", "/data?uploads=&upload-id-marker=nonsense", nil)
	if resp, _ := f.do("GET", "/data?uploads=&key-marker=a&upload-id-marker=nonsense", nil); resp.StatusCode != 400 {
		t.Errorf("with a key: %d", resp.StatusCode)
	}
}
