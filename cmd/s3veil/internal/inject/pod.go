package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pod is what the webhook reads of a pod (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/).
// The rest is never decoded into fields: the answer is a patch, so that fields of other versions stay as they are.
type pod struct {
	Metadata struct {
		Name         string            `json:"name"`
		GenerateName string            `json:"generateName"`
		Annotations  map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		HostNetwork bool `json:"hostNetwork"`
		OS          struct {
			Name string `json:"name"`
		} `json:"os"`
		NodeSelector   map[string]string `json:"nodeSelector"`
		InitContainers []container       `json:"initContainers"`
		Containers     []container       `json:"containers"`
	} `json:"spec"`
	raw map[string]any // the same as a tree
}

// container is what the webhook reads of a container.
type container struct {
	Name string `json:"name"`
	Env  []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	Ports []struct {
		ContainerPort int `json:"containerPort"`
	} `json:"ports"`
	VolumeMounts []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
	} `json:"volumeMounts"`
}

// annotationMirror marks what the kubelet shows of a static pod, which nobody can change.
const annotationMirror = "kubernetes.io/config.mirror"

var errPod = errors.New("its object is no pod")

// parsePod reads a pod. Texts that readers of JSON could take for different pods are errors; the API server sends none.
func parsePod(object []byte) (*pod, error) {
	p := &pod{}
	if err := json.Unmarshal(object, &p.raw); err != nil {
		return nil, fmt.Errorf("%w: %w", errPod, err)
	}
	once, err := json.Marshal(p.raw) // of names that stand twice the last is left
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"metadata", "spec"} {
		if m, _ := p.raw[key].(map[string]any); m == nil {
			return nil, fmt.Errorf("%w: it has no %s", errPod, key)
		}
	}
	if name := respelt(p.raw); name != "" {
		return nil, fmt.Errorf("%w: unknown field %q", errPod, name)
	}
	if err := json.Unmarshal(once, p); err != nil {
		return nil, fmt.Errorf("%w: %w", errPod, err)
	}
	for _, l := range []string{"initContainers", "containers"} {
		for i, c := range items(dig(p.raw, "spec", l)) {
			if c == nil {
				return nil, fmt.Errorf("%w: spec.%s[%d] is null", errPod, l, i)
			}
		}
	}
	return p, nil
}

// fields are the names that are read. The API has them in one spelling, while encoding/json takes any.
var fields = []string{"metadata", "name", "generateName", "annotations", "spec", "hostNetwork", "os", "nodeSelector", "initContainers", "containers",
	"env", "value", "ports", "containerPort", "volumeMounts", "mountPath"}

// respelt finds a name that is one of fields in another spelling, where they are read. Elsewhere names are other people's.
func respelt(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			switch {
			case key == "annotations" || key == "nodeSelector":
				continue
			case slices.Contains(fields, key):
			case slices.ContainsFunc(fields, func(f string) bool { return strings.EqualFold(f, key) }):
				return key
			default:
				continue
			}
			if name := respelt(value); name != "" {
				return name
			}
		}
	case []any:
		for _, e := range v {
			if name := respelt(e); name != "" {
				return name
			}
		}
	}
	return ""
}

// unfit says why s3veil cannot stand in a pod; nil when it can.
func (p *pod) unfit() error {
	switch os := p.Spec.NodeSelector["kubernetes.io/os"]; {
	case p.Spec.OS.Name == "windows" || os == "windows":
		return malformed("s3veil cannot be put into a Windows pod: there is no image of it")
	case p.Spec.HostNetwork:
		return malformed("s3veil is not put into pods of the host's network: its ports would be the node's; use a gateway")
	}
	return nil
}

// clash finds a container of the application that says it listens on a port of the sidecar.
func (p *pod) clash(ports []int) error {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name == sidecarName || c.Name == trustName {
			continue
		}
		for _, q := range c.Ports {
			if slices.Contains(ports, q.ContainerPort) {
				return malformed("container %s listens on port %d, which s3veil takes in this pod; the profile's ports can be changed", c.Name, q.ContainerPort)
			}
		}
	}
	return nil
}

// place is one container of a pod with its JSON pointer.
type place struct {
	container
	path string
	raw  map[string]any
}

// applications are the containers that are to use s3veil: all but the webhook's own, or those that the annotations name.
func (p *pod) applications() ([]place, error) {
	var all []place
	var known []string
	for _, l := range []struct {
		name string
		list []container
	}{{"initContainers", p.Spec.InitContainers}, {"containers", p.Spec.Containers}} {
		raw := items(dig(p.raw, "spec", l.name))
		for i, c := range l.list {
			if l.name == "initContainers" && (c.Name == sidecarName || c.Name == trustName) {
				continue
			}
			all = append(all, place{c, pointer("spec", l.name, i), raw[i]})
			known = append(known, c.Name)
		}
	}
	a := p.Metadata.Annotations
	include, exclude := a[annotationContainers], a[annotationExclude]
	if include != "" && exclude != "" {
		return nil, malformed("%s and %s exclude each other", annotationContainers, annotationExclude)
	}
	for annotation, text := range map[string]string{annotationContainers: include, annotationExclude: exclude} {
		if text == "" {
			continue
		}
		list, err := names(annotation, text)
		if err != nil {
			return nil, err
		}
		for _, n := range list {
			if !slices.Contains(known, n) {
				return nil, malformed("%s: there is no container %q", annotation, shortened(n))
			}
		}
		all = slices.DeleteFunc(all, func(c place) bool { return slices.Contains(list, c.Name) == (annotation == annotationExclude) })
	}
	return all, nil
}
