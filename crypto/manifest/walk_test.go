package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// body seals one stream per part and puts them one after the other.
func body(t testing.TB, parts ...size.Part) []byte {
	t.Helper()
	var out []byte
	for _, p := range parts {
		s, err := stream.NewSealer(stream.AES256GCM, &dek, p.Number, p.Size)
		if err != nil {
			t.Fatal(err)
		}
		out = s.Seal(out, make([]byte, p.Size))
	}
	return out
}

func walk(b []byte) (*size.Table, error) {
	return manifest.Walk(bytes.NewReader(b), int64(len(b)), stream.AES256GCM, &dek)
}

func partsOf(tab *size.Table) (out []size.Part) {
	for i := range tab.Len() {
		out = append(out, tab.Part(i))
	}
	return out
}

func TestWalkFindsThePartTable(t *testing.T) {
	for _, parts := range [][]size.Part{
		{{Number: 1, Size: 1}},
		{{Number: 10000, Size: size.Package}},
		{{Number: 1, Size: 3*size.Package + 5}, {Number: 2, Size: 2 * size.Package}, {Number: 7, Size: 1}, {Number: 300, Size: size.Package + 1}},
	} {
		got, err := walk(body(t, parts...))
		if err != nil || !slices.Equal(partsOf(got), parts) {
			t.Errorf("%v: %v, %v", parts, got, err)
		}
	}
}

func TestWalkLeavesEmptyPartsOut(t *testing.T) {
	got, err := walk(body(t, size.Part{Number: 1, Size: 9}, size.Part{Number: 2}, size.Part{Number: 3, Size: 4}))
	want := []size.Part{{Number: 1, Size: 9}, {Number: 3, Size: 4}}
	if err != nil || !slices.Equal(partsOf(got), want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWalkRefusesWhatIsNoSequenceOfParts(t *testing.T) {
	one := size.Part{Number: 1, Size: 2*size.Package + 7}
	two := size.Part{Number: 2, Size: 2*size.Package + 7}
	a, b := body(t, one), body(t, two)
	other := body(t, one)
	cases := map[string][]byte{
		"empty":                              {},
		"descending":                         slices.Concat(b, a),
		"twice the same number":              slices.Concat(a, other),
		"cut inside a package":               a[:size.Cipher+100],
		"cut at a package":                   a[:2*size.Cipher],
		"cut by a byte":                      a[:len(a)-1],
		"a byte more":                        slices.Concat(a, []byte{0}),
		"a header more":                      slices.Concat(a, make([]byte, size.Overhead+1)),
		"first package missing":              a[size.Cipher:],
		"middle package missing":             slices.Concat(a[:size.Cipher], a[2*size.Cipher:]),
		"packages exchanged":                 slices.Concat(a[size.Cipher:2*size.Cipher], a[:size.Cipher], a[2*size.Cipher:]),
		"package of another stream in place": slices.Concat(a[:size.Cipher], other[size.Cipher:2*size.Cipher], a[2*size.Cipher:]),
		"tail of another part":               slices.Concat(a[:size.Cipher], b[size.Cipher:]),
	}
	for _, at := range []int{0, 1, 2, 4, 12, 16, 20000, size.Cipher - 1, 2 * size.Cipher, len(a) - 1} {
		flipped := slices.Clone(a)
		flipped[at] ^= 1
		cases[fmt.Sprintf("flipped bit at %d", at)] = flipped
	}
	for name, raw := range cases {
		if tab, err := walk(raw); !errors.Is(err, manifest.ErrWalk) || !errors.Is(err, manifest.ErrManifest) {
			t.Errorf("%s: %v, %v", name, tab, err)
		}
	}
}

func TestWalkHoldsTheDeclaredLength(t *testing.T) {
	a := body(t, size.Part{Number: 1, Size: 100})
	for _, n := range []int{-1, 1, size.Overhead} {
		_, err := manifest.Walk(bytes.NewReader(a), int64(len(a)+n), stream.AES256GCM, &dek)
		if !errors.Is(err, manifest.ErrWalk) {
			t.Errorf("%+d bytes declared: %v", n, err)
		}
	}
}

func TestWalkReturnsErrorsOfTheSource(t *testing.T) {
	a := body(t, size.Part{Number: 1, Size: 2 * size.Package})
	lost := errors.New("connection lost")
	_, err := manifest.Walk(io.MultiReader(bytes.NewReader(a[:70000]), iotest.ErrReader(lost)), int64(len(a)), stream.AES256GCM, &dek)
	if !errors.Is(err, lost) || errors.Is(err, manifest.ErrManifest) {
		t.Errorf("%v", err)
	}
}

func TestWalkNeedsTheRightKeyAndSuite(t *testing.T) {
	a := body(t, size.Part{Number: 1, Size: 10})
	wrong := dek
	wrong[0] ^= 1
	if _, err := manifest.Walk(bytes.NewReader(a), int64(len(a)), stream.AES256GCM, &wrong); !errors.Is(err, manifest.ErrWalk) {
		t.Errorf("another key: %v", err)
	}
	if _, err := manifest.Walk(bytes.NewReader(a), int64(len(a)), stream.ChaCha20Poly1305, &dek); !errors.Is(err, manifest.ErrWalk) {
		t.Errorf("another suite: %v", err)
	}
}
