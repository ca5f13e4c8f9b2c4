package attack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// interposed is a scene whose store answers through an interposer.
func interposed(t *testing.T) (*Scene, *Interposer) {
	t.Helper()
	store := servers.MustShared(t, servers.Versity)
	p, front := Interpose(t, store)
	veil := s3veil.MustStart(t, s3veil.Options{Store: front})
	c := veil.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return &Scene{T: t, Ctx: context.Background(), Veil: veil, C: c, Store: store.Client(), Bucket: servers.NewBucket(t, c)}, p
}

// isGet reports whether a request reads an object of the bucket.
func (s *Scene) isGet(r *http.Request, key string) bool {
	return r.Method == "GET" && strings.HasPrefix(r.RequestURI, "/"+s.Bucket+"/"+key)
}

// Row 29. A store that breaks off in the middle of a body never becomes a whole answer.
func TestCutAnswersNeverEndCleanly(t *testing.T) {
	s, p := interposed(t)
	plain := suite.Data(3<<20, 1)
	s.Put("k", plain)
	p.Hook(func(r *http.Request, _ *http.Response) Verdict {
		if s.isGet(r, "k") {
			return Cut
		}
		return Pass
	})
	s.Refused("cut in the middle", "k", "", plain)
	s.Refused("cut in the middle of a range", "k", spec(100, 2<<20), plain[100:])
	p.Hook(func(r *http.Request, resp *http.Response) Verdict {
		if s.isGet(r, "k") {
			b, _ := io.ReadAll(resp.Body)
			setBody(resp, b[:len(b)/2])
			resp.Header.Set("Content-Length", fmt.Sprint(len(b)/2))
		}
		return Pass
	})
	s.Refused("half with a fitting length", "k", "", plain)
	p.Hook(func(r *http.Request, resp *http.Response) Verdict {
		if s.isGet(r, "k") {
			resp.Header.Del("Content-Length")
			resp.Header.Set("Transfer-Encoding", "chunked")
		}
		return Pass
	})
	s.Refused("no length", "k", "", plain)
}

// Row 38. Headers that a store plants do not reach the client, and answers that do not fit the question are refused.
func TestPlantedAnswerHeaders(t *testing.T) {
	s, p := interposed(t)
	plain := suite.Data(200_000, 1)
	s.Put("k", plain)
	planted := map[string]string{"Set-Cookie": "a=b", "Location": "http://evil.example/", "Strict-Transport-Security": "max-age=1",
		"Www-Authenticate": "Basic", "X-Amz-Checksum-Crc32": "AAAAAA==", "Refresh": "0;url=http://evil.example/",
		"Content-Security-Policy": "none", "X-Evil": "1"}
	p.Hook(func(r *http.Request, resp *http.Response) Verdict {
		for k, v := range planted {
			resp.Header.Set(k, v)
		}
		return Pass
	})
	for _, method := range []string{"GET", "HEAD"} {
		w := s.Dial()
		fmt.Fprint(w, s.Head(method, "/"+s.Bucket+"/k", hexSum(nil), nil)+"\r\n")
		resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 {
			t.Errorf("%s: %s", method, resp.Status)
		}
		for k := range planted {
			if v := resp.Header.Get(k); v != "" {
				t.Errorf("%s: %s: %s comes through", method, k, v)
			}
		}
		w.Close()
	}
	for what, change := range map[string]func(*http.Response){
		"200 to a range": func(r *http.Response) { r.StatusCode = 200; r.Header.Del("Content-Range") },
		"another range":  func(r *http.Response) { r.Header.Set("Content-Range", "bytes 0-65567/200128") },
		"another total": func(r *http.Response) {
			r.Header.Set("Content-Range", strings.Replace(r.Header.Get("Content-Range"), "/", "/9", 1))
		},
		"no range named":      func(r *http.Response) { r.Header.Del("Content-Range") },
		"a range of nonsense": func(r *http.Response) { r.Header.Set("Content-Range", "bytes x-y/z") },
	} {
		p.Hook(func(r *http.Request, resp *http.Response) Verdict {
			if s.isGet(r, "k") && resp.StatusCode == 206 {
				change(resp)
			}
			return Pass
		})
		got, err := s.Read("k", spec(70_000, 70_099))
		if err == nil && !bytes.Equal(got, plain[70_000:70_100]) {
			t.Errorf("%s: other bytes were released", what)
		}
	}
}

