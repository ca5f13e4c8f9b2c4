package post

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"s3veil/proxy"
	"s3veil/proxy/s3op"
)

func TestPoliciesAreEnforced(t *testing.T) {
	e := start(t)
	eq := func(name, value string) []any { return []any{[]any{"eq", "$" + name, value}} }
	length := func(from, to any) []any { return []any{[]any{"content-length-range", from, to}} }
	for name, c := range map[string]struct {
		form    form
		status  int
		code    string
		message string
	}{
		"expired":        {form{expires: -time.Minute}, 403, "AccessDenied", "Invalid according to Policy: Policy expired."},
		"other key":      {form{conditions: eq("key", "other")}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$key", "other"]`},
		"other bucket":   {form{conditions: eq("bucket", "other")}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "other"]`},
		"no bucket":      {form{drop: "bucket"}, 403, "AccessDenied", "Invalid according to Policy: Extra input fields: bucket"},
		"uncovered key":  {form{drop: "key"}, 403, "AccessDenied", "Invalid according to Policy: Extra input fields: key"},
		"uncovered acl":  {form{tamper: set("acl", "public-read")}, 403, "AccessDenied", "Invalid according to Policy: Extra input fields: acl"},
		"absent field":   {form{conditions: eq("acl", "private")}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]`},
		"bad condition":  {form{conditions: []any{[]any{"like", "$key", "n*"}}}, 400, "InvalidPolicyDocument", "Invalid Policy: Invalid Condition: unknown operation 'like'."},
		"no dollar":      {form{conditions: []any{[]any{"eq", "key", "no"}}}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "key", "no"]`},
		"own spelling":   {form{conditions: eq("X-Amz-Meta-A", "b")}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$X-Amz-Meta-A", "b"]`},
		"two properties": {form{conditions: []any{map[string]string{"a": "b", "c": "d"}}}, 400, "InvalidPolicyDocument", "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		"range of words": {form{conditions: length("a", "b")}, 400, "InvalidPolicyDocument", "Invalid Policy: Invalid JSON."},
		"too large":      {form{conditions: length(0, 99)}, 400, "EntityTooLarge", ""},
		"too small":      {form{conditions: length("101", "200")}, 400, "EntityTooSmall", ""},
		"too large, big": {form{file: data(2 << 20), conditions: length(0, 2<<20-1)}, 400, "EntityTooLarge", ""},
		"too small, big": {form{file: data(2 << 20), conditions: length(2<<20+1, 3<<20)}, 400, "EntityTooSmall", ""},
	} {
		f := c.form
		f.key = "no"
		if f.file == nil {
			f.file = data(100)
		}
		a := e.post(t, f)
		e.refused(t, name, a, c.status, c.code, "no")
		if c.message != "" && a.message != c.message {
			t.Errorf("%s: %q", name, a.message)
		}
	}
	// The limits are those of the plaintext, both included.
	for _, n := range []int{100, 2 << 20} {
		if a := e.post(t, form{key: "k", file: data(n), conditions: length(n, n)}); a.status != 204 {
			t.Errorf("%d bytes: %d %s", n, a.status, a.body)
		}
		e.same(t, "k", data(n))
	}
}

