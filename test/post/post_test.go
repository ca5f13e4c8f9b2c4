package post

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/canary"
)

func TestFormsOfEverySize(t *testing.T) {
	e := start(t)
	for _, n := range []int{0, 1, 65536, 1<<20 - 1500, 1 << 20, 1<<20 + 1, 3<<20 + 7} {
		f := form{key: "dir/a b+ü", file: data(n), extra: []field{{name: "Content-Type", value: "text/form"},
			{name: "x-amz-meta-colour", value: "blue"}, {name: "Cache-Control", value: "no-cache"}}}
		if a := e.post(t, f); a.status != 204 || a.body != "" {
			t.Fatalf("%d bytes: %d %s", n, a.status, a.body)
		}
		o := e.same(t, f.key, f.file)
		if *o.ContentType != "text/form" || o.Metadata["colour"] != "blue" || *o.CacheControl != "no-cache" {
			t.Errorf("%d bytes: %v %v %v", n, *o.ContentType, o.Metadata, *o.CacheControl)
		}
	}
}

func TestDelimiterLookalikesInTheFile(t *testing.T) {
	e := start(t)
	for _, n := range []int{1000, 2 << 20} {
		content := data(n)
		for i := 0; i+200 < n; i += 997 {
			copy(content[i:], "\r\n--"+boundary[:len(boundary)-1]+"X\r\n--\r\n")
		}
		copy(content[n-len(boundary)-3:], "\r\n--"+boundary[:len(boundary)-1])
		if a := e.post(t, form{key: "k", file: content}); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		e.same(t, "k", content)
	}
}

func TestAnswersOfForms(t *testing.T) {
	e := start(t)
	status := func(v string) []field { return []field{{name: "success_action_status", value: v}} }
	for value, want := range map[string]int{"200": 200, "201": 201, "204": 204, "500": 204, "": 204} {
		a := e.post(t, form{key: "a/b c", file: []byte("x"), extra: status(value)})
		if a.status != want {
			t.Errorf("success_action_status %q: %d", value, a.status)
		}
		tag := e.head(t, "a/b c")
		location := e.url + "/" + e.bucket + "/a/b%20c"
		if a.header.Get("ETag") != tag || a.header.Get("Location") != location {
			t.Errorf("%q: ETag %s, want %s; Location %s", value, a.header.Get("ETag"), tag, a.header.Get("Location"))
		}
		if want != 201 {
			continue
		}
		var doc struct {
			XMLName                     xml.Name `xml:"PostResponse"`
			Location, Bucket, Key, ETag string
		}
		if err := xml.Unmarshal([]byte(a.body), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Location != location || doc.Bucket != e.bucket || doc.Key != "a/b c" || doc.ETag != tag {
			t.Errorf("%+v", doc)
		}
	}
	for name, c := range map[string]struct{ field, value, prefix string }{
		"redirect":           {"success_action_redirect", "https://example.com/done", "https://example.com/done?bucket="},
		"redirect, query":    {"success_action_redirect", "https://example.com/done?a=1", "https://example.com/done?a=1&bucket="},
		"its old name":       {"redirect", "http://example.com/", "http://example.com/?bucket="},
		"what is no URL":     {"success_action_redirect", "nowhere", ""},
		"what is no website": {"success_action_redirect", "javascript:alert(1)", ""},
	} {
		a := e.post(t, form{key: "a/b c", file: []byte("x"), extra: append(status("201"), field{name: c.field, value: c.value})})
		if c.prefix == "" {
			if a.status != 201 {
				t.Errorf("%s: %d", name, a.status)
			}
			continue
		}
		u, err := url.Parse(a.header.Get("Location"))
		if err != nil || a.status != 303 || !strings.HasPrefix(u.String(), c.prefix) {
			t.Errorf("%s: %d %s", name, a.status, u)
			continue
		}
		if q := u.Query(); q.Get("bucket") != e.bucket || q.Get("key") != "a/b c" || q.Get("etag") != e.head(t, "a/b c") {
			t.Errorf("%s: %s", name, u)
		}
	}
}

func (e *env) head(t *testing.T, key string) string {
	t.Helper()
	o, err := e.veil.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return *o.ETag
}

func TestFilenameStandsForItsVariable(t *testing.T) {
	e := start(t)
	for filename, want := range map[string]string{
		"photo.png": "user/photo.png", `C:\pictures\photo 2.png`: "user/photo 2.png", "/home/me/ü.txt": "user/ü.txt",
	} {
		f := form{key: "user/${filename}", file: []byte(filename), filename: filename,
			extra: []field{{name: "x-amz-meta-name", value: "from-${filename}"}}, conditions: []any{[]string{"starts-with", "$key", "user/"}}}
		if a := e.post(t, f); a.status != 204 {
			t.Fatalf("%s: %d %s", filename, a.status, a.body)
		}
		e.same(t, want, []byte(filename))
	}
	// The policy speaks of the key as it will be.
	a := e.post(t, form{key: "${filename}", file: []byte("x"), filename: "other.txt", conditions: []any{[]string{"starts-with", "$key", "user/"}}})
	e.refused(t, "policy on the expanded key", a, 403, "AccessDenied", "other.txt")
}

func TestChecksumsOfForms(t *testing.T) {
	e := start(t)
	for _, n := range []int{1000, 2 << 20} {
		content := data(n)
		crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(content)))
		sum := md5.Sum(content)
		digest := base64.StdEncoding.EncodeToString(sum[:])
		good := form{key: "sum", file: content, extra: []field{{name: "x-amz-checksum-crc32", value: crc}, {name: "Content-MD5", value: digest}}}
		a := e.post(t, good)
		if a.status != 204 || a.header.Get("x-amz-checksum-crc32") != crc {
			t.Fatalf("%d %s %s", a.status, a.body, a.header.Get("x-amz-checksum-crc32"))
		}
		if o := e.same(t, "sum", content); o.ChecksumCRC32 == nil || *o.ChecksumCRC32 != crc {
			t.Errorf("kept checksum: %v", o.ChecksumCRC32)
		}
		for _, name := range []string{"x-amz-checksum-crc32", "Content-MD5"} {
			wrong := map[string]string{"x-amz-checksum-crc32": "AAAAAA==", "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}[name]
			e.refused(t, name, e.post(t, form{key: "wrong", file: content, extra: []field{{name: name, value: wrong}}}), 400, "BadDigest", "wrong")
		}
	}
	a := e.post(t, form{key: "wrong", file: []byte("x"), extra: []field{{name: "x-amz-checksum-crc99", value: "AAAAAA=="}}})
	if a.status < 400 {
		t.Errorf("unknown checksum: %d", a.status)
	}
	e.absent(t, "unknown checksum", "wrong")
}

