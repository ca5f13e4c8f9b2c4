package s3xml

import (
	"net/url"
	"strings"

	"s3veil/proxy/s3err"
)

// ParseTagging turns a Tagging document, as the field of a POST form carries it, into the value of x-amz-tagging. How many
// tags an object may have is the store's business. Errors are s3err values.
func ParseTagging(body []byte) (string, error) {
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 10, strict: true})
	if err != nil {
		return "", s3err.MalformedXML.With(err)
	}
	set := d.find(0, "TagSet")
	if !d.is(0, "Tagging") || set < 0 || d.el[set].next >= 0 {
		return "", s3err.MalformedXML
	}
	var pairs []string
	for i := d.el[set].child; i >= 0; i = d.el[i].next {
		if !d.is(i, "Tag") {
			return "", s3err.MalformedXML
		}
		var seen fields
		key, value := "", ""
		for c := d.el[i].child; c >= 0; c = d.el[c].next {
			name := d.name(c)
			if !seen.add(name) || d.el[c].child >= 0 {
				return "", s3err.MalformedXML
			}
			switch name {
			case "Key":
				key = d.text(c)
			case "Value":
				value = d.text(c)
			default:
				return "", s3err.MalformedXML
			}
		}
		if key == "" {
			return "", s3err.InvalidTag
		}
		pairs = append(pairs, url.QueryEscape(key)+"="+url.QueryEscape(value))
	}
	return strings.Join(pairs, "&"), nil
}
