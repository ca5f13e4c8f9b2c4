package sigv4

import (
	"math/rand/v2"
	"testing"
	"time"
)

// time.Parse is the oracle for every stamp near a valid one.
func TestStampsParseAsTheStandardLibraryDoes(t *testing.T) {
	check := func(stamp string) {
		t.Helper()
		want, err := time.Parse(stampLayout, stamp)
		valid := err == nil && len(stamp) == len(stampLayout)
		if at, ok := parseStamp(stamp); ok != valid || ok && !at.Equal(want) {
			t.Errorf("%q: %v, %v, want %v, %v", stamp, at, ok, want, valid)
		}
	}
	for _, stamp := range []string{"", "20261121T101500Z", "20261121T101500", "20261121t101500z", "20261121 101500Z", "00000101T000000Z", "99991231T235959Z",
		"20260229T000000Z", "20240229T000000Z", "21000229T000000Z", "20261131T000000Z", "20261301T000000Z", "20260001T000000Z", "20260100T000000Z",
		"20260132T000000Z", "20260101T240000Z", "20260101T006000Z", "20260101T000060Z", "2026010１T0000Z", "+0260101T000000Z", "20260101T000000.5Z", "-2026101T000000Z"} {
		check(stamp)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		stamp := []byte(time.Unix(rng.Int64N(1<<36), 0).UTC().Format(stampLayout))
		for range rng.IntN(3) {
			stamp[rng.IntN(len(stamp))] = "0123456789TZ .:/a"[rng.IntN(17)]
		}
		check(string(stamp))
	}
}
