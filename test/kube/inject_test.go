//go:build integration

package kube

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"s3veil/test/tree"
)

const (
	sidecarConfig = `[{"access_key":"app","actions":["read","write"],"buckets":["*"],"secret_key_file":"/run/s3veil/secrets/app/client"}]`
	sidecarKeys   = `[{"file":"/run/s3veil/secrets/app/keys.json","id":"main","provider":"local"}]`
)

// promised is what the documents say becomes of a pod: written down here, field by field, for the profile of testdata/injector.yaml.
func promised(t *testing.T, pod object, upstream string) object {
	t.Helper()
	p := copied(t, pod)
	probe := func(path string, more object) object {
		more["httpGet"] = object{"path": path, "port": 15481}
		return more
	}
	sidecar := object{"name": "s3veil", "image": "registry.example/s3veil:1", "imagePullPolicy": "IfNotPresent", "args": []string{"serve"}, "restartPolicy": "Always",
		"env": []object{
			{"name": "S3VEIL_ADMIN", "value": ":15481"},
			{"name": "S3VEIL_CLIENTS", "value": sidecarConfig},
			{"name": "S3VEIL_KMS_KEYS", "value": sidecarKeys},
			{"name": "S3VEIL_LIMITS_DRAIN", "value": "25s"},
			{"name": "S3VEIL_LIMITS_DRAIN_DELAY", "value": "0s"},
			{"name": "S3VEIL_LISTEN", "value": "127.0.0.1:15480"},
			{"name": "S3VEIL_UPSTREAM_CREDENTIALS_ACCESS_KEY", "value": "a"},
			{"name": "S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY_FILE", "value": "/run/s3veil/secrets/app/store"},
			{"name": "S3VEIL_UPSTREAM_ENDPOINT", "value": upstream},
		},
		"ports":          []object{{"name": "s3veil-admin", "containerPort": 15481}},
		"startupProbe":   probe("/healthz", object{"periodSeconds": 1, "failureThreshold": 60}),
		"livenessProbe":  probe("/healthz", object{"periodSeconds": 10, "timeoutSeconds": 5}),
		"readinessProbe": probe("/readyz", object{"periodSeconds": 5, "timeoutSeconds": 5}),
		"resources":      object{"requests": object{"cpu": "250m", "memory": "256Mi"}, "limits": object{"memory": "512Mi"}},
		"securityContext": object{"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 0, "readOnlyRootFilesystem": true,
			"allowPrivilegeEscalation": false, "capabilities": object{"drop": []string{"ALL"}}, "seccompProfile": object{"type": "RuntimeDefault"}},
		"volumeMounts": []object{{"name": "s3veil-secret-app", "mountPath": "/run/s3veil/secrets/app", "readOnly": true}}}
	spec := p["spec"].(object)
	for _, l := range []string{"initContainers", "containers"} {
		for _, c := range tree.List(spec, l) {
			env := tree.List(c, "env")
			c.(object)["env"] = append(env, object{"name": "AWS_ENDPOINT_URL_S3", "value": "http://127.0.0.1:15480"})
		}
	}
	spec["initContainers"] = append([]any{sidecar}, tree.List(spec, "initContainers")...)
	spec["volumes"] = append(tree.List(spec, "volumes"), object{"name": "s3veil-secret-app", "secret": object{"secretName": "app-s3veil", "defaultMode": 0o440}})
	return p
}

// sameSpec compares what the API server has made of two pods, field by field.
func sameSpec(t *testing.T, what string, got, want object) {
	t.Helper()
	for _, m := range []string{missing(tree.At(want, "spec"), tree.At(got, "spec"), what), missing(tree.At(got, "spec"), tree.At(want, "spec"), what+", promised")} {
		if m != "" {
			t.Error(m)
		}
	}
}

