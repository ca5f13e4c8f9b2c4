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

func TestHeaderAuthenticationCodes(t *testing.T) {
	auth := func(old, with string) func(*Request) {
		return func(r *Request) { r.replace("authorization", old, with) }
	}
	add := func(line string) func(*Request) {
		return func(r *Request) { r.Header = append(r.Header, fields(line)...) }
	}
	for name, c := range map[string]struct {
		change func(*Request) // after signing
		code   string
	}{
		"untouched":             {func(*Request) {}, ""},
		"unsigned other header": {add("user-agent:x"), ""},
		"unsigned x-amz header": {add("x-amz-acl:public-read"), "AccessDenied"},
		"unsigned copy source":  {add("x-amz-copy-source:/b/k"), "AccessDenied"},
		"joined metadata":       {add("x-amz-meta-a:2"), "SignatureDoesNotMatch"},
		"second authorization":  {add("authorization:AWS4-HMAC-SHA256 x"), "InvalidRequest"},
		"second date":           {add("x-amz-date:20130524T000000Z"), "InvalidRequest"},
		"second payload mode":   {add("x-amz-content-sha256:UNSIGNED-PAYLOAD"), "InvalidRequest"},
		"second host":           {add("host:evil"), "InvalidRequest"},
		"two content lengths":   {func(r *Request) { r.Header = append(r.Header, fields("content-length:1", "content-length:1")...) }, "InvalidRequest"},
		"two trailers":          {func(r *Request) { r.Header = append(r.Header, fields("x-amz-trailer:a", "x-amz-trailer:b")...) }, "InvalidRequest"},
		"two checksums of a kind": {func(r *Request) {
			r.Header = append(r.Header, fields("x-amz-checksum-crc32:a", "x-amz-checksum-crc32:b")...)
		}, "InvalidRequest"},
		"two decoded lengths": {func(r *Request) {
			r.Header = append(r.Header, fields("x-amz-decoded-content-length:1", "x-amz-decoded-content-length:2")...)
		}, "InvalidRequest"},
		"two tokens": {func(r *Request) {
			r.Header = append(r.Header, fields("x-amz-security-token:1", "x-amz-security-token:1")...)
		}, "InvalidRequest"},
		"other host":                 {func(r *Request) { r.Host = "evil" }, "SignatureDoesNotMatch"},
		"other method":               {func(r *Request) { r.Method = "DELETE" }, "SignatureDoesNotMatch"},
		"path cleaned":               {func(r *Request) { r.Path = "/bucket/a/c%20d" }, "SignatureDoesNotMatch"},
		"path without //":            {func(r *Request) { r.Path = "/bucket/a/b/../c%20d" }, "SignatureDoesNotMatch"},
		"slash escaped":              {func(r *Request) { r.Path = "/bucket%2Fa//b/../c%20d" }, "SignatureDoesNotMatch"},
		"path encoded otherwise":     {func(r *Request) { r.Path = "/%62ucket/a//b/%2e./c%20d" }, ""},
		"path with plus for space":   {func(r *Request) { r.Path = "/bucket/a//b/../c+d" }, "SignatureDoesNotMatch"},
		"path with bad escape":       {func(r *Request) { r.Path = "/bucket/%2" }, "InvalidURI"},
		"path without slash":         {func(r *Request) { r.Path = "bucket" }, "InvalidURI"},
		"query reordered":            {func(r *Request) { r.Query = "uploadId=x/y&&partNumber=1" }, ""},
		"query parameter added":      {func(r *Request) { r.Query += "&acl" }, "SignatureDoesNotMatch"},
		"query parameter repeated":   {func(r *Request) { r.Query += "&partNumber=1" }, "SignatureDoesNotMatch"},
		"query with bad escape":      {func(r *Request) { r.Query += "&a=%g0" }, "InvalidURI"},
		"header value with spaces":   {func(r *Request) { r.replace("content-type", "text/plain", "  text/plain\t") }, ""},
		"signed header removed":      {func(r *Request) { r.drop("range") }, "SignatureDoesNotMatch"},
		"signed header changed":      {func(r *Request) { r.replace("range", "9", "8") }, "SignatureDoesNotMatch"},
		"no date":                    {func(r *Request) { r.drop("x-amz-date") }, "AccessDenied"},
		"bad date":                   {func(r *Request) { r.replace("x-amz-date", "Z", "") }, "AccessDenied"},
		"no payload hash":            {func(r *Request) { r.drop("x-amz-content-sha256") }, "InvalidRequest"},
		"unknown payload mode":       {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "UNSIGNED") }, "InvalidArgument"},
		"empty payload mode":         {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "") }, "InvalidArgument"},
		"payload mode in lower case": {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "unsigned-payload") }, "InvalidArgument"},
		"hash of wrong digits":       {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", strings.Repeat("g", 64)) }, "InvalidArgument"},
		"payload mode exchanged":     {func(r *Request) { r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", streamingUnsigned) }, "SignatureDoesNotMatch"},
		"asymmetric chunks": {func(r *Request) {
			r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
		}, "NotImplemented"},
		"event stream": {func(r *Request) {
			r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-EVENTS")
		}, "NotImplemented"},
		"unknown access key":          {auth("AKIA", "AKIB"), "InvalidAccessKeyId"},
		"other date in the scope":     {auth("20130524", "20130523"), "AuthorizationHeaderMalformed"},
		"other region":                {auth("us-east-1", "eu-west-1"), "AuthorizationHeaderMalformed"},
		"other service":               {auth("/s3/", "/sts/"), "AuthorizationHeaderMalformed"},
		"other terminator":            {auth("aws4_request", "aws5_request"), "AuthorizationHeaderMalformed"},
		"short credential":            {auth("/us-east-1", ""), "AuthorizationHeaderMalformed"},
		"signature cut":               {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = (*v)[:len(*v)-1] }, "SignatureDoesNotMatch"},
		"no signature":                {auth("Signature=", "Nothing="), "AuthorizationHeaderMalformed"},
		"empty signature":             {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = (*v)[:len(*v)-64] }, "AuthorizationHeaderMalformed"},
		"two signatures":              {auth(", SignedHeaders", ", Signature=00, SignedHeaders"), "AuthorizationHeaderMalformed"},
		"host not signed":             {auth("host;", ""), "AccessDenied"},
		"date not signed":             {auth(";x-amz-date", ""), "AccessDenied"},
		"empty name signed":           {auth("host;", "host;;"), "AuthorizationHeaderMalformed"},
		"name in upper case":          {auth("host;", "Host;"), "AuthorizationHeaderMalformed"},
		"name listed twice":           {auth("host;", "host;host;"), "AuthorizationHeaderMalformed"},
		"absent header listed":        {auth("host;", "host;if-match;"), "SignatureDoesNotMatch"},
		"token nobody configured":     {add("x-amz-security-token:t"), "InvalidToken"},
		"signature version 2":         {auth("AWS4-HMAC-SHA256 ", "AWS AKIA:sig "), "InvalidRequest"},
		"signature version 4A":        {auth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "NotImplemented"},
		"bearer token":                {auth("AWS4-HMAC-SHA256", "Bearer"), "InvalidArgument"},
		"empty authorization":         {func(r *Request) { r.Header[len(r.Header)-1].Value = "" }, "InvalidArgument"},
		"algorithm alone":             {func(r *Request) { r.Header[len(r.Header)-1].Value = "AWS4-HMAC-SHA256" }, "AuthorizationHeaderMalformed"},
		"query credentials as well":   {func(r *Request) { r.Query += "&X-Amz-Signature=x" }, "InvalidArgument"},
		"query algorithm as well":     {func(r *Request) { r.Query += "&x-amz-algorithm=AWS4-HMAC-SHA256" }, "InvalidArgument"},
		"version 2 in query as well":  {func(r *Request) { r.Query += "&AWSAccessKeyId=x" }, "InvalidArgument"},
		"parts without spaces":        {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = strings.ReplaceAll(*v, ", ", ",") }, ""},
		"names in another order":      {auth("content-type;host;", "host;content-type;"), ""},
		"host header in another case": {func(r *Request) { r.replace("host", "s3.example.com:9000", "ignored") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedRequest(t, nil)
			c.change(r)
			got, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
			if c.code == "" {
				if err != nil || got.Kind != Header {
					t.Fatalf("%+v, %v", got, err)
				}
				return
			}
			e := wantCode(t, err, c.code)
			if name == "other region" && e.Region != "us-east-1" {
				t.Errorf("region %q", e.Region)
			}
			if strings.Contains(err.Error(), exampleSecret) {
				t.Error("the error holds the secret")
			}
		})
	}
}

