package inject

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// Whatever comes, the answer is a review or an error; a patch fits the pod, and a second review of what it makes asks for nothing.
func FuzzReview(f *testing.F) {
	in := testInjector(f)
	pods, err := filepath.Glob("testdata/pods/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range pods {
		f.Add(reviewOf(f, readYAML(f, p), "legacy"), strings.Contains(p, "always"))
	}
	f.Fuzz(func(t *testing.T, body []byte, always bool) {
		answer, o, err := in.review(body, always)
		if err != nil {
			return
		}
		var r admissionReview
		if err := json.Unmarshal(answer, &r); err != nil || !r.Response.Allowed && r.Response.Status.Message == "" {
			t.Fatalf("%v %s", err, answer)
		}
		if r.Response.Patch == nil {
			return
		}
		p, err := jsonpatch.DecodePatch(r.Response.Patch)
		if err != nil {
			t.Fatal(err)
		}
		patched, err := p.Apply(o.request.Object)
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, o.request.Object, r.Response.Patch)
		}
		again, _, err := in.review(reviewOf(t, patched, o.request.Namespace), always)
		if err != nil {
			t.Fatal(err)
		}
		var second admissionReview
		if err := json.Unmarshal(again, &second); err != nil {
			t.Fatal(err)
		}
		if second.Response.Patch != nil || !second.Response.Allowed {
			t.Fatalf("asked again:\n%s\n%+v %s", patched, second.Response.Status, second.Response.Patch)
		}
	})
}
