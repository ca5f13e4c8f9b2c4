package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/stream"
)

// FuzzText: the text of an entry has one form, and what is refused has a class.
func FuzzText(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		s, err := envelope.ParseText(text)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if s.Text() != text {
			t.Fatalf("encoded again as %q", s.Text())
		}
	})
}

// FuzzLayout: the layout has one form, and its clear fields are enough to build it again.
func FuzzLayout(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := envelope.Parse(b)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Bytes(), b) {
			t.Fatalf("encoded again as %x", s.Bytes())
		}
		h := s.Header()
		again, err := s.Rewrapped(h.KID, h.Wrapped)
		if err != nil || !bytes.Equal(again.Bytes(), b) || !reflect.DeepEqual(again.Header(), h) {
			t.Fatalf("built again as %x (%v)", again.Bytes(), err)
		}
	})
}

// FuzzOpen: of all inputs only the one that was sealed opens, apart from its kid and wrapped key.
func FuzzOpen(f *testing.F) {
	h, bound, loc, a := env1()
	sealed, err := envelope.Seal(h, bound, loc, a)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, edit []byte, at int) {
		b := bytes.Clone(sealed.Bytes())
		if len(edit) > 0 {
			copy(b[uint(at)%uint(len(b)):], edit)
		}
		s, err := envelope.Parse(b)
		if err != nil {
			return
		}
		_, err = s.Open(bound, loc, s.Header().Kind)
		back, rewrapErr := s.Rewrapped(h.KID, h.Wrapped)
		same := rewrapErr == nil && bytes.Equal(back.Bytes(), sealed.Bytes())
		if (err == nil) != same {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// FuzzAttributes: a box plaintext has one form, whatever it says, in each column of the table.
func FuzzAttributes(f *testing.F) {
	f.Fuzz(func(t *testing.T, plain []byte, kind byte, flags byte) {
		h := envelope.Header{Suite: stream.AES256GCM, KID: "k", Wrapped: []byte("w"), Kind: envelope.Kind(kind % 3), SealedMeta: flags&1 != 0}
		h.Padded = flags&2 != 0 && h.Kind == envelope.SinglePut
		a, err := envelope.DecodeAttributes(h.Kind, h, plain)
		if err != nil {
			if !errors.Is(err, envelope.ErrEnvelope) && !errors.Is(err, envelope.ErrUnsupported) && !errors.Is(err, envelope.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again := envelope.EncodeAttributes(h.Kind, a); !bytes.Equal(again, plain) {
			t.Fatalf("encoded again as %x", again)
		}
		bound, loc := kms.Key32{}, envelope.Location{Realm: "r"}
		if b, err := envelope.SealPlain(h, &bound, loc, plain).Open(&bound, loc, h.Kind); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("opened as %+v (%v)", b, err)
		}
	})
}

// FuzzUploadID: every form has one encoding, and nothing opens under a key that did not seal it.
func FuzzUploadID(f *testing.F) {
	_, bound, loc, _ := env1()
	f.Fuzz(func(t *testing.T, text string) {
		id, err := envelope.ParseUploadID(text)
		if err != nil {
			if !errors.Is(err, envelope.ErrToken) {
				t.Fatal(err)
			}
			return
		}
		switch id.Form {
		case envelope.FormToken:
			if id.Completion != nil {
				if token, completion := base64.RawURLEncoding.EncodeToString(id.Token.Bytes()), base64.RawURLEncoding.EncodeToString(id.Completion.Bytes()); envelope.PairID(token, completion) != text {
					t.Fatal("another text")
				}
				return
			}
			if base64.RawURLEncoding.EncodeToString(id.Token.Bytes()) != text {
				t.Fatal("another text")
			}
			a, err := id.Token.Open(bound, loc)
			if err != nil && !errors.Is(err, envelope.ErrToken) {
				t.Fatal(err)
			}
			if err == nil && envelope.SealToken(id.Token.UpstreamID, id.Token.Envelope, &a.DEK, loc) != text {
				t.Fatal("the MAC is another")
			}
		case envelope.FormListed:
			if envelope.ListedID(id.Upstream) != text {
				t.Fatal("another text")
			}
		case envelope.FormState:
			if digest, ok := envelope.ParseStateName(envelope.StateNameOf(id.State)); !ok || digest != id.State || len(text) != 45 {
				t.Fatal("another name")
			}
		}
	})
}

// FuzzPairs: what is accepted fits into an envelope, means the same in encoding/json, and survives a round trip.
func FuzzPairs(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		pairs, err := envelope.ParsePairs(text)
		if err != nil {
			if !errors.Is(err, envelope.ErrPairs) {
				t.Fatal(err)
			}
			return
		}
		var plain map[string]string
		if err := json.Unmarshal(text, &plain); err != nil || len(plain) != len(pairs) {
			t.Fatalf("encoding/json: %v, %d names", err, len(plain))
		}
		if pairs == nil {
			return
		}
		if !reflect.DeepEqual(kms.Context(plain), pairs) {
			t.Fatalf("encoding/json has %v", plain)
		}
		_, bound, loc, a := env1()
		s, err := envelope.Seal(envelope.Header{Suite: stream.AES256GCM, KID: "k", Wrapped: []byte("w"), Pairs: pairs}, bound, loc, a)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Header().Pairs, pairs) {
			t.Fatal("other pairs come back")
		}
	})
}

// FuzzSealedMeta: sealed user metadata has one form.
func FuzzSealedMeta(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := envelope.DecodeSealedMeta(b)
		if err != nil {
			if !errors.Is(err, envelope.ErrEnvelope) {
				t.Fatal(err)
			}
			return
		}
		n := 0
		for _, e := range entries {
			n += 8 + len(e.Name) + len(e.Value)
		}
		if n != len(b) {
			t.Fatalf("%d bytes read of %d", n, len(b))
		}
	})
}

// FuzzMetadata: the canonical form of a value has none but itself, so a store that applies it changes nothing.
func FuzzMetadata(f *testing.F) {
	f.Fuzz(func(t *testing.T, name, value string) {
		for header, canonical := range envelope.CanonicalFields([]envelope.Field{{Name: name, Value: value}}) {
			if header == "content-encoding" || header == "expires" {
				again := envelope.CanonicalFields([]envelope.Field{{Name: header, Value: canonical}})
				if again[header] != canonical && envelope.DecodeWords(canonical) == canonical {
					t.Fatalf("%s: %q becomes %q", header, canonical, again[header])
				}
			}
		}
		if plain := envelope.DecodeWords(value); len(plain) > len(value) {
			t.Fatalf("%q grows to %q", value, plain)
		}
	})
}

func TestFuzzCorporaAreNotEmpty(t *testing.T) {
	for _, target := range []string{"FuzzText", "FuzzLayout", "FuzzOpen", "FuzzAttributes", "FuzzUploadID", "FuzzPairs", "FuzzSealedMeta", "FuzzMetadata"} {
		entries, err := os.ReadDir(filepath.Join("testdata", "fuzz", target))
		if err != nil || len(entries) < 3 {
			t.Errorf("%s: %d seeds (%v)", target, len(entries), err)
		}
	}
}
