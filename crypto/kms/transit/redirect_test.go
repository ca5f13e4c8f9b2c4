package transit

import (
	"net/http"
	"net/url"
	"testing"
)

// The token goes along with a redirect: to https, or to http on this machine where it began so.
func TestRedirectsKeepTheToken(t *testing.T) {
	at := func(text string) *http.Request {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u}
	}
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"https://a.test/v1/x", "https://b.test/v1/x", true},
		{"https://a.test/v1/x", "http://b.test/v1/x", false},
		{"https://a.test/v1/x", "http://127.0.0.1/v1/x", false},
		{"http://127.0.0.1:8200/v1/x", "https://b.test/v1/x", true},
		{"http://127.0.0.1:8200/v1/x", "http://localhost:8201/v1/x", true},
		{"http://127.0.0.1:8200/v1/x", "http://b.test:8200/v1/x", false},
		{"http://127.0.0.1:8200/v1/x", "http://10.0.0.1:8200/v1/x", false},
	} {
		if err := redirect(at(c.to), []*http.Request{at(c.from)}); (err == nil) != c.ok {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
	if redirect(at("https://c.test"), []*http.Request{at("https://a.test"), at("https://b.test")}) == nil {
		t.Error("two redirects are followed")
	}
}
