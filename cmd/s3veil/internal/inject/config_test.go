package inject

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Every mistake of a configuration is refused with its reason; each case is one change of testdata/inject.yaml.
func TestMistakesOfTheConfiguration(t *testing.T) {
	text, err := os.ReadFile("testdata/inject.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"profiles:", "profils:", "field profils not found"},
		{"tls: {cert_file: tls.crt, key_file: tls.key}", "listen: x", `listen: "x" is not host:port`},
		{"tls: {cert_file: tls.crt, key_file: tls.key}", "", "tls: cert_file and key_file are needed, or self_signed"},
		{"key_file: tls.key}", "key_file: tls.key}\nself_signed: {namespace: a, secret: b, webhook: c, names: [d]}", "tls and self_signed exclude each other"},
		{"tls: {cert_file: tls.crt, key_file: tls.key}", "self_signed: {namespace: a}", "self_signed: namespace, secret, webhook and names are needed"},
		{"tls: {", "drain_delay: 2m\ntls: {", "drain_delay: must be between"},
		{"tls: {", "default_profile: x\ntls: {", `default_profile: there is no profile "x"`},
		{"name: legacy", "name: default", `profile "default" stands twice`},
		{"name: legacy", "name: Legacy", "its name is not"},
		{`namespaces: ["*"]`, "namespaces: []", `profile "default": namespaces: missing`},
		{"mode: forward", "mode: both", `mode: "both" is neither`},
		{"mode: forward", "", "ca_file: nothing needs it"},
		{"modes: [endpoint]", "modes: [x]", `mode: "x" is neither`},
		{"mode: forward", "mode: forward\n    ports: {s3: 15481}", "ports: 15481, 15481 and 15482 are not three ports"},
		{"mode: forward", "mode: forward\n    ports: {admin: 70000}", "are not three ports"},
		{"mode: forward", "mode: forward\n    ports: {admin: 15000}", "container.startupProbe: must ask port 15000"},
		{"forward: {hosts", `listen: ":1"` + "\n      forward: {hosts", "config.listen: the webhook sets it"},
		{"forward: {hosts", `forward: {ca_file: x, hosts`, "config.forward.ca_file: the webhook sets it"},
		{"name: s3veil\n", "name: veil\n", "container.name: must be s3veil"},
		{"image: registry.example/s3veil:1\n", "image: \"\"\n", "container.image: missing"},
		{"imagePullPolicy: IfNotPresent\n", "command: [x]\n", "container.command: the webhook sets it"},
		{"imagePullPolicy: IfNotPresent\n", "env: [{name: S3VEIL_ADMIN, value: x}]\n", "container.env: S3VEIL_ADMIN belongs into config"},
		{"startupProbe:", "x:", "container.startupProbe: must ask port 15481"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "must have runAsNonRoot"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "and readOnlyRootFilesystem"},
		{"- {name: s3veil-secret-vault, secret", "- {name: other, secret", `volumes: "other" does not begin with s3veil-`},
		{"- {name: s3veil-secret-vault, secret", "- {name: s3veil-other, secret", `there is no volume "s3veil-secret-vault"`},
		{`".corp.internal"`, `".example.internal"`, `no_proxy: ".example.internal" would lead requests for the S3 host store.example.internal past s3veil`},
		{`".corp.internal"`, `"a.store.example.internal:443"`, "would lead requests"},
		{`".corp.internal"`, `"*"`, "is not a name"},
		{"hosts: [store.example.internal]", "hosts: [10.0.0.1]", ""},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Errorf("%q does not stand in the file", c.old)
		}
		_, err := ParseConfig([]byte(changed), accept)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := ParseConfig(nil, accept); err == nil || !strings.Contains(err.Error(), "profiles: missing") {
		t.Errorf("nothing: %v", err)
	}
	inside := strings.NewReplacer("hosts: [store.example.internal]", "hosts: [10.0.0.1]", ".corp.internal", "10.0.0.0/8").Replace(string(text))
	if _, err := ParseConfig([]byte(inside), accept); err == nil || !strings.Contains(err.Error(), "would lead requests for the S3 host 10.0.0.1") {
		t.Errorf("%v", err)
	}
}

// Every mode that a pod may have is checked when the configuration is read.
func TestConfigurationIsCheckedInEveryMode(t *testing.T) {
	var seen []bool
	_, err := ReadConfig("testdata/inject.yaml", func(env []string) error {
		seen = append(seen, strings.Contains(strings.Join(env, "\n"), "S3VEIL_FORWARD_LISTEN=127.0.0.1:15482"))
		return errors.New("never good")
	})
	if want := []bool{false, false, true}; len(seen) != 3 || seen[0] != want[0] || seen[1] != want[1] || seen[2] != want[2] {
		t.Errorf("%v", seen)
	}
	if err == nil || strings.Count(err.Error(), "never good") != 3 || !strings.Contains(err.Error(), `profile "legacy": config, in the mode forward`) {
		t.Errorf("%v", err)
	}
}
