package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

// versionPages is a store's list of the versions "key version" of all, which are in its order.
func (f *fixture) versionPages(all []string) {
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "ListObjectVersions" {
			return nil
		}
		q := c.Query
		size, key, version := 1000, q.Get("key-marker"), q.Get("version-id-marker")
		if n, err := strconv.Atoi(q.Get("max-keys")); err == nil {
			size = n
		}
		at := slices.IndexFunc(all, func(v string) bool { return key == "" || strings.Fields(v)[0] > key })
		if version != "" {
			at = 1 + slices.Index(all, key+" "+version)
		}
		if at < 0 {
			at = len(all)
		}
		var b strings.Builder
		b.WriteString("<ListVersionsResult>")
		end := min(at+size, len(all))
		fmt.Fprintf(&b, "<IsTruncated>%v</IsTruncated>", end < len(all))
		if end < len(all) && end > 0 {
			last := strings.Fields(all[end-1])
			fmt.Fprintf(&b, "<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>", last[0], last[1])
		}
		for _, v := range all[at:end] {
			one := strings.Fields(v)
			fmt.Fprintf(&b, "<Version><Key>%s</Key><VersionId>%s</VersionId><Size>42</Size></Version>", one[0], one[1])
		}
		b.WriteString("</ListVersionsResult>")
		return &proxytest.Answer{Status: 200, Header: http.Header{}, Body: []byte(b.String())}
	}})
}

// Pages are filled up around what is hidden, and no version is left out where a page ends among those of one key.
func TestPagesOfVersionsAreWhole(t *testing.T) {
	f := newFixture(t, nil)
	want := []string{"!a v1", "k v1", "k v2", "k v3", "k v4", "l v1", "l v2"}
	f.versionPages(slices.Insert(slices.Clone(want), 1, ".s3veil/m/1 v1", ".s3veil/m/1 v2", ".s3veil/m/2 v1"))
	one := regexp.MustCompile(`<Key>([^<]+)</Key><VersionId>([^<]+)<`)
	next := regexp.MustCompile(`<NextKeyMarker>([^<]*)</NextKeyMarker><NextVersionIdMarker>([^<]*)<`)
	for size := 1; size <= len(want)+4; size++ {
		var got []string
		marker := ""
		for range 20 {
			_, doc := f.must("GET", fmt.Sprintf("/data?versions=&max-keys=%d%s", size, marker), nil)
			for _, m := range one.FindAllSubmatch(doc, -1) {
				got = append(got, string(m[1])+" "+string(m[2]))
			}
			m := next.FindSubmatch(doc)
			if m == nil {
				break
			}
			marker = "&key-marker=" + url.QueryEscape(string(m[1])) + "&version-id-marker=" + url.QueryEscape(string(m[2]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %q", size, got)
		}
	}
}

// A store that gives the same page again and again does not keep s3veil busy for ever.
func TestPagesThatDoNotAdvanceEnd(t *testing.T) {
	for op, target := range map[string]string{"ListObjects": "/data", "ListObjectsV2": "/data?list-type=2", "ListObjectVersions": "/data?versions="} {
		f := newFixture(t, nil)
		var asked atomic.Int32
		f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			root, entry := "ListBucketResult", "Contents"
			if c.Op == "ListObjectVersions" {
				root, entry = "ListVersionsResult", "Version"
			}
			return &proxytest.Answer{Status: 200, Header: http.Header{}, Body: []byte(fmt.Sprintf("<%s><IsTruncated>%v</IsTruncated><NextVersionIdMarker>v</NextVersionIdMarker>"+
				"<%[3]s><Key>.s3veil/m/1</Key></%[3]s><%[3]s><Key>key</Key></%[3]s></%[1]s>", root, asked.Add(1) < 50, entry))}
		}})
		if resp, doc := f.do("GET", target, nil); resp.StatusCode < 500 || asked.Load() > 2 {
			t.Errorf("%s: %d after %d pages: %s", op, resp.StatusCode, asked.Load(), doc)
		}
	}
}

// The first page is held until the client has it, also when it is the next one that fills it up.
func TestFilledPagesThatNobodyReadsStayWithinTheBudget(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.Memory, o.Limits.AdmissionWait = 20<<20, 20*time.Millisecond })
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		a.Body = []byte("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>z</Key></Contents></ListBucketResult>")
		if c.Query.Get("marker") == "" {
			a.Body = []byte("<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>.s3veil/m/1</Key></Contents>" + strings.Repeat(" ", 7<<20) + "</ListBucketResult>")
		}
	}})
	c := f.dial()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, f.head("GET", "/data", unsigned))
	f.eventually("both pages have been asked for", func() bool { return len(f.store.Calls("ListObjects")) == 2 })
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if held := f.held(); held < 7<<20-smallDocument {
		t.Errorf("%d bytes are charged", held)
	}
	c.Close()
	f.eventually("everything has been given back", func() bool { return f.held() == 0 })
}

// So is a page of parts, while their notes are read and until the client has it.
func TestPagesOfPartsThatNobodyReadsStayWithinTheBudget(t *testing.T) {
	f := newFixture(t, func(s *Settings, o *Options) { s.Buckets[0].UploadID, o.Limits.Memory = UploadIDState, 20<<20 })
	id, _ := f.upload(partTwo)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "ListParts" {
			a.Body = []byte(strings.Replace(string(a.Body), "</ListPartsResult>", strings.Repeat(" ", 7<<20)+"</ListPartsResult>", 1))
		}
	}})
	c := f.dial()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, f.head("GET", "/data/key?uploadId="+url.QueryEscape(id), unsigned))
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if held := f.held(); held < 7<<20-smallDocument {
		t.Errorf("%d bytes are charged", held)
	}
	c.Close()
	f.eventually("everything has been given back", func() bool { return f.held() == 0 })
}
