package proxy

import (
	"testing"

	"s3veil/proxy/upstream"
)

func TestConditionsGoUpWhereTheStoreDecides(t *testing.T) {
	date := "Wed, 21 Oct 2015 07:28:00 GMT"
	for name, c := range map[string]struct {
		in   conditions
		want []upstream.Field
	}{
		"single":        {conditions{match: `"abc-0"`, unmodifiedBy: date}, []upstream.Field{{Name: "if-match", Value: `"abc"`}, {Name: "if-unmodified-since", Value: date}}},
		"multipart tag": {conditions{noneMatch: `"abc-2"`}, []upstream.Field{{Name: "if-none-match", Value: `"abc-2"`}}},
		"list stays":    {conditions{match: `"a", "b"`, unmodifiedBy: date}, nil},
		"star stays":    {conditions{noneMatch: "*", modifiedSince: date}, nil},
		"dates alone":   {conditions{modifiedSince: date}, []upstream.Field{{Name: "if-modified-since", Value: date}}},
	} {
		got := c.in.forward()
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
}

func TestConditionListsAreComparedHere(t *testing.T) {
	for _, c := range []struct {
		in   conditions
		want verdict
	}{
		{conditions{match: `"x", "abc-0"`}, conditionHolds},
		{conditions{match: `"x","y"`}, conditionFailed},
		{conditions{match: "*"}, conditionHolds},
		{conditions{noneMatch: `W/"abc-0", "x"`}, conditionNotModified},
		{conditions{noneMatch: `"x", "y"`}, conditionHolds},
		{conditions{noneMatch: "*"}, conditionNotModified},
		{conditions{match: `"other"`}, conditionHolds}, // single: the store has decided
	} {
		if got := c.in.evaluate(`"abc-0"`, `"abc"`); got != c.want {
			t.Errorf("%+v: %v, want %v", c.in, got, c.want)
		}
	}
}

func TestIfRange(t *testing.T) {
	o := &object{etag: `"abc"`, header: []upstream.Field{{Name: "last-modified", Value: "Wed, 21 Oct 2015 07:28:00 GMT"}}}
	for v, want := range map[string]bool{
		"": true, `"abc"`: true, `"abcd"`: false, `W/"abc"`: false,
		"Wed, 21 Oct 2015 07:28:00 GMT": true, "Wed, 21 Oct 2015 07:28:01 GMT": false,
	} {
		c := conditions{ifRange: v}
		if got := c.rangeApplies(o); got != want {
			t.Errorf("If-Range %s: %v, want %v", v, got, want)
		}
	}
}
