//go:build linux || darwin || freebsd

package proxytest_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// missing are the cases of the suite that this store does not fulfil, and why it need not.
var missing = map[string]string{
	"Auth_none":                                                noSignatures,
	"Auth_skewed_clock":                                        noSignatures,
	"Auth_unknown_access_key":                                  noSignatures,
	"Auth_wrong_secret":                                        noSignatures,
	"Presigned_misuse_is_refused":                              noSignatures,
	"Presigned_PUT_and_GET":                                    noOverrides,
	"GetObject_response_overrides":                             noOverrides,
	"PostObject_form":                                          noForms,
	"PostObject_policy_is_enforced":                            noForms,
	"GetObjectAttributes_of_a_multipart_object":                notAsked,
	"GetObjectAttributes_of_a_single_object":                   notAsked,
	"Multipart_reads_by_part_number":                           notAsked,
	"GetObject_if_range":                                       notAsked,
	"Checksum_computed_by_the_SDK_round_trips":                 oneChecksum,
	"Checksum_kept_and_returned_in_every_algorithm":            oneChecksum,
	"Checksum_of_parts":                                        oneChecksum,
	"Checksum_of_a_full_multipart_object":                      oneChecksum,
	"CopyObject_carries_tags":                                  "its copies have no tags",
	"Answer_every_response_override":                           noOverrides,
	"Answer_HEAD_errors_have_no_body":                          noSignatures,
	"Answer_errors_name_resource_request_and_host":             "its errors are short",
	"Answer_Content_Encoding_without_aws_chunked":              "s3veil takes aws-chunked away itself",
	"Request_version_null":                                     "it has no version of that name",
	"Request_CORS_preflight":                                   "it has no CORS rules",
	"Checksum_in_a_trailer_in_every_algorithm":                 oneChecksum,
	"Checksum_of_parts_in_algorithms_the_SDK_does_not_compute": oneChecksum,
	"Checksum_wrong_value_refused":                             oneChecksum,
	"PutObject_refuses_metadata_beyond_2KB":                    "it has no limits",
}

const (
	noSignatures = "it checks no signatures"
	noOverrides  = "s3veil overrides response headers itself"
	noForms      = "s3veil turns forms into PUT"
	notAsked     = "s3veil answers from envelope and manifest"
	oneChecksum  = "it knows the one that s3veil sends"
)

func TestBehavesAsStoresDo(t *testing.T) {
	s := proxytest.New(t)
	suite.Run(t, s3veil.Bare(&servers.Store{Endpoint: s.URL, AccessKey: "a", SecretKey: "b"}), missing)
}

