package proxy

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"s3veil/proxy/proxytest"
	"strings"
	"testing"
)

// TestExactListings: parts that are no multiples of a package are listed with their true size where that is asked for, by a
// replica that has never seen them too, and what cannot be opened keeps its bound.
func TestExactListings(t *testing.T) {
	for _, exact := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].ListExact = exact })
		_, doc := f.must("POST", "/data/k?uploads=", nil)
		var made struct{ UploadId string }
		if err := xml.Unmarshal(doc, &made); err != nil {
			t.Fatal(err)
		}
		var list strings.Builder
		for n := range 3 {
			resp, _ := f.must("PUT", fmt.Sprintf("/data/k?partNumber=%d&uploadId=%s", n+1, made.UploadId), bytes.Repeat([]byte("x"), 5<<20+77))
			fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n+1, resp.Header.Get("Etag"))
		}
		f.must("POST", "/data/k?uploadId="+made.UploadId, []byte("<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>"))
		f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/k")
		f.must("PUT", "/data/single", bytes.Repeat([]byte("x"), 70_001))
		f.s.caches.manifests.Purge()
		for range 2 {
			_, doc = f.must("GET", "/data?list-type=2", nil)
			got := bytes.Count(doc, []byte("<Size>15728871</Size>"))
			if exact && got != 2 || !exact && got != 0 || bytes.Count(doc, []byte("<Size>70001</Size>")) != 1 {
				t.Errorf("exact %v: %s", exact, doc)
			}
		}
		if !exact {
			continue
		}
		if n := len(f.store.Calls("HeadObject")); n > 8 {
			t.Errorf("%d HEADs for two listings of three objects", n)
		}
		broken, _ := f.store.Get("data", "k")
		f.store.Change("data", "k", func(o *proxytest.Object) {
			o.ETag = `"00000000000000000000000000000000-3"`
			o.Header["x-amz-meta-s3veil"] = broken.Header["x-amz-meta-s3veil"][:len(broken.Header["x-amz-meta-s3veil"])-8] + "AAAAAAAA"
		})
		if _, doc = f.must("GET", "/data?list-type=2", nil); !bytes.Contains(doc, []byte("<Key>k</Key>")) {
			t.Errorf("a damaged object is missing: %s", doc)
		}
	}
}

// TestExactListingsNameChecksums: the algorithm and type that an object keeps, as on S3, in lists of objects and of versions; none
// of the store's own, and none of an object that does not open.
func TestExactListingsNameChecksums(t *testing.T) {
	for _, exact := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].ListExact = exact })
		f.must("PUT", "/data/crc", []byte("x"), "x-amz-checksum-crc32", "jNwWgw==")
		f.must("PUT", "/data/default", []byte("x"))
		_, doc := f.must("POST", "/data/parts?uploads=", nil, "x-amz-checksum-algorithm", "SHA1")
		var made struct{ UploadId string }
		if err := xml.Unmarshal(doc, &made); err != nil {
			t.Fatal(err)
		}
		sum := "EfatjsUqKYSrqv18O1FlA3hcIHI=" // of "x"
		resp, _ := f.must("PUT", "/data/parts?partNumber=1&uploadId="+made.UploadId, []byte("x"), "x-amz-checksum-sha1", sum)
		f.must("POST", "/data/parts?uploadId="+made.UploadId, fmt.Appendf(nil, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"+
			"<ETag>%s</ETag><ChecksumSHA1>%s</ChecksumSHA1></Part></CompleteMultipartUpload>", resp.Header.Get("Etag"), sum))
		for _, query := range []string{"list-type=2", "prefix=", "versions="} {
			for range 2 { // the second time from the cache
				_, doc = f.must("GET", "/data?"+query, nil)
				for text, n := range map[string]int{
					"<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>":     1,
					"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>": 1,
					"<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>":        1,
					"<ChecksumAlgorithm>": 3,
				} {
					if got := bytes.Count(doc, []byte(text)); exact && got != n || !exact && got != 0 {
						t.Errorf("exact %v, %s: %d times %s in %s", exact, query, got, text, doc)
					}
				}
			}
		}
	}
}

// Whoever may list a bucket need not be able to read its objects, and learns of them what arithmetic tells. Another client that may
// read learns all.
func TestExactListingsOfWhatCannotBeRead(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].ListExact = true })
	f.must("PUT", "/data/k", []byte("hello"))
	for status, want := range map[int]int{403: 200, 400: 200, 501: 200, 500: 503} {
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op != "HeadObject" {
				return nil
			}
			return &proxytest.Answer{Status: status, Header: http.Header{}}
		}})
		resp, doc := f.do("GET", "/data?list-type=2", nil)
		if resp.StatusCode != want || want == 200 && !bytes.Contains(doc, []byte("<Size>5</Size>")) || bytes.Contains(doc, []byte("Checksum")) {
			t.Errorf("HEAD %d: %d %s", status, resp.StatusCode, doc)
		}
		remove()
	}
	if _, doc := f.must("GET", "/data?list-type=2", nil); !bytes.Contains(doc, []byte("<ChecksumAlgorithm>CRC64NVME<")) {
		t.Errorf("%s", doc)
	}
}
