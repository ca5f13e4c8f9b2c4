package proxy

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"s3veil/proxy/head"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
)

// Only the last aws-chunk may be smaller than 8 KiB: S3's refusal with S3's elements, of held bodies and of streamed ones, and
// nothing of them in the store.
func TestSmallChunksAreRefused(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.HeldBody = 1 << 10 })
	for _, c := range []struct {
		size, chunk int
		number, bad string
	}{{350, 1, "2", "1"}, {1000, 999, "2", "999"}, {200_000, 8191, "2", "8191"}, {3 << 20, 1000, "2", "1000"}} {
		text := strings.Repeat("0123456789", c.size/10)
		framed := trailed(text, c.chunk)
		conn := f.dial()
		go func() { // the answer may come before all of it has been read
			_, _ = io.WriteString(conn, f.head("PUT", "/data/refused", trailerPayload, "x-amz-trailer", "x-amz-checksum-crc32", "content-length", fmt.Sprint(len(framed)),
				"x-amz-decoded-content-length", fmt.Sprint(len(text)))+framed)
		}()
		status, doc := answer(t, conn)
		want := "<Code>InvalidChunkSizeError</Code><Message>Only the last chunk is allowed to have a size less than 8192 bytes</Message><Chunk>" + c.number + "</Chunk><BadChunkSize>" + c.bad + "</BadChunkSize>"
		if status != 400 || !strings.Contains(doc, want) {
			t.Errorf("%d bytes in chunks of %d: %d %s", c.size, c.chunk, status, doc)
		}
		conn.Close()
	}
	f.idle()
	if resp, _ := f.do("GET", "/data/refused", nil); resp.StatusCode != 404 {
		t.Errorf("something of a refused body is there: %d", resp.StatusCode)
	}
}

// S3's limit of the header section: the request line does not count, nor do lines of proxies, which S3 would not see.
func TestHeaderSectionsHaveALimit(t *testing.T) {
	f := newFixture(t, nil)
	bare := f.head("GET", "/data/none", unsigned)
	_, section, _ := strings.Cut(strings.TrimSuffix(bare, "\r\n"), "\r\n")
	line := func(name string, n int) string {
		return name + ": " + strings.Repeat("a", n-len(name)-len(": \r\n")) + "\r\n"
	}
	room := head.MaxSection - len(section)
	for what, c := range map[string]struct {
		method, more, query string
		status              int
	}{
		"up to the limit":        {"GET", line("X-Long", room), "", 404},
		"one more":               {"GET", line("X-Long", room+1), "", 400},
		"two lines":              {"GET", line("X-Long", room/2) + line("X-Long", room-room/2+1), "", 400},
		"preflight":              {"OPTIONS", line("X-Long", room+1), "", 400},
		"a long query":           {"GET", line("X-Long", room), "?versionId=" + strings.Repeat("a", 6000), 400},
		"lines of proxies":       {"GET", line("Via", 1000) + line("Proxy-Authorization", 1000) + line("X-Forwarded-For", 1000) + line("Forwarded", 1000) + line("X-Long", room), "", 404},
		"above the engine's own": {"GET", line("X-Long", 20_000), "", 400},
	} {
		head := bare
		if c.query != "" || c.method != "GET" {
			head = strings.Replace(head, "GET /data/none", c.method+" /data/none"+c.query, 1)
		}
		conn := f.dial()
		_, _ = io.WriteString(conn, strings.TrimSuffix(head, "\r\n")+c.more+"\r\n")
		status, doc := answer(t, conn)
		refused := strings.Contains(doc, "<Code>RequestHeaderSectionTooLarge</Code><Message>Your request header section exceeds the maximum allowed size.</Message><MaxSizeAllowed>8192</MaxSizeAllowed>")
		switch {
		case c.query != "" && (status != 403 || refused): // the query is not the one signed
			t.Errorf("%s: %d %s", what, status, doc)
		case c.query == "" && (status != c.status || refused != (c.status == 400)):
			t.Errorf("%s: %d %s", what, status, doc)
		}
		conn.Close()
	}
}

// Without credentials a digest that is none is one that nothing has: S3 says so and names both, whatever characters it holds.
func TestImpossibleDigests(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients = append(set.Clients, Client{Anonymous: true, Policy: policy.Client{Rules: []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read, s3op.Write}}}}})
	})
	f.must("PUT", "/data/key", []byte("plain"))
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, claim := range []string{"incorrect_hash", "<a>&amp;</a>"} {
		for what, c := range map[string]struct{ request, body, computed string }{
			"no body":     {"PUT /data/no", "", empty},
			"a body":      {"PUT /data/no", "hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
			"a long one":  {"PUT /data/no", string(bytes.Repeat([]byte("a"), 2<<20)), ""},
			"a reader":    {"GET /data/key", "", empty},
			"a tag":       {"PUT /data/key?tagging", "<Tagging><TagSet></TagSet></Tagging>", ""},
			"no document": {"PUT /data/key?tagging", "", empty},
		} {
			conn := f.dial()
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nX-Amz-Content-Sha256: %s\r\nContent-Length: %d\r\n\r\n%s", c.request, f.addr, claim, len(c.body), c.body)
			status, doc := answer(t, conn)
			said := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(claim)
			want := "<Code>XAmzContentSHA256Mismatch</Code><Message>The provided &#39;x-amz-content-sha256&#39; header does not match what was computed.</Message>" +
				"<ClientComputedContentSHA256>" + said + "</ClientComputedContentSHA256><S3ComputedContentSHA256>" + c.computed
			if status != 400 || !strings.Contains(doc, want) {
				t.Errorf("%s: %d %s", what, status, doc)
			}
			conn.Close()
		}
	}
	f.idle()
	if resp, _ := f.do("GET", "/data/no", nil); resp.StatusCode != 404 {
		t.Errorf("something of a refused body is there: %d", resp.StatusCode)
	}
}
