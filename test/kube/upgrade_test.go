//go:build integration

package kube

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"s3veil/test/tree"
)

const local = fixtures + "good/local.yaml"

// Every upgrade starts from the values of the one before and leaves exactly what its own say.
func TestUpgradesFollowTheValues(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	p.cloud(t, ns)
	p.mustHelm(t, "install", "r", chart, "-n", ns, "-f", local, "--wait", "--timeout", "2m")
	for _, set := range []string{
		`replicas=3`,
		`service={"type":"LoadBalancer","port":8443,"annotations":{"a":"b"}}`,
		`service.type="NodePort"`,
		`service.port=81`,
		`serviceAccount={"name":"other","annotations":{"a":"b"}}`,
		`serviceAccount.create=false`,
		`serviceAccount.automountToken=true`,
		`podDisruptionBudget={"minAvailable":1,"maxUnavailable":""}`,
		`podDisruptionBudget.maxUnavailable="50%"`,
		`podDisruptionBudget.enabled=false`,
		`tls.existingSecret="certificate"`,
		`tls.certManager={"enabled":true,"issuerRef":{"name":"i"}}`,
		`networkPolicy={"enabled":true,"egress":[{"ports":[{"port":443,"protocol":"TCP"}]}]}`,
		`networkPolicy={"enabled":true,"clients":[{"podSelector":{}}]}`,
		`metrics={"serviceMonitor":{"enabled":true},"prometheusRule":{"enabled":true}}`,
		`ingress={"enabled":true,"hosts":["s3.example.internal"]}`,
		`httpRoute={"enabled":true,"parentRefs":[{"name":"g"}]}`,
		`secrets=[{"name":"keys","files":{"keys.json":"x"}}]`,
		`extraVolumes=[{"name":"tmp","emptyDir":{}}],extraVolumeMounts=[{"name":"tmp","mountPath":"/tmp"}]`,
		`drainSeconds=60,preStopSeconds=0`,
		`podLabels={"team":"a"},podAnnotations={"a":"b"}`,
		`nameOverride="other"`,
		`fullnameOverride="third"`,
		`mode="sidecar"`,
		`replicas=1`,
	} {
		if _, err := p.helm("upgrade", "r", chart, "-n", ns, "-f", local, "--set-json", set, "--wait", "--timeout", "2m"); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		if p.mirrored(t, ns, "r"); t.Failed() {
			t.Fatalf("after %s", set)
		}
	}
}

// What Kubernetes cannot change is refused before anything is touched, by the name of the value.
func TestUpgradesThatCannotBeAreRefused(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	args := []string{"-n", ns, "-f", local, "--wait", "--timeout", "2m", "--set", "fullnameOverride=veil"}
	p.mustHelm(t, append([]string{"install", "r", chart}, args...)...)
	pods := p.replaced(t, ns, 2, nil)
	_, err := p.helm(append([]string{"upgrade", "r", chart, "--set", "nameOverride=other,replicas=1"}, args...)...)
	if err == nil || !strings.Contains(err.Error(), "nameOverride: Kubernetes cannot change the selector of Deployment veil") {
		t.Errorf("a changed selector: %v", err)
	}
	_, err = p.helm(append([]string{"upgrade", "r", chart, "--set", "mode=both"}, args...)...)
	if err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("an unknown mode: %v", err)
	}
	if status := p.mustHelm(t, "status", "r", "-n", ns); !strings.Contains(status, "REVISION: 1") || !strings.Contains(status, "STATUS: deployed") {
		t.Errorf("a refused upgrade is a revision:\n%s", status)
	}
	if p.mirrored(t, ns, "r"); len(p.pods(t, ns)) != len(pods) {
		t.Error("a refused upgrade has changed the pods")
	}
}

// Without its replicas field a Deployment falls to one pod, until the autoscaler sees it.
func TestAutoscalingTakesOverTheReplicas(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	deploy := func(command, set string) {
		t.Helper()
		p.mustHelm(t, command, "r", chart, "-n", ns, "-f", local, "--wait", "--timeout", "2m", "--set-json", set)
		p.mirrored(t, ns, "r")
	}
	deployment := "/apis/apps/v1/namespaces/" + ns + "/deployments/r-s3veil"
	generations := func() (pods, generation any) {
		d := p.must(t, "GET", deployment, nil)
		return tree.At(d, "spec", "replicas"), tree.At(d, "metadata", "generation")
	}
	deploy("install", `replicas=4`)
	first := p.replaced(t, ns, 4, nil)
	const autoscaling = `autoscaling={"enabled":true,"minReplicas":3,"maxReplicas":9}`
	_, before := generations()
	deploy("upgrade", `replicas=4,`+autoscaling)
	if n, after := generations(); n != 4. || before != after {
		t.Errorf("with the autoscaler switched on the Deployment has %v pods, generation %v after %v", n, after, before)
	}
	p.must(t, "PATCH", deployment+"/scale", object{"spec": object{"replicas": 6}}) // as the autoscaler would
	deploy("upgrade", `service.port=81,`+autoscaling)
	if n, _ := generations(); n != 6. {
		t.Errorf("an upgrade leaves %v of the autoscaler's 6 pods", n)
	}
	for uid := range first {
		if p.pods(t, ns)[uid] == nil {
			t.Error("the autoscaler's start has ended a pod")
		}
	}
}

