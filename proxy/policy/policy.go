// Package policy decides what a client may do (docs/ARCHITECTURE.md 4) and which bucket entry a name falls under (docs/CONFIGURATION.md). Pure.
package policy

import (
	"net/netip"
	"slices"
	"strings"

	"s3veil/proxy/s3op"
)

// Rule allows actions on buckets and key prefixes. Patterns: * any characters, ? one. No prefixes means every key.
type Rule struct {
	Buckets  []string
	Prefixes []string
	Actions  []s3op.Class
}

// Client is the policy of one access key. It is not changed after it was built and safe for concurrent use.
type Client struct {
	AccessKey string
	Rules     []Rule
	Sources   []netip.Prefix // empty: any
}

// Allowed reports whether a rule allows class on bucket and key. An empty key asks for the bucket itself: a rule with
// prefixes then allows read (HeadBucket), and write and delete so that PostObject and DeleteObjects come as far as their
// keys, each of which must be asked for; it never allows admin. Listings ask AllowedList.
//
// Where a rule has prefixes, a key with ".", ".." or empty components must be allowed as sent and as a path-cleaning store
// would see it.
func (c *Client) Allowed(class s3op.Class, bucket, key string) bool {
	if class == s3op.Open {
		return true
	}
	if key == "" {
		return c.any(class, bucket, func(r *Rule) bool { return len(r.Prefixes) == 0 || class != s3op.Admin })
	}
	return c.keys(class, bucket, key)
}

// AllowedList reports whether a LIST of bucket with the given prefix parameter is allowed: with prefixes in a rule, the
// parameter must lie inside one of them.
//
// One that climbs above the bucket, where no key is, lies inside nothing: a path-cleaning store could list another bucket.
func (c *Client) AllowedList(bucket, prefix string) bool {
	_, ok := cleaned(prefix)
	return ok && c.keys(s3op.Read, bucket, prefix)
}

// AllowedWhole reports whether class is allowed on every key of bucket.
func (c *Client) AllowedWhole(class s3op.Class, bucket string) bool { return c.keys(class, bucket, "") }

// keys reports whether every key that starts with text is allowed; for a single key the question is the same.
func (c *Client) keys(class s3op.Class, bucket, text string) bool {
	inside := func(text string) bool {
		return c.any(class, bucket, func(r *Rule) bool {
			return len(r.Prefixes) == 0 || slices.ContainsFunc(r.Prefixes, func(p string) bool { return Match(p+"*", text) })
		})
	}
	clean, ok := cleaned(text)
	if !ok {
		return c.any(class, bucket, func(r *Rule) bool { return len(r.Prefixes) == 0 })
	}
	return inside(text) && (clean == text || inside(clean))
}

// any reports whether a rule for class and bucket fulfils more.
func (c *Client) any(class s3op.Class, bucket string, more func(*Rule) bool) bool {
	for i := range c.Rules {
		r := &c.Rules[i]
		if slices.Contains(r.Actions, class) && r.bucket(bucket) && more(r) {
			return true
		}
	}
	return false
}

func (r *Rule) bucket(name string) bool {
	return slices.ContainsFunc(r.Buckets, func(p string) bool { return Match(p, name) })
}

// SeesBucket reports whether the client has any action on bucket (ListBuckets).
func (c *Client) SeesBucket(bucket string) bool {
	return slices.ContainsFunc(c.Rules, func(r Rule) bool { return len(r.Actions) > 0 && r.bucket(bucket) })
}

// AllowedFrom reports whether the source address may use this client. IPv4 addresses in IPv6 form count as IPv4.
func (c *Client) AllowedFrom(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	return len(c.Sources) == 0 || slices.ContainsFunc(c.Sources, func(p netip.Prefix) bool { return p.Contains(source) })
}

// cleaned resolves ".", ".." and empty components of a key as a path-cleaning store would, a final "/" kept. It reports
// false when ".." climbs above the bucket.
func cleaned(key string) (string, bool) {
	if !strings.HasPrefix(key, "/") && !strings.HasPrefix(key, ".") && !strings.Contains(key, "//") &&
		!strings.Contains(key, "/.") {
		return key, true
	}
	var out []string
	last := ""
	for component := range strings.SplitSeq(key, "/") {
		last = component
		switch component {
		case "", ".":
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
		default:
			out = append(out, component)
		}
	}
	clean := strings.Join(out, "/")
	if clean != "" && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean, true
}
