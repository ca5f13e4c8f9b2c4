package envelope_test

import (
	"testing"

	"s3veil/crypto/envelope"
)

func benchmarkFields() []envelope.Field {
	return []envelope.Field{{Name: "content-type", Value: "application/octet-stream"}, {Name: "cache-control", Value: "no-cache"}, {Name: "etag", Value: `"abc"`},
		{Name: "x-amz-meta-mtime", Value: "1780000000.5"}, {Name: "x-amz-meta-owner", Value: "someone"}}
}

func BenchmarkSeal(b *testing.B) {
	h, bound, loc, a := env1()
	b.ReportAllocs()
	for b.Loop() {
		s, err := envelope.Seal(h, bound, loc, a)
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Text()
	}
}

func BenchmarkOpen(b *testing.B) {
	h, bound, loc, a := env1()
	s, err := envelope.Seal(h, bound, loc, a)
	if err != nil {
		b.Fatal(err)
	}
	text := s.Text()
	b.ReportAllocs()
	for b.Loop() {
		s, err := envelope.ParseText(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Open(bound, loc, envelope.SinglePut); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMetadataMAC(b *testing.B) {
	_, _, _, a := env1()
	fields := benchmarkFields()
	b.ReportAllocs()
	for b.Loop() {
		envelope.MetadataMAC(&a.DEK, fields)
	}
}
