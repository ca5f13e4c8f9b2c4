package proxy

import (
	"bufio"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
)

// The ways of clients that docs/CLIENTS.md 4 lists by number.

// trailed is text in aws-chunks of n bytes with a CRC32 behind it.
func trailed(text string, n int) string {
	var b strings.Builder
	for rest := text; rest != ""; rest = rest[min(n, len(rest)):] {
		piece := rest[:min(n, len(rest))]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(piece), piece)
	}
	sum := crc32.NewIEEE()
	_, _ = io.WriteString(sum, text)
	return b.String() + "0\r\nx-amz-checksum-crc32:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + "\r\n\r\n"
}

const trailerPayload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

// Rule 2: x-amz-content-sha256 says how a body is framed, Content-Encoding says nothing about it.
func TestFramingIsWhatTheHashSays(t *testing.T) {
	f := newFixture(t, nil)
	framed := trailed("plain bytes of the client", 1<<20)
	for what, c := range map[string]struct {
		payload, body, want string
		header              []string
	}{
		"chunks without a word of them": {trailerPayload, framed, "plain bytes of the client", nil},
		"chunks, announced":             {trailerPayload, framed, "plain bytes of the client", []string{"content-encoding", "aws-chunked"}},
		"no chunks, though announced":   {unsigned, framed, framed, []string{"content-encoding", "aws-chunked"}},
	} {
		header := append(c.header, "content-length", fmt.Sprint(len(c.body)))
		if c.payload == trailerPayload {
			header = append(header, "x-amz-trailer", "x-amz-checksum-crc32", "x-amz-decoded-content-length", fmt.Sprint(len(c.want)))
		}
		conn := f.dial()
		_, _ = io.WriteString(conn, f.head("PUT", "/data/key", c.payload, header...)+c.body)
		if status, text := answer(t, conn); status != 200 {
			t.Errorf("%s: %d %s", what, status, text)
			continue
		}
		resp, got := f.must("GET", "/data/key", nil)
		if string(got) != c.want || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %q, Content-Encoding %q", what, got, resp.Header.Get("Content-Encoding"))
		}
	}
}

// Rule 5: aws-chunked says how a body travels. It does not reach the store, and where a store has kept it, it does not come back.
func TestChunkedIsNoCodingOfAnObject(t *testing.T) {
	f := newFixture(t, nil)
	body := []byte(trailed("packed", 6))
	for sent, want := range map[string]string{"aws-chunked": "", "gzip, aws-chunked": "gzip", "aws-chunked,gzip,br": "gzip,br", "AWS-Chunked , gzip": "gzip"} {
		f.store.Forget()
		c := f.dial()
		_, _ = io.WriteString(c, f.head("PUT", "/data/key", trailerPayload, "content-encoding", sent, "x-amz-trailer", "x-amz-checksum-crc32",
			"x-amz-decoded-content-length", "6", "content-length", fmt.Sprint(len(body)))+string(body))
		if status, doc := answer(t, c); status != 200 {
			t.Fatalf("%q: %d %s", sent, status, doc)
		}
		f.must("POST", "/data/parts?uploads", nil, "content-encoding", sent)
		for _, call := range f.store.Calls("PutObject", "CreateMultipartUpload") {
			if got := call.Header.Get("Content-Encoding"); got != want {
				t.Errorf("%q: %s with %q at the store, want %q", sent, call.Op, got, want)
			}
		}
		remove := f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
			if c.Key == "key" {
				a.Header.Set("Content-Encoding", sent)
			}
		}})
		for _, method := range []string{"GET", "HEAD"} {
			if resp, _ := f.must(method, "/data/key", nil); resp.Header.Get("Content-Encoding") != want {
				t.Errorf("%q kept by the store: %s answers %q, want %q", sent, method, resp.Header.Get("Content-Encoding"), want)
			}
		}
		remove()
	}
}

