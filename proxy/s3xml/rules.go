package s3xml

import (
	"strings"

	"s3veil/proxy/s3op"
)

// reservedPrefix is where s3veil keeps what its objects need (FORMAT.md 9.7).
const reservedPrefix = s3op.ReservedName + "/"

// LifecycleReaches reports whether a LifecycleConfiguration has an enabled rule that expires or moves current objects under the
// reserved prefix, and names the first (S3 API, PutBucketLifecycleConfiguration). What a rule does to versions that are no
// longer current harms nobody, since manifests are found by their names alone. A document that is none reaches nothing: the
// store refuses it.
func LifecycleReaches(body []byte) (rule string, reaches bool) {
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 16})
	if err != nil || !d.is(0, "LifecycleConfiguration") {
		return "", false
	}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		prefix, tagged := d.ruleFilter(i)
		if d.enabledRule(i) && !tagged && (strings.HasPrefix(reservedPrefix, prefix) || strings.HasPrefix(prefix, reservedPrefix)) && d.endsObjects(i) {
			return d.childText(i, "ID"), true
		}
	}
	return "", false
}

// ReplicationLeavesOut reports whether a ReplicationConfiguration has enabled rules, none of which takes the reserved prefix
// (S3 API, PutBucketReplication).
func ReplicationLeavesOut(body []byte) bool {
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 16})
	if err != nil || !d.is(0, "ReplicationConfiguration") {
		return false
	}
	enabled := false
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		if !d.enabledRule(i) {
			continue
		}
		if prefix, tagged := d.ruleFilter(i); !tagged && strings.HasPrefix(reservedPrefix, prefix) {
			return false
		}
		enabled = true
	}
	return enabled
}

func (d *doc) enabledRule(i int32) bool {
	return d.name(i) == "Rule" && strings.TrimSpace(d.childText(i, "Status")) == "Enabled"
}

// endsObjects reports whether a lifecycle rule expires or moves current objects. One that removes lonely delete markers does not.
func (d *doc) endsObjects(rule int32) bool {
	for i := d.el[rule].child; i >= 0; i = d.el[i].next {
		switch d.name(i) {
		case "Transition":
			return true
		case "Expiration":
			if d.find(i, "Days") >= 0 || d.find(i, "Date") >= 0 {
				return true
			}
		}
	}
	return false
}

// ruleFilter returns the prefix of a rule, in its Filter or, as older documents have it, beside it, and whether it is for tagged
// objects alone: s3veil's own have no tags.
func (d *doc) ruleFilter(rule int32) (prefix string, tagged bool) {
	for i := d.el[rule].child; i >= 0; i = d.el[i].next {
		switch d.name(i) {
		case "Prefix":
			prefix = d.text(i)
		case "Tag":
			tagged = true
		case "Filter", "And":
			inner, tag := d.ruleFilter(i)
			prefix, tagged = prefix+inner, tagged || tag
		}
	}
	return prefix, tagged
}
