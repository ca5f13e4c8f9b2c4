package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"s3veil/proxy/forward"
	"s3veil/proxy/head"
	"s3veil/proxy/policy"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
)

// With forward.to: host objects go to the store that the client has asked for, encrypted, and to no other.
func TestForwardToTheHostAskedFor(t *testing.T) {
	asked := proxytest.New(t, "data", "elsewhere")
	host := strings.TrimPrefix(asked.URL, "http://")
	f := newForwarded(t, func(_ *Settings, o *forward.Options) { o.Hosts, o.ToHost = []string{"127.0.0.1"}, true })
	c := f.connect()
	for _, r := range []struct{ method, target, body string }{
		{"PUT", "/data/key", "plain text"}, {"GET", "/data/key", ""}, {"HEAD", "/data/key", ""}, {"GET", "/data?list-type=2", ""}, {"DELETE", "/data/gone", ""},
	} {
		resp, body := c.ask(r.method, f.plain(r.method, host, r.target, r.body))
		if resp.StatusCode/100 != 2 || r.method == "GET" && r.target == "/data/key" && body != "plain text" {
			t.Errorf("%s %s: %d %s", r.method, r.target, resp.StatusCode, body)
		}
	}
	if o, ok := asked.Get("data", "key"); !ok || bytes.Contains(o.Data, []byte("plain text")) {
		t.Errorf("the store that was asked for has %v, %+v", ok, o)
	}
	if _, body := c.ask("GET", f.plain("GET", host, "/", "")); !strings.Contains(body, "<Name>elsewhere</Name>") {
		t.Errorf("buckets: %s", body)
	}
	if calls := f.store.Calls(); len(calls) > 0 {
		t.Errorf("the upstream was asked: %+v", calls[0])
	}
	if resp, _ := f.do("GET", "/data/key", nil); resp.StatusCode != 404 {
		t.Errorf("on the S3 port: %d", resp.StatusCode)
	}
	if resp, body := f.connect().ask("GET", f.plain("GET", f.addr, "/data/key", "")); resp.StatusCode != 503 {
		t.Errorf("s3veil itself as the store: %d %s", resp.StatusCode, body)
	}
}

// A store that one client may reach is not reached by another's connection to it, and no proxy of the upstream's dials: it would
// not see the guard.
func TestForwardToTheHostAskedForIsGuarded(t *testing.T) {
	asked := proxytest.New(t, "data")
	host := strings.TrimPrefix(asked.URL, "http://")
	f := newForwarded(t, func(set *Settings, o *forward.Options) {
		o.Hosts, o.ToHost = []string{"127.0.0.1"}, true
		set.Upstreams[0].Proxy = "http://127.0.0.1:1" // nothing listens there
	})
	c := f.connect()
	if resp, body := c.ask("PUT", f.plain("PUT", host, "/data/key", "plain text")); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	target, err := forward.ParseTarget(host, 0)
	if err != nil {
		t.Fatal(err)
	}
	st := f.s.state.Load()
	for client, reached := range map[string]bool{"127.0.0.1": true, "::1": true, "192.0.2.33": false, "2001:db8::1": false} {
		x := &exchange{s: f.s, st: st, source: netip.MustParseAddr(client), head: head.Head{Scheme: "http"},
			via: &via{target: target, place: forward.Place{S3: true, Domain: target.Host}}}
		o, err := x.storeOf(st.stores["default"])
		if err != nil {
			t.Fatal(err)
		}
		resp, err := x.callOn(o.control, &upstream.Request{Op: "GetObject", Method: "GET", Bucket: "data", Key: "key"})
		if err == nil {
			resp.Body.Close()
		}
		if reached != (err == nil) {
			t.Errorf("for a client from %s: %v", client, err)
		}
	}
}

// With upstream.credentials: client every request of a client goes up under its own key, those for manifests, states and
// the second side of copies too.
func TestRequestsAreSignedForTheirClient(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Upstreams[0].ClientCredentials, set.Upstreams[0].Credentials = true, nil
		set.Clients = append(set.Clients, Client{Anonymous: true,
			Policy: policy.Client{Rules: []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read}}}}})
	})
	f.must("PUT", "/data/key", []byte("plain"))
	f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/key", "x-amz-metadata-directive", "REPLACE")
	id, etags := f.upload([]byte("part"))
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	f.reads([]byte("part"))
	f.must("GET", "/", nil)
	f.must("GET", "/data?encryption", nil)
	f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/key", "x-amz-storage-class", "STANDARD")
	f.must("DELETE", "/data/key", nil)
	for _, c := range f.store.Calls() {
		if a := c.Header.Get("Authorization"); !strings.Contains(a, "Credential=app/") {
			t.Errorf("%s %s: %q", c.Op, c.Target, a)
		}
	}
}