func TestFieldsThatBecomeHeaders(t *testing.T) {
	e := start(t)
	const tags = `<Tagging><TagSet><Tag><Key>a b</Key><Value>1+2</Value></Tag><Tag><Key>c</Key><Value></Value></Tag></TagSet></Tagging>`
	a := e.post(t, form{key: "k", file: []byte("x"), extra: []field{{name: "tagging", value: tags}, {name: "x-amz-server-side-encryption", value: "AES256"},
		{name: "Content-Disposition", value: "inline"}, {name: "submit", value: "Upload"}, {name: "x-ignore-me", value: "1"}}})
	if a.status != 204 || a.header.Get("x-amz-server-side-encryption") != "AES256" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if o := e.same(t, "k", []byte("x")); *o.ContentDisposition != "inline" || *o.ContentType != "binary/octet-stream" || len(o.Metadata) != 0 {
		t.Errorf("%v %v %v", *o.ContentDisposition, *o.ContentType, o.Metadata)
	}
	o, err := e.veil.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &e.bucket, Key: new("k")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range o.TagSet {
		got[*tag.Key] = *tag.Value
	}
	if len(got) != 2 || got["a b"] != "1+2" {
		t.Errorf("tags %v", got)
	}
	for name, c := range map[string]struct {
		field  field
		status int
		code   string
	}{
		"dual encryption":     {field{name: "x-amz-server-side-encryption", value: "aws:kms:dsse"}, 501, "NotImplemented"},
		"unknown encryption":  {field{name: "x-amz-server-side-encryption", value: "AES512"}, 400, "InvalidArgument"},
		"key without method":  {field{name: "x-amz-server-side-encryption-aws-kms-key-id", value: "main"}, 400, "InvalidArgument"},
		"customer key":        {field{name: "x-amz-server-side-encryption-customer-algorithm", value: "AES256"}, 400, "InvalidRequest"},
		"unknown header":      {field{name: "x-amz-made-up", value: "1"}, 501, "NotImplemented"},
		"reserved metadata":   {field{name: "x-amz-meta-s3veil", value: "1"}, 400, "InvalidArgument"},
		"header injection":    {field{name: "x-amz-meta-a", value: "1\r\nx-amz-acl: public-read"}, 400, "InvalidArgument"},
		"name is no header":   {field{name: "x-amz-meta-a b", value: "1"}, 400, "InvalidArgument"},
		"malformed tags":      {field{name: "tagging", value: "<Tagging>"}, 400, "MalformedXML"},
		"entity in tags":      {field{name: "tagging", value: `<!DOCTYPE a [<!ENTITY b "c">]><Tagging/>`}, 400, "MalformedXML"},
		"too much metadata":   {field{name: "x-amz-meta-a", value: strings.Repeat("a", 2100)}, 400, "MetadataTooLarge"},
		"trailer":             {field{name: "x-amz-trailer", value: "x-amz-checksum-crc32"}, 400, "InvalidRequest"},
		"two-headed checksum": {field{name: "x-amz-checksum-crc32", value: "abc"}, 400, "InvalidRequest"},
	} {
		e.refused(t, name, e.post(t, form{key: "no", file: []byte("x"), extra: []field{c.field}}), c.status, c.code, "no")
	}
}

