package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"s3veil/proxy/proxytest"
)

// A PUT that waits for "100 Continue" is looked at once; without the expectation, or a condition, nothing is asked before the body.
func TestConditionsAreLookedAtBeforeContinue(t *testing.T) {
	f := newFixture(t, nil)
	put, _ := f.do("PUT", "/data/there", []byte("old"))
	tag := put.Header.Get("ETag")
	looks := 0
	status := 0 // of the store's answer to the look, 0 for its own
	defer f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "HeadObject" {
			return nil
		}
		if looks++; status != 0 {
			return proxytest.Fail(status, "Planted")
		}
		return nil
	}})()
	for _, c := range []struct {
		key           string
		header        []string
		answer, first int // of the store to the look; to the client
		looks         int
	}{
		{"there", []string{"if-none-match", "*"}, 0, 412, 1},
		{"there", []string{"if-match", `"other"`}, 0, 412, 1},
		{"there", []string{"if-match", tag}, 0, 100, 1},
		{"there", []string{"if-match", `"other", ` + tag}, 0, 100, 1},
		{"none", []string{"if-match", tag}, 0, 404, 1},
		{"none", []string{"if-none-match", "*"}, 0, 100, 1},
		{"there", nil, 0, 100, 0},
		{"there", []string{"if-none-match", "*"}, 403, 100, 1}, // the look is not the client's right
		{"there", []string{"if-match", tag}, 400, 100, 1},
		{"data?partNumber=1&uploadId=x", []string{"if-match", tag}, 0, 100, 0},
	} {
		looks, status = 0, c.answer
		conn := f.dial()
		header := append([]string{"content-length", "5", "expect", "100-continue"}, c.header...)
		io.WriteString(conn, f.head("PUT", "/data/"+c.key, unsigned, header...))
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "PUT"})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(resp.StatusCode, looks); got != fmt.Sprint(c.first, c.looks) {
			t.Errorf("%s %q: %s, want %d and %d looks", c.key, c.header, got, c.first, c.looks)
		}
		conn.Close()
	}
	f.idle()
}

// Where the bucket is missing, that is what a PUT before its body hears, as it would after it.
func TestConditionsBeforeContinueNameAMissingBucket(t *testing.T) {
	f := newFixture(t, nil)
	for key, want := range map[string]string{"/missing/key": "NoSuchBucket", "/data/none": "NoSuchKey"} {
		conn := f.dial()
		io.WriteString(conn, f.head("PUT", key, unsigned, "content-length", "5", "expect", "100-continue", "if-match", `"a"`))
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "PUT"})
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := io.ReadAll(resp.Body); code(doc) != want {
			t.Errorf("%s: %d %s, %v", key, resp.StatusCode, doc, err)
		}
		conn.Close()
	}
	f.idle()
}
