package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"s3veil/proxy/audit"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
)

// linesOf runs f and returns the audit lines it leaves.
func (f *fixture) linesOf(do func()) []audit.Record {
	f.t.Helper()
	f.idle()
	before := len(f.audit.all())
	do()
	f.idle()
	return f.audit.all()[before:]
}

// Every operation that uses a key leaves a line with its id and the fingerprint of the intermediate key; a copy leaves one
// for either side.
func TestAuditLinesNameTheKeys(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients = append(set.Clients, Client{Anonymous: true,
			Policy: policy.Client{Rules: []policy.Rule{{Buckets: []string{"data"}, Prefixes: []string{"form/"}, Actions: []s3op.Class{s3op.Write}}}}})
	})
	body := bytes.Repeat([]byte("plain"), 100)
	f.must("PUT", "/data/key", body)
	id, etags := f.upload(body)
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nform/key\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nhello\r\n--b--\r\n"
	for _, c := range []struct {
		op  string
		key string
		do  func()
		in  int64
		out int64
	}{
		{"PutObject", "put", func() { f.must("PUT", "/data/put", body) }, 500, 0},
		{"GetObject", "key", func() { f.must("GET", "/data/key", nil, "range", "bytes=10-19") }, 0, 10},
		{"HeadObject", "key", func() { f.must("HEAD", "/data/key", nil) }, 0, 0},
		{"GetObjectAttributes", "key", func() { f.must("GET", "/data/key?attributes", nil, "x-amz-object-attributes", "ObjectSize") }, 0, 0},
		{"CreateMultipartUpload", "many", func() { f.must("POST", "/data/many?uploads", nil) }, 0, 0},
		{"UploadPart", "key", func() { f.must("PUT", "/data/key?partNumber=2&uploadId="+id, body) }, 500, 0},
		{"UploadPartCopy", "key", func() {
			f.must("PUT", "/data/key?partNumber=3&uploadId="+id, nil, "x-amz-copy-source", "/data/put")
		}, 500, 0},
		{"CompleteMultipartUpload", "key", func() { f.complete(id, etags, 1) }, 0, 0},
		{"CopyObject", "copy", func() { f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/put") }, 0, 0},
		{"PostObject", "form/key", func() { f.postForm(form) }, 5, 0},
	} {
		lines := f.linesOf(c.do)
		want := 1
		if strings.Contains(c.op, "Copy") {
			want = 2
		}
		if len(lines) != want {
			t.Errorf("%s: %d lines: %+v", c.op, len(lines), lines)
			continue
		}
		for i, l := range lines {
			if l.Action != c.op || l.KID != "main" || len(l.IKEK) != 16 || strings.Trim(l.IKEK, "0") == "" || l.Source != "127.0.0.1" || l.RequestID == "" || l.Bucket != "data" {
				t.Errorf("%s: %+v", c.op, l)
			}
			if side, key := map[int]string{1: audit.SourceSide}[i], map[int]string{0: c.key, 1: "put"}[i]; l.Side != side || l.Key != key {
				t.Errorf("%s: side %q, key %q", c.op, l.Side, l.Key)
			}
		}
		if l := lines[0]; l.BytesIn != c.in || l.BytesOut != c.out {
			t.Errorf("%s: %d bytes in, %d out", c.op, l.BytesIn, l.BytesOut)
		}
	}
}

// postForm sends an unsigned form.
func (f *fixture) postForm(form string) {
	f.t.Helper()
	c := f.dial()
	text := "POST /data HTTP/1.1\r\nHost: " + f.addr + "\r\nContent-Type: " + formType + "\r\nContent-Length: " + strconv.Itoa(len(form)) + "\r\nConnection: close\r\n\r\n" + form
	if _, err := c.Write([]byte(text)); err != nil {
		f.t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(c); err != nil || !strings.HasPrefix(answer.String(), "HTTP/1.1 204") {
		f.t.Fatalf("%v %s", err, &answer)
	}
}

// The keys of both sides of a copy are told apart, and a refused source is named.
func TestAuditLinesOfCopies(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets = []Bucket{{Name: "other", Realm: "another", Key: "main"}, {Name: "*", Key: "main"}}
		set.Clients[0].Policy.Rules = append(set.Clients[0].Policy.Rules[:0:0], policy.Rule{Buckets: []string{"data", "other"},
			Prefixes: []string{"open/"}, Actions: []s3op.Class{s3op.Read, s3op.Write}})
	})
	f.store.CreateBucket("other", false)
	f.must("PUT", "/data/open/a", []byte("plain"))
	lines := f.linesOf(func() { f.must("PUT", "/other/open/b", nil, "x-amz-copy-source", "/data/open/a") })
	if len(lines) != 2 || lines[0].IKEK == lines[1].IKEK || lines[0].Bucket != "other" || lines[1].Bucket != "data" || lines[1].Side != audit.SourceSide {
		t.Errorf("%+v", lines)
	}
	lines = f.linesOf(func() { f.do("PUT", "/other/open/c", nil, "x-amz-copy-source", "/data/closed?versionId=v") })
	if len(lines) != 2 || lines[1].Key != "closed" || lines[1].VersionID != "v" || lines[1].Code != "AccessDenied" || lines[1].KID != "" {
		t.Errorf("%+v", lines)
	}
}