// A ranged GET is one request to the store that reads at most one package more at each end.
func TestRangedGetIsOneSmallRequest(t *testing.T) {
	s, p := interposed(t)
	s.Put("k", suite.Data(3<<20, 1))
	var moved int64
	p.Hook(func(r *http.Request, resp *http.Response) Verdict {
		if s.isGet(r, "k") {
			moved += resp.ContentLength
		}
		return Pass
	})
	if _, err := s.Read("k", spec(1<<20+10, 1<<20+1000)); err != nil {
		t.Fatal(err)
	}
	if seen := p.Seen(); len(seen) != 1 || moved > 3*65_568 {
		t.Errorf("%d bytes by %q", moved, seen)
	}
}

// Faults of the store at each step: an error answer is an error for the client, a broken connection too, and nothing stays
// visible of an upload that was not confirmed.
func TestStoreFaultsAreErrors(t *testing.T) {
	s, p := interposed(t)
	plain := suite.Data(2<<20, 1)
	s.Put("k", plain)
	for what, fault := range map[string]func(*http.Request, *http.Response) Verdict{
		"500": func(_ *http.Request, r *http.Response) Verdict {
			r.StatusCode = 500
			setBody(r, []byte("<Error><Code>InternalError</Code></Error>"))
			r.Header.Set("Content-Length", "41")
			return Pass
		},
		"503": func(_ *http.Request, r *http.Response) Verdict {
			r.StatusCode = 503
			setBody(r, []byte("<Error><Code>SlowDown</Code></Error>"))
			r.Header.Set("Content-Length", "36")
			return Pass
		},
		"drop": func(*http.Request, *http.Response) Verdict { return Drop },
	} {
		p.Hook(func(req *http.Request, resp *http.Response) Verdict {
			if strings.HasPrefix(req.RequestURI, "/"+s.Bucket+"/") {
				return fault(req, resp)
			}
			return Pass
		})
		if _, err := s.Read("k", ""); err == nil {
			t.Errorf("%s: GET succeeded", what)
		}
		if _, err := s.C.HeadObject(s.Ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: aws.String("k")}); err == nil {
			t.Errorf("%s: HEAD succeeded", what)
		}
		if _, err := s.C.PutObject(s.Ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: aws.String("new"), Body: bytes.NewReader(plain)}); err == nil {
			t.Errorf("%s: PUT succeeded", what)
		}
		p.Hook(nil)
		if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: afterwards: %v", what, err)
		}
	}
	// A 200 that holds an error is an error (copy, complete).
	p.Hook(func(req *http.Request, resp *http.Response) Verdict {
		if req.Method == "PUT" && req.Header.Get("X-Amz-Copy-Source") != "" {
			setBody(resp, []byte("<Error><Code>InternalError</Code></Error>"))
			resp.Header.Set("Content-Length", "41")
		}
		return Pass
	})
	if _, err := s.C.CopyObject(s.Ctx, &s3.CopyObjectInput{Bucket: &s.Bucket, Key: aws.String("copy"), CopySource: aws.String(s.Bucket + "/k")}); err == nil {
		t.Error("a copy that failed behind a 200 succeeded")
	}
}

// Without a hook the interposer changes nothing: signatures of odd keys hold.
func TestInterposerIsTransparent(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	_, front := Interpose(t, store)
	c := front.Client()
	bucket := servers.NewBucket(t, c)
	for _, key := range []string{"a b", "a+b", "a%2Fb", "ключ"} {
		body := suite.Data(100_000, 1)
		if _, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		got, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
	}
}
