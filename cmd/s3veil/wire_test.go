package main

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms/local"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy"
	"s3veil/proxy/upstream"
)

// fixtures copies testdata with secrets that are private, which git cannot keep, and adds a key file.
func fixtures(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"secret": 0o600, "server.key": 0o600, "azure-key.json": 0o600, "malformed.json": 0o600, "open": 0o644} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := local.New(filepath.Join(dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wireFile(t *testing.T, file string, old *kept) (*loaded, *wired) {
	t.Helper()
	l := load(sources{File: file})
	validate(l)
	w := wire(t.Context(), l, old, slog.New(slog.DiscardHandler))
	if err := l.bad.err(); err != nil {
		t.Fatal(err)
	}
	return l, w
}

func TestSettingsSayWhatTheConfigurationSays(t *testing.T) {
	withoutAWS(t)
	_, w := wireFile(t, filepath.Join(fixtures(t), "good-full.yaml"), nil)
	set := w.settings
	want := proxy.Bucket{Name: "team-*", Upstream: "second", StoreName: "store-*-x", Realm: "teams", BoundName: "team", ReservedBucket: "meta",
		Key: "main", Keys: []string{"main"}, AllowPlaintext: true, BindingWrite: envelope.BindBucket,
		BindingRead: []envelope.Binding{envelope.BindKey, envelope.BindBucket}, Metadata: proxy.MetadataFail, Degraded: true,
		RecordNonce: true, UploadID: proxy.UploadIDState, MaxAge: 8760 * time.Hour, SSE: "none", RequireSSE: true, RequireTLS: true, NoBucketEncryption: true}
	if !reflect.DeepEqual(set.Buckets[0], want) {
		t.Errorf("bucket\n%+v\nwant\n%+v", set.Buckets[0], want)
	}
	if b := set.Buckets[1]; b.Key != "main" || b.Upstream != "default" || b.SSE != "AES256" || b.AllowPlaintext || b.BindingRead != nil {
		t.Errorf("bucket of defaults %+v", b)
	}
	if !slices.Equal(set.Families["main"], []string{"main"}) || !slices.Equal(set.Families["alias/main"], []string{"main"}) || len(set.KEKs) != 1 {
		t.Errorf("families %v, %d keys", set.Families, len(set.KEKs))
	}
	if set.Aliases["alias/main"] != "main" {
		t.Errorf("aliases %v", set.Aliases)
	}
	cache := keycache.Options{MaxAge: 5 * time.Minute, MaxUses: 100_000, MaxBytes: 1 << 40, ReadEntries: 20_000, PerObject: true, MissRate: 10,
		Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}
	if !reflect.DeepEqual(set.Cache, cache) {
		t.Errorf("key cache %+v", set.Cache)
	}
	if set.Write != stream.ChaCha20Poly1305 || len(set.Read) != 2 || len(set.TrustProxies) != 3 {
		t.Errorf("%v %v %v", set.Write, set.Read, set.TrustProxies)
	}
	if c := set.Clients[0]; c.Credential.Secret != "token-or-secret" || c.Credential.SessionToken != "tok" || len(c.Policy.Sources) != 2 ||
		len(c.Policy.Rules) != 1 || len(c.Policy.Rules[0].Actions) != 4 {
		t.Errorf("client %+v", c.Policy)
	}
	if c := set.Clients[1]; len(c.Policy.Rules) != 2 {
		t.Errorf("client with rules %+v", c.Policy)
	}
	u := set.Upstreams[0]
	if u.Name != "default" || u.Region != "auto" || u.PathStyle || u.Payload != upstream.Trailer || u.TLS == nil || u.TLS.RootCAs == nil ||
		len(u.TLS.Certificates) != 1 || u.MinPart != 1<<20 || u.SSE != "AES256" || u.AcceptEncoding != "gzip" || u.MaxConns != 64 {
		t.Errorf("upstream %+v", u)
	}
	if set.Upstreams[1].TLS != nil {
		t.Error("a plain endpoint has a TLS configuration")
	}
	if w.token != "token-or-secret" || w.tls == nil || w.tls.ClientCAs == nil {
		t.Errorf("token %v, TLS %+v", w.token == "", w.tls)
	}
}

func TestReloadKeepsWhatHasNotChanged(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	file := filepath.Join(dir, "good-full.yaml")
	_, a := wireFile(t, file, nil)
	_, b := wireFile(t, file, a.kept)
	for i := range a.settings.Upstreams {
		x, y := a.settings.Upstreams[i], b.settings.Upstreams[i]
		if x.TLS != y.TLS || x.Credentials != y.Credentials {
			t.Errorf("upstream %s has lost its connections or credentials", x.Name)
		}
	}
	if a.settings.KEKs[0] != b.settings.KEKs[0] {
		t.Error("the key file has been opened anew")
	}

	write(t, filepath.Join(dir, "secret"), "another")
	if _, err := local.Rotate(filepath.Join(dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	_, c := wireFile(t, file, b.kept)
	x, y := b.settings.Upstreams[0], c.settings.Upstreams[0]
	if x.Credentials == y.Credentials {
		t.Error("the changed secret is not used")
	}
	if x.TLS != y.TLS {
		t.Error("a changed secret has closed the connections")
	}
	if kids := c.settings.Families["main"]; !slices.Equal(kids, []string{"main.2", "main"}) {
		t.Errorf("kids %v after a rotation", kids)
	}
}

func TestWithoutBucketsEveryBucketHasTheFirstKey(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	_, w := wireFile(t, filepath.Join(dir, "good-json.yaml"), nil)
	if b := w.settings.Buckets; len(b) != 1 || b[0].Name != "*" || b[0].Key != "main" || b[0].Upstream != "default" || b[0].SSE != "AES256" {
		t.Errorf("%+v", b)
	}
}

func TestMemoryFollowsTheContainer(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	dir := t.TempDir()
	file := filepath.Join(dir, "memory.max")
	missing := filepath.Join(dir, "missing")
	if got := memoryLimit([]string{missing}); got != 0 {
		t.Errorf("without a container: %d", got)
	}
	write(t, file, "max\n")
	if got := memoryLimit([]string{missing, file}); got != 0 {
		t.Errorf("without a limit: %d", got)
	}
	write(t, file, "104857600\n")
	if got := memoryLimit([]string{missing, file}); got != 94371840 || debug.SetMemoryLimit(-1) != got {
		t.Errorf("with 100 MiB: %d", got)
	}
	l := load(sources{})
	for limit, want := range map[int64]int64{0: 64 << 20, 1 << 30: 64 << 20, 94371840: 47185920, 1 << 20: 4 << 20} {
		if got := l.bodyMemory(limit); got != want {
			t.Errorf("body memory under %d: %d, want %d", limit, got, want)
		}
	}
	if l = load(sources{Env: []string{"S3VEIL_LIMITS_MEMORY=80MiB"}}); l.bodyMemory(94371840) != 80<<20 {
		t.Error("the configured memory is not respected")
	}
}
