//go:build linux || darwin || freebsd

package upstream

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"s3veil/sigv4"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }

// versity returns a client of a real store, and a bucket there.
func versity(t *testing.T, set ...func(*Options)) (*Client, string) {
	t.Helper()
	s := servers.MustShared(t, servers.Versity)
	bucket := servers.NewBucket(t, s.Client())
	set = append([]func(*Options){func(o *Options) {
		o.Region = servers.Region
		o.Credentials = static{AccessKey: s.AccessKey, Secret: sigv4.Secret(s.SecretKey)}
	}}, set...)
	return newClient(t, s.Endpoint, set...), bucket
}

// content reads an object back.
func content(t *testing.T, c *Client, bucket, key string) (resp *Response, data []byte) {
	t.Helper()
	resp, err := c.Do(t.Context(), &Request{Method: http.MethodGet, Bucket: bucket, Key: key, Idempotent: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

func expect(t *testing.T, c *Client, r *Request, status int) (*Response, string) {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != status {
		t.Fatalf("%s %s: got %d %s", r.Method, r.Key, resp.Status, text)
	}
	return resp, string(text)
}

// TestEveryPayloadModeStoresTheBytes also checks that nothing of the framing stays with the object.
func TestEveryPayloadModeStoresTheBytes(t *testing.T) {
	for _, mode := range []PayloadMode{Auto, Trailer, Chunks, Hash, InsecureUnsigned} {
		t.Run(mode.String(), func(t *testing.T) {
			c, bucket := versity(t, func(o *Options) { o.Payload = mode })
			for _, size := range []int64{0, 1, smallHash, smallHash + 1, chunkSize, 3*chunkSize + 5, 3_000_000} {
				for _, encoding := range []string{"", "gzip"} {
					for _, replay := range []bool{true, false} {
						r := put(&stream{n: size, piece: 65_568, again: replay})
						r.Bucket = bucket
						r.Header = []Field{{Name: "x-amz-meta-a", Value: "b  c"}}
						if encoding != "" {
							r.Header = append(r.Header, Field{Name: "content-encoding", Value: encoding})
						}
						expect(t, c, r, 200)
						resp, data := content(t, c, bucket, "k")
						var want bytes.Buffer
						_, _ = (&stream{n: size, piece: 65_568}).WriteTo(&want)
						if !bytes.Equal(data, want.Bytes()) {
							t.Errorf("%d bytes: got %d, or others", size, len(data))
						}
						if got := resp.Get("content-encoding"); got != encoding {
							t.Errorf("%d bytes: content-encoding %q, want %q", size, got, encoding)
						}
					}
				}
			}
		})
	}
}

func TestProbeFindsTrailersAndLeavesNothing(t *testing.T) {
	asked := 0
	c, bucket := versity(t, func(o *Options) {
		o.Observe = func(e Event) {
			if e.Kind == "request" {
				asked++
			}
		}
	})
	for range 3 {
		if mode, err := c.Mode(t.Context(), bucket); mode != Trailer || err != nil {
			t.Fatalf("got %v, %v", mode, err)
		}
	}
	if asked != 5 {
		t.Errorf("%d requests, want Create, two parts, ListParts and Abort once", asked)
	}
	_, objects := expect(t, c, &Request{Method: http.MethodGet, Bucket: bucket}, 200)
	_, uploads := expect(t, c, &Request{Method: http.MethodGet, Bucket: bucket, Query: []Param{{Name: "uploads", Bare: true}}}, 200)
	if strings.Contains(objects, probePrefix) || strings.Contains(uploads, probePrefix) {
		t.Errorf("left behind: %s %s", objects, uploads)
	}
}

func TestProbeInAMissingBucketLearnsNothing(t *testing.T) {
	c, bucket := versity(t)
	if mode, err := c.Mode(t.Context(), "missing-"+bucket); mode != Chunks || err != nil {
		t.Errorf("got %v, %v", mode, err)
	}
	if PayloadMode(c.mode.known.Load()) != Auto {
		t.Error("the answer was kept")
	}
	c.mode.again.Store(0)
	if mode, err := c.Mode(t.Context(), bucket); mode != Trailer || err != nil {
		t.Errorf("asked again: %v, %v", mode, err)
	}
}

func TestWrongTrailerIsRefusedByTheStore(t *testing.T) {
	c, bucket := versity(t, func(o *Options) { o.Payload = Trailer })
	body := wrongTrailer{bytes.Repeat([]byte("x"), 100_000)}
	r := put(body)
	r.Bucket = bucket
	if _, text := expect(t, c, r, 400); !strings.Contains(text, "BadDigest") {
		t.Errorf("got %s", text)
	}
	expect(t, c, &Request{Method: http.MethodHead, Bucket: bucket, Key: "k"}, 404)
}

// TestCutUploadLeavesNothingVisible: the body fails after k bytes, up to all of them (THREATS.md row 21). With
// InsecureUnsigned only the reset of the connection tells this store, which commits what ends in an orderly close.
func TestCutUploadLeavesNothingVisible(t *testing.T) {
	own := errors.New("cut")
	for _, mode := range []PayloadMode{Trailer, Chunks, InsecureUnsigned} {
		c, bucket := versity(t, func(o *Options) { o.Payload = mode })
		for _, k := range []int64{0, 1, 65_536, 300_000, 999_999, 1_000_000} {
			r := put(&stream{n: 1_000_000, piece: 50_000, failAt: k, err: own})
			r.Bucket = bucket
			if _, err := c.Do(t.Context(), r); err != own {
				t.Errorf("%v after %d: %v", mode, k, err)
			}
			expect(t, c, &Request{Method: http.MethodHead, Bucket: bucket, Key: "k"}, 404)
		}
		_, list := expect(t, c, &Request{Method: http.MethodGet, Bucket: bucket}, 200)
		if strings.Contains(list, "<Contents>") {
			t.Errorf("%v: %s", mode, list)
		}
	}
}

// TestMultipartWithChecksums: Create announces the algorithm, small and large parts carry it, Complete repeats the values
// of ListParts (DATAPATH.md 7.3).
func TestMultipartWithChecksums(t *testing.T) {
	c, bucket := versity(t)
	if mode, err := c.Mode(t.Context(), bucket); mode != Trailer || err != nil {
		t.Fatalf("got %v, %v", mode, err)
	}
	_, text := expect(t, c, &Request{
		Method: http.MethodPost, Bucket: bucket, Key: "k", Query: []Param{{Name: "uploads", Bare: true}},
		Header: []Field{{Name: "x-amz-checksum-algorithm", Value: ChecksumAlgorithm}},
	}, 200)
	var created struct{ UploadId string }
	if err := xml.Unmarshal([]byte(text), &created); err != nil {
		t.Fatal(err)
	}
	id := Param{Name: "uploadId", Value: created.UploadId}
	for i, body := range []Body{&stream{n: 5 << 20, piece: 1 << 20}, &stream{n: 1000, piece: 100}} {
		expect(t, c, &Request{Method: http.MethodPut, Bucket: bucket, Key: "k", Body: body,
			Query: []Param{{Name: "partNumber", Value: strconv.Itoa(i + 1)}, id}}, 200)
	}
	_, text = expect(t, c, &Request{Method: http.MethodGet, Bucket: bucket, Key: "k", Query: []Param{id}}, 200)
	var list struct {
		Part []struct {
			PartNumber                    int
			ETag, ChecksumCRC64NVME, Size string
		}
	}
	if err := xml.Unmarshal([]byte(text), &list); err != nil || len(list.Part) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for _, p := range list.Part {
		if p.ChecksumCRC64NVME == "" {
			t.Errorf("part %d has no checksum", p.PartNumber)
		}
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>",
			p.PartNumber, p.ETag, p.ChecksumCRC64NVME)
	}
	b.WriteString("</CompleteMultipartUpload>")
	expect(t, c, &Request{Method: http.MethodPost, Bucket: bucket, Key: "k", Query: []Param{id}, Body: Bytes(b.String())}, 200)
	if _, data := content(t, c, bucket, "k"); len(data) != 5<<20+1000 {
		t.Errorf("got %d bytes", len(data))
	}
}

// TestKeysOnARealStore: the signature covers the path as it is sent.
func TestKeysOnARealStore(t *testing.T) {
	c, bucket := versity(t)
	for _, key := range []string{"a b+c", "grüße/日本", "a?b#c", "a%2Fb", "'()*!$&,;=:@", "~._-"} {
		r := put(Bytes(key))
		r.Bucket, r.Key = bucket, key
		expect(t, c, r, 200)
		if _, data := content(t, c, bucket, key); string(data) != key {
			t.Errorf("%q: got %q", key, data)
		}
	}
	_, text := expect(t, c, &Request{Method: http.MethodGet, Bucket: bucket,
		Query: []Param{{Name: "prefix", Value: "a b+"}, {Name: "list-type", Value: "2"}, {Name: "delimiter", Value: "/"}}}, 200)
	if strings.Count(text, "<Contents>") != 1 {
		t.Errorf("list: %s", text)
	}
}

func TestWrongSecretIsRefused(t *testing.T) {
	c, bucket := versity(t)
	s := servers.MustShared(t, servers.Versity)
	for name, cred := range map[string]static{
		"SignatureDoesNotMatch": {AccessKey: s.AccessKey, Secret: "wrong"},
		"InvalidAccessKeyId":    {AccessKey: "nobody", Secret: "wrong"},
	} {
		c.o.Credentials = cred
		_, err := c.Do(t.Context(), &Request{Method: http.MethodGet, Bucket: bucket})
		var refusal *Refusal
		if !errors.Is(err, ErrRefused) || !errors.As(err, &refusal) || refusal.Code != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