func TestInjectedPodsAreWhatWasPromised(t *testing.T) {
	t.Parallel()
	p := mustPlane(t)
	i := p.started(t)
	asked, always, elsewhere := i.tenant(t), i.tenant(t, "s3veil.io/inject", "enabled"), p.namespace(t, "restricted")
	const store, other = "http://store.example.internal:9000", "http://store-b.example.internal:9000"
	for _, c := range []struct {
		what, namespace string
		annotations     object
		upstream        string // empty: not injected
	}{
		{"asked for", asked, annotations("true"), store},
		{"another store", asked, annotations("true", "upstream", other), other},
		{"by its namespace", always, nil, store},
		{"not asked for", asked, nil, ""},
		{"asked not to", asked, annotations("false"), ""},
		{"asked not to where all are", always, annotations("false"), ""},
		{"a namespace without the injector", elsewhere, annotations("true"), ""},
	} {
		pod := application(c.annotations)
		got, err := p.create(c.namespace, pod, "?fieldValidation=Strict")
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		hand := pod
		if c.upstream != "" {
			hand = promised(t, pod, c.upstream)
		}
		want, err := p.create(elsewhere, hand, "?fieldValidation=Strict&dryRun=All")
		if err != nil {
			t.Fatalf("%s: the promised pod: %v", c.what, err)
		}
		sameSpec(t, c.what, got, want)
		had, _ := tree.At(want, "metadata", "annotations").(object)
		has, _ := tree.At(got, "metadata", "annotations").(object)
		if m := missing(had, has, c.what); m != "" {
			t.Error(m)
		}
		label := text(has, "s3veil.io/injected")
		if good := regexp.MustCompile(`^default\.[0-9a-f]{12}$`).MatchString(label); good != (c.upstream != "") {
			t.Errorf("%s: s3veil.io/injected is %q", c.what, label)
		}
	}
	p.replaced(t, asked, 4, nil) // scheduled and run, with the sidecar as an init container
}

func TestDryRunsAreInjectedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	i := mustPlane(t).started(t)
	ns := i.tenant(t)
	before := i.contents(t, ns)
	got, err := i.create(ns, application(annotations("true")), "?dryRun=All")
	if err != nil || len(tree.List(got, "spec", "initContainers")) != 2 {
		t.Errorf("%v, init containers %v", err, tree.At(got, "spec", "initContainers"))
	}
	if _, err := i.create(ns, application(annotations("perhaps")), "?dryRun=All"); !refusedWith(err, http.StatusUnprocessableEntity) {
		t.Errorf("a dry run of a malformed pod: %v", err)
	}
	if after := i.contents(t, ns); !slices.Equal(before, after) {
		t.Errorf("a dry run has made %v of %v", after, before)
	}
}

func TestMalformedPodsAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	i := mustPlane(t).started(t)
	ns := i.tenant(t)
	host := application(annotations("true"))
	host["spec"].(object)["hostNetwork"] = true
	taken := application(annotations("true"))
	taken["spec"].(object)["volumes"] = []object{{"name": "data", "emptyDir": object{}}, {"name": "s3veil-secret-app", "emptyDir": object{}}}
	for _, c := range []struct {
		pod  object
		code int
		want string
	}{
		{application(annotations("yes")), 422, `s3veil.io/inject is "yes", neither "true" nor "false"`},
		{application(annotations("true", "upstraem", "http://a")), 422, "unknown annotation s3veil.io/upstraem"},
		{application(annotations("true", "profile", "none")), 422, `there is no profile "none"`},
		{application(annotations("true", "profile", "production")), 403, `profile "production" is not for pods of namespace "` + ns + `"`},
		{application(annotations("true", "upstream", "http://elsewhere:9000")), 403, `profile "default" does not allow "http://elsewhere:9000"`},
		{application(annotations("true", "key", "other")), 403, `does not allow "other"`},
		{host, 422, "not put into pods of the host's network"},
		{taken, 422, "the pod has a volume s3veil-secret-app that is not s3veil's"},
	} {
		_, err := i.create(ns, c.pod, "")
		if !refusedWith(err, c.code) || !strings.Contains(err.Error(), "s3veil: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %d with %q", err, c.code, c.want)
		}
	}
	// Whoever makes pods through a Deployment reads the reason there.
	spec := application(annotations("true", "upstraem", "http://a"))
	template := object{"metadata": spec["metadata"], "spec": spec["spec"]}
	delete(template["metadata"].(object), "generateName")
	i.must(t, "POST", "/apis/apps/v1/namespaces/"+ns+"/deployments", object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": "app"},
		"spec": object{"selector": object{"matchLabels": object{"app": "app"}}, "template": template}})
	eventually(t, func() error {
		d := i.must(t, "GET", "/apis/apps/v1/namespaces/"+ns+"/deployments/app", nil)
		if reasons := fmt.Sprint(tree.At(d, "status", "conditions")); !strings.Contains(reasons, "unknown annotation s3veil.io/upstraem") {
			return fmt.Errorf("the Deployment says %s", reasons)
		}
		return nil
	})
	if n := len(i.pods(t, ns)); n != 0 {
		t.Errorf("%d pods", n)
	}
}

