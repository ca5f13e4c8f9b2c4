package main

import (
	"maps"
	"testing"
)

func TestNamesByWhichRequestsCallKeys(t *testing.T) {
	const arn, shared = "arn:aws:kms:eu-west-1:111122223333:key/0f2c", "arn:aws:kms:eu-west-1:111122223333:key/aaaa"
	l := &loaded{}
	l.KMS.Keys = []KMSKey{
		{ID: "a", Provider: "awskms", Key: arn, Aliases: []string{"alias/app"}},
		{ID: "b", Provider: "awskms", Key: shared}, {ID: "c", Provider: "awskms", Key: shared}, {ID: "d", Provider: "awskms", Key: shared},
		{ID: "e", Provider: "transit", Key: "s3veil"}, {ID: "f", Provider: "local", Aliases: []string{"alias/team"}},
	}
	want := map[string]string{arn: "a", "alias/app": "a", "alias/team": "f"}
	if got := l.aliases(); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	l.KMS.Keys[1].Aliases = []string{shared}
	if got := l.aliases()[shared]; got != "b" {
		t.Errorf("what is listed counts: %q", got)
	}
}