func TestQueryAuthenticationCodes(t *testing.T) {
	query := func(old, with string) func(*Request) {
		return func(r *Request) {
			if !strings.Contains(r.Query, old) {
				panic(old)
			}
			r.Query = strings.Replace(r.Query, old, with, 1)
		}
	}
	for name, c := range map[string]struct {
		change func(*Request)
		code   string
	}{
		"untouched":                {func(*Request) {}, ""},
		"unsigned other header":    {func(r *Request) { r.Header = append(r.Header, fields("range:bytes=0-1")...) }, ""},
		"unsigned x-amz header":    {func(r *Request) { r.Header = append(r.Header, fields("x-amz-acl:private")...) }, "AccessDenied"},
		"other method":             {func(r *Request) { r.Method = "PUT" }, "SignatureDoesNotMatch"},
		"other key":                {func(r *Request) { r.Path = "/bucket/key2" }, "SignatureDoesNotMatch"},
		"other host":               {func(r *Request) { r.Host = "evil" }, "SignatureDoesNotMatch"},
		"parameter added":          {query("versionId", "acl&versionId"), "SignatureDoesNotMatch"},
		"parameter removed":        {query("versionId=1&", ""), "SignatureDoesNotMatch"},
		"parameter changed":        {query("versionId=1", "versionId=2"), "SignatureDoesNotMatch"},
		"longer validity":          {query("X-Amz-Expires=3600", "X-Amz-Expires=3601"), "SignatureDoesNotMatch"},
		"no algorithm":             {query("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), "AuthorizationQueryParametersError"},
		"no credential":            {query("X-Amz-Credential", "X-Amz-Nothing"), "AuthorizationQueryParametersError"},
		"no date":                  {query("X-Amz-Date=20130524T000000Z&", ""), "AuthorizationQueryParametersError"},
		"bad date":                 {query("20130524T000000Z", "2013-05-24"), "AuthorizationQueryParametersError"},
		"no expiry":                {query("X-Amz-Expires=3600&", ""), "AuthorizationQueryParametersError"},
		"no signed headers":        {query("X-Amz-SignedHeaders=host&", ""), "AuthorizationQueryParametersError"},
		"signed headers lack host": {query("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=user-agent"), "AccessDenied"},
		"no signature":             {query("&X-Amz-Signature=", "&X-Amz-Nothing="), "AuthorizationQueryParametersError"},
		"only a signature":         {func(r *Request) { r.Query = "X-Amz-Signature=00" }, "AuthorizationQueryParametersError"},
		"only a token":             {func(r *Request) { r.Query = "x-amz-security-token=00" }, "AuthorizationQueryParametersError"},
		"two signatures":           {func(r *Request) { r.Query += "&X-Amz-Signature=00" }, "AuthorizationQueryParametersError"},
		"two of different case":    {func(r *Request) { r.Query += "&x-amz-signature=00" }, "AuthorizationQueryParametersError"},
		"other algorithm":          {query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "AuthorizationQueryParametersError"},
		"signature version 4A":     {query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "NotImplemented"},
		"signature version 2":      {func(r *Request) { r.Query = "AWSAccessKeyId=a&Expires=1&Signature=b" }, "InvalidRequest"},
		"version 2 signature":      {func(r *Request) { r.Query = "Signature=b" }, "InvalidRequest"},
		"version 2 and 4":          {func(r *Request) { r.Query += "&AWSAccessKeyId=a" }, "InvalidRequest"},
		"unknown access key":       {query("AKIA", "AKIB"), "InvalidAccessKeyId"},
		"other region":             {query("us-east-1", "eu-west-1"), "AuthorizationQueryParametersError"},
		"other service":            {query("%2Fs3%2F", "%2Fsts%2F"), "AuthorizationQueryParametersError"},
		"other date in the scope":  {query("%2F20130524%2F", "%2F20130523%2F"), "AuthorizationQueryParametersError"},
		"token nobody configured":  {func(r *Request) { r.Query += "&X-Amz-Security-Token=t" }, "InvalidToken"},
		"header credentials too":   {func(r *Request) { r.Header = append(r.Header, fields("authorization:x")...) }, "InvalidArgument"},
		"payload mode added":       {func(r *Request) { r.Query += "&X-Amz-Content-Sha256=" + emptyHash }, "SignatureDoesNotMatch"},
		"parameters in lower case": {query("X-Amz-Expires", "x-amz-expires"), "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			r := presignedRequest(t, "3600")
			c.change(r)
			got, err := verifierAt(exampleTime.Add(6*time.Minute), exampleCredential()).Verify(r)
			if c.code == "" {
				if err != nil || got.Kind != Presigned || got.Payload != PayloadAbsent {
					t.Fatalf("%+v, %v", got, err)
				}
				return
			}
			wantCode(t, err, c.code)
		})
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

// Each payload mode × {header, query, both, neither} × {right signature, wrong signature}: a request gets through with the
// kind it has proved, or not at all.
func TestPayloadModesByAuthentication(t *testing.T) {
	modes := map[string]PayloadMode{emptyHash: PayloadHash, unsignedPayload: PayloadUnsigned, streamingSigned: PayloadSignedChunks,
		streamingSignedTrailer: PayloadSignedChunksTrailer, streamingUnsigned: PayloadUnsignedChunksTrailer, "": PayloadAbsent}
	v := verifierAt(exampleTime, exampleCredential())
	for value, mode := range modes {
		build := func() *Request {
			r := &Request{Method: "PUT", Path: "/b/k", Host: "h"}
			if value != "" {
				r.Header = fields("x-amz-content-sha256:" + value)
			}
			return r
		}
		check := func(what string, r *Request, kind Kind, code string) {
			t.Helper()
			got, err := v.Verify(r)
			if code != "" {
				t.Logf("%q by %s", value, what)
				wantCode(t, err, code)
			} else if err != nil || got.Kind != kind || got.Payload != mode {
				t.Errorf("%q by %s: %+v, %v", value, what, got, err)
			}
		}
		names := []string{"host"}
		if value != "" {
			names = append(names, "x-amz-content-sha256")
		}
		wrong := exampleCredential()
		wrong.Secret = "guess"

		header := func(c Credential) *Request {
			r := build()
			payload := value
			if payload == "" {
				payload = unsignedPayload
			}
			if _, err := new(Signer).Sign(r, c, "us-east-1", "s3", payload, exampleTime); err != nil {
				t.Fatal(err)
			}
			if value == "" {
				r.drop("x-amz-content-sha256")
			}
			return r
		}
		missing := ""
		if value == "" {
			missing = "InvalidRequest"
		}
		check("header", header(exampleCredential()), Header, missing)
		if missing == "" {
			missing = "SignatureDoesNotMatch"
		}
		check("header with a wrong secret", header(wrong), 0, missing)

		streaming := ""
		if mode.Chunked() {
			streaming = "InvalidArgument"
		}
		check("query", presign(t, build(), exampleCredential(), "60", names...), Presigned, streaming)
		if streaming == "" {
			streaming = "SignatureDoesNotMatch"
		}
		check("query with a wrong secret", presign(t, build(), wrong, "60", names...), 0, streaming)

		both := presign(t, header(exampleCredential()), exampleCredential(), "60", names...)
		check("both", both, 0, "InvalidArgument")
		onlyKey := build()
		onlyKey.Query = "X-Amz-Credential=" + exampleKey + "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		check("credential in the query alone", onlyKey, 0, "AuthorizationQueryParametersError")

		anonymous := ""
		if mode == PayloadSignedChunks || mode == PayloadSignedChunksTrailer {
			anonymous = "AccessDenied"
		}
		check("neither", build(), Anonymous, anonymous)
	}
}

func TestPresignedPayloadHash(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	r := presign(t, &Request{Method: "PUT", Path: "/b/k", Host: "h", Query: "X-Amz-Content-Sha256=" + emptyHash}, exampleCredential(), "60", "host")
	if got, err := v.Verify(r); err != nil || got.Payload != PayloadHash || fmt.Sprintf("%x", got.Hash) != emptyHash {
		t.Errorf("%+v, %v", got, err)
	}
	r.Header = fields("x-amz-content-sha256:" + unsignedPayload)
	_, err := v.Verify(r)
	wantCode(t, err, "InvalidArgument")
	r = presign(t, &Request{Method: "PUT", Path: "/b/k", Host: "h", Query: "X-Amz-Content-Sha256=" + streamingUnsigned}, exampleCredential(), "60", "host")
	_, err = v.Verify(r)
	wantCode(t, err, "InvalidArgument")
}

// Every byte of everything that is signed counts, header by header.
func TestEveryByteOfASignedRequestCounts(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	good := signedRequest(t, func(r *Request) { r.Header = append(r.Header, fields("x-amz-meta-b: two  words ")...) })
	if _, err := v.Verify(good); err != nil {
		t.Fatal(err)
	}
	try := func(what string, text *string, r *Request) {
		t.Helper()
		old := *text
		for i := range old {
			for _, flip := range []byte{1, 2, 0x20} {
				changed := []byte(old)
				changed[i] ^= flip
				*text = string(changed)
				if got, err := v.Verify(r); err == nil && got.Kind != Anonymous && !sameMeaning(old, *text) {
					t.Errorf("%s: %q instead of %q", what, *text, old)
				}
			}
		}
		*text = old
	}
	r := good.clone()
	try("method", &r.Method, r)
	try("path", &r.Path, r)
	try("query", &r.Query, r)
	try("host", &r.Host, r)
	for i := range r.Header {
		if r.Header[i].Name != "host" { // r.Host is what counts
			try(r.Header[i].Name, &r.Header[i].Value, r)
			try("the name of "+r.Header[i].Name, &r.Header[i].Name, r)
		}
	}
	p := presignedRequest(t, "3600")
	try("presigned query", &p.Query, p)
	try("presigned path", &p.Path, p)
}

// sameMeaning reports whether two texts differ in the case of hex digits after "%", or in white space alone.
func sameMeaning(a, b string) bool {
	return strings.EqualFold(a, b) && strings.Contains(a, "%") || strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}

func TestDerivedKeysFollowTheSecret(t *testing.T) {
	current := exampleCredential()
	v := verifierAt(exampleTime)
	v.Lookup = func(string) (Credential, bool) { return current, true }
	old := signedRequest(t, nil)
	for range 2 { // computed, then cached
		if _, err := v.Verify(old); err != nil {
			t.Fatal(err)
		}
	}
	current.Secret = "rotated"
	_, err := v.Verify(old)
	wantCode(t, err, "SignatureDoesNotMatch")
	if _, err := v.Verify(signAs(t, &Request{Method: "GET", Path: "/", Host: "h"}, current)); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}

func TestKeyringIsBoundedAndClosedToStrangers(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	v.Region = func(string) bool { return true }
	for i := range 2 * maxKeys {
		r := &Request{Method: "GET", Path: "/", Host: "h"}
		region := fmt.Sprintf("region-%d", i)
		if _, err := new(Signer).Sign(r, exampleCredential(), region, "s3", unsignedPayload, exampleTime); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			r.replace("authorization", region, region+"x")
		}
		if _, err := v.Verify(r); (err != nil) != (i%2 == 1) {
			t.Fatal(i, err)
		}
	}
	if n := len(v.keys.keys); n != maxKeys {
		t.Errorf("%d keys, want the %d right ones", n, maxKeys)
	}
	r := &Request{Method: "GET", Path: "/", Host: "h"}
	if _, err := new(Signer).Sign(r, exampleCredential(), "one-more", "s3", unsignedPayload, exampleTime); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(r); err != nil || len(v.keys.keys) != maxKeys {
		t.Errorf("%d keys, %v", len(v.keys.keys), err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Credential{AccessKey: exampleKey, Secret: exampleSecret, SessionToken: "hush"}
	v := verifierAt(exampleTime, exampleCredential())
	r := &Request{Method: "PUT", Path: "/", Host: "h"}
	if _, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", streamingSigned, exampleTime); err != nil {
		t.Fatal(err)
	}
	verified, err := v.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	key := derive(exampleSecret, "20130524", "us-east-1", "s3").key
	json, _ := c.Secret.MarshalText()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(format, c) + fmt.Sprintf(format, &c) + fmt.Sprintf(format, c.Secret) + fmt.Sprintf(format, verified) + string(json)
		for _, secret := range []string{exampleSecret, "hush", fmt.Sprintf("%x", exampleSecret), fmt.Sprintf("%x", key), fmt.Sprint(key)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s prints %s", format, text)
			}
		}
	}
}
