package s3xml

import (
	"encoding/xml"
	"strings"
	"testing"
)

func TestRelocateAsksForTheStoresRegion(t *testing.T) {
	const open, end = `<CreateBucketConfiguration xmlns="` + Namespace + `">`, `</CreateBucketConfiguration>`
	at := func(region string) string { return "<LocationConstraint>" + region + "</LocationConstraint>" }
	const tags = "<Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags>"
	for _, c := range []struct{ doc, here, to, want string }{
		{open + at("eu-west-1") + end, "eu-west-1", "us-east-1", ""},
		{open + at("eu-west-1") + end, "eu-west-1", "local", open + at("local") + end},
		{"<CreateBucketConfiguration>" + at("eu-west-1") + end, "eu-west-1", "local", open + at("local") + end},
		{open + at("eu-west-1") + tags + end, "eu-west-1", "local", open + at("local") + tags + end},
		{open + tags + at("eu-west-1") + end, "eu-west-1", "us-east-1", open + tags + end},
		{`<s:CreateBucketConfiguration xmlns:s="n"><s:Tags></s:Tags></s:CreateBucketConfiguration>`, "us-east-1", "local",
			`<s:CreateBucketConfiguration xmlns:s="n"><s:LocationConstraint>local</s:LocationConstraint><s:Tags></s:Tags></s:CreateBucketConfiguration>`},
		// None means us-east-1.
		{"", "us-east-1", "local", open + at("local") + end},
		{"", "us-east-1", "us-east-1", ""},
		{"", "eu-west-1", "local", ""},
		{open + end, "us-east-1", "local", open + at("local") + end},
		{"<CreateBucketConfiguration/>", "us-east-1", "local", open + at("local") + end},
		{open + tags + end, "us-east-1", "local", open + at("local") + tags + end},
		{open + "<LocationConstraint/>" + end, "us-east-1", "local", open + at("local") + end},
		{open + at("") + end, "us-east-1", "local", open + at("local") + end},
		// Another region than the client's own, and what is not such a document, is the store's business.
		{open + at("eu-central-1") + end, "eu-west-1", "local", open + at("eu-central-1") + end},
		{open + tags + end, "eu-west-1", "local", open + tags + end},
		{open + at("eu-west-1") + at("eu-west-1") + end, "eu-west-1", "local", open + at("eu-west-1") + at("eu-west-1") + end},
		{"<Other>" + at("eu-west-1") + "</Other>", "eu-west-1", "local", "<Other>" + at("eu-west-1") + "</Other>"},
		{"no XML", "us-east-1", "local", "no XML"},
		{open + at("a&amp;b") + end, "a&b", "c&d", open + at("c&amp;d") + end},
	} {
		if got := strings.TrimPrefix(string(Relocate([]byte(c.doc), c.here, c.to)), xml.Header); got != c.want {
			t.Errorf("%s from %s to %s:\n%s\nwant %s", c.doc, c.here, c.to, got, c.want)
		}
	}
}
