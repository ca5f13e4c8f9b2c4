package main

import (
	"context"
	"crypto/fips140"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// wired is a configuration turned into what the proxy takes.
type wired struct {
	settings proxy.Settings
	tls      *tls.Config // of the S3 endpoint; nil for none
	token    Secret      // of the admin endpoint
	kept     *kept
	tracing  *proxy.Tracing // without its tracer; nil: off
	collect  *collectorTarget
}

// kept are parts that a reload takes over while nothing about them has changed, so that connections to the store and
// temporary credentials survive it.
type kept struct {
	credentials map[[32]byte]upstream.Credentials
	tls         map[[32]byte]*tls.Config
	files       map[Path]*openKeyFile
	providers   map[[32]byte]kms.Provider
	retired     []*openKeyFile // of earlier configurations; may be closed already
}

// wire builds the settings of the proxy and reads every file the configuration names. Faults become mistakes of l.
func wire(ctx context.Context, l *loaded, old *kept, log *slog.Logger) *wired {
	if old == nil {
		old = &kept{}
	}
	w := &wired{kept: &kept{map[[32]byte]upstream.Credentials{}, map[[32]byte]*tls.Config{}, map[Path]*openKeyFile{}, map[[32]byte]kms.Provider{}, nil}}
	if l.broken {
		return w
	}
	w.settings = proxy.Settings{
		Domains: l.Domains,
		Regions: l.Regions,
		Aliases: l.aliases(),
		Write:   stream.Suite(l.Format.Write),
		Read:    suites(l.Format.Read, fips140.Enabled()),
	}
	for _, n := range l.TrustProxies {
		w.settings.TrustProxies = append(w.settings.TrustProxies, prefix(n))
	}
	w.tls = l.serverTLS()
	if l.AdminTokenFile != "" {
		w.token = l.secretFile("admin_token_file", l.AdminTokenFile)
	}
	list, paths := l.stores()
	for i := range list {
		w.settings.Upstreams = append(w.settings.Upstreams, w.upstream(ctx, l, paths[i], &list[i], old, log))
	}
	for i := range l.Clients {
		w.settings.Clients = append(w.settings.Clients, client(&l.Clients[i]))
	}
	w.keys(ctx, l, old, log)
	w.settings.Buckets = l.buckets()
	for i := range l.Buckets {
		w.settings.Buckets[i].Foreign = w.foreign(l, index("buckets", i)+".foreign", &l.Buckets[i].Foreign)
	}
	w.settings.Cache = l.keyCache()
	w.settings.Forward = l.forward(log)
	w.tracing, w.collect = l.tracing(log)
	return w
}

// aliases are the further names of configured keys: those that are listed, and what AWS calls a key where it has one id only.
func (l *loaded) aliases() map[string]string {
	out, twice := map[string]string{}, map[string]bool{}
	for i := range l.KMS.Keys {
		k := &l.KMS.Keys[i]
		if _, taken := out[k.Key]; k.Provider == "awskms" && k.Key != "" && !twice[k.Key] {
			out[k.Key] = k.ID
			if taken {
				twice[k.Key] = true
				delete(out, k.Key)
			}
		}
	}
	for i := range l.KMS.Keys {
		for _, name := range l.KMS.Keys[i].Aliases {
			out[name] = l.KMS.Keys[i].ID
		}
	}
	return out
}

// secretFile reads a secret that only has a file form.
func (l *loaded) secretFile(path string, file Path) Secret {
	l.files.add(string(file))
	s, err := readSecret(string(file))
	if err != nil {
		l.wrong(path, "%s", err)
	}
	return s
}

var payloadModes = map[string]upstream.PayloadMode{"auto": upstream.Auto, "trailer": upstream.Trailer,
	"chunks": upstream.Chunks, "hash": upstream.Hash, "insecure_unsigned": upstream.InsecureUnsigned}

func (w *wired) upstream(ctx context.Context, l *loaded, path string, u *NamedUpstream, old *kept, log *slog.Logger) proxy.Upstream {
	out := proxy.Upstream{
		Options: upstream.Options{
			Name:           u.Name,
			Endpoint:       strings.TrimSuffix(u.Endpoint, "/"),
			Region:         u.Region,
			PathStyle:      u.PathStyle,
			Payload:        payloadModes[u.Payload],
			MaxConns:       u.MaxConns,
			IdleTimeout:    time.Duration(u.IdleTimeout),
			AcceptEncoding: u.AcceptEncoding,
			Proxy:          u.Proxy,
			Stall:          time.Duration(l.Limits.StallTimeout),
			Logger:         log,
		},
		SSE:     u.SSE,
		MinPart: int64(u.MinPart),
	}
	if strings.HasPrefix(u.Endpoint, "https:") {
		cfg, print := l.clientTLS(path, &u.Upstream)
		if before, ok := old.tls[print]; ok {
			cfg = before
		}
		w.kept.tls[print], out.TLS = cfg, cfg
	}
	if l.clientSigns[path+".credentials"] {
		out.ClientCredentials = true
		if u.ReservedCredentials != (Credentials{}) {
			out.OwnCredentials = w.credentials(ctx, l, path+".reserved_credentials", u, &u.ReservedCredentials, old)
		}
		return out
	}
	out.Credentials = w.credentials(ctx, l, path+".credentials", u, &u.Credentials, old)
	return out
}

func (w *wired) credentials(ctx context.Context, l *loaded, path string, u *NamedUpstream, c *Credentials, old *kept) upstream.Credentials {
	print := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q %q", u.Name, u.Region, c.AccessKey, c.SecretKey.reveal(),
		c.SessionToken.reveal(), c.Profile, c.RoleARN))
	cred, ok := old.credentials[print]
	if !ok {
		var err error
		if cred, err = newCredentials(ctx, c, u.Region); err != nil {
			l.wrong(path, "%s", err)
		}
	}
	w.kept.credentials[print] = cred
	return cred
}

