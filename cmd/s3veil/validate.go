package main

import (
	"cmp"
	"crypto/fips140"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// validate applies every rule to a loaded configuration and adds what it finds to its mistakes.
func validate(l *loaded) {
	if l.broken {
		return
	}
	l.checkEndpoints()
	l.checkUpstreams()
	l.checkClients()
	l.checkKMS()
	l.checkBuckets()
	l.checkFormat()
	l.checkFIPS(fips140.Enabled())
	l.checkLimits()
	l.oneOf("log.format", l.Log.Format, "json", "text")
	l.oneOf("log.level", l.Log.Level, "debug", "info", "warn", "error")
	l.checkAudit()
	if l.LockMemory && !canLockMemory {
		l.wrong("lock_memory", "not supported on this system")
	}
	l.checkForward()
	l.checkTrace()
}

// wrong adds a mistake at the line of path, or of the nearest group around it that was given.
func (l *loaded) wrong(path, format string, args ...any) {
	l.fail(l.where(path), path, format, args...)
}

func (l *loaded) where(path string) position {
	for p := path; p != ""; {
		if at, ok := l.pos[p]; ok {
			return at
		}
		p = p[:max(strings.LastIndexAny(p, ".["), 0)]
	}
	return l.root
}

// hasMistakes reports whether a setting or one below it is wrong.
func (l *loaded) hasMistakes(path string) bool {
	for _, m := range l.bad {
		if rest, below := strings.CutPrefix(m.path, path); below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// given reports whether a setting was made at all.
func (l *loaded) given(path string) bool { _, ok := l.pos[path]; return ok }

func (l *loaded) oneOf(path, value string, words ...string) {
	if !slices.Contains(words, value) {
		l.wrong(path, "%q is not one of %s", value, strings.Join(words, ", "))
	}
}

func (l *loaded) checkEndpoints() {
	l.address("listen", l.Listen)
	if l.Admin != "off" {
		l.address("admin", l.Admin)
		if _, port, _ := net.SplitHostPort(l.Admin); l.Admin == l.Listen && port != "0" {
			l.wrong("admin", "is the address of the S3 endpoint")
		}
	}
	l.pair("tls.cert_file", "tls.key_file", string(l.TLS.CertFile), string(l.TLS.KeyFile))
	if l.TLS.ClientCAFile != "" && l.TLS.CertFile == "" {
		l.wrong("tls.client_ca_file", "needs tls.cert_file and tls.key_file")
	}
	l.oneOf("tls.min_version", l.TLS.MinVersion, "1.2", "1.3")
	for i, d := range l.Domains {
		p := index("domains", i)
		switch {
		case !hostName(d):
			l.wrong(p, "%q is not a host name", d)
		case slices.Contains(l.Domains[:i], d):
			l.wrong(p, "%q is listed twice", d)
		}
	}
	for i, n := range l.TrustProxies {
		l.network(index("trust_proxies", i), n)
	}
	for i, r := range l.Regions {
		if r == "" || strings.ContainsAny(r, "/ ,") {
			l.wrong(index("regions", i), "%q is not a region", r)
		}
	}
}

// address checks host:port; the host may be empty, the port 0 takes any.
func (l *loaded) address(path, a string) {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		l.wrong(path, "%q is not host:port", a)
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		l.wrong(path, "%q is not a port", port)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil && !hostName(host) {
			l.wrong(path, "%q is neither an address nor a host name", host)
		}
	}
}

// pair checks two files that go together.
func (l *loaded) pair(cert, key, certFile, keyFile string) {
	if certFile != "" && keyFile == "" {
		l.wrong(cert, "needs %s", key)
	}
	if certFile == "" && keyFile != "" {
		l.wrong(key, "needs %s", cert)
	}
}

func (l *loaded) network(path, text string) {
	if _, err := parseNetwork(text); err != nil {
		l.wrong(path, "%q is neither an address nor a network such as 10.0.0.0/8", text)
	}
}

// parseNetwork parses a network, or an address as the network of itself.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !alphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// origin checks a URL that consists of scheme, host and port alone.
func (l *loaded) origin(path, text string, schemes ...string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		l.wrong(path, "%q is not a URL such as %s://host:port", text, schemes[0])
	case !slices.Contains(schemes, u.Scheme):
		l.wrong(path, "scheme %q is not one of %s", u.Scheme, strings.Join(schemes, ", "))
	case u.User != nil:
		l.wrong(path, "must not contain a user name or password")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		l.wrong(path, "%q must end after host and port", text)
	}
}

func (l *loaded) checkFormat() {
	for i, s := range l.Format.Read {
		l.suite(index("format.read", i), s)
	}
	l.suite("format.write", l.Format.Write)
	if l.given("format.read") && !slices.Contains(l.Format.Read, l.Format.Write) {
		l.wrong("format.read", "does not accept what format.write writes (%d)", l.Format.Write)
	}
	l.oneOf("dek.cache", l.DEK.Cache, "on", "off")
}

func (l *loaded) suite(path string, n int) {
	if n != 1 && n != 2 {
		l.wrong(path, "there is no suite %d; 1 is AES-256-GCM, 2 is ChaCha20-Poly1305", n)
	}
}

func (l *loaded) checkLimits() {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	m := l.Limits
	between(l, "limits.memory", m.Memory, 4*mib, 1024*gib, "4MiB and 1TiB")
	between(l, "limits.held_body", m.HeldBody, 64*kib, mib, "64KiB and 1MiB")
	between(l, "limits.connections", m.Connections, 1, 1<<20, "1 and 1048576")
	between(l, "limits.list_heads", m.ListHeads, 1, 1000, "1 and 1000")
	between(l, "limits.kms_misses", m.KMSMisses, 1, 1<<20, "1 and 1048576")
	for _, t := range []struct {
		path string
		d    Duration
		most time.Duration
	}{
		{"limits.admission_wait", m.AdmissionWait, time.Minute}, {"limits.head_timeout", m.HeadTimeout, time.Hour},
		{"limits.idle_timeout", m.IdleTimeout, 24 * time.Hour}, {"limits.stall_timeout", m.StallTimeout, time.Hour},
		{"limits.drain", m.Drain, time.Hour},
	} {
		between(l, t.path, t.d, Duration(time.Millisecond), Duration(t.most), "1ms and "+t.most.String())
	}
	between(l, "limits.drain_delay", m.DrainDelay, 0, m.Drain, "0s and limits.drain")
}

func between[T cmp.Ordered](l *loaded, path string, v, least, most T, bounds string) {
	if v < least || v > most {
		l.wrong(path, "must be between %s", bounds)
	}
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