// Rules 3, 4 and 6: aws-chunks of 8 KiB and more inside chunks of HTTP of any size. The store gets a length, and the connection
// carries the next request.
func TestChunksInsideChunks(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.HeldBody = 1 << 10 })
	for _, text := range []string{"", "x", strings.Repeat("abcdefg", 50), strings.Repeat("0123456789", 20_000)} {
		for _, inner := range []int{8192, 65_537, 1 << 20} {
			for _, outer := range []int{1, 3, 8191, 1 << 20} {
				framed := trailed(text, inner)
				if outer < 10 && len(framed) > 10_000 {
					continue
				}
				conn := f.dial()
				in := bufio.NewReader(conn)
				var body strings.Builder
				for rest := framed; rest != ""; rest = rest[min(outer, len(rest)):] {
					fmt.Fprintf(&body, "%x\r\n%s\r\n", min(outer, len(rest)), rest[:min(outer, len(rest))])
				}
				f.store.Forget()
				_, _ = io.WriteString(conn, f.head("PUT", "/data/key", trailerPayload, "x-amz-trailer", "x-amz-checksum-crc32", "content-encoding", "aws-chunked",
					"x-amz-decoded-content-length", fmt.Sprint(len(text)), "transfer-encoding", "chunked")+body.String()+"0\r\n\r\n"+f.head("GET", "/data/key", unsigned))
				for _, method := range []string{"PUT", "GET"} {
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatalf("%d bytes in %d in %d: %v", len(text), inner, outer, err)
					}
					got, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != 200 || method == "GET" && string(got) != text {
						t.Errorf("%s of %d bytes in %d in %d: %d %.200s", method, len(text), inner, outer, resp.StatusCode, got)
					}
				}
				for _, call := range f.store.Calls("PutObject") {
					if call.Header.Get("Content-Length") == "" && call.Header.Get("Transfer-Encoding") != "" {
						t.Errorf("at the store: %v", call.Header)
					}
				}
				conn.Close()
			}
		}
	}
}

// Rule 10 and CLIENTS.md 5: bodies come as they are stored, with a length; a store that packs them, or does not say how long they are,
// gives no answer that could be passed on.
func TestStoresThatPackOrDoNotCount(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte(strings.Repeat("plain ", 1000)))
	f.must("GET", "/data/key", nil, "accept-encoding", "gzip")
	for _, call := range f.store.Calls("GetObject") {
		if got := call.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("the store is asked for %q", got)
		}
	}
	remove := f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) { a.NoLength = c.Key == "key" && c.Method == "GET" }})
	if resp, got := f.do("GET", "/data/key", nil); resp.StatusCode < 400 {
		t.Errorf("without a length: %d, %d bytes", resp.StatusCode, len(got))
	}
	remove()
	f.must("GET", "/data/key", nil)
	// Plaintext has no sealed length to compare with.
	open := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].AllowPlaintext = true })
	open.store.Put("data", "old", proxytest.Object{Data: []byte("from before"), Header: map[string]string{"content-type": "text/plain"}})
	if _, got := open.must("GET", "/data/old", nil); string(got) != "from before" {
		t.Errorf("%q", got)
	}
	open.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) { a.NoLength = c.Key == "old" }})
	if resp, got := open.do("GET", "/data/old", nil); resp.StatusCode < 400 {
		t.Errorf("plaintext without a length: %d, %d bytes", resp.StatusCode, len(got))
	}
}

// Rule 35: who answers, when the object changed and which version it is are the store's to say; time and request id are s3veil's.
func TestWhoseWordsAnAnswerHas(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		for name, v := range map[string]string{"Server": "TestStore/7", "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT", "X-Amz-Version-Id": "a-version",
			"X-Amz-Request-Id": "STORE", "X-Amz-Id-2": "store-host", "Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Connection": "keep-alive", "Keep-Alive": "timeout=5"} {
			a.Header.Set(name, v)
		}
	}})
	for _, c := range [][]string{{"GET", "/data/key"}, {"HEAD", "/data/key"}, {"GET", "/data/missing"}, {"PUT", "/data/new"}, {"GET", "/data"}} {
		resp, doc := f.do(c[0], c[1], nil)
		h := resp.Header
		if id := h.Get("X-Amz-Request-Id"); len(id) != 16 || strings.Trim(id, "0123456789ABCDEF") != "" || h.Get("Date") == "Mon, 02 Jan 2006 15:04:05 GMT" || h.Get("Date") == "" || h.Get("Keep-Alive") != "" {
			t.Errorf("%v: %v", c, h)
		} else if resp.StatusCode == 404 && !strings.Contains(string(doc), "<RequestId>"+id+"</RequestId>") {
			t.Errorf("%v: %s", c, doc)
		}
		if h.Get("X-Amz-Id-2") != "STORE" {
			t.Errorf("%v: the store's id is %q", c, h.Get("X-Amz-Id-2"))
		}
		if resp.StatusCode == 200 && c[1] == "/data/key" && (h.Get("Server") != "TestStore/7" || h.Get("Last-Modified") != "Mon, 02 Jan 2006 15:04:05 GMT" || h.Get("X-Amz-Version-Id") != "a-version") {
			t.Errorf("%v: %v", c, h)
		}
	}
}

