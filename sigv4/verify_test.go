package sigv4

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// signedRequest returns a request with header authentication, signed for exampleTime.
func signedRequest(t testing.TB, change func(*Request)) *Request {
	t.Helper()
	r := &Request{Method: "PUT", Path: "/bucket/a//b/../c%20d", Query: "partNumber=1&uploadId=x%2Fy", Host: "s3.example.com:9000",
		Header: fields("host:s3.example.com:9000", "content-type:text/plain", "x-amz-meta-a:1", "range:bytes=0-9")}
	if change != nil {
		change(r)
	}
	return signAs(t, r, exampleCredential())
}

func signAs(t testing.TB, r *Request, c Credential) *Request {
	t.Helper()
	if _, err := new(Signer).Sign(r, c, "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
		t.Fatal(err)
	}
	return r
}

// presign signs r's query for seconds at exampleTime. The names are sorted and in lower case, host among them.
func presign(t testing.TB, r *Request, c Credential, seconds string, names ...string) *Request {
	t.Helper()
	scope := "20130524/us-east-1/s3/aws4_request"
	params := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + c.AccessKey + "%2F" + strings.ReplaceAll(scope, "/", "%2F") +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=" + seconds + "&X-Amz-SignedHeaders=" + strings.Join(names, "%3B")
	if c.SessionToken != "" {
		params += "&X-Amz-Security-Token=" + c.SessionToken
	}
	if r.Query != "" {
		params = r.Query + "&" + params
	}
	r.Query = params
	payload, ok := r.header(hdrAmzSHA256)
	if !ok {
		payload = unsignedPayload
	}
	if _, after, ok := strings.Cut(r.Query, "X-Amz-Content-Sha256="); ok {
		payload, _, _ = strings.Cut(after, "&")
	}
	s := new(scratch)
	if err := s.query.parse(r.Query); err != nil {
		t.Fatal(err)
	}
	s.names = names
	if err := s.canonicalRequest(r, payload); err != nil {
		t.Fatal(err)
	}
	key := derive(c.Secret, "20130524", "us-east-1", "s3")
	key.sign(&s.sig, s.stringToSign("20130524T000000Z", scope))
	r.Query += "&X-Amz-Signature=" + string(s.sig[:])
	return r
}

func presignedRequest(t testing.TB, seconds string) *Request {
	t.Helper()
	r := &Request{Method: "GET", Path: "/bucket/key", Query: "versionId=1&response-content-type=a%2Fb", Host: "s3.example.com",
		Header: fields("host:s3.example.com", "user-agent:x")}
	return presign(t, r, exampleCredential(), seconds, "host")
}

func (r *Request) replace(name, old, with string) {
	for i := range r.Header {
		if r.Header[i].Name == name {
			if !strings.Contains(r.Header[i].Value, old) {
				panic(fmt.Sprintf("%q holds no %q", r.Header[i].Value, old))
			}
			r.Header[i].Value = strings.Replace(r.Header[i].Value, old, with, 1)
		}
	}
}

