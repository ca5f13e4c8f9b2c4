package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"s3veil/proxy/etag"
	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// maxForms bounds how many forms are read at a time whose sender is not known yet: 16 MiB in all.
const maxForms = 256

// drainTime is what reading the rest of a refused form may take.
const drainTime = 2 * time.Second

var (
	errFormPayload = errors.New("a form cannot be the payload that x-amz-content-sha256 describes")
	errFormSlow    = errors.New("the fields of the form took too long")
)

// postObject answers PostObject: a browser's form whose fields stand for headers and for the signature.
// Source: "Browser-Based Uploads Using POST" of the S3 API reference.
func (x *exchange) postObject() error {
	if v := x.head.Get("x-amz-content-sha256"); v != "" && v != "UNSIGNED-PAYLOAD" {
		return s3err.InvalidArgument.With(errFormPayload)
	}
	body, err := x.openBody()
	if err != nil {
		return err
	}
	reader, form, err := x.readForm(body)
	if err == nil {
		err = x.post(body, reader, form)
	}
	if err != nil {
		x.drainForm()
	}
	return err
}

// drainForm reads what is left of a small form: a browser shows the error only if it could send everything.
func (x *exchange) drainForm() {
	b := x.body
	if b.length < 0 || b.length-b.n > drainLimit {
		return
	}
	_, _ = io.Copy(io.Discard, &hurried{b, time.Now().Add(drainTime)})
}

// readForm reads the fields before the file. Nobody answers for them yet, so few forms are read at a time, and not for long.
func (x *exchange) readForm(body *requestBody) (*formReader, *postForm, error) {
	reader, err := newFormReader(&hurried{body, time.Now().Add(x.s.limits.HeadTimeout)}, x.head.Get("content-type"))
	if err != nil {
		return nil, nil, err
	}
	wait := time.NewTimer(x.s.limits.AdmissionWait)
	defer wait.Stop()
	select {
	case x.s.forms <- struct{}{}:
	case <-wait.C:
		return nil, nil, s3err.SlowDown.With(errors.New("too many forms at a time"))
	}
	defer func() { <-x.s.forms }()
	form, err := reader.readFields()
	if err != nil {
		return nil, nil, err
	}
	reader.src = body
	body.renewed = time.Time{}
	return reader, form, x.verifyForm(form)
}

// hurried is a body that has to come before a deadline.
type hurried struct {
	*requestBody
	until time.Time
}

func (h *hurried) Read(b []byte) (int, error) {
	h.renewed = time.Now() // its own deadline stands back
	_ = h.x.ctx.Conn().SetReadDeadline(h.until)
	n, err := h.requestBody.Read(b)
	if n == 0 && err != nil && err != io.EOF && !time.Now().Before(h.until) {
		err = s3err.RequestTimeout.With(errFormSlow)
	}
	return n, err
}

// verifyForm authenticates and authorises a form, and puts its fields in the place of the request's headers.
func (x *exchange) verifyForm(form *postForm) error {
	checking := x.step("authenticate")
	auth, policy, err := x.verifier().VerifyPost(x.req.Bucket, form.fields)
	if err == nil {
		err = x.accept(auth)
	}
	checking.end(err)
	if err != nil {
		return err
	}
	key, ok := form.get("key")
	switch {
	case !ok:
		return s3err.Argument("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.", "key", "")
	case key == "":
		return s3err.Argument("User key must have a length greater than 0.", "key", "")
	}
	if err := s3op.CheckKey(key); err != nil {
		return err
	}
	x.req.Key = key
	if err := x.authorise(); err != nil {
		return err
	}
	form.policy = policy
	if x.head.Fields, err = form.headers(x.head.Fields); err != nil {
		return err
	}
	if err := x.checkAmzHeaders(); err != nil {
		return err
	}
	return x.chooseEncryption()
}

// keptOfPost are the request's own headers; all others are the form's to say.
var keptOfPost = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "origin": true, "x-amz-expected-bucket-owner": true,
	"x-amz-request-payer": true,
}

// headers returns the headers of the PutObject that the form amounts to.
func (p *postForm) headers(request []sigv4.Field) ([]sigv4.Field, error) {
	var out []sigv4.Field
	for _, f := range request {
		if keptOfPost[f.Name] {
			out = append(out, f)
		}
	}
	for _, f := range p.fields {
		name, value := f.Name, strings.Trim(f.Value, " \t")
		switch {
		case strings.HasPrefix(name, metaPrefix):
		case name == "x-amz-algorithm", name == "x-amz-credential", name == "x-amz-date", name == "x-amz-signature",
			name == "x-amz-security-token", keptOfPost[name], value == "":
			continue
		case contentHeaders[name], name == "content-md5", strings.HasPrefix(name, "x-amz-"):
		case name == "acl":
			name = "x-amz-acl"
		case name == "tagging":
			tags, err := s3xml.ParseTagging([]byte(value))
			if err != nil {
				return nil, err
			}
			name, value = "x-amz-tagging", tags
		default:
			continue
		}
		if !head.IsToken(name) || hasControl(value) {
			return nil, s3err.Argument("The value of a form field cannot stand in a header.", f.Name, f.Value)
		}
		out = append(out, sigv4.Field{Name: name, Value: value})
	}
	return out, nil
}

