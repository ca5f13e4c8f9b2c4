package main

import "strings"

// defaultUpstream is the name of the store under the key upstream.
const defaultUpstream = "default"

// stores returns all upstreams with their paths; the default one first where it stands under upstream.
func (l *loaded) stores() (list []NamedUpstream, paths []string) {
	named := false
	for _, u := range l.Upstreams {
		named = named || u.Name == defaultUpstream
	}
	if l.given("upstream") || l.Upstream.Endpoint != "" || !named {
		list, paths = append(list, NamedUpstream{defaultUpstream, l.Upstream}), append(paths, "upstream")
	}
	for i, u := range l.Upstreams {
		list, paths = append(list, u), append(paths, index("upstreams", i))
	}
	return list, paths
}

func (l *loaded) checkUpstreams() {
	list, paths := l.stores()
	first := map[string]string{}
	for i, u := range list {
		p := paths[i]
		if other, twice := first[u.Name]; u.Name == "" {
			l.wrong(p+".name", "missing")
		} else if twice {
			l.wrong(p+".name", "%q is also %s", u.Name, other)
		} else {
			first[u.Name] = p
		}
		l.checkUpstream(p, &u.Upstream)
	}
}

func (l *loaded) checkUpstream(p string, u *Upstream) {
	if u.Endpoint == "" {
		l.wrong(p+".endpoint", "missing")
	} else {
		l.origin(p+".endpoint", u.Endpoint, "http", "https")
	}
	if u.Region == "" || strings.ContainsAny(u.Region, "/ ,*") {
		l.wrong(p+".region", "%q is not a region", u.Region)
	}
	l.oneOf(p+".payload", u.Payload, "auto", "trailer", "chunks", "hash", "insecure_unsigned")
	l.oneOf(p+".accept_encoding", u.AcceptEncoding, "identity", "gzip")
	if u.SSE != "" {
		l.oneOf(p+".sse", u.SSE, "AES256", "aws:kms", "aws:kms:dsse")
	}
	if u.Proxy != "" {
		l.origin(p+".proxy", u.Proxy, "http")
	}
	l.pair(p+".client_cert_file", p+".client_key_file", string(u.ClientCertFile), string(u.ClientKeyFile))
	plainText := strings.HasPrefix(u.Endpoint, "http://")
	for _, key := range []string{"ca_file", "client_cert_file", "insecure_skip_verify"} {
		if plainText && l.given(p+"."+key) {
			l.wrong(p+"."+key, "has no meaning for an endpoint without TLS")
		}
	}
	between(l, p+".max_conns", u.MaxConns, 2, 1<<16, "2 and 65536")
	between(l, p+".idle_timeout", u.IdleTimeout, 1, Duration(1<<42), "1ns and 1h13m")
	between(l, p+".min_part", u.MinPart, 1, 5<<30, "1 and 5GiB")
	l.checkCredentials(p+".credentials", &u.Credentials)
	l.checkCredentials(p+".reserved_credentials", &u.ReservedCredentials)
	switch {
	case l.clientSigns[p+".reserved_credentials"]:
		l.wrong(p+".reserved_credentials", "are s3veil's own, not the client's")
	case u.ReservedCredentials != (Credentials{}) && !l.clientSigns[p+".credentials"]:
		l.wrong(p+".reserved_credentials", "stand beside `credentials: client` alone")
	}
}

func (l *loaded) checkCredentials(p string, c *Credentials) {
	static := l.given(p+".access_key") || l.given(p+".secret_key") || l.given(p+".session_token")
	if !static {
		return
	}
	if c.AccessKey == "" {
		l.wrong(p+".access_key", "missing")
	}
	if c.SecretKey == "" && !l.given(p+".secret_key") {
		l.wrong(p+".secret_key", "missing")
	}
	if c.Profile != "" {
		l.wrong(p+".profile", "stands beside static credentials")
	}
}
