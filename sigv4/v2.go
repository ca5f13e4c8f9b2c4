package sigv4

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what signature version 2 is made of
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Signature version 2 serves clients that know no better, one by one (Credential.SigV2): it covers neither the body nor most
// of the query, and its URLs have no limit to their life but their own. Source: "Signing and Authenticating REST Requests
// (AWS Signature Version 2)".

const schemeV2 = "AWS"

// signedV2 are the query parameters that enter the string to sign.
var signedV2 = map[string]bool{
	"accelerate": true, "acl": true, "analytics": true, "cors": true, "defaultObjectAcl": true, "delete": true, "inventory": true,
	"lifecycle": true, "location": true, "logging": true, "metrics": true, "notification": true, "object-lock": true, "partNumber": true,
	"policy": true, "replication": true, "requestPayment": true, "restore": true, "select": true, "select-type": true,
	"storageClass": true, "tagging": true, "torrent": true, "uploadId": true, "uploads": true, "versionId": true, "versioning": true,
	"versions": true, "website": true,
	"response-cache-control": true, "response-content-disposition": true, "response-content-encoding": true,
	"response-content-language": true, "response-content-type": true, "response-expires": true,
}

// openV2 are the parameters that nobody signs, and that do not choose an operation: whoever changes one on the way gets
// another page of the same listing at most. All others are refused, since an added one would turn a request into another.
var openV2 = map[string]bool{
	"awsaccesskeyid": true, "signature": true, "expires": true, "prefix": true, "marker": true, "delimiter": true, "max-keys": true,
	"encoding-type": true, "list-type": true, "continuation-token": true, "start-after": true, "fetch-owner": true, "key-marker": true,
	"version-id-marker": true, "upload-id-marker": true, "max-uploads": true, "max-parts": true, "part-number-marker": true,
	"max-buckets": true, "x-id": true,
}

// claimV2 is what a request says about its signature of version 2.
type claimV2 struct {
	kind                    Kind
	accessKey, signature    string
	date                    string // the fourth line of the string to sign
	token                   string
	contentMD5, contentType string
	amz                     []Field // x-amz-* headers, and parameters of a presigned URL
}

// verifyHeaderV2 authenticates "AWS <access key>:<signature>".
func (v *Verifier) verifyHeaderV2(s *scratch, r *Request, credential string) (*Verified, *Error) {
	c := &claimV2{kind: Header}
	var ok bool
	if c.accessKey, c.signature, ok = strings.Cut(credential, ":"); !ok || c.accessKey == "" {
		return nil, errOnlyV4()
	}
	stamp, amz := r.header(hdrAmzDate)
	if !amz {
		stamp, _ = r.header(hdrDate)
		c.date = stamp
	}
	at, ok := parseDateV2(stamp)
	if !ok {
		return nil, errNoDate()
	}
	c.token, _ = r.header(hdrAmzToken)
	now := v.Now()
	return v.finishV2(s, r, c, at, func() *Error {
		if d := now.Sub(at); d > v.skew() || d < -v.skew() {
			return fail(codeTimeTooSkewed, "request time %s, server time %s", stamp, now.UTC().Format(stampLayout)).
				field("RequestTime", strings.Clone(stamp)).field("ServerTime", now.UTC().Format(time.RFC3339)).
				field("MaxAllowedSkewMilliseconds", strconv.FormatInt(v.skew().Milliseconds(), 10))
		}
		return nil
	})
}

