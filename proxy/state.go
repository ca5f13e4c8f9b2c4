package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"s3veil/crypto/envelope"
	"s3veil/crypto/stream"
	"s3veil/proxy/forward"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// state is one generation of settings, ready for use. A request works on the generation it started with.
type state struct {
	settings            Settings
	router              s3op.Router
	clients             map[string]*client
	anonymous           *client
	stores              map[string]*store
	verifier            *sigv4.Verifier
	forward             *forward.Forward // nil: off
	hosts               hostStores
	clientSigns         bool            // some store takes the clients' own credentials
	foreign, foreignAny *sigv4.Verifier // of the forward port: any region; and unknown access keys
	suites              map[stream.Suite]bool
	names               *sse.Names
	kids                []map[string]bool // the keys that each bucket rule reads, shared by all requests
}

// client is a principal with its policy.
type client struct {
	policy.Client
	credential sigv4.Credential
	name       string // for limits and audit lines
}

// store is one upstream with two connection pools: a request that holds a connection of data while it needs a manifest
// takes the second one from control, so that a full pool cannot deadlock.
type store struct {
	name          string
	base          *store // whose settings it has, for a store of the forward port; itself otherwise
	data, control *upstream.Client
	sse           string
	minPart       int64
	region        string
	own           bool         // s3veil has credentials of its own for the reserved prefix, beside the clients'
	exclusive     atomic.Int32 // whether PUT honours If-None-Match
}

// bucket is a bucket rule applied to one client-visible name.
type bucket struct {
	rule     *Bucket
	visible  string
	name     string // at the store
	reserved string // at the store: the bucket of the reserved prefix
	realm    string
	bound    string
	store    *store
	kids     map[string]bool
}

// controlConns is the size of a store's second pool: manifests, states, probes are small and quick.
const controlConns = 64

func (s *Server) newState(set Settings, old *state) (*state, error) {
	st := &state{settings: set, router: s3op.Router{Domains: set.Domains},
		clients: map[string]*client{}, stores: map[string]*store{}, suites: map[stream.Suite]bool{},
		names: sse.NewNames(set.Families, set.Aliases)}
	var problems []error
	for _, u := range set.Upstreams {
		if _, dup := st.stores[u.Name]; dup {
			problems = append(problems, fmt.Errorf("upstream %q: name used twice", u.Name))
			continue
		}
		o, err := s.newStore(u, old)
		if err != nil {
			problems = append(problems, fmt.Errorf("upstream %q: %w", u.Name, err))
			continue
		}
		st.stores[u.Name] = o
		st.clientSigns = st.clientSigns || u.ClientCredentials
	}
	for i := range set.Clients {
		if err := st.addClient(&set.Clients[i]); err != nil {
			problems = append(problems, err)
		}
	}
	for _, suite := range set.Read {
		st.suites[suite] = true
	}
	for i := range set.Buckets {
		if err := st.checkBucket(&set.Buckets[i]); err != nil {
			problems = append(problems, err)
		}
		st.kids = append(st.kids, st.readable(&set.Buckets[i]))
	}
	st.verifier = s.newVerifier(st)
	if err := s.addForward(st); err != nil {
		problems = append(problems, err)
	}
	return st, errors.Join(problems...)
}

func (s *Server) newStore(u Upstream, old *state) (*store, error) {
	if old != nil {
		if prev := old.stores[u.Name]; prev != nil && sameUpstream(old.settings.upstream(u.Name), u) {
			return prev, nil
		}
	}
	u.Observe = s.observeUpstream(u.Name)
	if u.ClientCredentials {
		u.Credentials = clientCredentials{own: u.OwnCredentials}
	}
	data, err := upstream.New(u.Options)
	if err != nil {
		return nil, err
	}
	u.MaxConns = controlConns
	control, err := upstream.New(u.Options)
	if err != nil {
		return nil, err
	}
	minPart := u.MinPart
	if minPart == 0 {
		minPart = 5 << 20
	}
	o := &store{name: u.Name, data: data, control: control, sse: u.SSE, minPart: minPart, region: u.Region,
		own: u.ClientCredentials && u.OwnCredentials != nil}
	o.base = o
	return o, nil
}