// A release may be called like a number, which YAML would take for one.
func TestReleasesWithNumbersForNames(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	p.mustHelm(t, "install", "2026", chart, "-n", ns, "-f", local, "--wait", "--timeout", "2m")
	p.mirrored(t, ns, "2026")
}

func TestTwoReleasesShareANamespace(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	for _, release := range []string{"a", "s3veil"} {
		p.mustHelm(t, "install", release, chart, "-n", ns, "-f", local, "--wait", "--timeout", "2m")
	}
	p.replaced(t, ns, 4, nil)
	// The endpoints of each Service are the pods of its own release.
	for service, release := range map[string]string{"a-s3veil": "a", "s3veil": "s3veil"} {
		eventually(t, func() error {
			want := map[string]bool{}
			for _, pod := range p.pods(t, ns) {
				if text(pod, "metadata", "labels", "app.kubernetes.io/instance") == release {
					want[name(pod)] = true
				}
			}
			n := 0
			for _, slice := range p.items(t, "/apis/discovery.k8s.io/v1/namespaces/"+ns+"/endpointslices?labelSelector=kubernetes.io/service-name%3D"+service) {
				for _, e := range tree.List(slice, "endpoints") {
					if n++; !want[text(e, "targetRef", "name")] {
						return fmt.Errorf("%s leads to %s", service, text(e, "targetRef", "name"))
					}
				}
			}
			if n != 2 {
				return fmt.Errorf("%s leads to %d pods", service, n)
			}
			return nil
		})
	}
	// A third release whose name would give the objects of the first ones is refused.
	if _, err := p.helm("install", "a-s3veil", chart, "-n", ns, "-f", local); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("a release took over the objects of another one: %v", err)
	}
	p.mustHelm(t, "uninstall", "a", "-n", ns, "--wait", "--timeout", "2m")
	p.mirrored(t, ns, "s3veil")
	p.replaced(t, ns, 2, nil)
}

func TestThePodDisruptionBudgetHoldsEvictionsBack(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "restricted")
	p.mustHelm(t, "install", "r", chart, "-n", ns, "-f", local, "--wait", "--timeout", "2m", "--set-json", `podDisruptionBudget={"minAvailable":1,"maxUnavailable":""}`)
	budget := "/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets/r-s3veil"
	eventually(t, func() error {
		if status := tree.At(p.must(t, "GET", budget, nil), "status"); tree.At(status, "disruptionsAllowed") != 1. || tree.At(status, "expectedPods") != 2. {
			return fmt.Errorf("%v", status)
		}
		return nil
	})
	// A full node: evicted pods find no place, so that the second eviction would end the last pod.
	p.must(t, "PATCH", "/apis/apps/v1/namespaces/"+ns+"/deployments/r-s3veil", object{"spec": object{"template": object{"spec": object{"nodeSelector": object{"nowhere": "x"}}}}})
	evict := func(pod string) error {
		return p.do("POST", "/api/v1/namespaces/"+ns+"/pods/"+pod+"/eviction", object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": object{"name": pod}}, nil)
	}
	var running []string
	for _, pod := range p.pods(t, ns) {
		if text(pod, "status", "phase") == "Running" {
			running = append(running, name(pod))
		}
	}
	if len(running) != 2 {
		t.Fatalf("running: %v", running)
	}
	if err := evict(running[0]); err != nil {
		t.Fatal(err)
	}
	if err := evict(running[1]); !refusedWith(err, http.StatusTooManyRequests) {
		t.Errorf("the last pod was evicted: %v", err)
	}
}

// A token of the Kubernetes API is in the pods where a value asks for it, and nowhere else.
func TestPodsHaveTheTokenOfTheirAccountOnlyOnDemand(t *testing.T) {
	p := mustPlane(t)
	for values, want := range map[string]bool{"local": false, "transit": true} {
		ns := p.namespace(t, "restricted")
		p.mustHelm(t, "install", "r", chart, "-n", ns, "-f", fixtures+"good/"+values+".yaml", "--wait", "--timeout", "2m")
		for _, pod := range p.pods(t, ns) {
			if text(pod, "spec", "serviceAccountName") != "r-s3veil" {
				t.Errorf("%s: account %s", values, text(pod, "spec", "serviceAccountName"))
			}
			var got bool
			for _, v := range tree.List(pod, "spec", "volumes") {
				got = got || strings.HasPrefix(text(v, "name"), "kube-api-access")
			}
			if got != want {
				t.Errorf("%s: token mounted: %v", values, got)
			}
		}
	}
}