func parseDateV2(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 GMT", stampLayout, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// verifyPresignedV2 authenticates AWSAccessKeyId, Expires and Signature of a query.
func (v *Verifier) verifyPresignedV2(s *scratch, r *Request) (*Verified, *Error) {
	c := &claimV2{kind: Presigned}
	for _, p := range s.query.pairs {
		name := strings.ToLower(string(s.query.name(p)))
		var to *string
		switch {
		case name == "awsaccesskeyid":
			to = &c.accessKey
		case name == "signature":
			to = &c.signature
		case name == "expires":
			to = &c.date
		case strings.HasPrefix(name, amzPrefix):
			c.amz = append(c.amz, Field{name, decode(s.query.value(p))})
			continue
		default:
			continue
		}
		if *to != "" {
			return nil, fail(codeInvalidArgument, "query parameter %s is repeated", name)
		}
		*to = decode(s.query.value(p))
	}
	seconds, err := strconv.ParseInt(c.date, 10, 64)
	if c.accessKey == "" || c.signature == "" || c.date == "" || err != nil || seconds < 0 {
		return nil, fail(codeAccessDenied, "query authentication requires AWSAccessKeyId, Signature and Expires").
			say("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	}
	c.token, _ = r.header(hdrAmzToken)
	for _, f := range c.amz {
		if f.Name == hdrAmzToken {
			c.token = f.Value
		}
	}
	expires, now := time.Unix(seconds, 0).UTC(), v.Now()
	return v.finishV2(s, r, c, expires, func() *Error {
		if now.After(expires) {
			return fail(codeAccessDenied, "request has expired: valid until %s", expires.Format(time.RFC3339)).say("Request has expired").
				field("Expires", expires.Format(time.RFC3339)).field("ServerTime", now.UTC().Format(time.RFC3339))
		}
		return nil
	})
}

// finishV2 checks what both kinds have in common and the signature last.
func (v *Verifier) finishV2(s *scratch, r *Request, c *claimV2, at time.Time, checkTime func() *Error) (*Verified, *Error) {
	cred, err := v.credentialV2(c)
	if err != nil {
		return nil, err
	}
	if err := checkTime(); err != nil {
		return nil, err
	}
	out := &Verified{Kind: c.kind, Payload: PayloadAbsent, AccessKey: cred.AccessKey, Time: at}
	if value, ok := r.header(hdrAmzSHA256); ok {
		if err := out.setPayload(value, false); err != nil {
			return nil, err
		}
		if out.Payload.Chunked() {
			return nil, fail(codeInvalidArgument, "streaming payloads need signature version 4")
		}
	}
	text, err := s.stringToSignV2(r, c)
	if err != nil {
		return nil, err
	}
	if !sameMAC(cred.Secret, text, c.signature) {
		return nil, fail(codeSignatureMismatch, "%s; version 2", reasonSignatureDiffers).signed(cred.AccessKey, string(text), c.signature)
	}
	return out, nil
}

// credentialV2 looks the access key up: version 2 must be switched on for it, and nothing is said about others.
func (v *Verifier) credentialV2(c *claimV2) (Credential, *Error) {
	cred, err := v.credential(&claim{accessKey: c.accessKey, token: c.token})
	if err != nil {
		return cred, err
	}
	if !cred.SigV2 {
		return Credential{}, errOnlyV4()
	}
	return cred, nil
}

// sameMAC compares base64(HMAC-SHA1(secret, text)) with a signature in constant time.
func sameMAC(secret Secret, text []byte, signature string) bool {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write(text)
	want := base64.StdEncoding.AppendEncode(nil, h.Sum(nil))
	return subtle.ConstantTimeCompare(want, []byte(signature)) == 1
}

// stringToSignV2 is method, Content-MD5, Content-Type, date, x-amz-* headers and resource.
func (s *scratch) stringToSignV2(r *Request, c *claimV2) ([]byte, *Error) {
	typed := false
	for _, f := range r.Header {
		switch {
		case f.Name == "content-md5":
			c.contentMD5 = f.Value
		case f.Name == "content-type":
			if typed { // the string to sign has room for one, and a URL that binds it must not be used with another one beside it
				return nil, fail(codeInvalidRequest, "header %q is repeated", f.Name)
			}
			c.contentType, typed = f.Value, true
		case strings.HasPrefix(f.Name, amzPrefix):
			c.amz = append(c.amz, f)
		}
	}
	b := append(s.buf[:0], r.Method...)
	for _, line := range []string{c.contentMD5, c.contentType, c.date} {
		b = append(append(b, '\n'), line...)
	}
	b = append(b, '\n')
	sort.SliceStable(c.amz, func(i, j int) bool { return c.amz[i].Name < c.amz[j].Name })
	for i, f := range c.amz {
		if i > 0 && c.amz[i-1].Name == f.Name {
			b = append(b[:len(b)-1], ',')
		} else {
			b = append(append(b, f.Name...), ':')
		}
		b = append(appendFolded(b, f.Value), '\n')
	}
	if r.HostBucket != "" {
		b = append(append(b, '/'), r.HostBucket...)
	}
	b = append(b, r.Path...)
	b, err := s.appendResourceQuery(b)
	s.buf = b
	return b, err
}

// appendResourceQuery appends the signed parameters in order of their names, values decoded.
func (s *scratch) appendResourceQuery(b []byte) ([]byte, *Error) {
	type param struct {
		name, value string
		bare        bool
	}
	var signed []param
	for _, p := range s.query.pairs {
		name := decode(s.query.name(p))
		switch {
		case signedV2[name]:
			value := decode(s.query.value(p))
			if holdsParamV2(value) {
				return b, fail(codeInvalidRequest, "the value of the query parameter %q reads like another one in version 2", name).
					say("The value of the query parameter '%s' cannot be used with signature version 2. Please use AWS4-HMAC-SHA256.", name)
			}
			signed = append(signed, param{name, value, p.val == p.end})
		case !openV2[strings.ToLower(name)] && !strings.HasPrefix(strings.ToLower(name), amzPrefix):
			return b, fail(codeInvalidRequest, "signature version 2 does not cover the query parameter %q", name).
				say("The query parameter '%s' cannot be used with signature version 2. Please use AWS4-HMAC-SHA256.", name)
		}
	}
	slices.SortStableFunc(signed, func(a, b param) int { return strings.Compare(a.name, b.name) })
	lead := byte('?')
	for _, p := range signed {
		b = append(append(b, lead), p.name...)
		if !p.bare {
			b = append(append(b, '='), p.value...)
		}
		lead = '&'
	}
	return b, nil
}

// holdsParamV2 reports whether a value holds what the string to sign, whose values are decoded, cannot tell from one more signed
// parameter: "a&uploadId=b" as one value has the signature of two, and would make another request of a part's upload.
func holdsParamV2(value string) bool {
	_, rest, more := strings.Cut(value, "&")
	for more {
		var part string
		part, rest, more = strings.Cut(rest, "&")
		if name, _, _ := strings.Cut(part, "="); signedV2[name] {
			return true
		}
	}
	return false
}

// verifyFormV2 checks the signature of a POST form, which covers the policy as sent.
func (v *Verifier) verifyFormV2(values map[string]string) (*Verified, *Error) {
	c := &claimV2{kind: Post, accessKey: values["awsaccesskeyid"], signature: values["signature"], token: values[hdrAmzToken]}
	for _, name := range []string{"awsaccesskeyid", "signature", fieldPolicy} {
		if values[name] == "" {
			return nil, fail(codeInvalidArgument, "form field %q is missing before the file", name).
				say("Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name).
				argument(name, "")
		}
	}
	cred, err := v.credentialV2(c)
	if err != nil {
		return nil, err
	}
	if !sameMAC(cred.Secret, []byte(values[fieldPolicy]), c.signature) {
		return nil, fail(codeSignatureMismatch, "%s; of the policy, version 2", reasonSignatureDiffers).
			signed(cred.AccessKey, values[fieldPolicy], c.signature)
	}
	return &Verified{Kind: Post, AccessKey: cred.AccessKey, Time: v.Now().UTC(), Payload: PayloadAbsent}, nil
}

// isV2Form reports whether a form carries fields of version 2.
func isV2Form(values map[string]string) bool {
	_, key := values["awsaccesskeyid"]
	_, signature := values["signature"]
	return key || signature
}
