package inject

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Injector decides about pods. It is immutable.
type Injector struct {
	Config *Config
	// Check judges the environment of a sidecar (NAME=value); its error names every mistake.
	Check func(env []string) error
	// Now is the time against which certificates are held; nil for the clock.
	Now func() time.Time
}

// decision is what becomes of a pod that is admitted.
type decision struct {
	patch    patch
	warnings []string
	result   string // injected, unchanged, skipped
	profile  string
}

// The results of a review.
const (
	resultInjected  = "injected"
	resultUnchanged = "unchanged" // injected already
	resultSkipped   = "skipped"   // not asked for
	resultRefused   = "refused"
	resultFailed    = "failed"    // not understood
	resultAbandoned = "abandoned" // the API server has given up
)

// decide is the whole of the webhook: from a pod to its patch. always says that pods without the annotation are injected too.
// A *refusal says why a pod cannot be admitted.
func (in *Injector) decide(p *pod, namespace string, always bool) (*decision, error) {
	a := p.Metadata.Annotations
	if _, mirror := a[annotationMirror]; mirror {
		return &decision{result: resultSkipped}, nil
	}
	want, err := wanted(a, always)
	if err != nil {
		return nil, err
	}
	if !want {
		return in.skip(p), nil
	}
	if err := p.unfit(); err != nil {
		return nil, err
	}
	profile, err := in.Config.profile(a, namespace)
	if err != nil {
		return nil, err
	}
	chosen, err := profile.choose(a)
	if err != nil {
		return nil, err
	}
	w, err := in.wish(profile, chosen)
	if err != nil {
		return nil, err
	}
	if err := p.clash(w.ports); err != nil {
		return nil, err
	}
	d := &decision{profile: profile.Name}
	if err := w.apply(p, d); err != nil {
		return nil, err
	}
	d.result = resultInjected
	if len(d.patch) == 0 {
		d.result = resultUnchanged
	}
	return d, nil
}

// skip lets a pod pass; an annotation that claims otherwise is named.
func (in *Injector) skip(p *pod) *decision {
	d := &decision{result: resultSkipped}
	if _, claims := p.Metadata.Annotations[annotationInjected]; claims {
		d.warnings = append(d.warnings, fmt.Sprintf("%s is set, but s3veil is not put into this pod: %s does not ask for it", annotationInjected, annotationInject))
	}
	return d
}

// wish is what a pod must have once it is injected.
type wish struct {
	profile    *Profile
	ports      []int
	containers []any // init containers, in their order
	volumes    []any
	trust      bool // applications mount the folder with the certificates
	env        []variable
	label      string // value of annotationInjected
}

