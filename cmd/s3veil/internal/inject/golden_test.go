package inject

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write testdata/pods/*.golden anew")

// testNow is when the authority of testdata is good.
var testNow = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// accept is a check of configurations that finds nothing.
func accept([]string) error { return nil }

func testInjector(t testing.TB) *Injector {
	t.Helper()
	c, err := ReadConfig("testdata/inject.yaml", accept)
	if err != nil {
		t.Fatal(err)
	}
	return &Injector{Config: c, Check: accept, Now: func() time.Time { return testNow }}
}

// readYAML reads a file as JSON.
func readYAML(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reviewOf wraps a pod into the review of its creation.
func reviewOf(t testing.TB, object []byte, namespace string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"apiVersion": reviewVersion, "kind": reviewKind, "request": map[string]any{
		"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
		"operation": "CREATE", "namespace": namespace, "object": json.RawMessage(object)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask reviews a pod and returns it as patched, and the response.
func ask(t testing.TB, in *Injector, object []byte, namespace string, always bool) ([]byte, *admissionResponse) {
	t.Helper()
	answer, _, err := in.review(reviewOf(t, object, namespace), always)
	if err != nil {
		t.Fatal(err)
	}
	var r admissionReview
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	if r.APIVersion != reviewVersion || r.Kind != reviewKind || r.Response.UID != "705ab4f5-6393-11e8-b7cc-42010a800002" {
		t.Fatalf("%s", answer)
	}
	if r.Response.Patch == nil {
		return object, r.Response
	}
	if !r.Response.Allowed || r.Response.PatchType != "JSONPatch" {
		t.Fatalf("%s", answer)
	}
	p, err := jsonpatch.DecodePatch(r.Response.Patch)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := p.Apply(object)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Response.Patch)
	}
	return patched, r.Response
}

// Every pod of testdata becomes what its golden file says: a refusal, or warnings and the pod as patched. The first line of a
// pod may say in which namespace it is, and that it comes to the path for whole namespaces.
func TestPods(t *testing.T) {
	files, err := filepath.Glob("testdata/pods/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	in := testInjector(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			namespace, always := where(t, file)
			object := readYAML(t, file)
			patched, r := ask(t, in, object, namespace, always)
			got := golden(t, object, patched, r)
			name := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil || string(want) != got {
				t.Errorf("%v; not as in %s:\n%s", err, name, got)
			}
			if again, r2 := ask(t, in, patched, namespace, always); r2.Patch != nil || r2.Allowed != r.Allowed || string(again) != string(patched) {
				t.Errorf("asked again: %+v %s", r2.Status, r2.Patch)
			}
		})
	}
}

// where reads the first line of a pod's file.
func where(t *testing.T, file string) (namespace string, always bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	namespace = "ns"
	for w := range strings.FieldsSeq(strings.TrimPrefix(line, "#")) {
		if n, ok := strings.CutPrefix(w, "namespace="); ok {
			namespace = n
		}
		always = always || w == "always"
	}
	return namespace, always
}

func golden(t *testing.T, object, patched []byte, r *admissionResponse) string {
	t.Helper()
	if !r.Allowed {
		return fmt.Sprintf("refused %d %s: %s\n", r.Status.Code, r.Status.Reason, r.Status.Message)
	}
	var b strings.Builder
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "# warning: %s\n", w)
	}
	if string(patched) == string(object) {
		return b.String() + "unchanged\n"
	}
	var v any
	if err := json.Unmarshal(patched, &v); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(text)
}

// What the configuration's check says of a pod's own choice is said at admission.
func TestFaultyChoicesAreRefusedWithTheirReason(t *testing.T) {
	in := testInjector(t)
	in.Check = func([]string) error { return errors.New("S3VEIL_BUCKETS: a\nS3VEIL_UPSTREAM_ENDPOINT: b") }
	_, r := ask(t, in, readYAML(t, "testdata/pods/minimal.yaml"), "ns", false)
	if want := `s3veil: profile "default" with the annotations of this pod: S3VEIL_BUCKETS: a; S3VEIL_UPSTREAM_ENDPOINT: b`; r.Allowed || r.Status.Message != want {
		t.Errorf("%+v", r.Status)
	}
}
