package s3xml

import (
	"errors"
	"testing"

	"s3veil/proxy/s3err"
)

func TestTaggingDocuments(t *testing.T) {
	for doc, want := range map[string]string{
		`<Tagging><TagSet/></Tagging>`: "",
		`<?xml version="1.0"?><Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"> <TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag>
			<Tag><Value></Value><Key>c</Key></Tag></TagSet></Tagging>`: "a+b=1%262&c=",
	} {
		if got, err := ParseTagging([]byte(doc)); err != nil || got != want {
			t.Errorf("%s: %q, %v", doc, got, err)
		}
	}
	for doc, want := range map[string]s3err.Error{
		``:                                      s3err.MalformedXML,
		`<Tagging/>`:                            s3err.MalformedXML,
		`<Tags><TagSet/></Tags>`:                s3err.MalformedXML,
		`<Tagging><TagSet/><TagSet/></Tagging>`: s3err.MalformedXML,
		`<Tagging><TagSet><Key>a</Key></TagSet></Tagging>`:                                            s3err.MalformedXML,
		`<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key></Tag></TagSet></Tagging>`:                     s3err.MalformedXML,
		`<Tagging><TagSet><Tag><Key>a</Key><Size>1</Size></Tag></TagSet></Tagging>`:                   s3err.MalformedXML,
		`<Tagging><TagSet><Tag><Key><a/></Key></Tag></TagSet></Tagging>`:                              s3err.MalformedXML,
		`<!DOCTYPE t [<!ENTITY e "x">]><Tagging><TagSet><Tag><Key>&e;</Key></Tag></TagSet></Tagging>`: s3err.MalformedXML,
		`<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>`:                             s3err.InvalidTag,
	} {
		if got, err := ParseTagging([]byte(doc)); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v", doc, got, err)
		}
	}
}
