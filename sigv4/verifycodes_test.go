package sigv4

import (
	"strings"
	"testing"
	"time"
)

// inAuthorization, addField and inQuery are changes to signed requests.
func inAuthorization(old, with string) func(*Request) {
	return func(r *Request) { r.replace("authorization", old, with) }
}

func addField(lines ...string) func(*Request) {
	return func(r *Request) { r.Header = append(r.Header, fields(lines...)...) }
}

func inQuery(old, with string) func(*Request) {
	return func(r *Request) {
		if !strings.Contains(r.Query, old) {
			panic(old)
		}
		r.Query = strings.Replace(r.Query, old, with, 1)
	}
}

// headerCases change a signed request; the code says what becomes of it (THREATS.md rows 17 and 18).
var headerCases = map[string]struct {
	change func(*Request) // after signing
	code   string
}{
	"untouched":             {func(*Request) {}, ""},
	"unsigned other header": {addField("user-agent:x"), ""},
	"unsigned x-amz header": {addField("x-amz-acl:public-read"), "AccessDenied"},
	"unsigned copy source":  {addField("x-amz-copy-source:/b/k"), "AccessDenied"},
	"joined metadata":       {addField("x-amz-meta-a:2"), "SignatureDoesNotMatch"},
	"second authorization":  {addField("authorization:AWS4-HMAC-SHA256 x"), "InvalidRequest"},
	"second date":           {addField("x-amz-date:20130524T000000Z"), "InvalidRequest"},
	"second payload mode":   {addField("x-amz-content-sha256:UNSIGNED-PAYLOAD"), "InvalidRequest"},
	"second host":           {addField("host:evil"), "InvalidRequest"},
	"two content lengths":   {addField("content-length:1", "content-length:1"), "InvalidRequest"},
	"two trailers":          {addField("x-amz-trailer:a", "x-amz-trailer:b"), "InvalidRequest"},
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
	}, "InvalidArgument"},
	"event stream": {func(r *Request) {
		r.replace("x-amz-content-sha256", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-EVENTS")
	}, "NotImplemented"},
	"unknown access key":          {inAuthorization("AKIA", "AKIB"), "InvalidAccessKeyId"},
	"other date in the scope":     {inAuthorization("20130524", "20130523"), "AuthorizationHeaderMalformed"},
	"other region":                {inAuthorization("us-east-1", "eu-west-1"), "AuthorizationHeaderMalformed"},
	"other service":               {inAuthorization("/s3/", "/sts/"), "AuthorizationHeaderMalformed"},
	"other terminator":            {inAuthorization("aws4_request", "aws5_request"), "AuthorizationHeaderMalformed"},
	"short credential":            {inAuthorization("/us-east-1", ""), "AuthorizationHeaderMalformed"},
	"signature cut":               {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = (*v)[:len(*v)-1] }, "SignatureDoesNotMatch"},
	"no signature":                {inAuthorization("Signature=", "Nothing="), "AuthorizationHeaderMalformed"},
	"empty signature":             {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = (*v)[:len(*v)-64] }, "AuthorizationHeaderMalformed"},
	"two signatures":              {inAuthorization(", SignedHeaders", ", Signature=00, SignedHeaders"), "AuthorizationHeaderMalformed"},
	"host not signed":             {inAuthorization("host;", ""), "AccessDenied"},
	"date not signed":             {inAuthorization(";x-amz-date", ""), "AccessDenied"},
	"empty name signed":           {inAuthorization("host;", "host;;"), "AuthorizationHeaderMalformed"},
	"name in upper case":          {inAuthorization("host;", "Host;"), "AuthorizationHeaderMalformed"},
	"name listed twice":           {inAuthorization("host;", "host;host;"), "AuthorizationHeaderMalformed"},
	"absent header listed":        {inAuthorization("host;", "host;if-match;"), "SignatureDoesNotMatch"},
	"token nobody configured":     {addField("x-amz-security-token:t"), "InvalidToken"},
	"signature version 2":         {func(r *Request) { r.Header[len(r.Header)-1].Value = "AWS " + exampleKey + ":sig" }, "InvalidRequest"},
	"version 4A, scope of 4":      {inAuthorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "AuthorizationHeaderMalformed"},
	"bearer token":                {inAuthorization("AWS4-HMAC-SHA256", "Bearer"), "InvalidArgument"},
	"empty authorization":         {func(r *Request) { r.Header[len(r.Header)-1].Value = "" }, "InvalidArgument"},
	"algorithm alone":             {func(r *Request) { r.Header[len(r.Header)-1].Value = "AWS4-HMAC-SHA256" }, "InvalidArgument"},
	"query credentials as well":   {func(r *Request) { r.Query += "&X-Amz-Signature=x" }, "InvalidArgument"},
	"query algorithm as well":     {func(r *Request) { r.Query += "&x-amz-algorithm=AWS4-HMAC-SHA256" }, "InvalidArgument"},
	"version 2 in query as well":  {func(r *Request) { r.Query += "&AWSAccessKeyId=x" }, "InvalidArgument"},
	"parts without spaces":        {func(r *Request) { v := &r.Header[len(r.Header)-1].Value; *v = strings.ReplaceAll(*v, ", ", ",") }, ""},
	"names in another order":      {inAuthorization("content-type;host;", "host;content-type;"), ""},
	"host header in another case": {func(r *Request) { r.replace("host", "s3.example.com:9000", "ignored") }, ""},
}