func client(c *Client) proxy.Client {
	out := proxy.Client{
		Anonymous: c.Anonymous,
		Credential: sigv4.Credential{AccessKey: c.AccessKey, Secret: sigv4.Secret(c.SecretKey.reveal()),
			SessionToken: c.SessionToken.reveal(), SigV2: c.SigV2},
		Policy: policy.Client{AccessKey: c.AccessKey},
	}
	rules := c.Rules
	if len(rules) == 0 {
		rules = []Rule{{c.Buckets, c.Prefixes, c.Actions}}
	}
	for _, r := range rules {
		rule := policy.Rule{Buckets: r.Buckets, Prefixes: r.Prefixes}
		for _, a := range r.Actions {
			if class, ok := s3op.ParseClass(a); ok {
				rule.Actions = append(rule.Actions, class)
			}
		}
		out.Policy.Rules = append(out.Policy.Rules, rule)
	}
	for _, s := range c.Sources {
		out.Policy.Sources = append(out.Policy.Sources, prefix(s))
	}
	return out
}

// prefix parses what validate has accepted.
func prefix(text string) netip.Prefix {
	p, err := parseNetwork(text)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// suites are the configured ones, or all that there are: in FIPS mode those of the module.
func suites(numbers []int, fips bool) []stream.Suite {
	if len(numbers) == 0 && fips {
		return []stream.Suite{stream.AES256GCM}
	}
	if len(numbers) == 0 {
		return []stream.Suite{stream.AES256GCM, stream.ChaCha20Poly1305}
	}
	var out []stream.Suite
	for _, n := range numbers {
		out = append(out, stream.Suite(n))
	}
	return out
}

var (
	bindings       = map[string]envelope.Binding{"key": envelope.BindKey, "bucket": envelope.BindBucket, "none": envelope.BindNone}
	metadataChecks = map[string]proxy.MetadataCheck{"warn": proxy.MetadataWarn, "fail": proxy.MetadataFail, "ignore": proxy.MetadataIgnore}
	uploadIDForms  = map[string]proxy.UploadIDForm{"auto": proxy.UploadIDAuto, "token": proxy.UploadIDToken, "state": proxy.UploadIDState}
)

// buckets are the bucket rules; without any, one that gives every bucket the first key.
func (l *loaded) buckets() []proxy.Bucket {
	list := l.Buckets
	if len(list) == 0 {
		var all Bucket
		(&loader{loaded: l}).defaults(reflect.ValueOf(&all).Elem())
		all.Name = "*"
		list = []Bucket{all}
	}
	var out []proxy.Bucket
	for i := range list {
		out = append(out, l.bucket(&list[i]))
	}
	return out
}

func (l *loaded) bucket(b *Bucket) proxy.Bucket {
	out := proxy.Bucket{
		Name:           b.Name,
		Upstream:       b.Upstream,
		StoreName:      b.StoreName,
		Realm:          b.Realm,
		BoundName:      b.BoundName,
		ReservedBucket: b.ReservedBucket,
		Key:            b.Key,
		Keys:           b.Keys,
		AllowPlaintext: b.Plaintext == "allow",
		BindingWrite:   bindings[b.Binding.Write],
		Metadata:       metadataChecks[b.Metadata.Check],
		SealMetadata:   b.Metadata.Sealed,
		Degraded:       b.Manifest.Policy == "degraded",
		RecordNonce:    b.Manifest.RecordNonce,
		UploadID:       uploadIDForms[b.UploadID],
		VerifyFull:     b.Verify == "full",
		Padding:        b.Padding,
		MaxAge:         time.Duration(b.MaxAge),
		ListExact:      b.Listing == "exact",
		SSE:            b.SSE,
		RequireSSE:     b.RequireSSE,
		RequireTLS:     b.RequireTLS,

		NoBucketEncryption: !b.BucketEncryption,
	}
	if out.Key == "" && len(l.KMS.Keys) > 0 {
		out.Key = l.KMS.Keys[0].ID
		if len(b.Keys) > 0 {
			out.Key = b.Keys[0]
		}
	}
	for _, r := range b.Binding.Read {
		out.BindingRead = append(out.BindingRead, bindings[r])
	}
	return out
}

// options are the parts of the configuration that hold for the life of the process.
func (l *loaded) options(log *slog.Logger, memory int64) proxy.Options {
	m := &l.Limits
	return proxy.Options{
		Log: log,
		Limits: proxy.Limits{
			Memory:        memory,
			AdmissionWait: time.Duration(m.AdmissionWait),
			HeldBody:      int64(m.HeldBody),
			Connections:   m.Connections,
			ListHeads:     m.ListHeads,
			ListHeadsAll:  4 * m.ListHeads,
			HeadTimeout:   time.Duration(m.HeadTimeout),
			IdleTimeout:   time.Duration(m.IdleTimeout),
			StallTimeout:  time.Duration(m.StallTimeout),
		},
	}
}

// keyCache are the bounds of the key cache.
func (l *loaded) keyCache() keycache.Options {
	c := &l.KMS.Cache
	return keycache.Options{
		MaxAge:      time.Duration(c.MaxAge),
		MaxUses:     int64(c.MaxUses),
		MaxBytes:    int64(c.MaxBytes),
		ReadEntries: c.Entries,
		PerObject:   l.DEK.Cache == "off",
		MissRate:    float64(l.Limits.KMSMisses),
		Outage:      keycache.Outage{Read: time.Duration(l.KMS.Outage.Read), WriteCached: l.KMS.Outage.Write == "cached"},
	}
}