// Rule 25: repeated lines of metadata are one value, joined by commas, whatever the case of their names.
func TestRepeatedMetadataIsJoined(t *testing.T) {
	f := newFixture(t, nil)
	c := f.dial()
	head := f.head("PUT", "/data/key", unsigned, "x-amz-meta-a", "1", "x-amz-meta-a", "2, 3", "x-amz-meta-umlaut", "über =?UTF-8?Q?x?=", "content-length", "0")
	_, _ = io.WriteString(c, strings.Replace(head, "x-amz-meta-a: 1", "X-AMZ-Meta-A: 1", 1))
	if status, doc := answer(t, c); status != 200 {
		t.Fatalf("%d %s", status, doc)
	}
	resp, _ := f.must("HEAD", "/data/key", nil)
	if got := resp.Header["X-Amz-Meta-A"]; len(got) != 1 || got[0] != "1,2, 3" {
		t.Errorf("%q", got)
	}
	if got := resp.Header.Get("X-Amz-Meta-Umlaut"); got != "über =?UTF-8?Q?x?=" {
		t.Errorf("%q", got)
	}
}

// CLIENTS.md 5: ListBuckets is s3veil's own list of what the client may see, in pages; regions are the store's to tell.
func TestListBucketsInPages(t *testing.T) {
	f := newFixture(t, nil)
	for _, name := range []string{"beta", "alpha", "gamma"} {
		f.store.CreateBucket(name, false)
	}
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "HeadBucket" {
			a.Header.Set("X-Amz-Bucket-Region", "eu-west-9")
		}
	}})
	type page struct {
		Names []string `xml:"Buckets>Bucket>Name"`
		Token string   `xml:"ContinuationToken"`
	}
	ask := func(query string) page {
		t.Helper()
		_, doc := f.must("GET", "/?"+query, nil)
		var p page
		if err := xml.Unmarshal(doc, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct{ query, want string }{{"x-id=ListBuckets", "alpha beta data gamma"}, {"prefix=g", "gamma"}, {"prefix=none", ""}} {
		if p := ask(c.query); strings.Join(p.Names, " ") != c.want || p.Token != "" {
			t.Errorf("%s: %+v", c.query, p)
		}
	}
	var all []string
	query := "max-buckets=2"
	for range 3 {
		p := ask(query)
		if len(p.Names) > 2 {
			t.Errorf("%s: %v", query, p.Names)
		}
		if all = append(all, p.Names...); p.Token == "" {
			break
		}
		query = "max-buckets=2&continuation-token=" + url.QueryEscape(p.Token)
	}
	if strings.Join(all, " ") != "alpha beta data gamma" {
		t.Errorf("in pages: %v", all)
	}
	if resp, _ := f.must("HEAD", "/data", nil); resp.Header.Get("X-Amz-Bucket-Region") != "eu-west-9" {
		t.Errorf("HeadBucket: %v", resp.Header)
	}
}

// CLIENTS.md 5: a query name without a value asks for an operation, which is refused where it is unknown; one with a value is
// none of S3's business.
func TestUnknownQueryNames(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	f.store.Forget()
	for target, want := range map[string]int{"/data?v=3": 200, "/data/key?v=3": 200, "/data/key?_=1": 200, "/data?unheard": 501, "/data/key?unheard": 501, "/data/key?acl&unheard": 501} {
		resp, doc := f.do("GET", target, nil)
		if resp.StatusCode != want || want == 501 && !strings.Contains(string(doc), "<Code>NotImplemented</Code>") {
			t.Errorf("%s: %d %s", target, resp.StatusCode, doc)
		}
	}
	for _, call := range f.store.Calls() {
		if call.Query.Has("v") || call.Query.Has("_") || call.Query.Has("unheard") {
			t.Errorf("the store saw %s", call.Target)
		}
	}
}