// With upstream.credentials: client unsigned requests go up unsigned, those for manifests too: the store decides what it has
// opened to everybody.
func TestUnsignedRequestsGoUpUnsigned(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Upstreams[0].ClientCredentials, set.Upstreams[0].Credentials = true, nil
		set.Clients = append(set.Clients, Client{Anonymous: true,
			Policy: policy.Client{Rules: []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read, s3op.Write}}}}})
	})
	id, etags := f.upload([]byte("part"))
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	f.s.caches.manifests.Purge()
	f.store.Forget()
	ask := func(method, target string, body []byte) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+f.addr+target, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(got)
	}
	if status, got := ask("GET", "/data/key", nil); status != 200 || got != "part" {
		t.Errorf("a multipart object: %d %q", status, got)
	}
	for _, n := range []int{10, 100_000} {
		if status, got := ask("PUT", "/data/open", make([]byte, n)); status != 200 {
			t.Errorf("%d bytes: %d %s", n, status, got)
		}
	}
	if status, _ := ask("GET", "/other/key", nil); status != 403 {
		t.Errorf("a bucket of no rule: %d", status)
	}
	calls := f.store.Calls()
	for _, c := range calls {
		if a := c.Header.Get("Authorization"); a != "" {
			t.Errorf("%s %s: %q", c.Op, c.Target, a)
		}
	}
	if len(calls) < 4 {
		t.Errorf("%d calls", len(calls))
	}
	defer f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Header.Get("Authorization") != "" {
			return nil
		}
		return &proxytest.Answer{Status: 403, Header: http.Header{}, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
	}})()
	if status, _ := ask("GET", "/data/key", nil); status != 403 {
		t.Errorf("what the store denies to everybody: %d", status)
	}
}

// With credentials of its own beside the clients', s3veil reads manifests, settings and upload states under those, and everything
// else goes up under the client's key: manifests too, and settings that a client makes.
func TestReservedPrefixIsReadUnderOwnCredentials(t *testing.T) {
	for _, own := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, _ *Options) {
			u := &set.Upstreams[0]
			if u.ClientCredentials = true; own {
				u.OwnCredentials = u.Credentials
			}
			u.Credentials = nil
			set.Buckets[0].UploadID = UploadIDState
		})
		id, etags := f.upload([]byte("part"))
		if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, doc)
		}
		f.reads([]byte("part"))
		f.must("PUT", "/data?encryption", []byte(`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>`+
			`<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`))
		f.must("DELETE", "/data?encryption", nil)
		kinds := map[string]int{}
		for _, c := range f.store.Calls() {
			want := "Credential=app/"
			state, read := strings.HasPrefix(c.Key, ".s3veil/u/") || strings.Contains(c.Target, "prefix=.s3veil%2Fu%2F"), c.Op == "GetObject" || c.Op == "ListObjectsV2"
			if own && (state || read && strings.HasPrefix(c.Key, ".s3veil/")) {
				want = "Credential=store/"
				kinds[c.Op]++
			}
			if a := c.Header.Get("Authorization"); !strings.Contains(a, want) {
				t.Errorf("own %v, %s %s: %q, want %s", own, c.Op, c.Target, a, want)
			}
		}
		if own && (kinds["GetObject"] < 3 || kinds["PutObject"] != 2 || kinds["DeleteObject"] != 2) {
			t.Errorf("%v", kinds)
		}
	}
}

// The right to read tags is needed for the copy of an object that has some, as on S3; whether it has, s3veil's own credentials tell.
func TestCopiesNeedTheRightToReadTagsWhereThereAreSome(t *testing.T) {
	for _, own := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, _ *Options) {
			u := &set.Upstreams[0]
			if u.ClientCredentials = true; own {
				u.OwnCredentials = u.Credentials
			}
			u.Credentials = nil
		})
		f.must("PUT", "/data/plain", []byte("x"))
		f.must("PUT", "/data/tagged", []byte("x"), "x-amz-tagging", "a=b")
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op != "GetObjectTagging" || strings.Contains(c.Header.Get("Authorization"), "Credential=store/") {
				return nil
			}
			return &proxytest.Answer{Status: 403, Header: http.Header{}, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
		}})
		for key, want := range map[string]int{"plain": map[bool]int{true: 200, false: 403}[own], "tagged": 403} {
			if resp, doc := f.do("PUT", "/data/copy-"+key, nil, "x-amz-copy-source", "/data/"+key); resp.StatusCode != want {
				t.Errorf("own %v, %s: %d %s", own, key, resp.StatusCode, doc)
			}
		}
		remove()
	}
}

// Whoever may complete an upload need not be able to list its parts, which s3veil reads under its own credentials then; but whether
// he may complete is the store's to say first.
func TestCompletesWithoutTheRightToListParts(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, mayComplete := range []bool{false, true} {
			f := newFixture(t, func(set *Settings, _ *Options) {
				u := &set.Upstreams[0]
				if u.ClientCredentials = true; own {
					u.OwnCredentials = u.Credentials
				}
				u.Credentials = nil
			})
			id, etags := f.upload([]byte("part"))
			f.store.Forget()
			f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
				byClient := !strings.Contains(c.Header.Get("Authorization"), "Credential=store/")
				if byClient && (c.Op == "ListParts" || c.Op == "CompleteMultipartUpload" && !mayComplete) {
					return &proxytest.Answer{Status: 403, Header: http.Header{}, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
				}
				return nil
			}})
			want := 403
			if own && mayComplete {
				want = 200
			}
			if resp, doc := f.complete(id, etags, 1); resp.StatusCode != want {
				t.Errorf("own %v, may complete %v: %d %s", own, mayComplete, resp.StatusCode, doc)
			}
			if !mayComplete {
				for _, c := range f.store.Calls() {
					if strings.Contains(c.Header.Get("Authorization"), "Credential=store/") && c.Op == "ListParts" || strings.HasPrefix(c.Key, ".s3veil/m/") {
						t.Errorf("own %v: %s %s for whoever may not complete", own, c.Method, c.Target)
					}
				}
			}
		}
	}
}
