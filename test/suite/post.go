package suite

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"s3veil/test/servers"
)

var postCases = []Case{
	{"PostObject_form", postForm},
	{"PostObject_policy_is_enforced", postPolicy},
}

// form is a browser upload with a V4 policy.
type form struct {
	key      string
	body     []byte
	min, max int
	fields   map[string]string // further fields, which the policy allows
	tamper   func(signature string) string
}

func (e *Env) post(f form) rawAnswer {
	e.Helper()
	now := time.Now().UTC()
	date, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	credential := e.Target.AccessKey + "/" + date + "/" + servers.Region + "/s3/aws4_request"
	fields := map[string]string{"key": f.key, "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": credential,
		"x-amz-date": stamp}
	for k, v := range f.fields {
		fields[k] = v
	}
	conditions := []any{map[string]string{"bucket": e.Bucket}, []any{"content-length-range", f.min, f.max}}
	for k, v := range fields {
		conditions = append(conditions, []any{"eq", "$" + k, v})
	}
	policy, err := json.Marshal(map[string]any{"expiration": now.Add(time.Hour).Format("2006-01-02T15:04:05.000Z"),
		"conditions": conditions})
	e.Ok(err)
	encoded := base64.StdEncoding.EncodeToString(policy)
	key := []byte("AWS4" + e.Target.SecretKey)
	for _, s := range []string{date, servers.Region, "s3", "aws4_request"} {
		key = mac(key, s)
	}
	signature := hex.EncodeToString(mac(key, encoded))
	if f.tamper != nil {
		signature = f.tamper(signature)
	}
	fields["policy"], fields["x-amz-signature"] = encoded, signature
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for k, v := range fields {
		e.Ok(w.WriteField(k, v))
	}
	part, err := w.CreateFormFile("file", "name.txt")
	e.Ok(err)
	part.Write(f.body)
	w.Close()
	req, err := http.NewRequest("POST", e.Target.Endpoint()+"/"+e.Bucket, &buf)
	e.Ok(err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	return e.send(req)
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func postForm(e *Env) {
	for _, n := range []int{0, 1000, 2 << 20} {
		body := Data(n, 1)
		a := e.post(form{key: "up", body: body, max: 10 << 20, fields: map[string]string{"Content-Type": "text/form",
			"success_action_status": "201"}})
		if a.status != 201 {
			e.Fatalf("%d bytes: %d %s", n, a.status, a.body)
		}
		got, get := e.Get("up")
		e.Same("body", got, body)
		Equal(e, "content type", str(get.ContentType), "text/form")
	}
	if a := e.post(form{key: "up", body: []byte("x"), max: 10}); a.status != 204 {
		e.Errorf("without success_action_status: %d", a.status)
	}
}

func postPolicy(e *Env) {
	a := e.post(form{key: "k", body: Data(1000, 1), max: 999})
	Equal(e, "too large", a.status, 400)
	Equal(e, "too large", a.code, "EntityTooLarge")
	a = e.post(form{key: "k", body: Data(10, 1), min: 11, max: 999})
	Equal(e, "too small", a.status, 400)
	Equal(e, "too small", a.code, "EntityTooSmall")
	a = e.post(form{key: "k", body: Data(10, 1), max: 999, tamper: func(s string) string { return strings.Repeat("0", len(s)) }})
	Equal(e, "wrong signature", a.status, 403)
	e.Absent("k")
}
