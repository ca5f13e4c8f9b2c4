package attack

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"s3veil/test/suite"
)

var listedNames = regexp.MustCompile(`<Key>[^<]*</Key>|<CommonPrefixes>.*?</CommonPrefixes>|<Next[A-Za-z]*Marker>[^<]*</Next[A-Za-z]*Marker>`)

// Row 15. What s3veil keeps below the reserved prefix is in no listing, whatever the client asks to begin with, to begin behind, to be
// cut at or to be written as; and the prefix is no name of an object in any spelling.
func TestReservedPrefixIsInNoListing(t *testing.T) {
	s := NewScene(t, nil)
	s.Multipart("k", suite.Data(5<<20, 1), suite.Data(1000, 2))
	s.Put("-before", []byte("b"))
	if len(s.manifests()) == 0 {
		t.Fatal("no manifest")
	}
	own := ".s3veil/"
	for _, op := range []string{"?", "?list-type=2&", "?versions&", "?uploads&"} {
		for _, prefix := range []string{"", ".", ".s3", ".s3veil", own, own + "m", own + "m/", "./.s3veil/", "/.s3veil/", ".S3VEIL/"} {
			for _, more := range []string{"", "delimiter=%2F", "delimiter=m", "encoding-type=url", "encoding-type=url&delimiter=%2F", "max-keys=1", "max-keys=1&delimiter=%2F&encoding-type=url",
				"start-after=.s3veil%2F", "marker=.s3veil%2Fm", "key-marker=.s3veil%2F", "fetch-owner=true"} {
				target := "/" + s.Bucket + op + "prefix=" + url.QueryEscape(prefix) + "&" + more
				w := s.Dial()
				fmt.Fprint(w, s.Head("GET", strings.TrimSuffix(target, "&"), "UNSIGNED-PAYLOAD", nil)+"\r\n")
				status, text := w.Answer()
				w.Close()
				if status/100 == 5 {
					t.Errorf("%s: %d %.300s", target, status, text)
				}
				for _, name := range listedNames.FindAllString(text, -1) {
					if strings.Contains(strings.ToLower(name), "s3veil") && !strings.HasPrefix(name, "<NextMarker>") && !strings.HasPrefix(name, "<NextKeyMarker>") {
						t.Errorf("%s: %s", target, name)
					}
				}
			}
		}
	}
	manifest := strings.TrimPrefix(s.manifests()[0], own)
	for _, spelling := range []string{".s3veil/", "%2Es3veil/", "%2es3veil%2f", ".s3veil%2F", "./.s3veil/", "x/../.s3veil/", "/.s3veil/", "x//..//.s3veil/", ".S3veil/", "%2E/%2Es3veil/",
		"x/%2E%2E/.s3veil/"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			w := s.Dial()
			fmt.Fprint(w, s.Head(method, "/"+s.Bucket+"/"+spelling+manifest, "UNSIGNED-PAYLOAD", nil)+"Content-Length: 0\r\n\r\n")
			if status, text := w.Answer(); status != 403 {
				t.Errorf("%s %s: %d %.300s", method, spelling, status, text)
			}
			w.Close()
		}
	}
	if got, err := s.Read("k", ""); err != nil || len(got) != 5<<20+1000 {
		t.Errorf("afterwards: %d bytes, %v", len(got), err)
	}
}
