package inject

import (
	"encoding/json"
	"slices"
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
		HostPort      int `json:"hostPort"`
	} `json:"ports"`
	VolumeMounts []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
	} `json:"volumeMounts"`
}

// annotationMirror marks what the kubelet shows of a static pod, which nobody can change.
const annotationMirror = "kubernetes.io/config.mirror"

func parsePod(object []byte) (*pod, error) {
	p := &pod{}
	if err := json.Unmarshal(object, p); err != nil {
		return nil, err
	}
	return p, json.Unmarshal(object, &p.raw)
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