func (set *Settings) upstream(name string) Upstream {
	for _, u := range set.Upstreams {
		if u.Name == name {
			return u
		}
	}
	return Upstream{}
}

// sameUpstream reports whether a reload left an upstream as it was, so that its connections and its probe can stay.
// TLS settings and credentials count as changed unless they are the same values.
func sameUpstream(a, b Upstream) bool {
	x, y := a.Options, b.Options
	return a.SSE == b.SSE && a.ClientCredentials == b.ClientCredentials && a.OwnCredentials == b.OwnCredentials && a.MinPart == b.MinPart && x.Endpoint == y.Endpoint && x.Region == y.Region &&
		x.PathStyle == y.PathStyle && x.Credentials == y.Credentials && x.Payload == y.Payload && x.TLS == y.TLS &&
		x.MaxConns == y.MaxConns && x.IdleTimeout == y.IdleTimeout && x.AcceptEncoding == y.AcceptEncoding && x.Proxy == y.Proxy
}

func (st *state) addClient(c *Client) error {
	cl := &client{Client: c.Policy, credential: c.Credential, name: c.Credential.AccessKey}
	if c.Anonymous {
		if st.anonymous != nil {
			return errors.New("clients: more than one anonymous entry")
		}
		cl.name = "anonymous"
		st.anonymous = cl
		return nil
	}
	if _, dup := st.clients[cl.name]; dup {
		return fmt.Errorf("clients: access key %q used twice", cl.name)
	}
	st.clients[cl.name] = cl
	return nil
}

func (st *state) checkBucket(b *Bucket) error {
	if st.stores[orDefault(b.Upstream, "default")] == nil {
		return fmt.Errorf("buckets: %q: no upstream %q", b.Name, b.Upstream)
	}
	for _, id := range append([]string{b.Key}, b.Keys...) {
		if len(st.settings.Families[id]) == 0 {
			return fmt.Errorf("buckets: %q: no key %q", b.Name, id)
		}
	}
	return nil
}

// readable are the ids of the keys of a bucket rule, all generations.
func (st *state) readable(r *Bucket) map[string]bool {
	kids := map[string]bool{}
	for _, id := range append([]string{r.Key}, r.Keys...) {
		for _, kid := range st.settings.Families[id] {
			kids[kid] = true
		}
	}
	return kids
}

// bucket returns the rule of a client-visible bucket name, s3err.NoSuchBucket when no entry fits.
func (st *state) bucket(name string) (bucket, error) {
	for i := range st.settings.Buckets {
		r := &st.settings.Buckets[i]
		if !policy.Match(r.Name, name) {
			continue
		}
		b := bucket{rule: r, visible: name, name: name, store: st.stores[orDefault(r.Upstream, "default")],
			realm: orDefault(r.Realm, name), bound: orDefault(r.BoundName, name), kids: st.kids[i]}
		if r.StoreName != "" {
			b.name = policy.MapName(r.Name, r.StoreName, name)
			// What a client has a say in can be nothing at all, which is the store's list of buckets, or an access point.
			if strings.Contains(r.StoreName, "*") && s3op.CheckBucket(b.name) != nil {
				return bucket{}, s3err.InvalidBucketName.Field("BucketName", name)
			}
		}
		b.reserved = orDefault(r.ReservedBucket, b.name)
		return b, nil
	}
	return bucket{}, s3err.NoSuchBucket
}

// binds reports whether a binding level may be read in this bucket (FORMAT.md 5.5).
func (b *bucket) binds(level envelope.Binding) bool {
	if len(b.rule.BindingRead) == 0 {
		return level == envelope.BindKey
	}
	return slices.Contains(b.rule.BindingRead, level)
}

// location is what an object of this bucket is bound to.
func (b *bucket) location(key string) envelope.Location {
	return envelope.Location{Realm: b.realm, Bucket: b.bound, Key: key}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
