package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
)

// FuzzOpen: of all inputs only the manifest that was sealed opens.
func FuzzOpen(f *testing.F) {
	good, err := manifest.Seal(&manifest.Manifest{Table: man1(f)}, &dek, id, envelope.BindKey, loc)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, edit []byte, at int, cut int) {
		b := bytes.Clone(good)
		copy(b[uint(at)%uint(len(b)):], edit)
		b = b[:len(b)-int(uint(cut)%uint(len(b)))]
		_, err := manifest.Open(b, &dek, id, envelope.BindKey, loc)
		if (err == nil) != bytes.Equal(b, good) || err != nil && !errors.Is(err, manifest.ErrManifest) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// FuzzTable: what a manifest holds has one form, whatever it says.
func FuzzTable(f *testing.F) {
	f.Fuzz(func(t *testing.T, plain []byte) {
		m, err := manifest.Open(manifest.SealPlain(plain, &dek, id, loc), &dek, id, envelope.BindKey, loc)
		if err != nil {
			if !errors.Is(err, manifest.ErrManifest) {
				t.Fatal(err)
			}
			return
		}
		if again := manifest.EncodePlain(m); !bytes.Equal(again, plain) {
			t.Fatalf("encoded again as %x", again)
		}
		b, err := manifest.Seal(m, &dek, id, envelope.BindKey, loc)
		if err != nil {
			t.Fatal(err)
		}
		got, err := manifest.Open(b, &dek, id, envelope.BindKey, loc)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, m)
	})
}

// FuzzHint: a hint has one form.
func FuzzHint(f *testing.F) {
	f.Fuzz(func(t *testing.T, hint string) {
		if bucket, key, ok := manifest.DecodeHint(hint); ok && manifest.EncodeHint(bucket, key) != hint {
			t.Fatal("another hint")
		}
		if id, digest, ok := manifest.ParseName(hint); ok {
			name := manifest.Name(id)
			if digest != nil {
				name = manifest.SecondName(id, *digest)
			}
			if name != hint {
				t.Fatal("another name")
			}
		}
	})
}

func TestFuzzCorporaAreNotEmpty(t *testing.T) {
	for _, target := range []string{"FuzzOpen", "FuzzTable", "FuzzHint"} {
		entries, err := os.ReadDir(filepath.Join("testdata", "fuzz", target))
		if err != nil || len(entries) < 3 {
			t.Errorf("%s: %d seeds (%v)", target, len(entries), err)
		}
	}
}
