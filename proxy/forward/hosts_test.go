package forward

import (
	"errors"
	"strings"
	"testing"
)

func newTest(t *testing.T, o Options) *Forward {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The S3 names of AWS and what becomes of them: the endpoint without the bucket, "other", or "refused".
func TestNamesOfAWS(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{AWS}, Tunnel: true})
	for host, want := range map[string]string{
		"s3.amazonaws.com":                                               "s3.amazonaws.com",
		"S3.AmazonAWS.com.":                                              "s3.amazonaws.com",
		"bucket.s3.amazonaws.com":                                        "s3.amazonaws.com",
		"my.dotted.bucket.s3.amazonaws.com":                              "s3.amazonaws.com",
		"s3.s3.amazonaws.com":                                            "s3.amazonaws.com",
		"s3.eu-west-1.amazonaws.com":                                     "s3.eu-west-1.amazonaws.com",
		"bucket.s3.eu-west-1.amazonaws.com":                              "s3.eu-west-1.amazonaws.com",
		"eu-west-1.s3.us-east-1.amazonaws.com":                           "s3.us-east-1.amazonaws.com",
		"s3-eu-west-1.amazonaws.com":                                     "s3-eu-west-1.amazonaws.com",
		"bucket.s3-ap-southeast-2.amazonaws.com":                         "s3-ap-southeast-2.amazonaws.com",
		"s3-external-1.amazonaws.com":                                    "s3-external-1.amazonaws.com",
		"bucket.s3.dualstack.eu-central-1.amazonaws.com":                 "s3.dualstack.eu-central-1.amazonaws.com",
		"s3-fips.us-gov-west-1.amazonaws.com":                            "s3-fips.us-gov-west-1.amazonaws.com",
		"bucket.s3-fips.dualstack.us-east-1.amazonaws.com":               "s3-fips.dualstack.us-east-1.amazonaws.com",
		"s3-fips-us-gov-west-1.amazonaws.com":                            "s3-fips-us-gov-west-1.amazonaws.com",
		"bucket.s3-accelerate.amazonaws.com":                             "s3-accelerate.amazonaws.com",
		"bucket.s3-accelerate.dualstack.amazonaws.com":                   "s3-accelerate.dualstack.amazonaws.com",
		"bucket.s3.cn-north-1.amazonaws.com.cn":                          "s3.cn-north-1.amazonaws.com.cn",
		"bucket.s3.eusc-de-east-1.amazonaws.eu":                          "s3.eusc-de-east-1.amazonaws.eu",
		"bucket.s3.us-iso-east-1.c2s.ic.gov":                             "s3.us-iso-east-1.c2s.ic.gov",
		"bucket.s3.us-isob-east-1.sc2s.sgov.gov":                         "s3.us-isob-east-1.sc2s.sgov.gov",
		"s3.eu-isoe-west-1.cloud.adc-e.uk":                               "s3.eu-isoe-west-1.cloud.adc-e.uk",
		"s3.dualstack.us-isof-south-1.csp.hci.ic.gov":                    "s3.dualstack.us-isof-south-1.csp.hci.ic.gov",
		"s3.cn-north-1.api.amazonwebservices.com.cn":                     "s3.cn-north-1.api.amazonwebservices.com.cn",
		"bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com":          "bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
		"x.bucket.vpce-1a-2b-us-east-1a.s3.us-east-1.vpce.amazonaws.com": "bucket.vpce-1a-2b-us-east-1a.s3.us-east-1.vpce.amazonaws.com",

		"ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com":           "refused",
		"ap-123456789012.s3-accesspoint.dualstack.us-east-1.amazonaws.com": "refused",
		"ap-123456789012.s3-accesspoint-fips.us-east-1.amazonaws.com":      "refused",
		"ol-123456789012.s3-object-lambda.us-east-1.amazonaws.com":         "refused",
		"o-1.123456789012.s3-outposts.us-east-1.amazonaws.com":             "refused",
		"b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com":     "refused",
		"b--use1-az4--x-s3.s3.us-east-1.amazonaws.com":                     "refused",
		"s3express-control.us-east-1.amazonaws.com":                        "refused",
		"alias.mrap.accesspoint.s3-global.amazonaws.com":                   "refused",
		"bucket.s3-website-us-east-1.amazonaws.com":                        "refused",
		"bucket.s3-website.eu-central-1.amazonaws.com":                     "refused",
		"s3vectors.us-east-1.api.aws":                                      "refused",
		"s3tables.us-east-1.amazonaws.com":                                 "refused",
		"my-ap-hash-s3alias.s3.us-east-1.amazonaws.com":                    "refused",
		"x--ol-s3.s3.us-east-1.amazonaws.com":                              "refused",
		"accesspoint.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com":           "refused",

		"123456789012.s3-control.us-east-1.amazonaws.com":    "other",
		"b.s3.far-new-region1.amazonaws.com":                 "refused", // a region of a form that is not known
		"s3.variant.us-east-1.amazonaws.com":                 "refused",
		"s3-lb-1234.us-east-1.elb.amazonaws.com":             "other",
		"control.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com": "other",
		"kms.eu-west-1.amazonaws.com":                        "other",
		"sts.amazonaws.com":                                  "other",
		"dynamodb.us-east-1.amazonaws.com":                   "other",
		"vpce-1a-2b.kms.us-east-1.vpce.amazonaws.com":        "other",
		"us-east-1.amazonaws.com":                            "other",
		"dualstack.us-east-1.amazonaws.com":                  "other",
		"vpce.amazonaws.com":                                 "other",
		"amazonaws.com":                                      "other",
		"s3.example.com":                                     "other",
		"s3.amazonaws.com.evil.example":                      "other",
		"evils3.amazonaws.com":                               "other",
		"notamazonaws.com":                                   "other",
	} {
		place, err := f.ClassifyName(host)
		got := place.Domain
		var refused *Refusal
		switch {
		case errors.As(err, &refused):
			got = "refused"
		case err != nil:
			t.Fatal(err)
		case !place.S3:
			got = "other"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

func TestPatternsOfHosts(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{"minio.example.internal", "s3.*.wasabisys.com", "store*.example:9000", "192.0.2.7", "[2001:db8::7]:9000", "deep.minio.example.internal"}})
	for target, want := range map[string]string{
		"minio.example.internal:443":                   "minio.example.internal",
		"minio.example.internal:9000":                  "minio.example.internal",
		"a.b.minio.example.internal:80":                "minio.example.internal",
		"b.deep.minio.example.internal:80":             "deep.minio.example.internal",
		"xminio.example.internal:80":                   "",
		"minio.example.internal.evil:80":               "",
		"example.internal:80":                          "",
		"s3.eu-1.wasabisys.com:443":                    "s3.eu-1.wasabisys.com",
		"bucket.s3.eu-1.wasabisys.com:443":             "s3.eu-1.wasabisys.com",
		"s3.a.b.wasabisys.com:443":                     "",
		"store7.example:9000":                          "store7.example",
		"store.example:9000":                           "store.example",
		"store7.example:9001":                          "",
		"192.0.2.7:1":                                  "192.0.2.7",
		"192.0.2.8:1":                                  "",
		"[2001:db8::7]:9000":                           "2001:db8::7",
		"[2001:0db8:0::7]:9000":                        "2001:db8::7",
		"[2001:db8::7]:9001":                           "",
		"s3.amazonaws.com:443":                         "", // aws is not among the hosts
		"x.s3-accesspoint.us-east-1.amazonaws.com:443": "",
	} {
		at, err := ParseTarget(target, 0)
		if err != nil {
			t.Fatal(err)
		}
		place, err := f.Classify(at)
		if err != nil || place.Domain != want || place.S3 != (want != "") {
			t.Errorf("%s: %+v, %v; want %q", target, place, err, want)
		}
	}
	for _, bad := range []string{"", "*", "*.*", "a..b", "http://a", "a/b", "a:0", "a:99999", "a b", "-a", "user@a", "[::1", "::1:80x"} {
		if _, err := New(Options{Hosts: []string{bad}}); err == nil {
			t.Errorf("%q is taken for a host", bad)
		}
	}
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"Host.Example:443": "host.example:443", "host.example.:80": "host.example:80", "192.0.2.1:1": "192.0.2.1:1",
		"[::1]:80": "[::1]:80", "[::ffff:192.0.2.1]:80": "192.0.2.1:80", "[::FFFF:C000:201]:80": "192.0.2.1:80",
		"0xyz:80": "0xyz:80", "my_bucket.s3.amazonaws.com:443": "my_bucket.s3.amazonaws.com:443",
	} {
		if got, err := ParseTarget(text, 0); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got, err := ParseTarget("host", 80); err != nil || got.String() != "host:80" {
		t.Errorf("default port: %v, %v", got, err)
	}
	if got, err := ParseTarget("[::1]", 80); err != nil || got.String() != "[::1]:80" {
		t.Errorf("default port: %v, %v", got, err)
	}
	for _, bad := range []string{"host", "host:", "host:0", "host:080", "host:+80", "host:65536", "host:http", ":80", "2130706433:80", "127.0.0.1.:80", "127.1:80", "0x7f.0.0.1:80", "0177.0.0.1:80", "0x7F000001:80", "10.0.0.0x:80", "0:80", "127.0.0.1.2:80", "user@host:80", "user:pw@host:80",
		"a b:80", "a/b:80", "::1:80", "[::1:80", "[host]:80", "[::1]x:80", "[fe80::1%eth0]:80", "a..b:80", strings.Repeat("a", 64) + ":80", "h\u00f6st:80", "%31:80", "a\\b:80"} {
		if got, err := ParseTarget(bad, 0); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
	host, _ := ParseTarget("host:443", 0)
	for authority, same := range map[string]bool{"host": true, "HOST:443": true, "host.": true, "host:80": false, "other": false, "x@host": false} {
		if host.Is(authority, 443) != same {
			t.Errorf("%q: %t", authority, !same)
		}
	}
}

func TestPorts(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{"s3.example"}, Tunnel: true})
	for port, allowed := range map[uint16]bool{80: true, 443: true, 1024: true, 65535: true, 22: false, 25: false, 1023: false, 53: false} {
		for _, host := range []string{"s3.example", "other.example"} {
			if _, err := f.Decide(Target{host, port}); (err == nil) != allowed {
				t.Errorf("%s port %d: %v", host, port, err)
			}
		}
	}
	own := newTest(t, Options{Ports: []Ports{{8443, 8443}}, Tunnel: true})
	if _, err := own.Decide(Target{"other.example", 443}); err == nil {
		t.Error("a port that is not on the list")
	}
	for text, ok := range map[string]bool{"443": true, "1-65535": true, "0": false, "10-9": false, "x": false, "-": false, "65536": false, "1-": false} {
		if _, err := ParsePorts(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOthersAreDenied(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{AWS}})
	if _, err := f.Decide(Target{"kms.eu-west-1.amazonaws.com", 443}); err == nil {
		t.Error("another host is reached")
	}
	if p, err := f.Decide(Target{"s3.eu-west-1.amazonaws.com", 443}); err != nil || !p.S3 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRegionsInNamesOfAWS(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{AWS}})
	for host, want := range map[string]string{
		"s3.eu-west-1.amazonaws.com": "eu-west-1", "b.s3-eu-west-1.amazonaws.com": "eu-west-1", "s3-fips.dualstack.us-gov-west-1.amazonaws.com": "us-gov-west-1",
		"s3-fips-us-gov-west-1.amazonaws.com": "us-gov-west-1", "s3.cn-north-1.amazonaws.com.cn": "cn-north-1", "eu-west-1.s3.us-east-2.amazonaws.com": "us-east-2",
		"bucket.vpce-1a-2b-us-east-1a.s3.us-east-1.vpce.amazonaws.com": "us-east-1", "s3.amazonaws.com": "", "b.s3-accelerate.amazonaws.com": "", "s3-external-1.amazonaws.com": "",
	} {
		if place, err := f.ClassifyName(host); err != nil || place.Region != want {
			t.Errorf("%s: %+v, %v", host, place, err)
		}
	}
}