func TestFormsNameTheEncryption(t *testing.T) {
	e := start(t)
	context := base64.StdEncoding.EncodeToString([]byte(`{"app":"x"}`))
	a := e.post(t, form{key: "kms", file: []byte("x"), extra: []field{{name: "x-amz-server-side-encryption", value: "aws:kms"},
		{name: "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", value: "main"}, {name: "x-amz-server-side-encryption-context", value: context},
		{name: "x-amz-server-side-encryption-bucket-key-enabled", value: "true"}}})
	if a.status != 204 || a.header.Get("x-amz-server-side-encryption") != "aws:kms" || a.header.Get("x-amz-server-side-encryption-aws-kms-key-id") != "main" ||
		a.header.Get("x-amz-server-side-encryption-bucket-key-enabled") != "true" {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	if o := e.same(t, "kms", []byte("x")); o.ServerSideEncryption != "aws:kms" || *o.SSEKMSKeyId != "main" || !*o.BucketKeyEnabled {
		t.Errorf("%v %v", o.ServerSideEncryption, o.SSEKMSKeyId)
	}
	unknown := e.post(t, form{key: "no", file: []byte("x"), extra: []field{{name: "x-amz-server-side-encryption", value: "aws:kms"},
		{name: "x-amz-server-side-encryption-aws-kms-key-id", value: "nobody"}}})
	e.refused(t, "unknown key", unknown, 400, "KMS.NotFoundException", "no")
}

func TestSmallFormsMayGoOnBehindTheFile(t *testing.T) {
	e := start(t)
	behind := []field{{name: "submit", value: "Upload"}}
	if a := e.post(t, form{key: "k", file: []byte("x"), behind: behind}); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	e.same(t, "k", []byte("x"))
	tail := append(encode(form{key: "tail", file: []byte("y"), behind: behind}.fields(e.bucket)), "an epilogue"...)
	if a := e.send(t, bytes.NewReader(tail)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	e.same(t, "tail", []byte("y"))
	a := e.post(t, form{key: "large", file: data(2 << 20), behind: behind})
	e.refused(t, "large", a, 400, "MalformedPOSTRequest", "large")
}

func TestChunkedForms(t *testing.T) {
	e := start(t)
	chunked := func(f form) answer { // a reader of unknown length
		return e.send(t, struct{ *bytes.Reader }{bytes.NewReader(encode(f.fields(e.bucket)))})
	}
	if a := chunked(form{key: "k", file: data(300000)}); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	e.same(t, "k", data(300000))
	e.refused(t, "large", chunked(form{key: "large", file: data(2 << 20)}), 411, "MissingContentLength", "large")
}

// Neither the file nor a digest of it reaches the store or a temporary file.
func TestFilesOfFormsStayEncrypted(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	e := start(t)
	var digests [][]byte
	for _, n := range []int{5000, 2 << 20} {
		content := canary.Stamp(data(n))
		digests = append(digests, canary.Digests(content)...)
		sum := md5.Sum(content)
		crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(content)))
		for key, extra := range map[string][]field{"plain": nil, "md5": {{name: "Content-MD5", value: base64.StdEncoding.EncodeToString(sum[:])}},
			"crc": {{name: "x-amz-checksum-crc32", value: crc}}} {
			if a := e.post(t, form{key: key, file: content, extra: extra}); a.status != 204 {
				t.Fatalf("%s: %d %s", key, a.status, a.body)
			}
			e.same(t, key, content)
		}
		e.post(t, form{key: "refused", file: content, extra: []field{{name: "Content-MD5", value: "AAAAAAAAAAAAAAAAAAAAAA=="}}})
	}
	findings, searched, err := canary.Search([]string{e.dir, temporary}, digests)
	if err != nil || len(findings) > 0 || searched == 0 {
		t.Errorf("%d bytes searched: %v, %v", searched, findings, err)
	}
}

// A form goes to the bucket's own host as well as to its path, with a slash behind it or without, and is told where its object is
// in the same style. The policy names the bucket, wherever it is posted.
func TestFormsAtTheBucketsHost(t *testing.T) {
	e := start(t)
	at := func(host, path string) func(*http.Request) {
		return func(r *http.Request) { r.Host, r.URL.Path = host, path }
	}
	for host, path := range map[string]string{e.bucket + ".s3.test": "/", "s3.test": "/" + e.bucket, "S3.test": "/" + e.bucket + "/"} {
		f := form{key: "dir/k", file: data(70_000), extra: []field{{name: "success_action_status", value: "201"}}}
		a := e.send(t, bytes.NewReader(encode(f.fields(e.bucket))), at(host, path))
		want := "http://" + host + strings.TrimSuffix(path, "/") + "/dir/k"
		if a.status != 201 || !strings.EqualFold(a.header.Get("Location"), want) {
			t.Errorf("%s%s: %d %s, want %s", host, path, a.status, a.header.Get("Location"), want)
		}
		e.same(t, "dir/k", data(70_000))
		f.key = "none"
		e.refused(t, "policy of another bucket at "+host, e.send(t, bytes.NewReader(encode(f.fields("another"))), at(host, path)), 403, "AccessDenied", "none")
	}
}
