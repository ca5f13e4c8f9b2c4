package policy

import (
	"net/netip"
	"strings"
	"testing"

	"s3veil/proxy/s3op"
)

func TestMatch(t *testing.T) {
	for _, r := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything/at all", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abbbc", true}, {"a*c", "abbbd", false}, {"a?c", "abc", true},
		{"a?c", "ac", false}, {"?", "ü", true}, {"??", "ü", false}, {"a**b", "ab", true}, {"*a*b*", "xxaybz", true},
		{"*a*b*", "xxbya", false}, {"a*?", "a", false}, {"a*?", "ab", true}, {"*.log", "x.log.log", true}, {"[a]", "a", false},
		{"*ab", "aab", true}, {"*?b", "b", false}, {"a\\*", "a\\x", true},
	} {
		if got := Match(r.pattern, r.name); got != r.want {
			t.Errorf("Match(%q, %q) = %v", r.pattern, r.name, got)
		}
	}
}

func TestMatchOfManyStarsEnds(t *testing.T) {
	if Match(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 1024)) {
		t.Error("matched")
	}
}

func TestMapNameAndBack(t *testing.T) {
	for _, r := range []struct{ pattern, target, name, store string }{
		{"*", "", "data", "data"},
		{"*", "corp-*", "data", "corp-data"},
		{"*", "*-enc", "data", "data-enc"},
		{"app-*", "s3veil-*-x", "app-logs", "s3veil-logs-x"},
		{"*.old", "old-*", "a.old", "old-a"},
		{"data", "store-data", "data", "store-data"},
		{"a-*-z", "*", "a--z", ""},
		{"data", "*", "data", "data"},
	} {
		if got := MapName(r.pattern, r.target, r.name); got != r.store {
			t.Errorf("MapName(%q, %q, %q) = %q, want %q", r.pattern, r.target, r.name, got, r.store)
		}
		if got, ok := UnmapName(r.pattern, r.target, r.store); !ok || got != r.name {
			t.Errorf("UnmapName(%q, %q, %q) = %q %v", r.pattern, r.target, r.store, got, ok)
		}
	}
	for _, r := range []struct{ pattern, target, store string }{
		{"*", "corp-*", "data"}, {"*", "*-enc", "data"}, {"*", "aa*aa", "aaa"}, {"data", "x", "y"}, {"d?", "x", "x"},
		{"*", "one", "one"}, {"a*", "", "b"}, {"a*b*", "x-*", "x-y"}, {"a?*", "x-*", "x-y"}, {"data", "*", "other"},
	} {
		if got, ok := UnmapName(r.pattern, r.target, r.store); ok {
			t.Errorf("UnmapName(%q, %q, %q) = %q", r.pattern, r.target, r.store, got)
		}
	}
	if got := MapName("?-*-*", "s-*", "ü-one-two-three"); got != "s-one" {
		t.Errorf("first star: %q", got)
	}
}

var all = []s3op.Class{s3op.Read, s3op.Write, s3op.Delete, s3op.Admin}

func TestAllowed(t *testing.T) {
	c := &Client{Rules: []Rule{
		{Buckets: []string{"open-*"}, Actions: all},
		{Buckets: []string{"shared"}, Prefixes: []string{"team/", "home/*/pub/"}, Actions: []s3op.Class{s3op.Read, s3op.Write, s3op.Admin}},
		{Buckets: []string{"shared"}, Prefixes: []string{"team/tmp/"}, Actions: []s3op.Class{s3op.Delete}},
	}}
	for _, r := range []struct {
		class       s3op.Class
		bucket, key string
		want        bool
	}{
		{s3op.Open, "", "", true},
		{s3op.Read, "open-1", "any", true},
		{s3op.Admin, "open-1", "", true},
		{s3op.Write, "open-1", "../x", true},
		{s3op.Read, "other", "any", false},
		{s3op.Read, "other", "", false},
		{s3op.Read, "shared", "team/x", true},
		{s3op.Read, "shared", "team", false},
		{s3op.Write, "shared", "teamx/x", false},
		{s3op.Write, "shared", "home/ann/pub/x", true},
		{s3op.Write, "shared", "home/ann/x", false},
		{s3op.Delete, "shared", "team/x", false},
		{s3op.Delete, "shared", "team/tmp/x", true},
		{s3op.Read, "shared", "team/../secret/x", false},
		{s3op.Read, "shared", "secret/../team/x", false},
		{s3op.Read, "shared", "team/./a//b/../c", true},
		{s3op.Read, "shared", "team/../../shared/team/x", false},
		{s3op.Read, "shared", "/team/x", false},
		{s3op.Read, "shared", "", true},
		{s3op.Write, "shared", "", true},
		{s3op.Admin, "shared", "", false},
	} {
		if got := c.Allowed(r.class, r.bucket, r.key); got != r.want {
			t.Errorf("%v %s/%s: %v", r.class, r.bucket, r.key, got)
		}
	}
	for _, r := range []struct {
		bucket, prefix string
		want           bool
	}{
		{"open-1", "", true}, {"open-1", "x", true}, {"shared", "", false}, {"shared", "tea", false}, {"shared", "team/", true},
		{"shared", "team/a", true}, {"shared", "home/", false}, {"shared", "home/ann/pub/", true}, {"other", "", false},
		{"shared", "team/../", false}, {"shared", "team/.", true}, {"open-1", "../", false}, {"open-1", "a/../../open-2/", false}, {"open-1", "a/../b", true},
	} {
		if got := c.AllowedList(r.bucket, r.prefix); got != r.want {
			t.Errorf("list %s?prefix=%s: %v", r.bucket, r.prefix, got)
		}
	}
	for bucket, want := range map[string]bool{"open-x": true, "shared": false, "other": false} {
		if got := c.AllowedWhole(s3op.Read, bucket); got != want {
			t.Errorf("whole of %s: %v", bucket, got)
		}
	}
	for bucket, want := range map[string]bool{"open-x": true, "shared": true, "other": false} {
		if got := c.SeesBucket(bucket); got != want {
			t.Errorf("sees %s: %v", bucket, got)
		}
	}
	if (&Client{Rules: []Rule{{Buckets: []string{"*"}}}}).SeesBucket("x") {
		t.Error("a rule without actions shows a bucket")
	}
}

func TestNoRuleAllowsNothing(t *testing.T) {
	c := &Client{}
	for _, class := range all {
		if c.Allowed(class, "bkt", "k") || c.Allowed(class, "bkt", "") {
			t.Errorf("%v", class)
		}
	}
	if c.AllowedList("bkt", "") || c.SeesBucket("bkt") {
		t.Error("lists")
	}
}

func TestAllowedFrom(t *testing.T) {
	c := &Client{Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "fd00::1": true, "fd00::1%eth0": true, "fe80::1": false,
	} {
		if got := c.AllowedFrom(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if c.AllowedFrom(netip.Addr{}) || !(&Client{}).AllowedFrom(netip.Addr{}) {
		t.Error("unknown address")
	}
}
