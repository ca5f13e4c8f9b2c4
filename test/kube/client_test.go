//go:build integration

package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/test/tree"
)

// object is anything that the API server takes or answers.
type object = map[string]any

// refusal is an answer of the API server that is not a success.
type refusal struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Code, r.Reason, r.Message) }

func refusedWith(err error, code int) bool {
	var r *refusal
	return errors.As(err, &r) && r.Code == code
}

// do sends a request of the administrator. body is an object or YAML; out may be nil.
func (p *plane) do(method, path string, body, out any) error {
	kind := "application/json"
	var content []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		content, kind = b, "application/yaml"
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	if method == "PATCH" {
		kind = "application/merge-patch+json"
	}
	req, err := http.NewRequest(method, p.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		r := &refusal{}
		if json.Unmarshal(answer, r) != nil || r.Code == 0 {
			r = &refusal{Code: resp.StatusCode, Message: string(answer)}
		}
		return r
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// must is do for requests that succeed.
func (p *plane) must(t *testing.T, method, path string, body any) object {
	t.Helper()
	var out object
	if err := p.do(method, path, body, &out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return out
}

// items lists what lies at a path.
func (p *plane) items(t *testing.T, path string) []any {
	t.Helper()
	return tree.List(p.must(t, "GET", path, nil), "items")
}

func text(node any, path ...any) string {
	s, _ := tree.At(node, path...).(string)
	return s
}

func name(node any) string { return text(node, "metadata", "name") }

// eventually calls check until it returns nil, two minutes at most.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// resource is a kind of object that can be listed.
type resource struct {
	kind string
	path string // of a cluster-wide list, /api/v1/pods or /apis/apps/v1/deployments
}

// in is the path of the list of a namespace.
func (r resource) in(namespace string) string {
	group, plural := r.path[:strings.LastIndex(r.path, "/")], r.path[strings.LastIndex(r.path, "/"):]
	return group + "/namespaces/" + namespace + plural
}

// resources asks the API server for every kind that can be listed, in namespaces or outside them.
func (p *plane) resources(t *testing.T, namespaced bool) (all []resource) {
	t.Helper()
	versions := []string{"/api/v1"}
	for _, g := range tree.List(p.must(t, "GET", "/apis", nil), "groups") {
		versions = append(versions, "/apis/"+text(g, "preferredVersion", "groupVersion"))
	}
	for _, v := range versions {
		for _, r := range tree.List(p.must(t, "GET", v, nil), "resources") {
			verbs := fmt.Sprint(tree.At(r, "verbs"))
			if tree.At(r, "namespaced") == namespaced && strings.Contains(verbs, "list") && strings.Contains(verbs, "create") {
				all = append(all, resource{text(r, "kind"), v + "/" + text(r, "name")})
			}
		}
	}
	return all
}

// everything is what a namespace contains, and what lies outside of namespaces and has it in its name.
func (p *plane) everything(t *testing.T, namespace string) (all []object) {
	t.Helper()
	add := func(r resource, path string) {
		for _, item := range p.items(t, path) {
			o := item.(object)
			o["kind"] = r.kind // lists leave it out
			all = append(all, o)
		}
	}
	for _, r := range p.resources(t, true) {
		add(r, r.in(namespace))
	}
	for _, r := range p.resources(t, false) {
		if r.kind != "Namespace" {
			add(r, r.path)
		}
	}
	return slices.DeleteFunc(all, func(o object) bool {
		return text(o, "metadata", "namespace") != namespace && !strings.Contains(name(o), namespace)
	})
}

// contents names everything but what comes and goes by itself.
func (p *plane) contents(t *testing.T, namespace string) (names []string) {
	t.Helper()
	for _, o := range p.everything(t, namespace) {
		if kind := text(o, "kind"); kind != "Event" && kind != "Lease" {
			names = append(names, kind+"/"+name(o))
		}
	}
	return names
}
