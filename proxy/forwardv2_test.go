package proxy

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/forward"
)

func sumV2(text string) string {
	mac := hmac.New(sha1.New, []byte(testCredential.Secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Old applications sign with version 2, in headers or in the query, name the bucket in the path or in front of the host, and
// send chunks of HTTP or HTTP/1.0. Through the forward port all of it works for clients that may use version 2, and for nobody
// else.
func TestForwardVersion2Signatures(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		f := newForwarded(t, func(set *Settings, _ *forward.Options) { set.Clients[0].Credential.SigV2 = allowed })
		f.must("PUT", "/data/dir/key", []byte("plain"))
		date := time.Now().UTC().Format(time.RFC1123)
		date = strings.Replace(date, "UTC", "GMT", 1)
		expires := fmt.Sprint(time.Now().Add(time.Minute).Unix())
		query := url.Values{"AWSAccessKeyId": {"app"}, "Expires": {expires}, "Signature": {sumV2("GET\n\n\n" + expires + "\n/data/dir/key")}}.Encode()
		header := func(method, resource string) string {
			return "Date: " + date + "\r\nAuthorization: AWS app:" + sumV2(method+"\n\n\n"+date+"\n"+resource) + "\r\nConnection: close\r\n"
		}
		for what, request := range map[string]string{
			"header, path":          "GET http://s3.amazonaws.com/data/dir/key HTTP/1.1\r\nHost: s3.amazonaws.com\r\n" + header("GET", "/data/dir/key") + "\r\n",
			"header, host":          "GET http://data.s3.amazonaws.com/dir/key HTTP/1.1\r\nHost: data.s3.amazonaws.com\r\n" + header("GET", "/data/dir/key") + "\r\n",
			"query, path":           "GET http://s3.test/data/dir/key?" + query + " HTTP/1.1\r\nHost: s3.test\r\nConnection: close\r\n\r\n",
			"query, host":           "GET http://data.s3.test/dir/key?" + query + " HTTP/1.1\r\nHost: data.s3.test\r\nConnection: close\r\n\r\n",
			"HTTP/1.0":              "GET http://data.s3.test/dir/key HTTP/1.0\r\n" + header("GET", "/data/dir/key") + "\r\n",
			"HTTP/1.0, query, path": "GET http://s3.test/data/dir/key?" + query + " HTTP/1.0\r\n\r\n",
		} {
			raw := f.exchangeRaw(request)
			if ok := strings.HasPrefix(raw, "HTTP/1.1 200 ") && strings.HasSuffix(raw, "\r\n\r\nplain"); ok != allowed {
				t.Errorf("allowed %t, %s: %.300q", allowed, what, raw)
			}
		}
		put := "PUT http://s3.test/data/old HTTP/1.1\r\nHost: s3.test\r\n" + header("PUT", "/data/old")
		for framing, want := range map[string]string{"Content-Length: 5\r\n\r\nhello": "200", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n": "411",
			"Expect: 100-CONTINUE\r\nContent-Length: 5\r\n\r\nhello": "200"} {
			if !allowed {
				want = "4"
			}
			raw := strings.TrimPrefix(f.exchangeRaw(put+framing), "HTTP/1.1 100 Continue\r\n\r\n")
			if !strings.HasPrefix(raw, "HTTP/1.1 "+want) {
				t.Errorf("allowed %t, PUT %.30q: %.300q", allowed, framing, raw)
			}
		}
		for what, change := range map[string][2]string{"another key": {"/data/dir/key", "/data/dir/other"}, "another method": {"GET ", "DELETE "}, "a parameter more": {"Signature=", "acl&Signature="}} {
			request := strings.Replace("GET http://s3.test/data/dir/key?"+query+" HTTP/1.1\r\nHost: s3.test\r\nConnection: close\r\n\r\n", change[0], change[1], 1)
			if raw := f.exchangeRaw(request); !strings.HasPrefix(raw, "HTTP/1.1 4") {
				t.Errorf("%s: %.300q", what, raw)
			}
		}
	}
}
