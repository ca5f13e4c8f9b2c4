//go:build integration

package kube

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"s3veil/test/tree"
)

// lateContainer is what another webhook adds.
var lateContainer = object{"name": "late", "image": "late:1", "securityContext": restricted}

// addLateContainers registers another webhook, called after all others, that adds lateContainer to pods without it.
func (p *plane) addLateContainers(t *testing.T, selector string) {
	t.Helper()
	ca, err := newAuthority("late CA", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := ca.issue(time.Hour, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(reviewLate))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
	name := "zz-" + selector
	p.must(t, "POST", path, object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": object{"name": name},
		"webhooks": []object{{"name": "late.example.internal", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None",
			"clientConfig": object{"url": server.URL, "caBundle": ca.pem}, "namespaceSelector": object{"matchLabels": object{"injector": selector}},
			"rules": []object{{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"pods"}, "operations": []string{"CREATE"}}}}}})
	t.Cleanup(func() {
		p.must(t, "DELETE", path+"/"+name, nil)
		server.Close()
	})
}

func reviewLate(w http.ResponseWriter, r *http.Request) {
	var review object
	if json.NewDecoder(r.Body).Decode(&review) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	response := object{"uid": tree.At(review, "request", "uid"), "allowed": true}
	containers := tree.List(review, "request", "object", "spec", "containers")
	if text(containers[len(containers)-1], "name") != "late" {
		patch, err := json.Marshal([]object{{"op": "add", "path": "/spec/containers/-", "value": lateContainer}})
		if err != nil {
			panic(err)
		}
		response["patch"], response["patchType"] = patch, "JSONPatch"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}