func TestAuditLinesNameTheVersion(t *testing.T) {
	f := newFixture(t, nil)
	f.store.CreateBucket("kept", true)
	resp, _ := f.must("PUT", "/kept/key", []byte("plain"))
	version := resp.Header.Get("x-amz-version-id")
	if version == "" {
		t.Fatal("the store of the tests gives no versions")
	}
	for _, do := range []func(){
		func() { f.must("GET", "/kept/key", nil) },
		func() { f.must("GET", "/kept/key?versionId="+version, nil) },
	} {
		if lines := f.linesOf(do); len(lines) != 1 || lines[0].VersionID != version {
			t.Errorf("%+v", lines)
		}
	}
	if lines := f.linesOf(func() { f.do("GET", "/kept/key?versionId=unknown", nil) }); len(lines) != 1 || lines[0].VersionID != "unknown" {
		t.Errorf("%+v", lines)
	}
}

// Nothing of a request's secrets is in a line, whatever became of the request.
func TestAuditLinesHoldNoSecret(t *testing.T) {
	f := newFixture(t, nil)
	secrets := []string{"Signature", "Credential=", "token-of-the-client", "AWS4-HMAC"}
	f.must("PUT", "/data/key", []byte("plain"))
	f.do("GET", "/data/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abc&X-Amz-Security-Token=token-of-the-client", nil)
	f.do("GET", "/data/key", nil, "x-amz-security-token", "token-of-the-client")
	f.idle()
	for _, l := range f.audit.all() {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%q in %s", s, text)
			}
		}
	}
}

// fullDisk is an audit log that can fail.
type fullDisk struct {
	*auditLog
	full bool
	lost int
}

var errDiskFull = errors.New("no space left on device")

func (l *fullDisk) Write(r audit.Record) error {
	l.mu.Lock()
	full := l.full
	if full {
		l.lost++
	}
	l.mu.Unlock()
	if full {
		return errDiskFull
	}
	return l.auditLog.Write(r)
}

func (l *fullDisk) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full && l.lost > 0 {
		return errDiskFull
	}
	l.lost = 0
	return nil
}

func (l *fullDisk) set(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

func TestUnwritableAuditLog(t *testing.T) {
	for _, required := range []bool{false, true} {
		log := &fullDisk{auditLog: &auditLog{}}
		f := newFixture(t, func(_ *Settings, o *Options) { o.Audit, o.AuditRequired = log, required })
		f.must("PUT", "/data/key", []byte("plain"))
		f.idle()
		log.set(true)
		f.must("GET", "/data/key", nil) // the first one cannot know
		f.idle()
		resp, doc := f.do("GET", "/data/key", nil)
		if refused := resp.StatusCode == 503; refused != required {
			t.Errorf("required %t: %d %s", required, resp.StatusCode, doc)
		}
		if required && (!bytes.Contains(doc, []byte("<Code>ServiceUnavailable</Code>")) || bytes.Contains(doc, []byte("space"))) {
			t.Errorf("the client is told %s", doc)
		}
		if err := f.s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("ready: %v", err)
		}
		log.set(false)
		f.must("GET", "/data/key", nil)
	}
}
