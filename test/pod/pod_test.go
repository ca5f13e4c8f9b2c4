//go:build podman

package pod

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/tree"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild, removeSettings) }

const (
	chart  = "../../charts/s3veil"
	secret = "nobody but the application may read this"
	group  = 65532 // fsGroup of the pods
)

// object is a part of a manifest.
type object = map[string]any

// render returns what Helm makes of a chart.
func render(t *testing.T, args ...string) (all []object) {
	t.Helper()
	program := os.Getenv("S3VEIL_TEST_HELM")
	if program == "" {
		t.Fatal("S3VEIL_TEST_HELM is not set; .ci/pod sets it")
	}
	out, err := exec.Command(program, append([]string{"template", "--kube-version", "1.36.0"}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(strings.NewReader(string(out))); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

// kind finds the object of a kind.
func kind(t *testing.T, all []object, kind string) object {
	t.Helper()
	i := slices.IndexFunc(all, func(o object) bool { return o["kind"] == kind })
	if i < 0 {
		t.Fatalf("no %s", kind)
	}
	return all[i]
}

// pod is a rendered pod on its way to podman.
type pod struct {
	name   string
	data   string // folder of the store
	dir    string
	spec   object
	probes object            // of s3veil, as rendered
	files  map[string]object // Secrets of the chart
}

func newPod(t *testing.T) *pod {
	t.Helper()
	var random [4]byte
	rand.Read(random[:])
	p := &pod{name: "s3veil-" + hex.EncodeToString(random[:]), dir: t.TempDir()}
	p.data = filepath.Join(p.dir, "store")
	for _, d := range []string{"objects", "meta", "iam"} {
		path := filepath.Join(p.data, d)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, 0o777)); err != nil { // whoever the store runs as
			t.Fatal(err)
		}
	}
	return p
}

// take reads the pod's spec and the chart's Secrets, and changes what podman 4.3 cannot do: native sidecars become the first
// containers, Secrets folders of the host, laid out as the kubelet does, and the probes are left to the test. The ports go, too.
func (p *pod) take(t *testing.T, spec any, all []object) {
	t.Helper()
	p.spec, p.files = spec.(object), map[string]object{}
	for _, o := range all {
		if o["kind"] == "Secret" {
			p.files[tree.At(o, "metadata", "name").(string)] = o["data"].(object)
		}
	}
	p.spec["containers"] = append(tree.List(p.spec, "initContainers"), tree.List(p.spec, "containers")...)
	delete(p.spec, "initContainers")
	for _, c := range tree.List(p.spec, "containers") {
		c := c.(object)
		delete(c, "ports") // podman would map them to the host's
		if c["name"] != "s3veil" {
			continue
		}
		delete(c, "restartPolicy")
		p.probes = object{}
		for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
			p.probes[probe] = c[probe]
			delete(c, probe)
		}
	}
	for _, v := range tree.List(p.spec, "volumes") {
		v := v.(object)
		if name, ok := tree.At(v, "secret", "secretName").(string); ok {
			if tree.At(v, "secret", "defaultMode") != 0o440 {
				t.Errorf("%s: mode %v", name, tree.At(v, "secret", "defaultMode"))
			}
			v["hostPath"] = object{"path": p.layOut(t, name)}
			delete(v, "secret")
		}
	}
}

