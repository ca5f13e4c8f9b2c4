package attack

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A conditional upload that waits to be told learns at once that its condition does not hold, and keeps its body. What is told to
// go on is the store's to decide.
func TestFailedConditionsAskForNoBody(t *testing.T) {
	s := NewScene(t, nil)
	s.Put("there", []byte("old"))
	out, err := s.C.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.Bucket, Key: aws.String("there")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, key, header, value string
		status                   int
		code                     string
	}{
		{"the key is taken", "there", "If-None-Match", "*", 412, "PreconditionFailed"},
		{"another object", "there", "If-Match", `"00000000000000000000000000000000-0"`, 412, "PreconditionFailed"},
		{"no object", "none", "If-Match", *out.ETag, 404, "NoSuchKey"},
		{"the key is free", "free", "If-None-Match", "*", 100, ""},
		{"the object", "there", "If-Match", *out.ETag, 100, ""},
	} {
		w := s.Dial()
		io.WriteString(w, s.Head("PUT", "/"+s.Bucket+"/"+c.key, "UNSIGNED-PAYLOAD", map[string]string{c.header: c.value})+
			"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		status, text := w.Answer()
		if status != c.status || !strings.Contains(text, c.code) {
			t.Errorf("%s: %d %s, want %d %s", c.what, status, text, c.status, c.code)
		}
		if status != 100 {
			if _, closed := w.Closed(); !closed {
				t.Errorf("%s: the connection waits for the body", c.what)
			}
		} else if io.WriteString(w, "fresh"); c.status == 100 {
			if status, text = w.Answer(); status != 200 {
				t.Errorf("%s: %d %s after the body", c.what, status, text)
			}
		}
		w.Close()
		if c.what == "no object" {
			if got, err := s.Read("there", ""); err != nil || string(got) != "old" {
				t.Errorf("refused uploads left %q, %v", got, err)
			}
		}
	}
	for _, key := range []string{"there", "free"} {
		if got, err := s.Read(key, ""); err != nil || string(got) != "fresh" {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}
