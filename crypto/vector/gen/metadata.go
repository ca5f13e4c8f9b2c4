package main

import "slices"

// metadataMAC is TLV 04 over fields in canonical form, sorted by name (FORMAT.md 6.1).
func metadataMAC(dek []byte, canonicalFields ...pair) []byte {
	return mac(expand(dek, "s3veil/1/meta"), []byte(canonical(slices.Clone(canonicalFields)...)))
}

// metadata adds the vectors of FORMAT.md 6: fields as they stand in headers, and the MAC over their canonical form.
func (c *corpus) metadata() {
	dek := seq(0, 32)
	add := func(name, expect, comment string, mac []byte, fields []pair) {
		f := hexa("dek", dek)
		list := append(c.headers(fields), f)
		c.add("meta", name, expect, comment, mac, list...)
	}
	plain := []pair{{"content-type", "text/plain"}, {"x-amz-meta-a", "1"}}
	meta1 := metadataMAC(dek, plain...)
	add("meta-1", success, "known answer META-1", meta1, plain)
	add("meta-1-other-order", success, "the order of headers does not count", meta1, []pair{plain[1], plain[0]})
	add("meta-1-other-headers", success, "headers that are not covered", meta1,
		append([]pair{{"etag", `"x"`}, {"x-amz-meta-s3veil", "1.a"}, {"x-amz-meta-s3veil-for", "a.b"}, {"x-amz-storage-class", "STANDARD"}}, plain...))
	add("nothing", success, "no covered field", metadataMAC(dek), nil)
	add("all-fields", success, "every system header", metadataMAC(dek, allFields()...), allFields())

	canonicalForms := []struct {
		name  string
		canon []pair
		forms map[string][]pair
	}{
		{"name-case", []pair{{"x-amz-meta-abc", "Q"}}, map[string][]pair{
			"sent": {{"X-Amz-Meta-AbC", "Q"}}, "returned": {{"x-amz-meta-abc", "Q"}}}},
		{"name-underscore", []pair{{"x-amz-meta-a-b", "1"}}, map[string][]pair{
			"sent": {{"x-amz-meta-a_b", "1"}}, "returned": {{"x-amz-meta-a-b", "1"}}}},
		{"names-become-equal", []pair{{"x-amz-meta-a-b", "1,2"}}, map[string][]pair{
			"sent": {{"x-amz-meta-a-b", "2"}, {"x-amz-meta-a_b", "1"}}, "returned": {{"x-amz-meta-a-b", "1,2"}}}},
		{"repeated-header", []pair{{"x-amz-meta-a", "2,1"}}, map[string][]pair{
			"sent": {{"x-amz-meta-a", "2"}, {"x-amz-meta-a", "1"}}, "returned": {{"x-amz-meta-a", "2,1"}}}},
		{"white-space", []pair{{"x-amz-meta-a", "1  2"}}, map[string][]pair{
			"sent": {{"x-amz-meta-a", " 1  2\t"}}, "returned": {{"x-amz-meta-a", "1  2"}}}},
		{"utf8", []pair{{"x-amz-meta-a", "grün und blau"}}, map[string][]pair{
			"sent": {{"x-amz-meta-a", "grün und blau"}}, "as-q": {{"x-amz-meta-a", "=?UTF-8?q?gr=C3=BCn_und_blau?="}},
			"as-b": {{"x-amz-meta-a", "=?UTF-8?B?Z3LDvG4gdW5kIGJsYXU=?="}}, "as-two-words": {{"x-amz-meta-a", "=?utf-8?Q?gr=c3=bcn_?= =?UTF-8?b?dW5kIGJsYXU=?="}}}},
		{"undecodable", []pair{{"x-amz-meta-a", "=?UTF-8?Q?=FF?= =?ISO-8859-1?Q?=FC?="}}, map[string][]pair{
			"sent": {{"x-amz-meta-a", "=?UTF-8?Q?=FF?= =?ISO-8859-1?Q?=FC?="}}}},
		{"content-encoding", []pair{{"content-encoding", "gzip,br"}}, map[string][]pair{
			"sent": {{"content-encoding", "gzip, aws-chunked ,br"}}, "returned": {{"content-encoding", "gzip,br"}}, "empty-item": {{"content-encoding", "gzip,br,"}}}},
		{"content-encoding-absent", nil, map[string][]pair{
			"sent": {{"content-encoding", "aws-chunked"}}, "empty": {{"content-encoding", ""}}, "returned": nil}},
		{"expires", []pair{{"expires", "Sun, 06 Nov 1994 08:49:37 GMT"}}, map[string][]pair{
			"sent": {{"expires", "Sun, 06 Nov 1994 08:49:37 GMT"}}}},
		{"expires-other-form", nil, map[string][]pair{
			"sent": {{"expires", "Sunday, 06-Nov-94 08:49:37 GMT"}}, "number": {{"expires", "0"}}, "returned": nil}},
		{"foreign-names", []pair{{"x-amz-meta-x-amz-iv", "a"}, {"x-amz-meta-x-amz-key-v2", "b"}}, map[string][]pair{
			"sent": {{"x-amz-meta-x-amz-key-v2", "b"}, {"x-amz-meta-x-amz-iv", "a"}}}},
	}
	for _, row := range canonicalForms {
		for form, fields := range row.forms {
			add("meta-2-"+row.name+"-"+form, success, "known answer META-2: a row of 6.1", metadataMAC(dek, row.canon...), fields)
		}
	}

	bad := func(name, comment string, fields ...pair) { add(name, "metadata", comment, meta1, fields) }
	bad("type-changed", "another content type", pair{"content-type", "text/html"}, plain[1])
	bad("type-dropped", "no content type", plain[1])
	bad("value-changed", "another value", plain[0], pair{"x-amz-meta-a", "2"})
	bad("value-case", "values keep their case", pair{"content-type", "Text/plain"}, plain[1])
	bad("entry-dropped", "an entry is missing", plain[0])
	bad("entry-added", "another entry", plain[0], plain[1], pair{"x-amz-meta-b", ""})
	bad("entry-renamed", "the value under another name", plain[0], pair{"x-amz-meta-b", "1"})
	bad("header-added", "a system header planted", plain[0], plain[1], pair{"content-encoding", "gzip"})
	bad("disposition-added", "a system header planted", plain[0], plain[1], pair{"content-disposition", "inline"})
	add("mac-changed", "metadata", "a bit of the MAC", flip(meta1, 31), plain)
}

func allFields() []pair {
	return []pair{{"cache-control", "no-cache"}, {"content-disposition", `attachment; filename="a"`}, {"content-encoding", "gzip"},
		{"content-language", "de"}, {"content-type", "text/plain"}, {"expires", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"x-amz-meta-a", ""}}
}
