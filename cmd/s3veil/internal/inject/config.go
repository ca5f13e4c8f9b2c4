package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is the configuration of the webhook, inject.yaml.
type Config struct {
	// Address of the webhook.
	Listen string `yaml:"listen"`
	// Address of metrics and probes.
	Admin string `yaml:"admin"`
	// How long requests are served after SIGTERM, while readiness fails already.
	DrainDelay time.Duration `yaml:"drain_delay"`
	// The certificate from files.
	TLS Files `yaml:"tls"`
	// The certificate made and kept by the webhook, in place of files.
	SelfSigned *SelfSigned `yaml:"self_signed"`
	// Profile of pods that name none.
	DefaultProfile string `yaml:"default_profile"`
	// What is put into pods.
	Profiles []Profile `yaml:"profiles"`
	Log      Log       `yaml:"log"`
}

// Log is the form of the log on stderr.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // json, text
}

// Files name a certificate chain and its key in PEM.
type Files struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// SelfSigned says where the webhook keeps its certificate and who has to trust it.
type SelfSigned struct {
	// Namespace and name of the Secret. It must exist; the webhook fills it.
	Namespace string `yaml:"namespace"`
	Secret    string `yaml:"secret"`
	// Name of the MutatingWebhookConfiguration whose caBundle is kept up to date.
	Webhook string `yaml:"webhook"`
	// DNS names of the certificate.
	Names []string `yaml:"names"`
}

// Profile is one kind of sidecar.
type Profile struct {
	Name string `yaml:"name"`
	// Patterns of the namespaces whose pods may use it.
	Namespaces []string `yaml:"namespaces"`
	// `endpoint` or `forward`; the annotation may choose among Allow.Modes.
	Mode  string `yaml:"mode"`
	Ports Ports  `yaml:"ports"`
	// s3veil.yaml without listen, admin, forward.listen and forward.ca_file, and without secrets, which it names as files.
	Config map[string]any `yaml:"config"`
	// The container but args, restartPolicy and the S3VEIL_ variables.
	Container map[string]any `yaml:"container"`
	// The volumes that it mounts.
	Volumes []map[string]any `yaml:"volumes"`
	// Secrets of the pod's namespace that images are pulled with.
	ImagePullSecrets []string `yaml:"image_pull_secrets"`
	// Certificate of the authority of the forward proxy, which applications are made to trust.
	CAFile string `yaml:"ca_file"`
	// More names for NO_PROXY.
	NoProxy []string `yaml:"no_proxy"`
	Allow   Allow    `yaml:"allow"`
}

// Ports of the sidecar: S3 and forward proxy on loopback, admin on all interfaces of the pod, where the kubelet asks.
type Ports struct {
	S3      int `yaml:"s3"`
	Admin   int `yaml:"admin"`
	Forward int `yaml:"forward"`
}

// Allow is what annotations of a pod may choose; what is not listed they may not.
type Allow struct {
	Modes     []string `yaml:"modes"`
	Upstreams []string `yaml:"upstreams"` // patterns; * stands for characters of one label of a host name
	Keys      []string `yaml:"keys"`      // ids
	Buckets   []string `yaml:"buckets"`   // patterns
}

// The modes of a profile.
const (
	modeEndpoint = "endpoint"
	modeForward  = "forward"
)

// The names of containers that the webhook adds.
const (
	sidecarName = "s3veil"
	trustName   = "s3veil-trust"
)

// Defaults of ports: out of the way of applications and below the ephemeral ones.
const (
	defaultS3Port      = 15480
	defaultAdminPort   = 15481
	defaultForwardPort = 15482
)