func TestSignaturesOfForms(t *testing.T) {
	e := start(t)
	without := func(name string) func([]field) []field {
		return func(fields []field) (kept []field) {
			for _, f := range fields {
				if f.name != name {
					kept = append(kept, f)
				}
			}
			return kept
		}
	}
	for name, c := range map[string]struct {
		form   form
		status int
		code   string
	}{
		"wrong signature":   {form{tamper: set("x-amz-signature", strings.Repeat("0", 64))}, 403, "SignatureDoesNotMatch"},
		"empty signature":   {form{tamper: set("x-amz-signature", "")}, 403, "SignatureDoesNotMatch"},
		"no signature":      {form{tamper: without("x-amz-signature")}, 400, "InvalidArgument"},
		"no policy":         {form{tamper: without("policy")}, 400, "InvalidArgument"},
		"changed policy":    {form{tamper: set("policy", "e30=")}, 403, "SignatureDoesNotMatch"},
		"unknown key":       {form{accessKey: "nobody"}, 403, "InvalidAccessKeyId"},
		"reader":            {form{accessKey: "reader"}, 403, "AccessDenied"},
		"unknown token":     {form{extra: []field{{name: "x-amz-security-token", value: "t"}}}, 400, "InvalidToken"},
		"versions mixed":    {form{tamper: set("AWSAccessKeyId", "app")}, 400, "InvalidArgument"},
		"another algorithm": {form{tamper: set("x-amz-algorithm", "AWS4-HMAC-SHA1")}, 400, "InvalidArgument"},
		"repeated field":    {form{extra: []field{{name: "acl", value: "private"}, {name: "ACL", value: "private"}}}, 400, "InvalidArgument"},
		"anonymous":         {form{anonymous: true}, 403, "AccessDenied"},
	} {
		f := c.form
		f.key, f.file = "no", data(100)
		e.refused(t, name, e.post(t, f), c.status, c.code, "no")
	}
	a := e.post(t, form{key: "no", file: data(100), tamper: set("x-amz-credential", "app/"+time.Now().UTC().Format("20060102")+"/mars/s3/aws4_request")})
	e.refused(t, "another region", a, 400, "InvalidArgument", "no")
	if !strings.Contains(string(a.body), "<ArgumentName>X-Amz-Credential</ArgumentName><ArgumentValue>app/") || !strings.Contains(string(a.body), "/mars/s3/aws4_request</ArgumentValue><Region>us-east-1</Region>") {
		t.Errorf("%s", a.body)
	}
}

func TestFormsHaveNoOtherCredentials(t *testing.T) {
	e := start(t)
	body := encode(form{key: "no", file: []byte("x")}.fields(e.bucket))
	for name, change := range map[string]func(*http.Request){
		"header": func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a") },
		"query":  func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=a" },
		"hash":   func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) },
		"chunks": func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
			r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		},
	} {
		if a := e.send(t, bytes.NewReader(body), change); a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		e.absent(t, name, "no")
	}
}

func TestAnonymousForms(t *testing.T) {
	guest := client("", []s3op.Class{s3op.Write}, "public/")
	e := start(t, guest)
	if a := e.post(t, form{anonymous: true, key: "public/a", file: []byte("x"), extra: []field{{name: "acl", value: "private"}}}); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	e.same(t, "public/a", []byte("x"))
	for _, key := range []string{"a", "public", "../public/a"} {
		a := e.post(t, form{anonymous: true, key: key, file: []byte("x")})
		if a.status != 403 && a.status != 400 {
			t.Errorf("%s: %d", key, a.status)
		}
	}
	e.absent(t, "outside the prefix", "a")
}

func TestKeysOfForms(t *testing.T) {
	e := start(t)
	for name, c := range map[string]struct {
		key    string
		status int
		code   string
	}{
		"empty":         {"", 400, "InvalidArgument"},
		"too long":      {strings.Repeat("k", 1025), 400, "KeyTooLongError"},
		"climbing":      {"../other/x", 400, "400"},
		"not UTF-8":     {"a\xff", 400, "InvalidURI"},
		"reserved":      {".s3veil/x", 403, "AccessDenied"},
		"reserved, way": {"a/../.s3veil/x", 403, "AccessDenied"},
	} {
		f := form{key: c.key, file: []byte("x")}
		if name == "not UTF-8" { // JSON cannot say it
			f.key, f.tamper = "a", set("key", c.key)
		}
		if a := e.post(t, f); a.status != c.status || a.code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.code)
		}
	}
	fields := form{key: "k", file: []byte("x")}.fields(e.bucket)
	e.refused(t, "no key", e.send(t, bytes.NewReader(encode(fields[1:]))), 400, "InvalidArgument", "k")
}

