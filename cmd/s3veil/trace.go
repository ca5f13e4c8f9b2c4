package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"s3veil/proxy"
	"s3veil/proxy/forward"
)

// Trace is where spans of requests are sent to.
type Trace struct {
	// OTLP receiver of the collector, over HTTP with protobuf: `https://collector:4318`, to which `/v1/traces` is added, or a
	// URL with a path, which stays. Left out: off.
	Endpoint string `yaml:"endpoint"`
	// Headers that the collector wants with every request. Their values are secrets.
	Headers []TraceHeader `yaml:"headers"`
	// Certificate authorities of the collector, in place of the system's.
	CAFile Path `yaml:"ca_file"`
	// Client certificate shown to the collector.
	ClientCertFile Path `yaml:"client_cert_file"`
	// Its private key.
	ClientKeyFile Path `yaml:"client_key_file"`
	// Share of requests that are recorded, from 0 to 1, among those without a parent that counts.
	Ratio Share `yaml:"ratio" default:"0.01"`
	// Networks (CIDR or address), and the word `loopback`, of clients whose `traceparent` counts: their trace goes on, and
	// they decide whether it is recorded. Left out: none.
	ParentFrom []string `yaml:"parent_from"`
	// Puts names of objects into spans.
	Keys bool `yaml:"keys" default:"false"`
	// The attribute service.name. A changed name takes a restart.
	Service string `yaml:"service" default:"s3veil"`
}

// TraceHeader is one header of requests to the collector.
type TraceHeader struct {
	// Its name.
	Name string `yaml:"name"`
	// Its value.
	Value Secret `yaml:"value"`
}

// readNode takes the word "off" in place of keys.
func (*Trace) readNode(l *loader, n *yaml.Node, at position, path string) bool {
	return l.offOrKeys(n, at, path)
}

func (l *loaded) checkTrace() {
	t := &l.Trace
	if t.Endpoint == "" {
		for path := range l.pos {
			if strings.HasPrefix(path, "trace.") && path != "trace.endpoint" {
				l.wrong("trace.endpoint", "is missing: nothing would be traced")
				break
			}
		}
	} else {
		l.checkCollector(t)
	}
	l.pair("trace.client_cert_file", "trace.client_key_file", string(t.ClientCertFile), string(t.ClientKeyFile))
	l.networks("trace.parent_from", t.ParentFrom, "loopback")
	if t.Service == "" || len(t.Service) > 255 || !httpguts.ValidHeaderFieldValue(t.Service) {
		l.wrong("trace.service", "must be 1 to 255 printable characters")
	}
	for i := range t.Headers {
		l.checkTraceHeader(index("trace.headers", i), i)
	}
}

// checkCollector checks the URL, and what goes with https alone.
func (l *loaded) checkCollector(t *Trace) {
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Hostname() == "":
		l.wrong("trace.endpoint", "%q is not a URL such as https://collector:4318", t.Endpoint)
	case u.Scheme != "http" && u.Scheme != "https":
		l.wrong("trace.endpoint", `scheme %q is not one of http, https`, u.Scheme)
	case u.User != nil:
		l.wrong("trace.endpoint", "must not contain a user name or password: put them into trace.headers")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		l.wrong("trace.endpoint", "must end after the path")
	case u.Scheme == "http":
		for path, file := range map[string]Path{"trace.ca_file": t.CAFile, "trace.client_cert_file": t.ClientCertFile} {
			if file != "" {
				l.wrong(path, "is given, but trace.endpoint is not https")
			}
		}
	}
}

// ownHeaders are those of requests to the collector that nobody else sets.
var ownHeaders = map[string]bool{"content-type": true, "content-length": true, "content-encoding": true, "transfer-encoding": true,
	"host": true, "connection": true}

func (l *loaded) checkTraceHeader(path string, i int) {
	h := &l.Trace.Headers[i]
	name := strings.ToLower(h.Name)
	switch {
	case !httpguts.ValidHeaderFieldName(h.Name):
		l.wrong(path+".name", "%q is not the name of a header", h.Name)
	case ownHeaders[name]:
		l.wrong(path+".name", "%s is set by s3veil", name)
	}
	for _, before := range l.Trace.Headers[:i] {
		if strings.EqualFold(before.Name, h.Name) {
			l.wrong(path+".name", "%q is listed twice", h.Name)
			break
		}
	}
	switch value := h.Value.reveal(); {
	case value == "" && !l.hasMistakes(path+".value"):
		l.wrong(path+".value", "is missing")
	case !httpguts.ValidHeaderFieldValue(value):
		l.wrong(path+".value", "holds characters that no header may have")
	}
}

// tracing is what of requests is recorded, without the tracer, and where it goes; nil where tracing is off.
func (l *loaded) tracing(log *slog.Logger) (*proxy.Tracing, *collectorTarget) {
	t := &l.Trace
	if t.Endpoint == "" || l.hasMistakes("trace.endpoint") {
		return nil, nil
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil {
		return nil, nil
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	header := http.Header{}
	for i := range t.Headers {
		header.Set(t.Headers[i].Name, t.Headers[i].Value.reveal())
	}
	if u.Scheme == "http" && len(header) > 0 && !onThisMachine(u.Hostname()) {
		log.Warn("headers for the collector of traces go over the network in the clear", "endpoint", t.Endpoint)
	}
	with := &proxy.Tracing{Ratio: float64(t.Ratio), Keys: t.Keys, ParentFrom: prefixes(t.ParentFrom, "loopback", forward.Loopback)}
	return with, newCollectorTarget(u.String(), header, l.traceTLS(u.Scheme))
}

func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// traceTLS is how the collector is spoken to.
func (l *loaded) traceTLS(scheme string) *tls.Config {
	t := &l.Trace
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if scheme != "https" {
		return cfg
	}
	if t.CAFile != "" {
		cfg.RootCAs = l.pool("trace.ca_file", t.CAFile)
	}
	if t.ClientCertFile != "" && t.ClientKeyFile != "" {
		if cert, ok := l.keyPair("trace.client_cert_file", "trace.client_key_file", t.ClientCertFile, t.ClientKeyFile); ok {
			cfg.Certificates = []tls.Certificate{cert}
		}
	}
	return cfg
}

// newCollectorTarget makes the client of a collector. HTTP_PROXY and HTTPS_PROXY are ignored, as on the data path: they may
// name s3veil. Redirects are not followed: the headers are for the collector alone.
func newCollectorTarget(url string, header http.Header, cfg *tls.Config) *collectorTarget {
	return &collectorTarget{url: url, header: header, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			TLSClientConfig:     cfg,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        1,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
	}}
}