func TestHeaderAuthenticationCodes(t *testing.T) {
	for name, c := range headerCases {
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

// queryCases do the same to a presigned request (THREATS.md row 20).
var queryCases = map[string]struct {
	change func(*Request)
	code   string
}{
	"untouched":                {func(*Request) {}, ""},
	"unsigned other header":    {addField("range:bytes=0-1"), ""},
	"unsigned x-amz header":    {addField("x-amz-acl:private"), "AccessDenied"},
	"other method":             {func(r *Request) { r.Method = "PUT" }, "SignatureDoesNotMatch"},
	"other key":                {func(r *Request) { r.Path = "/bucket/key2" }, "SignatureDoesNotMatch"},
	"other host":               {func(r *Request) { r.Host = "evil" }, "SignatureDoesNotMatch"},
	"parameter added":          {inQuery("versionId", "acl&versionId"), "SignatureDoesNotMatch"},
	"parameter removed":        {inQuery("versionId=1&", ""), "SignatureDoesNotMatch"},
	"parameter changed":        {inQuery("versionId=1", "versionId=2"), "SignatureDoesNotMatch"},
	"longer validity":          {inQuery("X-Amz-Expires=3600", "X-Amz-Expires=3601"), "SignatureDoesNotMatch"},
	"no algorithm":             {inQuery("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), "AuthorizationQueryParametersError"},
	"no credential":            {inQuery("X-Amz-Credential", "X-Amz-Nothing"), "AuthorizationQueryParametersError"},
	"no date":                  {inQuery("X-Amz-Date=20130524T000000Z&", ""), "AuthorizationQueryParametersError"},
	"bad date":                 {inQuery("20130524T000000Z", "2013-05-24"), "AuthorizationQueryParametersError"},
	"no expiry":                {inQuery("X-Amz-Expires=3600&", ""), "AuthorizationQueryParametersError"},
	"no signed headers":        {inQuery("X-Amz-SignedHeaders=host&", ""), "AuthorizationQueryParametersError"},
	"signed headers lack host": {inQuery("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=user-agent"), "AccessDenied"},
	"no signature":             {inQuery("&X-Amz-Signature=", "&X-Amz-Nothing="), "AuthorizationQueryParametersError"},
	"only a signature":         {func(r *Request) { r.Query = "X-Amz-Signature=00" }, "AuthorizationQueryParametersError"},
	"only a token":             {func(r *Request) { r.Query = "x-amz-security-token=00" }, "AuthorizationQueryParametersError"},
	"two signatures":           {func(r *Request) { r.Query += "&X-Amz-Signature=00" }, "AuthorizationQueryParametersError"},
	"two of different case":    {func(r *Request) { r.Query += "&x-amz-signature=00" }, "AuthorizationQueryParametersError"},
	"other algorithm":          {inQuery("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "AuthorizationQueryParametersError"},
	"version 4A, scope of 4":   {inQuery("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "AuthorizationQueryParametersError"},
	"signature version 2":      {func(r *Request) { r.Query = "AWSAccessKeyId=" + exampleKey + "&Expires=1&Signature=b" }, "InvalidRequest"},
	"version 2 signature":      {func(r *Request) { r.Query = "Signature=b" }, "AccessDenied"},
	"version 2 and 4":          {func(r *Request) { r.Query += "&AWSAccessKeyId=a" }, "InvalidArgument"},
	"unknown access key":       {inQuery("AKIA", "AKIB"), "InvalidAccessKeyId"},
	"other region":             {inQuery("us-east-1", "eu-west-1"), "AuthorizationQueryParametersError"},
	"other service":            {inQuery("%2Fs3%2F", "%2Fsts%2F"), "AuthorizationQueryParametersError"},
	"other date in the scope":  {inQuery("%2F20130524%2F", "%2F20130523%2F"), "AuthorizationQueryParametersError"},
	"token nobody configured":  {func(r *Request) { r.Query += "&X-Amz-Security-Token=t" }, "InvalidToken"},
	"header credentials too":   {addField("authorization:x"), "InvalidArgument"},
	"payload mode added":       {func(r *Request) { r.Query += "&X-Amz-Content-Sha256=" + emptyHash }, "SignatureDoesNotMatch"},
	"parameters in lower case": {inQuery("X-Amz-Expires", "x-amz-expires"), "SignatureDoesNotMatch"},
}

func TestQueryAuthenticationCodes(t *testing.T) {
	for name, c := range queryCases {
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
