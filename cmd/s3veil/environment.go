package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins every variable: S3VEIL_UPSTREAM_ENDPOINT is upstream.endpoint.
const envPrefix = "S3VEIL_"

// configVariable names the configuration file where --config does not.
const configVariable = envPrefix + "CONFIG"

// serviceLink matches the variables that Kubernetes sets in every pod beside a Service whose name begins with "s3veil".
var serviceLink = regexp.MustCompile(`^S3VEIL_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// testPrefix begins variables that steer tests of this repository.
const testPrefix = envPrefix + "TEST_"

// environment lays the S3VEIL_ variables over the file. A list comes whole, as JSON. Unknown variables are mistakes, because
// a misspelt one would otherwise do nothing.
func (l *loader) environment(env []string) {
	l.layer, l.base = layerEnv, ""
	vars := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) && !strings.HasPrefix(name, testPrefix) && name != configVariable && !serviceLink.MatchString(name) {
			vars[name] = value
		}
	}
	l.switchOff(vars, "forward", &l.Forward)
	l.switchOff(vars, "trace", &l.Trace)
	for _, f := range leavesOf(&l.Config) {
		name := f.variable()
		value, set := vars[name]
		file, fromFile := vars[name+"_FILE"]
		fromFile = fromFile && f.field.Type() == secretType
		delete(vars, name)
		if fromFile {
			delete(vars, name+"_FILE")
		}
		at := position{layer: layerEnv, name: name}
		switch {
		case set && fromFile:
			l.fail(at, f.path, "set both as value and as file")
		case fromFile:
			at.name += "_FILE"
			l.secretFrom(&yaml.Node{Kind: yaml.ScalarNode, Value: file}, at, f.field, f.path+"_file", f.path)
		case set:
			l.assign(f, value, at)
		}
	}
	var unknown []string
	for name := range vars {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		l.fail(position{layer: layerEnv, name: name}, "", "unknown variable")
	}
}

// switchOff takes the word "off" for a group of keys, which undoes what the file has in it.
func (l *loader) switchOff(vars map[string]string, path string, group any) {
	name := envPrefix + strings.ToUpper(path)
	text, set := vars[name]
	if !set {
		return
	}
	delete(vars, name)
	if l.name = name; l.offOrKeys(&yaml.Node{Kind: yaml.ScalarNode, Value: text}, position{layer: layerEnv, name: name}, path) {
		maps.DeleteFunc(l.pos, func(p string, _ position) bool { return strings.HasPrefix(p, path+".") })
		v := reflect.ValueOf(group).Elem()
		v.SetZero()
		l.defaults(v)
	}
}

// assign stores a value given as text: a single one as it is, a list as JSON.
func (l *loader) assign(f leaf, text string, at position) {
	l.name = at.name
	if f.field.Kind() != reflect.Slice {
		l.value(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}, at, f.field, f.path)
		return
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		l.fail(at, f.path, "must be a JSON list")
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		l.fail(at, f.path, "must be a JSON list that is YAML too: %s", err)
		return
	}
	l.value(doc.Content[0], at, f.field, f.path)
}

// flags lays command-line flags over everything else; the names are paths with - for . and _.
func (l *loader) flags(flags map[string]string) {
	l.layer, l.base = layerFlag, ""
	for _, f := range leavesOf(&l.Config) {
		if text, set := flags[f.path]; set {
			name := "--" + strings.NewReplacer(".", "-", "_", "-").Replace(f.path)
			l.assign(f, text, position{layer: layerFlag, name: name})
		}
	}
}
