package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"s3veil/sigv4"
)

// static is a credential that never changes.
type static sigv4.Credential

func (s static) Retrieve(context.Context) (sigv4.Credential, error) { return sigv4.Credential(s), nil }
func (s static) Expired()                                           {}

// renewing counts how often it was told that its credential has expired, and changes it then.
type renewing struct{ expired atomic.Int64 }

func (r *renewing) Retrieve(context.Context) (sigv4.Credential, error) {
	return sigv4.Credential{AccessKey: fmt.Sprint("AK", r.expired.Load()), Secret: "s", SessionToken: "t"}, nil
}
func (r *renewing) Expired() { r.expired.Add(1) }

func failing(code string, more ...string) string {
	return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>m</Message>" + strings.Join(more, "") + "</Error>"
}

var scopeRE = regexp.MustCompile(`Credential=([^/]+)/[0-9]+/([^/]+)/s3/aws4_request`)

// scope returns the access key and the region that a request was signed with.
func scope(r *http.Request) (key, region string) {
	m := scopeRE.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

func TestRefusalsOfOwnCredentials(t *testing.T) {
	for code, refused := range map[string]bool{
		"SignatureDoesNotMatch": true, "InvalidAccessKeyId": true, "RequestTimeTooSkewed": true, "InvalidToken": true,
		"AuthorizationHeaderMalformed": true, "AccessDenied": false, "InvalidArgument": false, "BadDigest": false,
	} {
		for _, status := range []int{400, 403} {
			var n atomic.Int64
			s := answering(t, func(*http.Request, []byte) string { n.Add(1); return reply(status, failing(code)) })
			c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
			got, body, err := do(t, c, get())
			if refused {
				var e *Refusal
				if !errors.Is(err, ErrRefused) || !errors.As(err, &e) || e.Code != code || e.Status != status {
					t.Errorf("%d %s: got %d, %v", status, code, got, err)
				}
			} else if got != status || body != failing(code) || err != nil {
				t.Errorf("%d %s: got %d %q, %v", status, code, got, body, err)
			}
			if n.Load() != 1 {
				t.Errorf("%d %s: %d requests", status, code, n.Load())
			}
		}
	}
}

func TestRefusalsOfUnsignedRequestsAreAnswers(t *testing.T) {
	s := answering(t, func(r *http.Request, _ []byte) string {
		if r.Header.Get("Authorization") != "" {
			t.Error("signed")
		}
		return reply(403, failing("SignatureDoesNotMatch"))
	})
	c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
	r := get()
	r.Method, r.Unsigned = http.MethodOptions, true
	if status, _, err := do(t, c, r); status != 403 || err != nil {
		t.Errorf("got %d, %v", status, err)
	}
}

func TestExpiredCredentialIsRenewedOnce(t *testing.T) {
	serve := func(good string) *store {
		return answering(t, func(r *http.Request, body []byte) string {
			switch key, _ := scope(r); {
			case key == good:
				return reply(200, string(body))
			case r.Method == http.MethodHead:
				return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
			}
			return reply(400, failing("ExpiredToken"))
		})
	}
	t.Run("replayable", func(t *testing.T) {
		creds := &renewing{}
		c := newClient(t, serve("AK1").url(), func(o *Options) { o.Credentials = creds })
		if status, body, err := do(t, c, put(Bytes("x"))); status != 200 || body != "x" || err != nil || creds.expired.Load() != 1 {
			t.Errorf("got %d %q, %v after %d renewals", status, body, err, creds.expired.Load())
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		creds := &renewing{}
		c := newClient(t, serve("AK1").url(), func(o *Options) { o.Credentials = creds })
		r := get()
		r.Method = http.MethodHead
		if status, _, err := do(t, c, r); status != 200 || err != nil {
			t.Errorf("got %d, %v", status, err)
		}
	})
	t.Run("again", func(t *testing.T) {
		creds := &renewing{}
		c := newClient(t, serve("AK2").url(), func(o *Options) { o.Credentials = creds })
		_, _, err := do(t, c, put(Bytes("x")))
		if !errors.Is(err, ErrRefused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("streamed", func(t *testing.T) {
		creds := &renewing{}
		c := newClient(t, serve("AK1").url(), func(o *Options) { o.Credentials, o.Payload = creds, Trailer })
		_, _, err := do(t, c, put(&stream{n: 100_000, piece: 50_000}))
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRefused) || creds.expired.Load() != 1 {
			t.Errorf("got %v after %d renewals", err, creds.expired.Load())
		}
	})
}

// TestForbiddenHeadIsLookedInto: a 403 to HEAD has no body that would tell a refused signature from a missing right.
func TestForbiddenHeadIsLookedInto(t *testing.T) {
	for code, refused := range map[string]bool{"SignatureDoesNotMatch": true, "AccessDenied": false} {
		var asked atomic.Int64
		s := answering(t, func(r *http.Request, _ []byte) string {
			if r.Method == http.MethodHead {
				return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
			}
			asked.Add(1)
			return reply(403, failing(code))
		})
		c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
		for n := range int64(3) {
			r := get()
			r.Method = http.MethodHead
			status, _, err := do(t, c, r)
			if refused != errors.Is(err, ErrRefused) || !refused && (err != nil || status != 403) {
				t.Errorf("%s: got %d, %v", code, status, err)
			}
			// A refusal is asked about each time, so that its end is noticed.
			if want := map[bool]int64{true: n + 1, false: 1}[refused]; asked.Load() != want {
				t.Errorf("%s: asked %d times, want %d", code, asked.Load(), want)
			}
		}
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", func(o *Options) { o.Credentials = broken{} })
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Retrieve(context.Context) (sigv4.Credential, error) {
	return sigv4.Credential{}, io.ErrNoProgress
}
func (broken) Expired() {}

// TestWrongRegionIsLearned: the store names the region, the request is signed for it, and so are later ones.
func TestWrongRegionIsLearned(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) string{
		"400 with Region": func(*http.Request) string {
			return reply(400, failing("AuthorizationHeaderMalformed", "<Region>eu-west-9</Region>"))
		},
		"301 with header": func(*http.Request) string {
			return reply(301, failing("PermanentRedirect"), "x-amz-bucket-region: eu-west-9")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			s := answering(t, func(r *http.Request, _ []byte) string {
				n.Add(1)
				if _, region := scope(r); region != "eu-west-9" {
					return answer(r)
				}
				return reply(200, "ok")
			})
			c := newClient(t, s.url(), func(o *Options) {
				o.Credentials, o.Payload = static{AccessKey: "AK", Secret: "s"}, Trailer
			})
			streamed := put(&stream{n: 100_000, piece: 50_000})
			if _, _, err := do(t, c, streamed); !errors.Is(err, ErrUnavailable) {
				t.Errorf("streamed: %v", err)
			}
			streamed = put(&stream{n: 100_000, piece: 50_000})
			if status, _, err := do(t, c, streamed); status != 200 || err != nil || n.Load() != 2 {
				t.Errorf("streamed again: %d, %v after %d requests", status, err, n.Load())
			}
			r := get()
			r.Bucket = "other"
			if status, _, err := do(t, c, r); status != 200 || err != nil || n.Load() != 4 {
				t.Errorf("replayable: %d, %v after %d requests", status, err, n.Load())
			}
		})
	}
}

func TestRegionThatDoesNotHelpIsARefusal(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string {
		return reply(400, failing("AuthorizationHeaderMalformed", "<Region>eu-west-9</Region>"))
	})
	c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestRegionAutoAsksOncePerBucket(t *testing.T) {
	var heads, others atomic.Int64
	s := answering(t, func(r *http.Request, _ []byte) string {
		if r.Method == http.MethodHead {
			heads.Add(1)
			switch r.URL.Path {
			case "/plain":
				return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
			case "/missing":
				return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
			}
			return "HTTP/1.1 403 Forbidden\r\nx-amz-bucket-region: ap-south-7\r\nContent-Length: 0\r\n\r\n"
		}
		others.Add(1)
		_, region := scope(r)
		return reply(200, region)
	})
	c := newClient(t, s.url(), func(o *Options) {
		o.Region, o.Credentials = "auto", static{AccessKey: "AK", Secret: "s"}
	})
	for _, tc := range []struct {
		bucket, region string
		heads          int64
	}{{"b", "ap-south-7", 1}, {"b", "ap-south-7", 1}, {"plain", "us-east-1", 2}, {"plain", "us-east-1", 2}, {"missing", "us-east-1", 3},
		{"missing", "us-east-1", 4}, {"", "us-east-1", 4}} {
		r := &Request{Method: http.MethodGet, Bucket: tc.bucket, Idempotent: true}
		if _, region, err := do(t, c, r); region != tc.region || err != nil || heads.Load() != tc.heads {
			t.Errorf("%q: region %q, %v after %d questions", tc.bucket, region, err, heads.Load())
		}
	}
}

// TestRedirectsStayWithTheService is THREATS.md row 22: a redirect never leads elsewhere and never reaches the caller.
func TestRedirectsStayWithTheService(t *testing.T) {
	elsewhere := answering(t, func(*http.Request, []byte) string { t.Error("followed"); return reply(200, "evil") })
	for name, location := range map[string]string{
		"another port":     elsewhere.url() + "/b/k",
		"metadata":         "http://169.254.169.254/latest",
		"another host":     "http://evil.example/b/k",
		"another scheme":   "https://127.0.0.1/b/k",
		"user info":        "http://127.0.0.1@evil.example/",
		"relative":         "/b/other",
		"no location":      "",
		"itself":           "SELF/b/k",
		"not an address":   "http://[::1",
		"IPv4 inside IPv6": "http://[::ffff:127.0.0.1]/b/k",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var n atomic.Int64
			self := ""
			s := answering(t, func(*http.Request, []byte) string {
				n.Add(1)
				var h []string
				if location != "" {
					h = []string{"Location: " + strings.Replace(location, "SELF", self, 1)}
				}
				return reply(status, failing("TemporaryRedirect"), h...)
			})
			self = s.url()
			c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
			if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) || n.Load() != 1 {
				t.Errorf("%s, %d: %v after %d requests", name, status, err, n.Load())
			}
		}
	}
}

func TestRedirectsInACircleEnd(t *testing.T) {
	var n atomic.Int64
	s := answering(t, func(*http.Request, []byte) string {
		return reply(301, "", fmt.Sprintf("x-amz-bucket-region: r-%d", n.Add(1)%2))
	})
	c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) || n.Load() > maxTurns+1 {
		t.Errorf("got %v after %d requests", err, n.Load())
	}
}

func TestSameService(t *testing.T) {
	aws := endpoint{secure: true, name: "s3.amazonaws.com", port: "443"}
	own := endpoint{name: "minio.internal", port: "9000"}
	for _, tc := range []struct {
		from endpoint
		host string
		want string
	}{
		{aws, "s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"},
		{aws, "s3-eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com"},
		{aws, "b.s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"},
		{aws, "b.s3-us-gov-west-1.amazonaws.com", "s3-us-gov-west-1.amazonaws.com"},
		{aws, "s3.dualstack.eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com"},
		{aws, "other.s3.eu-west-1.amazonaws.com", ""},
		{aws, "s3.cn-north-1.amazonaws.com.cn", ""},
		{aws, "s3.eu-west-1.amazonaws.com.evil.example", ""},
		{aws, "s3.eu-west-1.amazonaws.com:8443", ""},
		{aws, "s3-website.eu-west-1.amazonaws.com", ""},
		{aws, "ec2.eu-west-1.amazonaws.com", ""},
		{aws, "x.s3-accesspoint.eu-west-1.amazonaws.com", ""},
		{aws, "s3-fips.us-east-1.amazonaws.com", ""},
		{own, "minio.internal:9000", "minio.internal"},
		{own, "b.minio.internal:9000", "minio.internal"},
		{own, "MINIO.internal:9000", "minio.internal"},
		{own, "minio.internal", ""},
		{own, "minio.internal:9001", ""},
		{own, "x.minio.internal:9000", ""},
		{own, "s3.eu-west-1.amazonaws.com", ""},
		{own, "u@minio.internal:9000", ""},
		{own, "minio.internal:9000/x", ""},
	} {
		got, ok := sameService(tc.from, tc.host, "b")
		if ok != (tc.want != "") || ok && got.name != tc.want {
			t.Errorf("%s from %s: got %q, %v", tc.host, tc.from.name, got.name, ok)
		}
	}
}

func TestEndpointOfARegion(t *testing.T) {
	for from, want := range map[string]string{
		"s3.amazonaws.com":                     "s3.eu-north-1.amazonaws.com",
		"s3.us-east-1.amazonaws.com":           "s3.eu-north-1.amazonaws.com",
		"s3-us-west-2.amazonaws.com":           "s3-eu-north-1.amazonaws.com",
		"s3.dualstack.us-east-1.amazonaws.com": "s3.dualstack.eu-north-1.amazonaws.com",
		"s3-fips.us-east-1.amazonaws.com":      "s3-fips.eu-north-1.amazonaws.com",
		"minio.internal":                       "minio.internal",
	} {
		if got := regional(endpoint{name: from}, "eu-north-1").name; got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
	if got := regional(endpoint{name: "s3.amazonaws.com"}, "evil"); got.name != "s3.amazonaws.com" {
		t.Errorf("got %s", got.name)
	}
}

// TestProbeVerdicts runs the question against stores of every kind.
func TestProbeVerdicts(t *testing.T) {
	const created = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
	type fake struct{ create, right, wrong, list string }
	good := fake{reply(200, created), reply(200, ""), reply(400, failing("BadDigest")), reply(200, "<R><Part><Size>1000</Size></Part></R>")}
	for name, tc := range map[string]struct {
		change func(f *fake)
		want   PayloadMode
		known  bool
	}{
		"trailers work":           {func(*fake) {}, Trailer, true},
		"wrong one is taken":      {func(f *fake) { f.wrong = reply(200, "") }, Chunks, true},
		"right one is refused":    {func(f *fake) { f.right = reply(501, failing("NotImplemented")) }, Chunks, true},
		"refused as a signature":  {func(f *fake) { f.right = reply(403, failing("SignatureDoesNotMatch")) }, Chunks, true},
		"framing stored":          {func(f *fake) { f.list = reply(200, "<R><Part><Size>1077</Size></Part></R>") }, Chunks, true},
		"algorithm refused":       {func(f *fake) { f.create = reply(400, failing("InvalidRequest")) }, Chunks, true},
		"no right to upload":      {func(f *fake) { f.create = reply(403, failing("AccessDenied")) }, Chunks, false},
		"store fails":             {func(f *fake) { f.right = reply(500, "") }, Chunks, false},
		"list is not to be had":   {func(f *fake) { f.list = reply(403, failing("AccessDenied")) }, Chunks, false},
		"create answers nonsense": {func(f *fake) { f.create = reply(200, "<x/>") }, Chunks, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			tc.change(&f)
			var aborted atomic.Int64
			s := answering(t, func(r *http.Request, _ []byte) string {
				if !strings.HasPrefix(r.URL.Path, "/b/"+probePrefix) {
					t.Errorf("asked at %s", r.URL.Path)
				}
				switch {
				case r.Method == http.MethodPost:
					return f.create
				case r.Method == http.MethodDelete:
					aborted.Add(1)
					return reply(204, "")
				case r.Method == http.MethodGet:
					return f.list
				case r.URL.Query().Get("partNumber") == "1":
					return f.right
				}
				return f.wrong
			})
			c := newClient(t, s.url(), func(o *Options) { o.Credentials = static{AccessKey: "AK", Secret: "s"} })
			mode, err := c.Mode(t.Context(), "b")
			known := PayloadMode(c.mode.known.Load()) != Auto
			if mode != tc.want || err != nil || known != tc.known {
				t.Errorf("got %v, %v, known %v", mode, err, known)
			}
			if want := strings.Contains(f.create, "<UploadId>"); (aborted.Load() == 1) != want {
				t.Errorf("aborted %d times", aborted.Load())
			}
		})
	}
}