// ReadConfig reads and checks a configuration. check judges what a sidecar would be told, by its environment (NAME=value); its
// error names every mistake. All mistakes come joined.
func ReadConfig(file string, check func(env []string) error) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(text, check)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// ParseConfig is ReadConfig for a text.
func ParseConfig(text []byte, check func(env []string) error) (*Config, error) {
	c := &Config{Listen: ":8443", Admin: ":8081", DrainDelay: 5 * time.Second, DefaultProfile: "default", Log: Log{Level: "info", Format: "json"}}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var wrong []error
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	c.check(fail)
	for i := range c.Profiles {
		c.Profiles[i].complete()
		c.Profiles[i].check(func(format string, args ...any) {
			fail("profile %q: %w", c.Profiles[i].Name, fmt.Errorf(format, args...))
		}, check)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return c, nil
}

// profileName is also a part of an annotation's value and of a file's name.
var profileName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$`)

func (c *Config) check(fail func(string, ...any)) {
	for key, a := range map[string]string{"listen": c.Listen, "admin": c.Admin} {
		if _, _, err := net.SplitHostPort(a); err != nil {
			fail("%s: %q is not host:port", key, a)
		}
	}
	if c.DrainDelay < 0 || c.DrainDelay > time.Minute {
		fail("drain_delay: must be between 0s and 1m")
	}
	s := c.SelfSigned
	switch files := c.TLS; {
	case s != nil && files != Files{}:
		fail("tls and self_signed exclude each other")
	case s == nil && (files.CertFile == "" || files.KeyFile == ""):
		fail("tls: cert_file and key_file are needed, or self_signed")
	case s != nil && (s.Namespace == "" || s.Secret == "" || s.Webhook == "" || len(s.Names) == 0):
		fail("self_signed: namespace, secret, webhook and names are needed")
	}
	seen := map[string]bool{}
	for _, p := range c.Profiles {
		switch {
		case !profileName.MatchString(p.Name):
			fail("profile %q: its name is not 1 to 52 characters of a-z 0-9 -", p.Name)
		case seen[p.Name]:
			fail("profile %q stands twice", p.Name)
		}
		seen[p.Name] = true
	}
	if len(c.Profiles) == 0 {
		fail("profiles: missing; what should be put into pods?")
	}
	if c.DefaultProfile != "" && len(c.Profiles) > 0 && !seen[c.DefaultProfile] {
		fail("default_profile: there is no profile %q", c.DefaultProfile)
	}
}

// complete fills what was left out, and brings container and volumes into the form that JSON has them in.
func (p *Profile) complete() {
	for _, d := range []struct {
		port *int
		def  int
	}{{&p.Ports.S3, defaultS3Port}, {&p.Ports.Admin, defaultAdminPort}, {&p.Ports.Forward, defaultForwardPort}} {
		if *d.port == 0 {
			*d.port = d.def
		}
	}
	if p.Mode == "" {
		p.Mode = modeEndpoint
	}
	p.Container, _ = plain(p.Container).(map[string]any)
	for i, v := range p.Volumes {
		p.Volumes[i], _ = plain(v).(map[string]any)
	}
}

func (p *Profile) check(fail func(string, ...any), check func([]string) error) {
	if len(p.Namespaces) == 0 {
		fail("namespaces: missing; pods of which may use it?")
	}
	for _, m := range append(slices.Clone(p.Allow.Modes), p.Mode) {
		if m != modeEndpoint && m != modeForward {
			fail("mode: %q is neither endpoint nor forward", m)
		}
	}
	if a := p.Ports; a.S3 == a.Admin || a.S3 == a.Forward || a.Admin == a.Forward || min(a.S3, a.Admin, a.Forward) < 1 || max(a.S3, a.Admin, a.Forward) > 65535 {
		fail("ports: %d, %d and %d are not three ports", a.S3, a.Admin, a.Forward)
	}
	if p.CAFile != "" && !p.may(modeForward) {
		fail("ca_file: nothing needs it without the mode forward")
	}
	for _, key := range []string{"listen", "admin"} {
		if _, set := p.Config[key]; set {
			fail("config.%s: the webhook sets it, from ports", key)
		}
	}
	forward, _ := p.Config["forward"].(map[string]any)
	for _, key := range []string{"listen", "ca_file"} {
		if _, set := forward[key]; set {
			fail("config.forward.%s: the webhook sets it", key)
		}
	}
	p.checkContainer(fail)
	p.checkNoProxy(fail)
	for _, m := range []string{modeEndpoint, modeForward} {
		if !p.may(m) {
			continue
		}
		if err := check(environ(p.told(choice{mode: m}))); err != nil {
			fail("config, in the mode %s:\n%w", m, err)
		}
	}
}

// may reports whether a pod of this profile can have a mode.
func (p *Profile) may(mode string) bool {
	return p.Mode == mode || slices.Contains(p.Allow.Modes, mode)
}

// checkContainer holds the container against what the webhook relies on.
func (p *Profile) checkContainer(fail func(string, ...any)) {
	c := p.Container
	if c["name"] != sidecarName {
		fail("container.name: must be %s", sidecarName)
	}
	if image, _ := c["image"].(string); image == "" {
		fail("container.image: missing")
	}
	for _, key := range []string{"args", "command", "restartPolicy"} {
		if _, set := c[key]; set {
			fail("container.%s: the webhook sets it", key)
		}
	}
	if port := dig(c, "startupProbe", "httpGet", "port"); port != float64(p.Ports.Admin) {
		fail("container.startupProbe: must ask port %d, so that applications start after s3veil", p.Ports.Admin)
	}
	if dig(c, "securityContext", "runAsNonRoot") != true || dig(c, "securityContext", "readOnlyRootFilesystem") != true {
		fail("container.securityContext: must have runAsNonRoot and readOnlyRootFilesystem")
	}
	for _, e := range items(c["env"]) {
		if name, _ := e["name"].(string); ownVariable(name) {
			fail("container.env: %s belongs into config", name)
		}
	}
	volumes := map[any]bool{}
	for _, v := range p.Volumes {
		name, _ := v["name"].(string)
		if !ownVolume(name) {
			fail("volumes: %q does not begin with s3veil-", name)
		}
		volumes[name] = true
	}
	for _, m := range items(c["volumeMounts"]) {
		if !volumes[m["name"]] {
			fail("container.volumeMounts: there is no volume %q", m["name"])
		}
	}
}