// wish makes the sidecar of a profile with what a pod has chosen.
func (in *Injector) wish(p *Profile, c choice) (*wish, error) {
	told := p.told(c)
	if err := in.Check(environ(told)); err != nil {
		return nil, malformed("profile %q with the annotations of this pod: %s", p.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	w := &wish{profile: p, ports: []int{p.Ports.S3, p.Ports.Admin}, env: []variable{{"AWS_ENDPOINT_URL_S3", "http://" + loopback(p.Ports.S3)}}}
	sidecar := clone(p.Container)
	sidecar["args"] = []any{"serve"}
	sidecar["restartPolicy"] = "Always"
	sidecar["env"] = withVariables(p.Container["env"], told)
	for _, v := range p.Volumes {
		w.volumes = append(w.volumes, v)
	}
	if c.mode == modeForward {
		if err := in.forward(w, sidecar); err != nil {
			return nil, err
		}
	}
	w.containers = append(w.containers, plain(sidecar))
	w.label = w.hash()
	return w, nil
}

// withVariables is a container's environment with what s3veil is told.
func withVariables(env any, told []variable) []any {
	list, _ := env.([]any)
	out := slices.Clone(list)
	for _, v := range told {
		out = append(out, map[string]any{"name": v.Name, "value": literal(v.Value)})
	}
	return out
}

// hash names what is injected: two pods with the same value were given the same.
func (w *wish) hash() string {
	b, err := json.Marshal([]any{w.containers, w.volumes, w.env, w.profile.ImagePullSecrets})
	if err != nil {
		return w.profile.Name
	}
	sum := sha256.Sum256(b)
	return w.profile.Name + "." + hex.EncodeToString(sum[:6])
}

// apply adds to the patch what a pod lacks.
func (w *wish) apply(p *pod, d *decision) error {
	apps, err := p.applications()
	if err != nil {
		return err
	}
	for _, c := range apps {
		if err := w.applyEnv(c, d); err != nil {
			return err
		}
	}
	if err := w.applyVolumes(p, d); err != nil {
		return err
	}
	w.applyPullSecrets(p, d)
	if err := w.applyContainers(p, d); err != nil {
		return err
	}
	if p.Metadata.Annotations[annotationInjected] != w.label {
		if p.Metadata.Annotations == nil {
			d.patch.add("/metadata/annotations", map[string]string{annotationInjected: w.label})
		} else {
			d.patch.add(pointer("metadata", "annotations", annotationInjected), w.label)
		}
	}
	return nil
}

// applyEnv sets the variables that a container does not have. Those that it has are its own business, and worth a warning:
// with them its requests may go past s3veil.
func (w *wish) applyEnv(c place, d *decision) error {
	var missing []any
	for _, v := range w.env {
		has := named(c.raw["env"], v.Name)
		switch {
		case has == nil:
			missing = append(missing, v)
		case has["value"] != v.Value:
			d.warnings = append(d.warnings, fmt.Sprintf("container %s sets %s itself, s3veil leaves it: requests may go past it", c.Name, v.Name))
		}
	}
	d.patch.extend(c.path+"/env", c.raw["env"] != nil, missing)
	if !w.trust {
		return nil
	}
	mount := plain(trustMount(true))
	for _, m := range items(c.raw["volumeMounts"]) {
		if m["mountPath"] == trustFolder {
			if contains(m, mount) {
				return nil
			}
			return malformed("container %s mounts something else at %s", c.Name, trustFolder)
		}
	}
	d.patch.extend(c.path+"/volumeMounts", c.raw["volumeMounts"] != nil, []any{mount})
	return nil
}

func (w *wish) applyVolumes(p *pod, d *decision) error {
	have := dig(p.raw, "spec", "volumes")
	var missing []any
	for _, v := range w.volumes {
		switch has := named(have, dig(v, "name")); {
		case has == nil:
			missing = append(missing, v)
		case !contains(has, v):
			return malformed("the pod has a volume %v that is not s3veil's", dig(v, "name"))
		}
	}
	d.patch.extend("/spec/volumes", have != nil, missing)
	return nil
}

func (w *wish) applyPullSecrets(p *pod, d *decision) {
	have := dig(p.raw, "spec", "imagePullSecrets")
	var missing []any
	for _, name := range w.profile.ImagePullSecrets {
		if named(have, name) == nil {
			missing = append(missing, map[string]string{"name": name})
		}
	}
	d.patch.extend("/spec/imagePullSecrets", have != nil, missing)
}

// applyContainers puts the webhook's containers in front of all others. Containers of their names must be what the webhook
// would make; the annotation that says so is not believed.
func (w *wish) applyContainers(p *pod, d *decision) error {
	have := dig(p.raw, "spec", "initContainers")
	found := 0
	for _, c := range w.containers {
		has := named(have, dig(c, "name"))
		if has == nil {
			continue
		}
		if !sameContainer(has, c.(map[string]any)) {
			return malformed("the pod has an init container %v that is not what profile %q makes", dig(c, "name"), w.profile.Name)
		}
		found++
	}
	for _, c := range p.Spec.Containers {
		if c.Name == sidecarName || c.Name == trustName {
			return malformed("the pod has a container %s already, which s3veil's would be called", c.Name)
		}
	}
	switch found {
	case len(w.containers):
		return nil
	case 0:
		d.patch.prepend("/spec/initContainers", have != nil, w.containers)
		return nil
	}
	return malformed("the pod has some of s3veil's init containers and lacks others")
}

// strict are the fields of a container that nobody but the webhook sets, so that equal means unchanged.
var strict = []string{"image", "command", "args", "restartPolicy", "securityContext"}

// sameContainer reports whether a container is the webhook's, with nothing but what the API server and other webhooks add.
func sameContainer(have, want map[string]any) bool {
	for _, key := range strict {
		if !reflect.DeepEqual(have[key], want[key]) {
			return false
		}
	}
	for _, e := range items(have["env"]) {
		name, _ := e["name"].(string)
		if ownVariable(name) && named(want["env"], name) == nil {
			return false
		}
	}
	rest := clone(want)
	delete(rest, "resources") // written in other units by the API server, changed by limit ranges
	return len(items(have["env"])) == distinct(have["env"]) && contains(have, rest)
}

// distinct counts the names of a list.
func distinct(list any) int {
	seen := map[any]bool{}
	for _, e := range items(list) {
		seen[e["name"]] = true
	}
	return len(seen)
}
