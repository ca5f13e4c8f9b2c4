package post

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const boundary = "----formboundary7MA4YWxk"

// field is a part of a form; of a file, filename is set.
type field struct{ name, value, filename string }

// form is an upload as a browser sends it.
type form struct {
	key      string
	file     []byte
	filename string
	extra    []field // before the file, covered by the policy
	behind   []field
	// conditions are added to the policy; drop names conditions to leave out.
	conditions []any
	drop       string
	expires    time.Duration // an hour when zero
	accessKey  string        // app when empty
	anonymous  bool
	tamper     func(fields []field) []field
}

// fields returns the parts in order, signed.
func (f form) fields(bucket string) []field {
	out := []field{{name: "key", value: f.key}}
	out = append(out, f.extra...)
	if !f.anonymous {
		out = f.sign(bucket, out)
	}
	if f.tamper != nil {
		out = f.tamper(out)
	}
	name := f.filename
	if name == "" {
		name = "name.txt"
	}
	return append(append(out, field{"file", string(f.file), name}), f.behind...)
}

func (f form) sign(bucket string, out []field) []field {
	now := time.Now().UTC()
	date, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	access := f.accessKey
	if access == "" {
		access = "app"
	}
	out = append(out, field{name: "x-amz-algorithm", value: "AWS4-HMAC-SHA256"},
		field{name: "x-amz-credential", value: access + "/" + date + "/us-east-1/s3/aws4_request"}, field{name: "X-Amz-Date", value: stamp})
	conditions := append([]any{}, f.conditions...)
	if f.drop != "bucket" {
		conditions = append(conditions, map[string]string{"bucket": bucket})
	}
	for _, p := range out {
		if p.name != f.drop {
			conditions = append(conditions, []any{"starts-with", "$" + p.name, ""})
		}
	}
	expires := f.expires
	if expires == 0 {
		expires = time.Hour
	}
	policy, err := json.Marshal(map[string]any{"expiration": now.Add(expires).Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	if err != nil {
		panic(err)
	}
	encoded := base64.StdEncoding.EncodeToString(policy)
	key := []byte("AWS4" + secretKey)
	for _, s := range []string{date, "us-east-1", "s3", "aws4_request"} {
		key = mac(key, s)
	}
	return append(out, field{name: "policy", value: encoded}, field{name: "x-amz-signature", value: hex.EncodeToString(mac(key, encoded))})
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// encode writes the parts as multipart/form-data.
func encode(parts []field) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, p.name)
		if p.filename != "" {
			fmt.Fprintf(&b, "; filename=\"%s\"\r\nContent-Type: text/plain", p.filename)
		}
		fmt.Fprintf(&b, "\r\n\r\n%s\r\n", p.value)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	code    string
	message string
}

// send posts a body to the bucket. Redirects are not followed.
func (e *env) send(t *testing.T, body io.Reader, more ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequest("POST", e.url+"/"+e.bucket, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	for _, f := range more {
		f(req)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	var doc struct{ Code, Message string }
	if resp.StatusCode >= 400 && xml.Unmarshal(text, &doc) == nil {
		a.code, a.message = doc.Code, doc.Message
	}
	return a
}

func (e *env) post(t *testing.T, f form) answer {
	t.Helper()
	return e.send(t, bytes.NewReader(encode(f.fields(e.bucket))))
}

// refused fails unless the answer has the code and nothing has become visible.
func (e *env) refused(t *testing.T, what string, a answer, status int, code, key string) {
	t.Helper()
	if a.status != status || a.code != code {
		t.Errorf("%s: %d %s %q, want %d %s", what, a.status, a.code, a.message, status, code)
	}
	e.absent(t, what, key)
}

// data is n bytes without a pattern that compresses or repeats.
func data(n int) []byte {
	b := make([]byte, 0, n+32)
	sum := sha256.Sum256([]byte{byte(n)})
	for len(b) < n {
		b = append(b, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return b[:n]
}

func set(name, value string) func([]field) []field {
	return func(fields []field) []field {
		for i := range fields {
			if strings.EqualFold(fields[i].name, name) {
				fields[i].value = value
				return fields
			}
		}
		return append(fields, field{name: name, value: value})
	}
}
