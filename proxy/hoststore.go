package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// hostStores are the stores that requests over the forward port have asked for (forward.to: host), each with the settings
// of the upstream that the bucket's rule names.
type hostStores struct {
	mu    sync.Mutex
	known map[hostKey]*store
}

// hostKey names one of them. Connections of clients that may reach loopback are not shared with those that may not.
type hostKey struct {
	base     *store
	endpoint string
	virtual  bool // the bucket stands before the host
	loopback bool // the client comes over loopback
}

// maxHostStores bounds the stores kept: wildcards make many names.
const maxHostStores = 64

// storeOf is the store that a request goes to, in place of the one of the bucket's rule where the forward port is asked to.
func (x *exchange) storeOf(base *store) (*store, error) {
	if x.via == nil || x.st.forward == nil || !x.st.forward.ToHost {
		return base, nil
	}
	scheme, usual := "http", uint16(80)
	if x.via.connected && x.tls || x.head.Scheme == "https" {
		scheme, usual = "https", 443
	}
	endpoint := scheme + "://" + bracketed(x.via.place.Domain)
	if x.via.target.Port != usual {
		endpoint = scheme + "://" + net.JoinHostPort(x.via.place.Domain, strconv.Itoa(int(x.via.target.Port)))
	}
	return x.s.hostStore(x.st, hostKey{base, endpoint, x.req.VirtualHost, x.source.IsLoopback()}, x)
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// hostStore returns the store of a key, made for the first request.
func (s *Server) hostStore(st *state, key hostKey, x *exchange) (*store, error) {
	h := &st.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.known[key]; o != nil {
		return o, nil
	}
	u := st.settings.upstream(key.base.name)
	u.Endpoint, u.PathStyle = key.endpoint, !key.virtual
	u.OwnCredentials = nil // they are for the configured store
	u.Proxy = ""           // the guard of the forward port sees addresses, not a proxy's
	u.Control = st.forward.Control(x.source)
	if region := x.via.place.Region; region != "" {
		u.Region = region
	}
	o, err := s.newStore(u, nil)
	if err != nil {
		return nil, fmt.Errorf("forward.to: host: %w", err)
	}
	o.name, o.base = key.base.name+"@"+key.endpoint, key.base
	if h.known == nil {
		h.known = map[hostKey]*store{}
	}
	if len(h.known) >= maxHostStores {
		for old, other := range h.known { // any one: it is made again when it is needed
			other.close()
			delete(h.known, old)
			break
		}
	}
	h.known[key] = o
	return o, nil
}

// close drops idle connections.
func (o *store) close() {
	o.data.Close()
	o.control.Close()
}

// close drops the idle connections of all.
func (h *hostStores) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.known {
		o.close()
	}
}

// stores are those whose buckets a ListBuckets shows.
func (x *exchange) stores() (map[string]*store, error) {
	if x.via == nil || !x.st.forward.ToHost {
		return x.st.stores, nil
	}
	o, err := x.storeOf(x.st.stores["default"])
	if err != nil {
		return nil, err
	}
	return map[string]*store{o.name: o}, nil
}

// clientCredentials signs requests to a store with the key of the client that they come from (upstream.credentials: client).
type clientCredentials struct {
	own upstream.Credentials // of requests that come from no client; nil for none
}

// credentialKey is where the context of a request holds the client's credential.
type credentialKey struct{}

var errNoClientKey = errors.New("upstream.credentials is client, and the request has no client with a key")

// Retrieve returns the client's credential.
func (o clientCredentials) Retrieve(ctx context.Context) (sigv4.Credential, error) {
	c, ok := ctx.Value(credentialKey{}).(*sigv4.Credential)
	if !ok && o.own != nil {
		return o.own.Retrieve(ctx)
	}
	if !ok {
		return sigv4.Credential{}, s3err.AccessDenied.With(errNoClientKey)
	}
	return *c, nil
}

// Unsigned reports whether the request comes from nobody in particular: it goes up as it came, and the store decides what it
// has opened to everybody.
func (clientCredentials) Unsigned(ctx context.Context) bool {
	c, ok := ctx.Value(credentialKey{}).(*sigv4.Credential)
	return ok && c == &nobody
}

// nobody stands for the client of unsigned requests in their context.
var nobody sigv4.Credential

// Expired renews s3veil's own; there is nothing to renew in a client's.
func (o clientCredentials) Expired() {
	if o.own != nil {
		o.own.Expired()
	}
}

// signing is the context in which requests to the store are signed for a client.
func (st *state) signing(c *client) context.Context {
	switch {
	case !st.clientSigns || c == nil:
		return nil
	case c == st.anonymous:
		return context.WithValue(backgroundContext, credentialKey{}, &nobody)
	case c.credential.Secret == "":
		return nil
	}
	return context.WithValue(backgroundContext, credentialKey{}, &c.credential)
}
