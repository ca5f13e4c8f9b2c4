package inject

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// edit changes a pod as somebody between two reviews does.
func edit(t *testing.T, object []byte, f func(pod map[string]any)) []byte {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(object, &p); err != nil {
		t.Fatal(err)
	}
	f(p)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sidecarOf is the container that was injected.
func sidecarOf(pod map[string]any) map[string]any {
	return named(dig(pod, "spec", "initContainers"), sidecarName)
}

func list(v any) []any { l, _ := v.([]any); return l }

// What the API server and other webhooks add to an injected pod asks for nothing more; what they add beside it gets its variables.
func TestSecondReviewAddsWhatIsMissing(t *testing.T) {
	in := testInjector(t)
	first, _ := ask(t, in, readYAML(t, "testdata/pods/forward.yaml"), "legacy", false)
	defaulted := edit(t, first, func(p map[string]any) {
		s := sidecarOf(p)
		s["terminationMessagePath"] = "/dev/termination-log"
		s["ports"].([]any)[0].(map[string]any)["protocol"] = "TCP"
		s["startupProbe"].(map[string]any)["successThreshold"] = 1
		s["resources"] = map[string]any{"requests": map[string]any{"cpu": "0.25", "memory": "268435456"}}
		s["env"] = append(list(s["env"]), map[string]any{"name": "AWS_ROLE_ARN", "value": "arn:…"})
		s["volumeMounts"] = append([]any{map[string]any{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}}, list(s["volumeMounts"])...)
		delete(named(dig(p, "spec", "initContainers"), trustName)["volumeMounts"].([]any)[0].(map[string]any), "readOnly")
		spec := p["spec"].(map[string]any)
		spec["initContainers"] = append([]any{map[string]any{"name": "mesh", "image": "mesh", "env": named(spec["containers"], "app")["env"],
			"volumeMounts": named(spec["containers"], "app")["volumeMounts"]}}, list(spec["initContainers"])...)
	})
	if _, r := ask(t, in, defaulted, "legacy", false); !r.Allowed || r.Patch != nil {
		t.Errorf("%+v %s", r.Status, r.Patch)
	}
	extended := edit(t, defaulted, func(p map[string]any) {
		spec := p["spec"].(map[string]any)
		spec["containers"] = append(list(spec["containers"]), map[string]any{"name": "late", "image": "late"})
	})
	patched, r := ask(t, in, extended, "legacy", false)
	if !r.Allowed || strings.Count(string(r.Patch), `"op"`) != 2 || !bytes.Contains(patched, []byte(`"name":"late"`)) {
		t.Errorf("%+v %s", r.Status, r.Patch)
	}
}

// A container that only looks like s3veil's is not taken for it.
func TestChangedSidecarsAreRefused(t *testing.T) {
	in := testInjector(t)
	first, _ := ask(t, in, readYAML(t, "testdata/pods/minimal.yaml"), "ns", false)
	env := func(s map[string]any, name, value string) {
		s["env"] = append(list(s["env"]), map[string]any{"name": name, "value": value})
	}
	for name, f := range map[string]func(s map[string]any){
		"image":              func(s map[string]any) { s["image"] = "other" },
		"command":            func(s map[string]any) { s["command"] = []any{"sleep"} },
		"args":               func(s map[string]any) { s["args"] = []any{"serve", "--listen", ":1"} },
		"restartPolicy":      func(s map[string]any) { delete(s, "restartPolicy") },
		"privileges":         func(s map[string]any) { s["securityContext"].(map[string]any)["privileged"] = true },
		"no securityContext": func(s map[string]any) { delete(s, "securityContext") },
		"another setting":    func(s map[string]any) { env(s, "S3VEIL_LOG_LEVEL", "debug") },
		"a setting twice":    func(s map[string]any) { env(s, "S3VEIL_UPSTREAM_ENDPOINT", "http://evil") },
		"a setting changed":  func(s map[string]any) { named(s["env"], "S3VEIL_UPSTREAM_ENDPOINT")["value"] = "http://evil" },
		"a setting removed":  func(s map[string]any) { s["env"] = list(s["env"])[1:] },
		"a mount moved":      func(s map[string]any) { s["volumeMounts"].([]any)[0].(map[string]any)["name"] = "data" },
		"no startup probe":   func(s map[string]any) { delete(s, "startupProbe") },
	} {
		changed := edit(t, first, func(p map[string]any) { f(sidecarOf(p)) })
		if _, r := ask(t, in, changed, "ns", false); r.Allowed || !strings.Contains(r.Status.Message, "is not what profile") {
			t.Errorf("%s: %+v %s", name, r.Status, r.Patch)
		}
	}
	halfway := edit(t, readYAML(t, "testdata/pods/forward.yaml"), func(p map[string]any) {
		injected, _ := ask(t, in, readYAML(t, "testdata/pods/forward.yaml"), "legacy", false)
		var q map[string]any
		_ = json.Unmarshal(injected, &q)
		spec := p["spec"].(map[string]any)
		spec["initContainers"] = []any{named(dig(q, "spec", "initContainers"), trustName)}
	})
	if _, r := ask(t, in, halfway, "legacy", false); r.Allowed || !strings.Contains(r.Status.Message, "lacks others") {
		t.Errorf("%+v", r.Status)
	}
}

// An authority that cannot be used is said at admission, to pods that need it alone, and used again once it can be.
func TestUnreadableAuthoritiesAreSaidAtAdmission(t *testing.T) {
	in := testInjector(t)
	good, err := os.ReadFile("testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	in.Config.Profiles[1].CAFile = file
	object := readYAML(t, "testdata/pods/forward.yaml")
	for _, c := range []struct {
		text string
		now  time.Time
		want string
	}{
		{"", testNow, "no such file"},
		{"x", testNow, "no certificate in PEM"},
		{string(good) + "-----BEGIN PRIVATE KEY-----", testNow, "private key"},
		{string(good), testNow.AddDate(30, 0, 0), "expired on 2036"},
	} {
		if c.text != "" {
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		in.Now = func() time.Time { return c.now }
		_, r := ask(t, in, object, "legacy", false)
		if r.Allowed || r.Status.Code != 500 || !strings.Contains(r.Status.Message, `profile "legacy": the certificate authority of its forward proxy cannot be used`) || !strings.Contains(r.Status.Message, c.want) {
			t.Errorf("%q: %+v", c.want, r.Status)
		}
		if _, r := ask(t, in, readYAML(t, "testdata/pods/forward-as-endpoint.yaml"), "legacy", false); !r.Allowed {
			t.Errorf("a pod that needs none: %+v", r.Status)
		}
	}
	in.Now = func() time.Time { return testNow }
	if _, r := ask(t, in, object, "legacy", false); !r.Allowed {
		t.Errorf("%+v", r.Status)
	}
	in.Config.Profiles[1].Config["forward"].(map[string]any)["hosts"] = []any{"other.example.internal"}
	if _, r := ask(t, in, object, "legacy", false); r.Allowed || !strings.Contains(r.Status.Message, "may not sign for other.example.internal") {
		t.Errorf("%+v", r.Status)
	}
}

// Kubernetes expands $(NAME) in values: what a pod chooses must not pull other variables in.
func TestReferencesToVariablesAreNotExpanded(t *testing.T) {
	in := testInjector(t)
	in.Config.Profiles[0].Allow.Buckets = []string{"team-*"}
	object := edit(t, readYAML(t, "testdata/pods/minimal.yaml"), func(p map[string]any) {
		p["metadata"].(map[string]any)["annotations"].(map[string]any)[annotationBuckets] = "team-$(AWS_SECRET_ACCESS_KEY)"
	})
	var told []string
	in.Check = func(env []string) error { told = env; return nil }
	patched, _ := ask(t, in, object, "ns", false)
	if !bytes.Contains(patched, []byte(`team-$$(AWS_SECRET_ACCESS_KEY)`)) || !strings.Contains(strings.Join(told, "\n"), `"team-$(AWS_SECRET_ACCESS_KEY)"`) {
		t.Errorf("%s\n%s", patched, told)
	}
}

// slowGlob says what a pattern means: it tries everything that a * may stand for.
func slowGlob(pattern, value string, fits func(byte) bool) bool {
	switch {
	case pattern == "":
		return value == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], value, fits) || value != "" && fits(value[0]) && slowGlob(pattern, value[1:], fits)
	}
	return value != "" && globByte(pattern[0], value[0], fits) && slowGlob(pattern[1:], value[1:], fits)
}

func TestPatternsMeanWhatTryingEverythingWouldFind(t *testing.T) {
	var all []string
	for length, last := 0, []string{""}; length <= 5; length++ {
		all = append(all, last...)
		var next []string
		for _, s := range last {
			for _, c := range []string{"a", ".", "*", "?"} {
				next = append(next, s+c)
			}
		}
		last = next
	}
	for _, fits := range []func(byte) bool{anyByte, labelByte} {
		for _, pattern := range all {
			for _, value := range all {
				if got := glob(pattern, value, fits); got != slowGlob(pattern, value, fits) {
					t.Fatalf("%q, %q: %t", pattern, value, got)
				}
			}
		}
	}
	if glob(strings.Repeat("*a", 30)+"b", strings.Repeat("a", maxValue), anyByte) { // would take longer than the world is old
		t.Error("matched")
	}
}

func TestPatternsNeverMatchMoreThanTheySay(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		fits           func(byte) bool
		want           bool
	}{
		{"a*", "abc", anyByte, true}, {"a*", "a*", anyByte, true}, {"a*", "*", anyByte, false}, {"*", "*", anyByte, true}, {"a?", "ab", anyByte, true},
		{"a?", "a?", anyByte, true}, {"a?", "a*", anyByte, false}, {"ab", "a?", anyByte, false}, {"ab", "a*", anyByte, false}, {"", "", anyByte, true},
		{"", "a", anyByte, false}, {"a", "", anyByte, false}, {"*a*b", "xaxb", anyByte, true}, {"*a*b", "xbxa", anyByte, false},
		{"https://s3.*.a.b", "https://s3.x-1.a.b", labelByte, true}, {"https://s3.*.a.b", "https://s3.x.y.a.b", labelByte, false},
		{"https://s3.*.a.b", "https://s3.x@evil/.a.b", labelByte, false}, {"https://*", "https://a:1", labelByte, false}, {"https://a?b", "https://a?b", labelByte, false}, {"http?://a", "https://a", labelByte, true},
	} {
		if glob(c.pattern, c.value, c.fits) != c.want {
			t.Errorf("%q, %q: %t", c.pattern, c.value, !c.want)
		}
	}
}
