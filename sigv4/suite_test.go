package sigv4

import (
	"encoding/hex"
	"sort"
	"testing"

	"s3veil/sigv4/checksum"
)

// The published cases for Signature Version 4, with AKIDEXAMPLE, host example.amazonaws.com, service "service" and 30 August
// 2015, 12:36 UTC; all headers are signed. Left out are those in
// which paths are normalised, which S3 does not do, and lines are folded, which HTTP no longer does.
var publishedSuite = []struct {
	name, method, path, query string
	header                    []Field
	body                      string
	signature                 string
}{
	{"get-header-key-duplicate", "GET", "/", "", fields("my-header1:value2", "my-header1:value2", "my-header1:value1"), "",
		"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-order", "GET", "/", "", fields("my-header1:value4", "my-header1:value1", "my-header1:value3", "my-header1:value2"), "",
		"08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{"get-header-value-trim", "GET", "/", "", fields("my-header1: value1", "my-header2: \"a   b   c\""), "",
		"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", nil, "",
		"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-utf8", "GET", "/ሴ", "", nil, "",
		"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-vanilla", "GET", "/", "", nil, "",
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", nil, "",
		"a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{"get-vanilla-query-order-key", "GET", "/", "Param1=value2&Param1=Value1", nil, "",
		"eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
	{"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", nil, "",
		"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-order-value", "GET", "/", "Param1=value2&Param1=value1", nil, "",
		"5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{"get-vanilla-query-unreserved", "GET", "/", "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", nil, "",
		"9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{"get-vanilla-utf8-query", "GET", "/", "ሴ=bar", nil, "",
		"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"post-header-key-sort", "POST", "/", "", fields("my-header1:value1"), "",
		"c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"post-header-value-case", "POST", "/", "", fields("my-header1:VALUE1"), "",
		"cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
	{"post-sts-header-before", "POST", "/", "", fields("x-amz-security-token:AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="), "",
		"85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
	{"post-vanilla", "POST", "/", "", nil, "",
		"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-vanilla-empty-query-value", "POST", "/", "Param1=value1", nil, "",
		"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{"post-vanilla-query", "POST", "/", "Param1=value1", nil, "",
		"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{"post-x-www-form-urlencoded", "POST", "/", "", fields("content-type:application/x-www-form-urlencoded"), "Param1=value1",
		"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"post-x-www-form-urlencoded-parameters", "POST", "/", "", fields("content-type:application/x-www-form-urlencoded; charset=utf8"), "Param1=value1",
		"1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
}

const (
	suiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	suiteStamp  = "20150830T123600Z"
)

func TestPublishedSuite(t *testing.T) {
	key := derive(suiteSecret, "20150830", "us-east-1", "service")
	for _, c := range publishedSuite {
		r := &Request{Method: c.method, Path: c.path, Query: c.query, Host: "example.amazonaws.com",
			Header: append(fields("x-amz-date:"+suiteStamp), c.header...)}
		s := new(scratch)
		if err := s.query.parse(r.Query); err != nil {
			t.Fatal(err)
		}
		s.setSignableNames(r.Header)
		if !sort.StringsAreSorted(s.names) {
			t.Errorf("%s: names %q", c.name, s.names)
		}
		if err := s.canonicalRequest(r, hex.EncodeToString(hashOf(checksum.SHA256, []byte(c.body)))); err != nil {
			t.Fatal(err)
		}
		request := string(s.buf)
		key.sign(&s.sig, s.stringToSign(suiteStamp, key.scope))
		if got := string(s.sig[:]); got != c.signature {
			t.Errorf("%s: %s, want %s; canonical request:\n%s", c.name, got, c.signature, request)
		}
	}
}