func call(t *testing.T, s *proxytest.Store, method, target, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

func TestHooksChangeAnswers(t *testing.T) {
	s := proxytest.New(t, "b")
	s.Put("b", "k", proxytest.Object{Data: []byte("0123456789"), Header: map[string]string{"x-amz-meta-a": "1"}})
	for name, tc := range map[string]struct {
		change func(a *proxytest.Answer)
		body   string
		broken bool
	}{
		"nothing":                           {func(*proxytest.Answer) {}, "0123456789", false},
		"bytes":                             {func(a *proxytest.Answer) { a.Body[3] ^= 1 }, "0122456789", false},
		"cut":                               {func(a *proxytest.Answer) { a.Cut = 4 }, "0123", true},
		"cut, reset":                        {func(a *proxytest.Answer) { a.Cut, a.Reset = 4, true }, "0123", true},
		"cut, chunked":                      {func(a *proxytest.Answer) { a.Cut, a.NoLength = 4, true }, "0123", true},
		"cut, to the end of the connection": {func(a *proxytest.Answer) { a.Cut, a.ToEnd = 4, true }, "0123", false},
		"chunked":                           {func(a *proxytest.Answer) { a.NoLength = true }, "0123456789", false},
		"dropped":                           {func(a *proxytest.Answer) { a.Drop = true }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			remove := s.Hook(proxytest.Hook{After: func(_ *proxytest.Call, a *proxytest.Answer) { tc.change(a) }})
			defer remove()
			_, body, err := call(t, s, "GET", "/b/k", "")
			if body != tc.body || (err != nil) != tc.broken {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	if o, _ := s.Get("b", "k"); string(o.Data) != "0123456789" {
		t.Errorf("the object itself has changed: %q", o.Data)
	}
}

func TestHookBeforeHasNoEffectOnTheStore(t *testing.T) {
	s := proxytest.New(t, "b")
	remove := s.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "PutObject" {
			return proxytest.Fail(503, "SlowDown")
		}
		return nil
	}})
	resp, _, err := call(t, s, "PUT", "/b/k", "x")
	if err != nil || resp.StatusCode != 503 || len(s.Keys("b")) != 0 {
		t.Errorf("got %v, keys %v", err, s.Keys("b"))
	}
	remove()
	if resp, _, err = call(t, s, "PUT", "/b/k", "x"); err != nil || resp.StatusCode != 200 || !slices.Equal(s.Keys("b"), []string{"k"}) {
		t.Errorf("without the hook: %v, keys %v", err, s.Keys("b"))
	}
}

func TestLogHoldsEverythingSeen(t *testing.T) {
	s := proxytest.New(t, "b")
	_, _, err := call(t, s, "PUT", "/b/a%2Fb//c?tagging=", "5\r\nhello\r\n0\r\n\r\n", "X-Amz-Meta-Secret", "canary",
		"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "5")
	if err != nil {
		t.Fatal(err)
	}
	c := s.Calls("PutObjectTagging")
	if len(c) != 1 || c[0].Key != "a/b//c" || c[0].Target != "/b/a%2Fb//c?tagging=" || string(c[0].Body) != "hello" || !c[0].Whole {
		t.Errorf("got %+v", c)
	}
	for _, text := range []string{"hello", "canary", "%2Fb//c", "5\r\nhello"} {
		if s.Saw(text) == "" {
			t.Errorf("%q was not seen", text)
		}
	}
	if where := s.Saw("elsewhere"); where != "" {
		t.Errorf("seen in %s", where)
	}
	s.Forget()
	if len(s.Calls()) != 0 || s.Saw("hello") != "" {
		t.Error("the log was kept")
	}
}

func TestSmallChunksAreNotStored(t *testing.T) {
	s := proxytest.New(t, "b")
	for body, status := range map[string]int{"5\r\nhello\r\n0\r\n\r\n": 200, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n": 400} {
		resp, _, err := call(t, s, "PUT", "/b/k"+strconv.Itoa(status), body, "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "5")
		if err != nil || resp.StatusCode != status {
			t.Errorf("%q: %v, %v", body, resp, err)
		}
	}
	if !slices.Equal(s.Keys("b"), []string{"k200"}) {
		t.Errorf("keys %v", s.Keys("b"))
	}
}

func TestCutBodyIsNotStored(t *testing.T) {
	s := proxytest.New(t, "b")
	pr, pw := io.Pipe()
	go func() {
		_, _ = io.WriteString(pw, "12345")
		_ = pw.CloseWithError(errors.New("cut"))
	}()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/b/k", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 10
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
	if len(s.Keys("b")) != 0 {
		t.Error("stored")
	}
}

func TestVersionsAndTampering(t *testing.T) {
	s := proxytest.New(t)
	s.CreateBucket("b", true)
	for _, text := range []string{"1", "2"} {
		if _, _, err := call(t, s, "PUT", "/b/k", text); err != nil {
			t.Fatal(err)
		}
	}
	list := s.Versions("b", "k")
	if len(list) != 2 || string(list[0].Data) != "2" || list[0].Version == list[1].Version {
		t.Fatalf("got %+v", list)
	}
	if _, body, _ := call(t, s, "GET", "/b/k?versionId="+list[1].Version, ""); body != "1" {
		t.Errorf("older version: %q", body)
	}
	s.Change("b", "k", func(o *proxytest.Object) { o.Data = []byte("3"); o.Header["x-amz-meta-x"] = "y" })
	resp, body, err := call(t, s, "GET", "/b/k", "")
	if body != "3" || err != nil || resp.Header.Get("X-Amz-Meta-X") != "y" {
		t.Errorf("changed: %q, %v", body, err)
	}
	if !s.Copy("b", "k", "b", "other") || s.Copy("b", "missing", "b", "x") {
		t.Error("copy")
	}
	if _, body, _ := call(t, s, "GET", "/b/other", ""); body != "3" {
		t.Errorf("copy: %q", body)
	}
	s.Delete("b", "k")
	if resp, _, _ := call(t, s, "HEAD", "/b/k", ""); resp.StatusCode != 404 {
		t.Errorf("deleted: %d", resp.StatusCode)
	}
}