// layOut writes the files of a Secret, the chart's or one that the chart names.
func (p *pod) layOut(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(p.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(file string, content []byte) {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.WriteFile(path, content, 0o440), os.Chmod(path, 0o440), os.Chown(path, 0, group)); err != nil {
			t.Fatal(err)
		}
	}
	switch name {
	case "app-s3veil":
		write("store", []byte("of the store"))
		write("client", []byte("of the client"))
	case "app-keys":
		program, err := s3veil.Build()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(p.dir, "keys.json")
		if out, err := exec.Command(program, "keys", "new", "--out", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write("keys.json", content)
	default:
		if len(p.files[name]) == 0 {
			t.Fatalf("no Secret %s", name)
		}
		for file, content := range p.files[name] {
			b, err := base64.StdEncoding.DecodeString(content.(string))
			if err != nil {
				t.Fatal(err)
			}
			write(file, b)
		}
	}
	return dir
}

// play gives the pod to podman.
func (p *pod) play(t *testing.T) *played {
	t.Helper()
	b, err := json.Marshal(object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": p.name}, "spec": p.spec})
	if err != nil {
		t.Fatal(err)
	}
	return play(t, p.name, b)
}

// probe asks what a rendered probe asks.
func (p *pod) probe(t *testing.T, running *played, probe string) error {
	t.Helper()
	get := tree.At(p.probes[probe], "httpGet")
	if get == nil {
		t.Fatalf("no %s", probe)
	}
	return running.ask(t, fmt.Sprintf("http://127.0.0.1:%v%v", tree.At(get, "port"), tree.At(get, "path")))
}

// lives starts store, s3veil and application in the kubelet's order, checks what runs, and ends them.
func (p *pod) lives(t *testing.T) {
	t.Helper()
	running := p.play(t)
	t.Cleanup(func() {
		if t.Failed() {
			for _, c := range []string{"s3veil", "app", "store"} {
				t.Logf("%s says\n%s", c, running.logs(c))
			}
		}
	})
	running.start(t, "s3veil")
	eventually(t, func() error { return p.probe(t, running, "startupProbe") })
	if err := p.probe(t, running, "readinessProbe"); err == nil {
		t.Error("ready without a store")
	}
	running.start(t, "store")
	eventually(t, func() error { return p.probe(t, running, "readinessProbe") })
	running.start(t, "app")
	eventually(t, func() error {
		if log := running.logs("app"); !strings.Contains(log, "stored first") {
			return fmt.Errorf("the application says %q", log)
		}
		return nil
	})
	if err := p.probe(t, running, "livenessProbe"); err != nil {
		t.Error(err)
	}
	confined(t, running)
	if code := running.end(t, "app"); code != "0" || !strings.Contains(running.logs("app"), "stored last") {
		t.Errorf("the application has ended with %s: s3veil ends after it", code)
	}
	if code := running.end(t, "s3veil"); code != "0" {
		t.Errorf("s3veil has ended with %s", code)
	}
	running.end(t, "store")
	encrypted(t, p.data)
}

// confined checks the process against the security context of the chart.
func confined(t *testing.T, running *played) {
	t.Helper()
	for field, want := range map[string]string{"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "CapEff": "0000000000000000",
		"CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
		if got := running.status(t, "s3veil", field); got != want {
			t.Errorf("%s of s3veil: %s, want %s", field, got, want)
		}
	}
	root := ""
	for line := range strings.Lines(running.proc(t, "s3veil", "mountinfo")) {
		if f := strings.Fields(line); f[4] == "/" {
			root = f[5]
		}
	}
	if !slices.Contains(strings.Split(root, ","), "ro") {
		t.Errorf("the root file system is mounted %s", root)
	}
}

// encrypted checks that the store has both objects, and not a word of them.
func encrypted(t *testing.T, dir string) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), secret) {
			t.Errorf("%s holds plaintext", path)
		}
		if d.Name() == "first" || d.Name() == "last" {
			if found = append(found, d.Name()); len(content) <= len(secret) {
				t.Errorf("%s holds %d bytes for %d", path, len(content), len(secret))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(found); !slices.Equal(found, []string{"first", "last"}) {
		t.Errorf("the store holds %v", found)
	}
}

// appChart is a copy of the application's chart with s3veil's as its dependency in place.
func appChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.CopyFS(dir, os.DirFS("testdata/app")), os.CopyFS(filepath.Join(dir, "charts", "s3veil"), os.DirFS(chart))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSidecarBetweenApplicationAndStore(t *testing.T) {
	p := newPod(t)
	all := render(t, "r", appChart(t), "--set", "data="+p.data)
	spec := kind(t, all, "Pod")["spec"]
	if sidecar, _ := tree.List(spec, "initContainers")[0].(object); sidecar["restartPolicy"] != "Always" {
		t.Error("s3veil is no native sidecar")
	}
	p.take(t, spec, all)
	p.lives(t)
}

// The gateway's pod, with application and store moved into its network namespace, since there is no other network.
func TestGatewayBetweenApplicationAndStore(t *testing.T) {
	p := newPod(t)
	all := render(t, "r", chart, "-f", "testdata/gateway.yaml")
	spec := tree.At(kind(t, all, "Deployment"), "spec", "template", "spec").(object)
	app := kind(t, render(t, "r", appChart(t), "--set", "data="+p.data), "Pod")["spec"]
	spec["containers"] = append(tree.List(spec, "containers"), tree.List(app, "containers")...)
	spec["volumes"] = append(tree.List(spec, "volumes"), tree.List(app, "volumes")[0])
	p.take(t, spec, all)
	p.lives(t)
}
