package envelope_test

import (
	"crypto/fips140"
	"testing"

	"s3veil/crypto/envelope"
)

func TestLengthOfAttributesIsKnownInAdvance(t *testing.T) {
	_, _, _, a := env1()
	asked, declared := byte(1), [2]byte{envelope.SHA256, 1}
	for _, change := range []func(){
		func() {},
		func() { a.ContentMD5 = new([16]byte) },
		func() { a.Checksum = &envelope.Checksum{Algorithm: envelope.SHA1, Value: make([]byte, 20)} },
		func() { a.SealedMeta = []byte{} },
		func() { a.SealedMeta = make([]byte, 300) },
		func() { a.Asked, a.Declared = &asked, &declared },
		func() { a.Extra = []envelope.TLV{{Type: 0x90}, {Type: 0xa0, Value: make([]byte, 700)}} },
	} {
		change()
		for _, kind := range []envelope.Kind{envelope.SinglePut, envelope.Multipart, envelope.Token} {
			if got, want := envelope.AttributesLen(kind, a), len(envelope.EncodeAttributes(kind, a)); got != want {
				t.Errorf("kind %d, %+v: %d bytes, encoded %d", kind, a, got, want)
			}
		}
	}
}

// Every small object passes here, and allocations were a fifth of its cost. Two belong to the cipher.
func TestFewAllocationsPerEnvelope(t *testing.T) {
	if fips140.Enabled() {
		return // the module's key derivation allocates
	}
	h, bound, loc, a := env1()
	fields := benchmarkFields()
	var text string
	check := func(what string, most float64, f func()) {
		if n := testing.AllocsPerRun(100, f); n > most {
			t.Errorf("%s: %v allocations, at most %v", what, n, most)
		}
	}
	check("seal", 10, func() {
		s, err := envelope.Seal(h, bound, loc, a)
		if err != nil {
			t.Fatal(err)
		}
		text = s.Text()
	})
	check("open", 10, func() {
		s, err := envelope.ParseText(text)
		if err == nil {
			_, err = s.Open(bound, loc, envelope.SinglePut)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	check("metadata MAC", 2, func() { envelope.MetadataMAC(&a.DEK, fields) })
	check("length", 0, func() { envelope.TextLen(h, a) })
}
