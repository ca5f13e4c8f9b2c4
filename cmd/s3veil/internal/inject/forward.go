package inject

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"s3veil/proxy/forward"
)

// trustVolume holds the certificates that the init container trustName writes for sidecar and applications.
const trustVolume = "s3veil-trust"

func trustMount(readOnly bool) map[string]any {
	return map[string]any{"name": trustVolume, "mountPath": trustFolder, "readOnly": readOnly}
}

// direct are the addresses that never go through the proxy: the pod itself, the API server, and where clouds hand out role
// credentials, which the forward port reaches for nobody. Names of Services go through it, since one of them may be a store.
const direct = "localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23," +
	"kubernetes.default.svc,kubernetes.default.svc.cluster.local,$(KUBERNETES_SERVICE_HOST)"

// proxied are the variables that lead an application's requests through the forward port.
func (p *Profile) proxied() (out []variable) {
	proxy := "http://" + loopback(p.Ports.Forward)
	no := direct
	for _, n := range p.NoProxy {
		no += "," + literal(n)
	}
	for _, v := range []variable{{"HTTP_PROXY", proxy}, {"HTTPS_PROXY", proxy}, {"NO_PROXY", no}} {
		out = append(out, v, variable{strings.ToLower(v.Name), v.Value})
	}
	return append(out, variable{"NODE_USE_ENV_PROXY", "1"})
}

// trusting are the variables that make programs trust the authority. All but Node's replace the list of the system, so that
// they name a bundle with both.
func trusting() (out []variable) {
	for _, name := range []string{"SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} {
		out = append(out, variable{name, trustFolder + "/" + bundleName})
	}
	return append(out, variable{"NODE_EXTRA_CA_CERTS", trustFolder + "/" + caName})
}

// forward makes a wish one of the mode forward.
func (in *Injector) forward(w *wish, sidecar map[string]any) error {
	p := w.profile
	w.ports = append(w.ports, p.Ports.Forward)
	w.env = p.proxied()
	if p.CAFile == "" {
		return nil
	}
	ca, err := in.authority(p)
	if err != nil {
		return &refusal{http.StatusInternalServerError,
			fmt.Sprintf("profile %q: the certificate authority of its forward proxy cannot be used: %s", p.Name, err)}
	}
	w.trust = true
	w.env = append(w.env, trusting()...)
	w.volumes = append(w.volumes, plain(map[string]any{"name": trustVolume, "emptyDir": map[string]any{"medium": "Memory", "sizeLimit": "8Mi"}}))
	mounts, _ := sidecar["volumeMounts"].([]any)
	sidecar["volumeMounts"] = append(slices.Clone(mounts), trustMount(true))
	bundler := map[string]any{"name": trustName, "args": []string{"ca", "bundle", "--out", trustFolder, "--pem", literal(string(ca))},
		"volumeMounts": []any{trustMount(false)}}
	for _, key := range []string{"image", "imagePullPolicy", "securityContext", "resources"} {
		if v, set := p.Container[key]; set {
			bundler[key] = v
		}
	}
	w.containers = append(w.containers, plain(bundler))
	return nil
}

// authority reads the certificate of a profile's forward proxy as it is now and holds it against clock and hosts.
func (in *Injector) authority(p *Profile) ([]byte, error) {
	text, err := os.ReadFile(p.CAFile)
	if err != nil {
		return nil, err
	}
	now := time.Now
	if in.Now != nil {
		now = in.Now
	}
	ca, err := forward.ParseAuthority(text, now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.CAFile, err)
	}
	for _, h := range p.hosts() {
		if !ca.Covers(h) {
			return nil, fmt.Errorf("%s: it may not sign for %s", p.CAFile, h)
		}
	}
	return text, nil
}

// hosts are the S3 hosts of the forward proxy.
func (p *Profile) hosts() (out []string) {
	list, _ := dig(p.Config, "forward", "hosts").([]any)
	for _, h := range list {
		out = append(out, fmt.Sprint(h))
	}
	if len(out) == 0 {
		return []string{forward.AWS}
	}
	return out
}

// checkNoProxy refuses names that would lead requests for S3 past s3veil.
func (p *Profile) checkNoProxy(fail func(string, ...any)) {
	for _, n := range p.NoProxy {
		bare := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(n, "*"), "."))
		if host, _, port := strings.Cut(bare, ":"); port && strings.Count(bare, ":") == 1 {
			bare = host
		}
		if bare == "" || strings.ContainsAny(n, ", ") {
			fail("no_proxy: %q is not a name, an address or a network", n)
			continue
		}
		for _, h := range p.hosts() {
			domains, addresses, err := forward.Constraint(h)
			if err != nil {
				continue // the check of the configuration says so
			}
			if slices.ContainsFunc(domains, func(d string) bool { return overlap(strings.TrimPrefix(d, "."), bare) }) ||
				slices.ContainsFunc(addresses, func(a netip.Addr) bool { return covers(bare, a) }) {
				fail("no_proxy: %q would lead requests for the S3 host %s past s3veil", n, h)
			}
		}
	}
}

// overlap reports whether one of two domains lies in the other.
func overlap(a, b string) bool {
	return a == b || strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

// covers reports whether an address, or a network, has an address.
func covers(text string, a netip.Addr) bool {
	if one, err := netip.ParseAddr(text); err == nil {
		return one == a
	}
	network, err := netip.ParsePrefix(text)
	return err == nil && network.Contains(a)
}
