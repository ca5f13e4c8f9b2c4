package proxy

import (
	"strings"
	"time"

	"s3veil/proxy/etag"
	"s3veil/proxy/head"
	"s3veil/proxy/upstream"
)

// conditions are the conditional headers of a GET or HEAD (RFC 9110 13). Single ETags go to the store, translated; lists
// and "*" are compared here, since stores answer 412 to lists (FORMAT.md 11).
type conditions struct {
	match, noneMatch            string
	modifiedSince, unmodifiedBy string
	ifRange                     string
}

type verdict int

const (
	conditionHolds verdict = iota
	conditionFailed
	conditionNotModified
)

func readConditions(h *head.Head) conditions {
	return conditions{match: h.Joined("if-match"), noneMatch: h.Joined("if-none-match"), ifRange: h.Get("if-range"),
		modifiedSince: h.Get("if-modified-since"), unmodifiedBy: h.Get("if-unmodified-since")}
}

// own reports whether a list of ETags is compared by s3veil.
func own(list string) bool {
	return strings.TrimSpace(list) == "*" || strings.Contains(list, ",")
}

// forward returns what the store decides. A date condition is void where the ETag condition of its kind is present
// (RFC 9110 13.2.2), so it stays here together with a list.
func (c *conditions) forward() []upstream.Field {
	var out []upstream.Field
	add := func(name, value string) {
		if value != "" {
			out = append(out, upstream.Field{Name: name, Value: value})
		}
	}
	if !own(c.match) {
		add("if-match", etag.FromClient(c.match))
		add("if-unmodified-since", c.unmodifiedBy)
	}
	if !own(c.noneMatch) {
		add("if-none-match", etag.FromClient(c.noneMatch))
		add("if-modified-since", c.modifiedSince)
	}
	return out
}

// evaluate decides the lists. client and store are the two forms of the object's ETag.
func (c *conditions) evaluate(client, store string) verdict {
	if own(c.match) && !listed(c.match, client, store) {
		return conditionFailed
	}
	if own(c.noneMatch) && listed(c.noneMatch, client, store) {
		return conditionNotModified
	}
	return conditionHolds
}

// listed reports whether a list names one of two forms of an ETag, "*" any.
func listed(list, client, store string) bool {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "*" || bare(item) == bare(client) || bare(item) == bare(store) {
			return true
		}
	}
	return false
}

// bare strips the weakness prefix and the quotes of an ETag.
func bare(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}

// rangeApplies evaluates If-Range: an exact ETag or the exact modification date keeps the range.
func (c *conditions) rangeApplies(o *object) bool {
	v := strings.TrimSpace(c.ifRange)
	switch {
	case v == "":
		return true
	case strings.HasPrefix(v, "W/"):
		return false
	case strings.HasPrefix(v, `"`):
		return bare(v) == bare(o.clientETag())
	}
	want, err := time.Parse(time.RFC1123, v)
	if err != nil {
		return bare(v) == bare(o.clientETag())
	}
	have, err := time.Parse(time.RFC1123, o.get("last-modified"))
	return err == nil && have.Equal(want)
}

// get returns a header of the store's answer.
func (o *object) get(name string) string {
	for i := range o.header {
		if o.header[i].Name == name {
			return o.header[i].Value
		}
	}
	return ""
}