func TestWithoutTheWebhookTheFailurePolicyDecides(t *testing.T) {
	t.Parallel()
	i := mustPlane(t).started(t)
	ns := i.tenant(t)
	sidecars := func(pod object) (int, error) {
		out, err := i.create(ns, pod, "")
		return len(tree.List(out, "spec", "initContainers")) - 1, err
	}
	asks, never, indifferent := application(annotations("true")), application(annotations("true")), application(nil)
	never["metadata"].(object)["labels"] = object{"s3veil.io/inject": "false"}

	i.connect(i.replicas[1])
	i.replicas[0].proc.Kill()
	if n, err := sidecars(asks); n != 1 || err != nil {
		t.Errorf("one replica of two: %d sidecars, %v", n, err)
	}

	i.connect()
	i.replicas[1].proc.Kill()
	if _, err := sidecars(asks); !refusedWith(err, http.StatusInternalServerError) || !strings.Contains(err.Error(), `failed calling webhook "pods.s3veil.io"`) {
		t.Errorf("policy Fail, no replica: %v", err)
	}
	for what, pod := range map[string]object{"opted out": never, "without annotations": indifferent} {
		if n, err := sidecars(pod); n != 0 || err != nil {
			t.Errorf("policy Fail, no replica, %s: %d sidecars, %v", what, n, err)
		}
	}
	// The webhook's own pods never wait for it.
	own := application(annotations("true"))
	if out, err := i.create(i.namespace, own, ""); err != nil || len(tree.List(out, "spec", "initContainers")) != 1 {
		t.Errorf("in the namespace of the injector: %v", err)
	}

	i.helmDeploy(t, "upgrade", "--set", "injector.failurePolicy=Ignore")
	eventually(t, func() error {
		n, err := sidecars(asks)
		if err == nil && n != 0 {
			err = fmt.Errorf("%d sidecars", n)
		}
		return err
	})
	// The upgrade has left certificate and caBundle alone: one more replica, and all is well.
	i.start(t)
	i.connect(i.replicas[2])
	if n, err := sidecars(asks); n != 1 || err != nil {
		t.Errorf("policy Ignore, a replica is back: %d sidecars, %v", n, err)
	}
}

// Other webhooks may come after s3veil's: it is asked again, and adds what is missing without adding anything twice.
func TestPodsThatOtherWebhooksChangeAreInjectedOnce(t *testing.T) {
	t.Parallel()
	p := mustPlane(t)
	i := p.started(t)
	ns := i.tenant(t)
	p.addLateContainers(t, i.namespace)
	var got object
	eventually(t, func() (err error) {
		if got, err = p.create(ns, application(annotations("true")), ""); err == nil && len(tree.List(got, "spec", "containers")) != 3 {
			err = fmt.Errorf("the other webhook is not called")
		}
		return err
	})
	hand := application(annotations("true"))
	spec := hand["spec"].(object)
	spec["containers"] = append(spec["containers"].([]object), lateContainer)
	want, err := p.create(p.namespace(t, "restricted"), promised(t, hand, "http://store.example.internal:9000"), "?dryRun=All")
	if err != nil {
		t.Fatal(err)
	}
	sameSpec(t, "with another webhook", got, want)

	// An injected pod that is made again, as backups do.
	again := object{"apiVersion": "v1", "kind": "Pod", "spec": got["spec"],
		"metadata": object{"generateName": "again-", "labels": tree.At(got, "metadata", "labels"), "annotations": tree.At(got, "metadata", "annotations")}}
	twice, err := p.create(ns, again, "")
	if err != nil {
		t.Fatal(err)
	}
	sameSpec(t, "made again", twice, got)
	if a, b := tree.At(twice, "metadata", "annotations"), tree.At(got, "metadata", "annotations"); missing(a, b, "annotations")+missing(b, a, "annotations") != "" {
		t.Errorf("annotations %v, before %v", a, b)
	}
	if body := i.metrics(t); !regexp.MustCompile(`(?m)^s3veil_inject_\w+\{.*result="unchanged".*\} [1-9]`).MatchString(body) {
		t.Errorf("no review was without a change:\n%s", body)
	}
}

// metrics of all replicas.
func (i *injector) metrics(t *testing.T) (all string) {
	t.Helper()
	for _, w := range i.replicas {
		resp, err := http.Get("http://" + w.admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		all += string(body)
	}
	return all
}
