package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"s3veil/crypto/stream"
)

func TestFIPSModeRefusesWhatLiesOutsideTheModule(t *testing.T) {
	text := "format: {write: 2, read: [1, 2]}\nclients:\n  - {access_key: a, sigv2: true}\n  - {access_key: b}\n"
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), text)
	for on, want := range map[bool][]string{
		false: nil,
		true: {
			"1: format.read[1]: suite 2 (ChaCha20-Poly1305) is not part of the FIPS module that this process runs with; suite 1 (AES-256-GCM) is",
			"1: format.write: suite 2 (ChaCha20-Poly1305) is not part of the FIPS module that this process runs with; suite 1 (AES-256-GCM) is",
			"3: clients[0].sigv2: version 2 signatures are HMAC-SHA-1, which is not part of the FIPS module that this process runs with",
		},
	} {
		l := load(sources{File: file})
		l.checkFIPS(on)
		got := messages(l, file)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("FIPS mode %t:\n%s", on, strings.Join(got, "\n"))
		}
	}
}

func TestFIPSModeReadsOneSuiteUnlessTold(t *testing.T) {
	one, both := []stream.Suite{stream.AES256GCM}, []stream.Suite{stream.AES256GCM, stream.ChaCha20Poly1305}
	for _, c := range []struct {
		numbers []int
		fips    bool
		want    []stream.Suite
	}{{nil, false, both}, {nil, true, one}, {[]int{1}, false, one}, {[]int{1, 2}, false, both}} {
		if got := suites(c.numbers, c.fips); !slices.Equal(got, c.want) {
			t.Errorf("%v, FIPS mode %t: %v", c.numbers, c.fips, got)
		}
	}
}
