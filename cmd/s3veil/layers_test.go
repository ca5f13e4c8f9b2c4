package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// write makes a file for a test and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLaterLayersWin(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\nlog: {level: warn}\n")
	l := load(sources{File: file,
		Env:   []string{"S3VEIL_ADMIN=127.0.0.1:3", "S3VEIL_LOG_LEVEL=error", "HOME=/root"},
		Flags: map[string]string{"log.level": "debug"}})
	if l.bad != nil {
		t.Fatal(l.bad)
	}
	got := []string{l.Listen, l.Admin, l.Log.Level, l.Log.Format}
	if want := []string{"127.0.0.1:1", "127.0.0.1:3", "debug", "json"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("file, environment, flag, default: %q, want %q", got, want)
	}
}

func TestEnvironmentSetsEveryKey(t *testing.T) {
	secret := write(t, filepath.Join(t.TempDir(), "secret"), "from-file\n")
	l := load(sources{Env: []string{
		"S3VEIL_UPSTREAM_ENDPOINT=http://store:9000",
		"S3VEIL_UPSTREAM_PATH_STYLE=false",
		"S3VEIL_UPSTREAM_MIN_PART=1MiB",
		"S3VEIL_UPSTREAM_CREDENTIALS_ACCESS_KEY=a",
		"S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY_FILE=" + secret,
		`S3VEIL_DOMAINS=["a.example", "b.example"]`,
		`S3VEIL_FORMAT_READ=[1]`,
		`S3VEIL_CLIENTS=[{"access_key": "app", "secret_key_file": "` + secret + `", "buckets": ["*"], "actions": ["read"]}]`,
		"S3VEIL_TRACE_RATIO=0.5",
	}})
	if l.bad != nil {
		t.Fatal(l.bad)
	}
	u := l.Upstream
	if u.Endpoint != "http://store:9000" || u.PathStyle || u.MinPart != 1<<20 || u.Credentials.SecretKey.reveal() != "from-file" {
		t.Errorf("upstream is %+v", u)
	}
	if l.Trace.Ratio != 0.5 || len(l.Domains) != 2 || l.Format.Read[0] != 1 || l.Clients[0].SecretKey.reveal() != "from-file" || l.Clients[0].Anonymous {
		t.Errorf("lists are %+v", l.Config)
	}
	if _, watched := l.files[secret]; !watched || len(l.files) != 1 {
		t.Errorf("files to watch: %v", l.files)
	}
}

// Forward proxy and traces can be switched off in the environment, whatever the file says, and nothing of their file's part counts.
func TestGroupsAreSwitchedOffInTheEnvironment(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "s3veil.yaml"), "forward: {listen: \"127.0.0.1:3128\", others: nonsense}\ntrace: {endpoint: \"http://127.0.0.1:4318\", ratio: 0.5}\n")
	l := load(sources{File: file, Env: []string{"S3VEIL_FORWARD=off", "S3VEIL_TRACE=off"}})
	validate(l)
	if l.Forward.Listen != "" || l.Forward.Others != "tunnel" || l.Trace.Endpoint != "" {
		t.Errorf("%+v, %+v", l.Forward, l.Trace)
	}
	if got := l.bad.err().Error(); strings.Contains(got, "forward") || strings.Contains(got, "trace") {
		t.Error(got)
	}
	l = load(sources{Env: []string{"S3VEIL_FORWARD=on"}})
	if got := l.bad.err().Error(); !strings.Contains(got, `S3VEIL_FORWARD: forward: "on" is neither`) {
		t.Error(got)
	}
}

func TestMistakesInTheEnvironmentNameTheVariable(t *testing.T) {
	l := load(sources{Env: []string{
		"S3VEIL_UPSTREEM_ENDPOINT=x",
		"S3VEIL_LIMITS_DRAIN=soon",
		"S3VEIL_DOMAINS=a.example",
		`S3VEIL_CLIENTS=[{"acces_key": "app"}]`,
		"S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY=s",
		"S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY_FILE=f",
		"S3VEIL_LISTEN_FILE=f",
	}, Flags: map[string]string{"listen": "here", "log.level": "loud"}})
	validate(l)
	got := l.bad.err().Error()
	for _, want := range []string{
		"S3VEIL_UPSTREEM_ENDPOINT: unknown variable",
		"S3VEIL_LISTEN_FILE: unknown variable",
		`S3VEIL_LIMITS_DRAIN: limits.drain: "soon" is not a duration`,
		"S3VEIL_DOMAINS: domains: must be a JSON list",
		"S3VEIL_CLIENTS: clients[0].acces_key: unknown key",
		"S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY: upstream.credentials.secret_key: set both as value and as file",
		`--listen: listen: "here" is not host:port`,
		`--log-level: log.level: "loud" is not one of`,
		"environment: kms.keys: missing",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestVariablesOfKubernetesAndTestsAreLeftAlone(t *testing.T) {
	l := load(sources{Env: []string{
		"S3VEIL_SERVICE_HOST=10.0.0.1", "S3VEIL_SERVICE_PORT=8080", "S3VEIL_SERVICE_PORT_HTTP=8080",
		"S3VEIL_PORT=tcp://10.0.0.1:8080", "S3VEIL_PORT_8080_TCP=tcp://10.0.0.1:8080", "S3VEIL_PORT_8080_TCP_ADDR=10.0.0.1",
		"S3VEIL_ADMIN_SERVICE_HOST=10.0.0.2", "S3VEIL_ADMIN_PORT_8081_TCP_PROTO=tcp", "S3VEIL_TEST_RACE=1", "S3VEIL_CONFIG=x.yaml",
	}})
	if l.bad != nil {
		t.Error(l.bad)
	}
}

func TestEveryVariableIsOneKey(t *testing.T) {
	seen := map[string]string{}
	l := load(sources{})
	for _, f := range leavesOf(&l.Config) {
		v := f.variable()
		if other, twice := seen[v]; twice {
			t.Errorf("%s is both %s and %s", v, other, f.path)
		}
		seen[v] = f.path
		if serviceLink.MatchString(v) {
			t.Errorf("%s looks like a variable of Kubernetes", v)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d variables", len(seen))
	}
}

func TestSecretsCannotPrintThemselves(t *testing.T) {
	const hidden = "correct-horse"
	c := Config{Clients: []Client{{AccessKey: "app", SecretKey: hidden, SessionToken: hidden}}}
	c.Upstream.Credentials.SecretKey = hidden
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", c.Clients[0].SecretKey)
		fmt.Fprintf(&out, verb+"\n", &c.Clients[0])
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	ym, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "config", c, "secret", c.Clients[0].SecretKey)
	out.Write(js)
	out.Write(ym)
	if s := out.String(); strings.Contains(s, hidden) || strings.Contains(s, fmt.Sprintf("%x", hidden)) {
		t.Errorf("printed:\n%s", s)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "65536": 65536, "64KiB": 65536, "5 MiB": 5 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40, "12B": 12} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "-1", "5MB", "1.5MiB", "MiB", "9223372036854775808", "9000000TiB", "5mib", "0x10"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}
