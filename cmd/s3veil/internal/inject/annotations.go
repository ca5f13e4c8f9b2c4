package inject

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The annotations. Others that begin with annotationPrefix are refused, because a misspelt one would otherwise do nothing.
const (
	annotationPrefix = "s3veil.io/"

	annotationInject     = annotationPrefix + "inject"
	annotationProfile    = annotationPrefix + "profile"
	annotationMode       = annotationPrefix + "mode"
	annotationUpstream   = annotationPrefix + "upstream"
	annotationKey        = annotationPrefix + "key"
	annotationBuckets    = annotationPrefix + "buckets"
	annotationContainers = annotationPrefix + "containers"
	annotationExclude    = annotationPrefix + "exclude-containers"
	// Set by the webhook: profile and a hash of what was injected. It tells people, and decides nothing.
	annotationInjected = annotationPrefix + "injected"
)

var annotations = []string{annotationInject, annotationProfile, annotationMode, annotationUpstream, annotationKey, annotationBuckets,
	annotationContainers, annotationExclude, annotationInjected}

// refusal is a pod that cannot be admitted, and why.
type refusal struct {
	code    int // http.StatusForbidden: not allowed; http.StatusUnprocessableEntity: makes no sense
	message string
}

func (r *refusal) Error() string { return r.message }

func malformed(format string, args ...any) error {
	return &refusal{http.StatusUnprocessableEntity, fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) error {
	return &refusal{http.StatusForbidden, fmt.Sprintf(format, args...)}
}

// wanted reports whether a pod is to be injected; always is what holds without an annotation.
func wanted(a map[string]string, always bool) (bool, error) {
	others := slices.DeleteFunc(ours(a), func(name string) bool { return name == annotationInjected })
	switch value, set := a[annotationInject]; {
	case value == "true":
		return true, nil
	case value == "false":
		return false, nil
	case set:
		return false, malformed(`%s is %q, neither "true" nor "false"`, annotationInject, value)
	case !always && len(others) > 0:
		return false, malformed(`%s is set, but %s is not: "true" puts s3veil into the pod, "false" does not`, others[0], annotationInject)
	}
	return always, nil
}

// ours are the names of a pod's annotations that are for s3veil, sorted.
func ours(a map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a)), func(name string) bool { return !strings.HasPrefix(name, annotationPrefix) })
}

// profile finds the profile that a pod of a namespace asks for.
func (c *Config) profile(a map[string]string, namespace string) (*Profile, error) {
	name, set := a[annotationProfile]
	if !set {
		name = c.DefaultProfile
	}
	for i := range c.Profiles {
		p := &c.Profiles[i]
		if p.Name != name {
			continue
		}
		if !allowed(p.Namespaces, namespace, anyByte) {
			return nil, forbidden("profile %q is not for pods of namespace %q", name, namespace)
		}
		return p, nil
	}
	if !set {
		return nil, malformed("%s is missing, and there is no default profile", annotationProfile)
	}
	return nil, malformed("%s: there is no profile %q", annotationProfile, name)
}

// maxValue bounds annotations that are held against patterns, in bytes; maxBuckets the entries of a list.
const (
	maxValue   = 512
	maxBuckets = 100
)

// choose reads what the annotations of a pod choose, and holds it against what the profile allows.
func (p *Profile) choose(a map[string]string) (choice, error) {
	c := choice{mode: p.Mode}
	for _, name := range ours(a) {
		if !slices.Contains(annotations, name) {
			return c, malformed("unknown annotation %s", name)
		}
		if a[name] == "" && name != annotationInjected {
			return c, malformed("%s is empty", name)
		}
	}
	if mode, set := a[annotationMode]; set {
		switch {
		case mode != modeEndpoint && mode != modeForward:
			return c, malformed("%s is %q, neither endpoint nor forward", annotationMode, mode)
		case !p.may(mode):
			return c, forbidden("%s: profile %q does not allow the mode %s", annotationMode, p.Name, mode)
		}
		c.mode = mode
	}
	if c.upstream = a[annotationUpstream]; c.upstream != "" {
		if len(c.upstream) > maxValue || !allowed(p.Allow.Upstreams, c.upstream, labelByte) {
			return c, forbidden("%s: profile %q does not allow %q", annotationUpstream, p.Name, shortened(c.upstream))
		}
	}
	if c.key = a[annotationKey]; c.key != "" && !slices.Contains(p.Allow.Keys, c.key) {
		return c, forbidden("%s: profile %q does not allow %q", annotationKey, p.Name, shortened(c.key))
	}
	if a[annotationBuckets] != "" {
		var err error
		c.buckets, err = p.buckets(a[annotationBuckets])
		return c, err
	}
	return c, nil
}

// buckets reads a list of names and patterns of buckets.
func (p *Profile) buckets(text string) ([]string, error) {
	list, err := names(annotationBuckets, text)
	if err != nil {
		return nil, err
	}
	if len(list) > maxBuckets {
		return nil, malformed("%s: more than %d", annotationBuckets, maxBuckets)
	}
	for _, b := range list {
		switch {
		case len(b) > maxValue || !allowed(p.Allow.Buckets, b, anyByte):
			return nil, forbidden("%s: profile %q does not allow %q", annotationBuckets, p.Name, shortened(b))
		case p.rule(b) == nil:
			return nil, forbidden("%s: no bucket rule of profile %q covers %q", annotationBuckets, p.Name, b)
		}
	}
	return list, nil
}

// names reads a list separated by commas, without repetition.
func names(annotation, text string) ([]string, error) {
	var out []string
	for n := range strings.SplitSeq(text, ",") {
		n = strings.TrimSpace(n)
		switch {
		case n == "":
			return nil, malformed("%s has an empty entry", annotation)
		case slices.Contains(out, n):
			return nil, malformed("%s has %q twice", annotation, shortened(n))
		}
		out = append(out, n)
	}
	return out, nil
}

// shortened is a value of a client for a message.
func shortened(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