func TestTimeWindows(t *testing.T) {
	for name, c := range map[string]struct {
		request *Request
		after   time.Duration
		code    string
	}{
		"header, at once":             {signedRequest(t, nil), 0, ""},
		"header, replayed in time":    {signedRequest(t, nil), 15 * time.Minute, ""},
		"header, too late":            {signedRequest(t, nil), 15*time.Minute + time.Second, "RequestTimeTooSkewed"},
		"header, ahead in time":       {signedRequest(t, nil), -15 * time.Minute, ""},
		"header, too far ahead":       {signedRequest(t, nil), -15*time.Minute - time.Second, "RequestTimeTooSkewed"},
		"presigned, inside":           {presignedRequest(t, "3600"), time.Hour, ""},
		"presigned, expired":          {presignedRequest(t, "3600"), time.Hour + time.Second, "AccessDenied"},
		"presigned for a second":      {presignedRequest(t, "1"), time.Second, ""},
		"presigned for a week":        {presignedRequest(t, "604800"), 7 * 24 * time.Hour, ""},
		"presigned for a week, later": {presignedRequest(t, "604800"), 7*24*time.Hour + 1, "AccessDenied"},
		"presigned for longer":        {presignedRequest(t, "604801"), 0, "AuthorizationQueryParametersError"},
		"presigned for nothing":       {presignedRequest(t, "0"), 0, "AuthorizationQueryParametersError"},
		"presigned for less":          {presignedRequest(t, "-1"), 0, "AuthorizationQueryParametersError"},
		"presigned with a sign":       {presignedRequest(t, "%2B60"), 0, "AuthorizationQueryParametersError"},
		"presigned for ages":          {presignedRequest(t, "99999999999999999999"), 0, "AuthorizationQueryParametersError"},
		"presigned, a little ahead":   {presignedRequest(t, "60"), -15 * time.Minute, ""},
		"presigned, not yet":          {presignedRequest(t, "60"), -15*time.Minute - time.Second, "AccessDenied"},
	} {
		_, err := verifierAt(exampleTime.Add(c.after), exampleCredential()).Verify(c.request)
		if c.code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.code != "" {
			t.Log(name)
			wantCode(t, err, c.code)
		}
	}
	v := verifierAt(exampleTime.Add(2*time.Minute), exampleCredential())
	v.MaxSkew = time.Minute
	_, err := v.Verify(signedRequest(t, nil))
	wantCode(t, err, "RequestTimeTooSkewed")
}

// A Date header stands in for x-amz-date, in both of its forms.
func TestDateHeader(t *testing.T) {
	for value, code := range map[string]string{"Fri, 24 May 2013 00:00:00 GMT": "", "Fri, 24 May 2013 02:00:00 +0200": "", "20130524T000000Z": "",
		"": "AccessDenied", "2013-05-24": "AccessDenied", "Thu, 23 May 2013 23:59:59 GMT": "AuthorizationHeaderMalformed"} {
		r := signedRequest(t, func(r *Request) { r.Header = append(r.Header, Field{"date", value}) })
		r.drop("x-amz-date")
		s := new(scratch)
		_ = s.query.parse(r.Query)
		r.drop("authorization")
		s.setSignableNames(r.Header)
		if err := s.canonicalRequest(r, unsignedPayload); err != nil {
			t.Fatal(err)
		}
		key := derive(exampleSecret, "20130524", "us-east-1", "s3")
		key.sign(&s.sig, s.stringToSign("20130524T000000Z", key.scope))
		r.set("authorization", s.authorization(exampleKey, key.scope))
		_, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
		if code == "" && err != nil {
			t.Errorf("%q: %v", value, err)
		} else if code != "" {
			wantCode(t, err, code)
		}
	}
}

func TestSessionTokens(t *testing.T) {
	with := Credential{AccessKey: exampleKey, Secret: exampleSecret, SessionToken: "token"}
	other := Credential{AccessKey: exampleKey, Secret: exampleSecret, SessionToken: "t0ken"}
	without := exampleCredential()
	for name, c := range map[string]struct {
		sent, configured Credential
		code             string
	}{
		"none":    {without, without, ""},
		"right":   {with, with, ""},
		"wrong":   {other, with, "InvalidToken"},
		"missing": {without, with, "InvalidToken"},
		"unknown": {with, without, "InvalidToken"},
	} {
		header := signAs(t, &Request{Method: "GET", Path: "/", Host: "h"}, c.sent)
		query := presign(t, &Request{Method: "GET", Path: "/", Host: "h"}, c.sent, "60", "host")
		for _, r := range []*Request{header, query} {
			_, err := verifierAt(exampleTime, c.configured).Verify(r)
			if c.code == "" && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if c.code != "" {
				wantCode(t, err, c.code)
			}
		}
	}
	both := presign(t, &Request{Method: "GET", Path: "/", Host: "h", Header: fields("x-amz-security-token:token")}, with, "60", "host", "x-amz-security-token")
	_, err := verifierAt(exampleTime, with).Verify(both)
	wantCode(t, err, "InvalidRequest")
}
