package inject

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// cluster is an API server with one Secret and one MutatingWebhookConfiguration, which keeps the rules of resourceVersion.
type cluster struct {
	mu        sync.Mutex
	objects   map[string][]byte
	version   int
	writes    int
	interfere func(path string) // called before a write is looked at, once
	forbid    string            // method and path prefix that are answered 403
	token     string
}

const (
	secretPath  = "/api/v1/namespaces/s3veil/secrets/tls"
	webhookPath = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook"
)

func newCluster(t *testing.T) (*cluster, *API) {
	t.Helper()
	c := &cluster{token: "one", version: 5, objects: map[string][]byte{
		secretPath: []byte(`{"kind":"Secret","metadata":{"name":"tls","resourceVersion":"1","labels":{"a":"b"}},"type":"Opaque"}`),
		webhookPath: []byte(`{"metadata":{"name":"hook","resourceVersion":"2"},"webhooks":[
			{"name":"a.b.c","clientConfig":{"service":{"name":"s"}}},{"name":"d.e.f","clientConfig":{"caBundle":"eA=="}}]}`),
	}}
	server := httptest.NewTLSServer(c)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, text := range map[string]string{"ca.crt": string(ca), "token": "one\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	api, err := InCluster(func(name string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": u.Hostname(), "KUBERNETES_SERVICE_PORT": u.Port()}[name]
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, api
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	f := c.interfere
	if r.Method != http.MethodGet {
		c.interfere = nil
	}
	c.mu.Unlock()
	if f != nil && r.Method != http.MethodGet {
		f(r.URL.Path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, known := c.objects[r.URL.Path]
	body, err := io.ReadAll(r.Body)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+c.token:
		status(w, http.StatusUnauthorized, "Unauthorized")
	case c.forbid != "" && strings.HasPrefix(r.Method+" "+r.URL.Path, c.forbid):
		status(w, http.StatusForbidden, "s3veil may not do that")
	case !known || err != nil:
		status(w, http.StatusNotFound, "not found")
	case r.Method == http.MethodGet:
		_, _ = w.Write(now)
	case r.Method == http.MethodPut && r.Header.Get("Content-Type") == "application/json":
		if versionOf(body) != versionOf(now) {
			status(w, http.StatusConflict, "the object has been modified")
			return
		}
		c.put(r.URL.Path, body)
		_, _ = w.Write(c.objects[r.URL.Path])
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == "application/json-patch+json":
		p, err := jsonpatch.DecodePatch(body)
		if err == nil {
			body, err = p.Apply(now)
		}
		if err != nil {
			status(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		c.put(r.URL.Path, body)
		_, _ = w.Write(c.objects[r.URL.Path])
	default:
		status(w, http.StatusMethodNotAllowed, r.Method)
	}
}

func status(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "code": code, "message": message})
}

func versionOf(object []byte) any {
	var o map[string]any
	_ = json.Unmarshal(object, &o)
	return dig(o, "metadata", "resourceVersion")
}

// put stores an object under a new version; c.mu is held.
func (c *cluster) put(path string, object []byte) {
	var o map[string]any
	_ = json.Unmarshal(object, &o)
	c.version++
	c.writes++
	o["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(c.version)
	c.objects[path], _ = json.Marshal(o)
}

// locked does something that requests under way may see.
func (c *cluster) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// change replaces an object as another client does.
func (c *cluster) change(path string, f func(o map[string]any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var o map[string]any
	_ = json.Unmarshal(c.objects[path], &o)
	f(o)
	b, _ := json.Marshal(o)
	c.put(path, b)
}

// bundles are the authorities that the API server trusts, of each webhook.
func (c *cluster) bundles(t *testing.T) (out []*x509.CertPool, text []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var w webhooks
	if err := json.Unmarshal(c.objects[webhookPath], &w); err != nil {
		t.Fatal(err)
	}
	for _, h := range w.Webhooks {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(h.ClientConfig.CABundle)
		out, text = append(out, pool), append(text, string(h.ClientConfig.CABundle))
	}
	return out, text
}

const hookName = "hook.s3veil.svc"

// replica is one injector with a clock of its own.
type replica struct {
	Keeper
	certs Certificates
	now   time.Time
}

func newReplica(api *API) *replica {
	r := &replica{now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	r.Keeper = Keeper{Where: SelfSigned{Namespace: "s3veil", Secret: "tls", Webhook: "hook", Names: []string{hookName}}, API: api,
		Now: func() time.Time { return r.now }}
	return r
}

func (r *replica) look(t *testing.T) {
	t.Helper()
	if err := r.Look(t.Context(), &r.certs); err != nil {
		t.Fatal(err)
	}
}

// trusted reports whether the API server would believe this replica.
func (r *replica) trusted(t *testing.T, c *cluster) {
	t.Helper()
	pools, _ := c.bundles(t)
	for i, pool := range pools {
		if _, err := r.certs.current.Load().Leaf.Verify(x509.VerifyOptions{DNSName: hookName, Roots: pool, CurrentTime: r.now}); err != nil {
			t.Errorf("webhook %d: %v", i, err)
		}
	}
}

func TestReplicasAgreeOnACertificate(t *testing.T) {
	c, api := newCluster(t)
	var replicas [4]*replica
	var all sync.WaitGroup
	for i := range replicas {
		replicas[i] = newReplica(api)
		all.Go(func() {
			if err := replicas[i].Look(t.Context(), &replicas[i].certs); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range replicas {
		r.look(t)
		r.trusted(t, c)
		if !r.certs.Ends().Equal(replicas[0].certs.Ends()) || string(r.certs.current.Load().Leaf.Raw) != string(replicas[0].certs.current.Load().Leaf.Raw) {
			t.Error("another certificate")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes != 2 {
		t.Errorf("%d writes, want the Secret's and the webhook's", c.writes)
	}
	var s map[string]any
	if err := json.Unmarshal(c.objects[secretPath], &s); err != nil || dig(s, "metadata", "labels", "a") != "b" {
		t.Errorf("%v, the labels: %v", err, s)
	}
}

func TestWritersInBetweenAreNotOverwritten(t *testing.T) {
	for _, path := range []string{secretPath, webhookPath} {
		c, api := newCluster(t)
		r := newReplica(api)
		if path == webhookPath {
			if _, err := r.keys(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.locked(func() {
			c.interfere = func(at string) {
				if at != path {
					t.Errorf("writes %s first", at)
				}
				c.change(path, func(o map[string]any) { o["other"] = "writer" })
			}
		})
		r.look(t)
		r.trusted(t, c)
		var o map[string]any
		var text []byte
		c.locked(func() { text = c.objects[path] })
		if err := json.Unmarshal(text, &o); err != nil || o["other"] != "writer" {
			t.Errorf("%s: %v, what another has written is gone: %v", path, err, o)
		}
	}
}

// The patch is for the list that was read: somebody who sorts it in between makes it another one.
func TestAuthoritiesGoToTheRightWebhook(t *testing.T) {
	c, api := newCluster(t)
	r := newReplica(api)
	r.look(t)
	c.change(webhookPath, func(o map[string]any) {
		delete(o["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any), "caBundle")
	})
	c.locked(func() {
		c.interfere = func(string) {
			c.change(webhookPath, func(o map[string]any) { slices.Reverse(o["webhooks"].([]any)) })
		}
	})
	r.look(t)
	r.trusted(t, c)
}

// Over years of looks the API server trusts what is served, by a replica that looks late too; certificates and authorities are
// replaced in time.
func TestCertificatesAreReplacedInTime(t *testing.T) {
	c, api := newCluster(t)
	early, late := newReplica(api), newReplica(api)
	leaves, authorities := map[string]bool{}, map[string]bool{}
	var before []*x509.CertPool
	for day := 0; day < 4*365; day += 3 {
		now := time.Date(2026, 12, 1+day, 0, 0, 0, 0, time.UTC)
		early.now, late.now = now, now
		early.look(t)
		if day%9 == 0 {
			late.look(t)
		}
		early.trusted(t, c)
		late.trusted(t, c)
		if left := early.certs.Ends().Sub(now); left < leafRenew {
			t.Fatalf("day %d: the certificate has %s left", day, left)
		}
		for _, pool := range before[:min(len(before), 1)] { // not every API server has heard of what is new
			if _, err := early.certs.current.Load().Leaf.Verify(x509.VerifyOptions{DNSName: hookName, Roots: pool, CurrentTime: now}); err != nil {
				t.Fatalf("day %d: serves what was not announced before: %v", day, err)
			}
		}
		leaves[string(early.certs.current.Load().Leaf.Raw)] = true
		var text []string
		before, text = c.bundles(t)
		authorities[text[0]] = true
		if n := strings.Count(text[0], "BEGIN"); n > 3 {
			t.Fatalf("day %d: %d authorities are trusted", day, n)
		}
		if t.Failed() {
			t.Fatalf("on day %d", day)
		}
	}
	if len(leaves) < 20 || len(authorities) < 4 {
		t.Errorf("%d certificates, %d sets of authorities", len(leaves), len(authorities))
	}
}

func TestWhatIsLostIsMadeAnew(t *testing.T) {
	c, api := newCluster(t)
	r := newReplica(api)
	r.look(t)
	first := r.certs.current.Load().Leaf.Raw
	for name, f := range map[string]func(){
		"the Secret's data":   func() { c.change(secretPath, func(o map[string]any) { delete(o, "data") }) },
		"the authority's key": func() { c.change(secretPath, func(o map[string]any) { o["data"].(map[string]any)[keyCA] = "eA==" }) },
		"the certificate":     func() { c.change(secretPath, func(o map[string]any) { o["data"].(map[string]any)[keyCert] = "eA==" }) },
		"the caBundle": func() {
			c.change(webhookPath, func(o map[string]any) {
				delete(o["webhooks"].([]any)[0].(map[string]any)["clientConfig"].(map[string]any), "caBundle")
			})
		},
		"nothing, but other names": func() { r.Where.Names = []string{hookName, "other.s3veil.svc"} },
	} {
		f()
		r.look(t)
		r.trusted(t, c)
		if err := r.certs.current.Load().Leaf.VerifyHostname(r.Where.Names[len(r.Where.Names)-1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if string(r.certs.current.Load().Leaf.Raw) == string(first) {
		t.Error("nothing was made")
	}
}

func TestKeeperSaysWhatItMayNotDo(t *testing.T) {
	for forbid, want := range map[string]string{
		"GET /api/v1":    "secret s3veil/tls: the API server answers 403: s3veil may not do that",
		"PUT /api/v1":    "secret s3veil/tls: the API server answers 403",
		"PATCH /apis/ad": "webhook configuration hook: the API server answers 403",
	} {
		c, api := newCluster(t)
		c.locked(func() { c.forbid = forbid })
		r := newReplica(api)
		if err := r.Look(t.Context(), &r.certs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", forbid, err)
		}
		if err := r.certs.Ready(r.now); err == nil {
			t.Errorf("%s: ready before the API server trusts the certificate", forbid)
		}
		c.locked(func() { c.forbid = "" })
		r.look(t)
		if err := r.certs.Ready(r.now); err != nil {
			t.Error(err)
		}
		if err := r.certs.Ready(r.now.Add(leafLife + time.Hour)); err == nil {
			t.Error("ready with an expired certificate")
		}
	}
}

// The token of a pod is replaced while it runs; a new one is used for the next request.
func TestTokensAreReadAnew(t *testing.T) {
	c, api := newCluster(t)
	r := newReplica(api)
	r.look(t)
	c.locked(func() { c.token = "two" })
	if err := r.Look(t.Context(), &r.certs); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("an old token: %v", err)
	}
	if err := os.WriteFile(api.token, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.look(t)
}

func TestKeepTriesAgain(t *testing.T) {
	c, api := newCluster(t)
	c.locked(func() { c.forbid = "GET" })
	r := newReplica(api)
	ctx, cancel := context.WithCancel(t.Context())
	var heard []error
	r.certs.Keep(ctx, &r.Keeper, func(err error) {
		if heard = append(heard, err); err == nil {
			cancel()
		}
		c.locked(func() { c.forbid = "" })
	})
	if len(heard) != 2 || heard[0] == nil || heard[1] != nil {
		t.Errorf("%v", heard)
	}
}

func TestOutsideAClusterThereIsNoAPI(t *testing.T) {
	set := func(string) string { return "1" }
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "ca.crt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variable func(string) string
		folder   string
		want     string
	}{{func(string) string { return "" }, "", "not in a pod"}, {set, t.TempDir(), "no such file"}, {set, empty, "has no certificate"}} {
		if _, err := InCluster(c.variable, c.folder); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
