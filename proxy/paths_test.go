package proxy

import (
	"bufio"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
)

// Of a bypass that stands there twice, the store gets both: what is not a plain no in any of them needs the right to it.
func TestRepeatedBypassesNeedTheRight(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read, s3op.Write, s3op.Delete}}}
	})
	const bypass = "x-amz-bypass-governance-retention"
	for _, c := range []struct {
		values []string
		status int
	}{{[]string{"false"}, 204}, {[]string{"false", "true"}, 403}, {[]string{"true", "false"}, 403}, {[]string{"", "true"}, 403}} {
		var header []string
		for _, v := range c.values {
			header = append(header, bypass, v)
		}
		conn := f.dial()
		_, _ = io.WriteString(conn, f.head("DELETE", "/data/key", unsigned, header...))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != c.status {
			t.Errorf("%q: %v, %v", c.values, resp, err)
		}
	}
}

// At least one store keeps buckets, uploads and versions in directories and takes names and ids as they come. What would lead
// out of a bucket there reaches no store, wherever it stands: in a document, as the id of an upload in any form, of a version.
func TestNamesAndIDsThatArePathsReachNoStore(t *testing.T) {
	f := newFixture(t, nil)
	f.store.CreateBucket("other", false)
	f.must("PUT", "/data/key", []byte("plain"))
	id, _ := f.upload([]byte("part"))
	parsed, err := envelope.ParseUploadID(id)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, path := range []string{"../../../../other", "x/../../../../other", `..\..\other`, "..", ".", "a/.", "\x00/x", "a\nb"} {
		ids = append(ids, envelope.ListedID(path),
			envelope.SealToken(path, parsed.Token.Envelope, &kms.Key32{1}, envelope.Location{Bucket: "data", Key: "key"}))
	}
	f.store.Forget()

	list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
	for _, id := range ids {
		for _, r := range [][2]string{{"DELETE", "/data/key?uploadId="}, {"GET", "/data/key?uploadId="}, {"PUT", "/data/key?partNumber=1&uploadId="},
			{"POST", "/data/key?uploadId="}} {
			resp, doc := f.do(r[0], r[1]+id, []byte(list))
			if resp.StatusCode != 404 || !strings.Contains(string(doc), "NoSuchUpload") {
				t.Errorf("%s %s%s: %d %s", r[0], r[1], id, resp.StatusCode, doc)
			}
		}
		if resp, doc := f.do("GET", "/data?uploads&key-marker=a&upload-id-marker="+id, nil); resp.StatusCode/100 != 4 {
			t.Errorf("marker %s: %d %s", id, resp.StatusCode, doc)
		}
	}
	for _, version := range []string{"../../other/key", "..", "a/./b", `..\x`, "\x01"} {
		v := url.QueryEscape(version)
		for _, r := range [][]string{{"GET", "/data/key?versionId=" + v}, {"HEAD", "/data/key?versionId=" + v}, {"DELETE", "/data/key?versionId=" + v},
			{"GET", "/data/key?versionId=1&versionId=" + v}, {"GET", "/data/key?acl&versionId=" + v}, {"PUT", "/data/key?tagging&versionId=" + v},
			{"GET", "/data?versions&key-marker=key&version-id-marker=" + v}, {"PUT", "/data/copy", "x-amz-copy-source", "/data/key?versionId=" + v}} {
			if resp, doc := f.do(r[0], r[1], nil, r[2:]...); resp.StatusCode != 400 {
				t.Errorf("%q: %d %s", r, resp.StatusCode, doc)
			}
		}
	}
	for _, prefix := range []string{"../", "../other/", "a/../../other/"} {
		for _, target := range []string{"/data?prefix=", "/data?list-type=2&prefix=", "/data?versions&prefix=", "/data?uploads&prefix="} {
			if resp, doc := f.do("GET", target+url.QueryEscape(prefix), nil); resp.StatusCode != 403 {
				t.Errorf("%s%s: %d %s", target, prefix, resp.StatusCode, doc)
			}
		}
	}
	entries := []string{"<Key>../other/key</Key>", "<Key>a/../../other/key</Key>", "<Key>/../other/key</Key>", "<Key>..&#47;other/key</Key>",
		"<Key>..</Key>", "<Key>./</Key>", "<Key>//</Key>", "<Key>a/../</Key>", "<Key>.&#47;</Key>", "<Key>" + strings.Repeat("k", 1025) + "</Key>", "<Key>key</Key><VersionId>../../other/key</VersionId>"}
	_, doc := f.must("POST", "/data?delete", []byte("<Delete><Object>"+strings.Join(entries, "</Object><Object>")+"</Object></Delete>"))
	if n := strings.Count(string(doc), "<Error>"); n != len(entries) {
		t.Errorf("%d of %d refused: %s", n, len(entries), doc)
	}
	for _, c := range f.store.Calls() {
		if c.Op == "HeadBucket" || c.Query.Get("uploadId") == noUpload { // which of the two is missing
			continue
		}
		t.Errorf("the store saw %s %s %s", c.Method, c.Target, base64.StdEncoding.EncodeToString(c.Body))
	}
}