func TestMalformedForms(t *testing.T) {
	e := start(t)
	good := form{key: "no", file: data(1000)}.fields(e.bucket)
	large := form{key: "no", file: data(2 << 20)}.fields(e.bucket)
	body := string(encode(good))
	file := strings.Index(body, "; filename=")
	last := "--" + boundary + "--\r\n"
	for name, c := range map[string]struct{ body, code string }{
		"empty":                  {"", "MalformedPOSTRequest"},
		"other boundary":         {strings.ReplaceAll(body, boundary, "other"), "MalformedPOSTRequest"},
		"preamble":               {"hello\r\n" + body, "MalformedPOSTRequest"},
		"two files":              {string(encode(append(good, field{"file", "x", "b.txt"}))), "IncorrectNumberOfFilesInPostRequest"},
		"two files, large":       {string(encode(append(large, field{"file", "x", "b.txt"}))), "MalformedPOSTRequest"},
		"no file":                {string(encode(good[:len(good)-1])), "IncorrectNumberOfFilesInPostRequest"},
		"nothing but an end":     {last, "IncorrectNumberOfFilesInPostRequest"},
		"file before the policy": {string(encode(append([]field{good[len(good)-1]}, good[:len(good)-1]...))), "AccessDenied"},
		"not closed":             {strings.TrimSuffix(body, last), "MalformedPOSTRequest"},
		"closed by half":         {strings.TrimSuffix(body, "--\r\n"), "MalformedPOSTRequest"},
		"not closed, large":      {strings.TrimSuffix(string(encode(large)), last), "MalformedPOSTRequest"},
		"bytes behind, large":    {string(encode(large)) + "x", "MalformedPOSTRequest"},
		"no line behind, large":  {strings.TrimSuffix(string(encode(large)), "\r\n"), "MalformedPOSTRequest"},
		"part without name":      {strings.Replace(body, `name="key"`, "", 1), "MalformedPOSTRequest"},
		"two dispositions":       {body[:file] + "\r\nContent-Disposition: form-data; name=\"key\"" + body[file:], "MalformedPOSTRequest"},
		"transfer encoding":      {body[:file] + "\r\nContent-Transfer-Encoding: base64" + strings.TrimPrefix(body[file:], `; filename="name.txt"`), "MalformedPOSTRequest"},
		"header without colon":   {body[:file] + "\r\nhello" + strings.TrimPrefix(body[file:], `; filename="name.txt"`), "MalformedPOSTRequest"},
		"fields without end":     {body[:file-60] + strings.Repeat("a", 70000) + body[file-60:], "MaxPostPreDataLengthExceeded"},
	} {
		e.refused(t, name, e.send(t, strings.NewReader(c.body)), map[string]int{"AccessDenied": 403}[c.code]+400*btoi(c.code != "AccessDenied"), c.code, "no")
	}
	for _, kind := range []string{"multipart/form-data", "multipart/form-data; boundary=" + strings.Repeat("b", 71)} {
		a := e.send(t, strings.NewReader(body), func(r *http.Request) { r.Header.Set("Content-Type", kind) })
		e.refused(t, kind, a, 400, "MalformedPOSTRequest", "no")
	}
	a := e.send(t, strings.NewReader(body), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	e.refused(t, "no form", a, 412, "PreconditionFailed", "no")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A client that dies leaves nothing behind, wherever it dies.
func TestCutForms(t *testing.T) {
	e := start(t)
	for _, n := range []int{2000, 2 << 20} {
		body := encode(form{key: "cut", file: data(n)}.fields(e.bucket))
		for _, at := range []int{0, 10, 500, len(body) - n/2, len(body) - len(boundary) - 9, len(body) - 20, len(body) - 2, len(body) - 1} {
			for _, chunked := range []bool{false, true} {
				if chunked && n > 1<<20 {
					continue
				}
				e.cut(t, body, at, chunked)
				e.absent(t, fmt.Sprintf("%d of %d bytes, chunked %v", at, len(body), chunked), "cut")
			}
		}
	}
}

// cut sends so many bytes of a body, ends its side of the connection, and waits until the server has ended its own.
func (e *env) cut(t *testing.T, body []byte, at int, chunked bool) {
	t.Helper()
	c, err := net.Dial("tcp", e.host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	if chunked {
		framing = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))
	}
	fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=%s\r\n%s", e.bucket, e.host, boundary, framing)
	if _, err := c.Write(body[:at]); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c) // an error is an end too
	if bytes.Contains(got, []byte("HTTP/1.1 20")) {
		t.Errorf("cut at %d: %s", at, got)
	}
}

// Whoever fills a form slowly has not shown who he is: the fields have to come within head_timeout.
func TestSlowFormsAreCut(t *testing.T) {
	e := startWith(t, proxy.Limits{HeadTimeout: 300 * time.Millisecond})
	body := encode(form{key: "slow", file: data(2000)}.fields(e.bucket))
	for _, at := range []int{0, 300} {
		c, err := net.Dial("tcp", e.host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s",
			e.bucket, e.host, boundary, len(body), body[:at])
		if got, _ := io.ReadAll(c); !bytes.Contains(got, []byte("<Code>RequestTimeout</Code>")) {
			t.Errorf("after %d bytes: %q", at, got)
		}
		e.absent(t, "slow", "slow")
	}
}
