package proxy

import (
	"net/http"
	"strings"
	"testing"

	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

// What an object's envelope names but the configuration does not (any more) is refused without a question to any KMS. A key
// that the configuration names but its KMS does not know has another answer.
func TestUnknownKeyIDs(t *testing.T) {
	memory := kmstest.NewMemory("main", "other")
	keks := []keycache.KEK{{KID: "main", Provider: memory, Name: "main"}, {KID: "other", Provider: memory, Name: "other"}}
	var set Settings
	f := newFixture(t, func(s *Settings, _ *Options) {
		s.KEKs = keks
		s.Families = map[string][]string{"main": {"main"}, "other": {"other"}}
		s.Buckets = []Bucket{{Name: "*", Key: "other", Keys: []string{"main", "other"}}}
		set = *s
	})
	f.must("PUT", "/data/key", []byte("plain"))
	refused := func(what, code string, status int) {
		t.Helper()
		calls := memory.Calls(kmstest.OpUnwrap)
		for _, method := range []string{"GET", "HEAD"} {
			resp, body := f.do(method, "/data/key", nil)
			if resp.StatusCode != status || method == "GET" && !strings.Contains(string(body), "<Code>"+code+"</Code>") {
				t.Errorf("%s: %s is answered %d %s", what, method, resp.StatusCode, body)
			}
		}
		if asked := memory.Calls(kmstest.OpUnwrap) - calls; status == http.StatusForbidden && asked != 0 {
			t.Errorf("%s: %d questions to the KMS", what, asked)
		}
	}

	narrow := set
	narrow.Buckets = []Bucket{{Name: "*", Key: "main"}}
	if err := f.s.Reload(narrow); err != nil {
		t.Fatal(err)
	}
	refused("not on the bucket's list", "AccessDenied", http.StatusForbidden)

	gone := narrow
	gone.KEKs, gone.Families = keks[:1], map[string][]string{"main": {"main"}}
	if err := f.s.Reload(gone); err != nil {
		t.Fatal(err)
	}
	refused("not configured", "AccessDenied", http.StatusForbidden)

	lost := set
	lost.KEKs = []keycache.KEK{keks[0], {KID: "other", Provider: memory, Name: "lost"}}
	if err := f.s.Reload(lost); err != nil {
		t.Fatal(err)
	}
	refused("unknown to its KMS", "KMS.NotFoundException", http.StatusBadRequest)
	if resp, body := f.do("PUT", "/data/key", []byte("x")); resp.StatusCode != 400 || !strings.Contains(string(body), "KMS.NotFoundException") {
		t.Errorf("a write under it is answered %d %s", resp.StatusCode, body)
	}
}
