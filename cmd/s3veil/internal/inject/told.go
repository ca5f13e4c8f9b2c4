package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"s3veil/proxy/policy"
)

// choice is what a pod makes of its profile; what is empty stays as the profile has it.
type choice struct {
	mode     string
	upstream string
	key      string
	buckets  []string
}

// variable is an entry of a container's environment.
type variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The folder that applications and sidecar share in the mode forward, and its files.
const (
	trustFolder = "/run/s3veil/trust"
	caName      = "ca.pem"
	bundleName  = "bundle.pem"
)

// told is the configuration of the sidecar as variables of its environment, sorted by name.
func (p *Profile) told(c choice) []variable {
	config := clone(p.Config)
	config["listen"] = loopback(p.Ports.S3)
	config["admin"] = ":" + strconv.Itoa(p.Ports.Admin)
	if c.mode == modeForward {
		forward := clone(config["forward"])
		forward["listen"] = loopback(p.Ports.Forward)
		if p.CAFile != "" {
			forward["ca_file"] = trustFolder + "/" + caName
		}
		config["forward"] = forward
	} else {
		delete(config, "forward")
	}
	if c.upstream != "" {
		upstream := clone(config["upstream"])
		upstream["endpoint"] = c.upstream
		config["upstream"] = upstream
	}
	if len(c.buckets) > 0 || c.key != "" {
		config["buckets"] = p.rules(c)
	}
	return flatten(nil, "S3VEIL", config)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// clone copies a mapping, which may be missing, so that it can be changed; what lies in it is shared.
func clone(v any) map[string]any {
	out := map[string]any{}
	m, _ := v.(map[string]any)
	maps.Copy(out, m)
	return out
}

// ruleList are the bucket rules of the profile, with the one that s3veil has by default.
func (p *Profile) ruleList() []map[string]any {
	list, _ := p.Config["buckets"].([]any)
	if len(list) == 0 {
		return []map[string]any{{"name": "*"}}
	}
	out := make([]map[string]any, len(list))
	for i, r := range list {
		out[i] = clone(r)
	}
	return out
}

// rule is the bucket rule that rules a name or a pattern; nil where there is none.
func (p *Profile) rule(bucket string) map[string]any {
	for _, r := range p.ruleList() {
		if name, _ := r["name"].(string); glob(name, bucket, anyByte) {
			return r
		}
	}
	return nil
}

// rules are the bucket rules with what a pod has chosen: one for each of its buckets, made of the profile's rule for it.
func (p *Profile) rules(c choice) []any {
	var out []any
	add := func(r map[string]any) {
		if c.key != "" {
			r["key"] = c.key
		}
		out = append(out, r)
	}
	if len(c.buckets) == 0 {
		for _, r := range p.ruleList() {
			add(r)
		}
	}
	for _, b := range c.buckets {
		r := p.rule(b)
		if r == nil {
			continue // refused where the annotation is read
		}
		name, _ := r["name"].(string)
		if at, _ := r["store_name"].(string); at != "" {
			r["store_name"] = policy.MapName(name, at, b)
		}
		r["name"] = b
		add(r)
	}
	return out
}

// flatten turns a configuration into variables: mappings become parts of names, lists come whole, as JSON.
func flatten(out []variable, name string, v any) []variable {
	switch v := v.(type) {
	case nil:
		return out
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = flatten(out, name+"_"+strings.ToUpper(key), v[key])
		}
		return out
	case []any:
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte("not JSON: " + err.Error()) // which the check of the configuration refuses
		}
		return append(out, variable{name, string(b)})
	case float64:
		return append(out, variable{name, strconv.FormatFloat(v, 'f', -1, 64)})
	}
	return append(out, variable{name, fmt.Sprint(v)})
}

// environ lists variables as os.Environ does.
func environ(list []variable) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.Name + "=" + v.Value
	}
	return out
}

// literal keeps Kubernetes from expanding references to other variables in a value: $(NAME) is written $$(NAME).
func literal(value string) string { return strings.ReplaceAll(value, "$(", "$$(") }