// post writes the file of a verified form.
func (x *exchange) post(body *requestBody, reader *formReader, form *postForm) error {
	src, payload, release, err := x.openFile(body, reader)
	if err != nil {
		return err
	}
	defer release()
	if err := form.checkLength(payload.Len()); err != nil {
		return err
	}
	fields, err := x.objectFields()
	if err != nil {
		return err
	}
	w := &write{x: x, b: &x.bucket, key: x.req.Key, src: src, fields: fields, attrs: x.newAttributes(), md5: x.head.Get("content-md5")}
	defer w.attrs.Zero()
	w.extra = append(x.sideHeaders(), x.storeSSEOf(&x.bucket)...)
	w.sums = payload.Checksums
	resp, err := w.run()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.respondForm(form, resp, payload)
	x.setMadeSSE(sse.Object)
	return nil
}

// openFile returns the file of a form. payload knows its checksums.
func (x *exchange) openFile(body *requestBody, reader *formReader) (src source, payload *sigv4.Payload, release func(), err error) {
	rest := int64(-1)
	if body.length >= 0 {
		rest = body.length - reader.read + int64(len(reader.ahead()))
	}
	if rest > x.s.limits.HeldBody {
		n := rest - int64(len(closing(reader.delim)))
		if n < 0 {
			return nil, nil, nil, s3err.MalformedPOSTRequest.With(errFormCut)
		}
		file := &formFile{src: body, ahead: reader.ahead(), delim: reader.delim, window: bytes.Clone(crlf), left: n}
		payload, err = x.newPayload(file, n, checksum.None)
		return payload, payload, func() {}, err
	}
	content, release, err := x.holdFile(reader, body)
	if err != nil {
		return nil, nil, nil, err
	}
	held := &heldFile{plain: content}
	if held.Payload, err = x.newPayload(bytes.NewReader(content), int64(len(content)), checksum.None); err != nil {
		release()
		return nil, nil, nil, err
	}
	return held, held.Payload, release, nil
}

// checkLength holds the file's length in bytes against content-length-range.
func (p *postForm) checkLength(n int64) error {
	if p.policy == nil {
		return nil
	}
	switch least, most := p.policy.LengthRange(); {
	case n > most:
		return s3err.TooLarge(n, most)
	case n < least:
		return s3err.EntityTooSmall.Field("ProposedSize", itoa(n)).Field("MinSizeAllowed", itoa(least))
	}
	return nil
}

// respondForm answers in the way the form asks for.
func (x *exchange) respondForm(form *postForm, resp *upstream.Response, payload *sigv4.Payload) {
	tag, location := etag.ToClient(resp.Get("etag")), x.formLocation()
	status := 204
	target := form.redirect(x.req.Bucket, x.req.Key, tag)
	switch text, _ := form.get("success_action_status"); {
	case target != "":
		status = 303
		location = target
	case text == "200":
		status = 200
	case text == "201":
		status = 201
	}
	x.respond(status, resp)
	x.set("etag", tag)
	x.set("location", location)
	x.setSums(payload.Checksums())
	if status != 201 {
		return
	}
	created := s3xml.Created{Location: location, Bucket: x.req.Bucket, Key: x.req.Key, ETag: tag}
	x.ctx.Response.Header.SetContentType("application/xml")
	x.ctx.Response.SetBody(s3xml.AppendPostResponse(nil, created))
}

// formLocation is the URL of the new object as the client addresses it.
func (x *exchange) formLocation() string {
	return strings.TrimSuffix(x.location(), "/") + "/" + s3op.EscapePath(x.req.Key)
}

// redirect is where the browser goes after success, "" for nowhere. As on S3, what is no URL counts as absent.
func (p *postForm) redirect(bucket, key, tag string) string {
	text, _ := p.get("success_action_redirect")
	if text == "" {
		text, _ = p.get("redirect")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	query := fmt.Sprintf("bucket=%s&key=%s&etag=%s", url.QueryEscape(bucket), url.QueryEscape(key), url.QueryEscape(tag))
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String()
}
