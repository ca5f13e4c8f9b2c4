package partnote_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/partnote"
	"s3veil/crypto/vector"
)

var (
	secret = kms.Key32{1, 2, 3}
	loc    = envelope.Location{Realm: "default", Bucket: "bkt", Key: "dir/obj.bin"}
)

func sum(algorithm byte, fill byte) *envelope.Checksum {
	return &envelope.Checksum{Algorithm: algorithm, Value: bytes.Repeat([]byte{fill}, envelope.ChecksumLen(algorithm))}
}

func TestNotesComeBack(t *testing.T) {
	k := partnote.NewKey(&secret, "UP", loc)
	for algorithm := byte(0); algorithm <= 10; algorithm++ {
		n := &partnote.Note{ETag: partnote.DigestOf("tag")}
		if algorithm != 0 {
			n.Sum = sum(algorithm, 7)
		}
		for _, other := range [][]byte{nil, bytes.Repeat([]byte{9}, 8)} {
			if n.Default = other; other != nil && algorithm == 3 {
				continue
			}
			name := k.Name(10000, n)
			if !strings.HasPrefix(name, partnote.Prefix("UP")+"10000.") || len(name) > 255-16 {
				t.Errorf("name %q", name)
			}
			part, got, err := k.Open(name)
			if err != nil || part != 10000 || !got.Equal(n) {
				t.Errorf("algorithm %d: %d, %+v, %v", algorithm, part, got, err)
			}
			if part, ok := k.Part(name); !ok || part != 10000 {
				t.Errorf("part %d, %v", part, ok)
			}
			if name == k.Name(10000, n) {
				t.Error("the same note twice has one name: the nonce is not drawn")
			}
		}
	}
}

// A note serves one part of one upload under its own key, and nothing else.
func TestNotesOpenNowhereElse(t *testing.T) {
	n := &partnote.Note{ETag: partnote.DigestOf("tag"), Sum: sum(1, 1)}
	name := partnote.NewKey(&secret, "UP", loc).Name(7, n)
	other := secret
	other[31] ^= 1
	rename := func(from, to string) string { return strings.Replace(name, from, to, 1) }
	for what, c := range map[string]struct {
		k    *partnote.Key
		name string
	}{
		"another part":                      {partnote.NewKey(&secret, "UP", loc), rename(".00007.", ".00008.")},
		"another key":                       {partnote.NewKey(&other, "UP", loc), name},
		"another upload":                    {partnote.NewKey(&secret, "U2", loc), rename(partnote.Prefix("UP"), partnote.Prefix("U2"))},
		"another bucket":                    {partnote.NewKey(&secret, "UP", envelope.Location{Bucket: "bkt2", Key: loc.Key}), name},
		"another object":                    {partnote.NewKey(&secret, "UP", envelope.Location{Bucket: "bkt", Key: "o"}), name},
		"spliced fields":                    {partnote.NewKey(&secret, "UP", envelope.Location{Bucket: "bktd", Key: "ir/obj.bin"}), name},
		"part 0":                            {partnote.NewKey(&secret, "UP", loc), rename(".00007.", ".00000.")},
		"part 10,001":                       {partnote.NewKey(&secret, "UP", loc), rename(".00007.", ".10001.")},
		"short number":                      {partnote.NewKey(&secret, "UP", loc), rename(".00007.", ".7.")},
		"signed number":                     {partnote.NewKey(&secret, "UP", loc), rename(".00007.", ".+0007.")},
		"padding":                           {partnote.NewKey(&secret, "UP", loc), name + "="},
		"a line end":                        {partnote.NewKey(&secret, "UP", loc), name + "\n"},
		"cut":                               {partnote.NewKey(&secret, "UP", loc), name[:len(name)-3]},
		"empty":                             {partnote.NewKey(&secret, "UP", loc), partnote.Prefix("UP") + "00007."},
		"another spelling of the last bits": {partnote.NewKey(&secret, "UP", loc), name[:len(name)-1] + string(name[len(name)-1]+1)},
		"the state":                         {partnote.NewKey(&secret, "UP", loc), envelope.StateName("UP")},
	} {
		if _, got, err := c.k.Open(c.name); !errors.Is(err, partnote.ErrNote) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func TestListingStartsBetweenParts(t *testing.T) {
	k := partnote.NewKey(&secret, "UP", loc)
	n := &partnote.Note{}
	before := partnote.Before("UP", 12)
	if one, two := k.Name(11, n), k.Name(12, n); one >= before || two <= before || k.Name(9999, n) <= before {
		t.Errorf("%q does not lie between %q and %q", before, one, two)
	}
	if state := envelope.StateName("UP"); state >= before {
		t.Errorf("the state %q lies behind", state)
	}
}

func TestNotesThatNobodyCouldReadPanic(t *testing.T) {
	k := partnote.NewKey(&secret, "UP", loc)
	for what, n := range map[string]*partnote.Note{
		"short checksum":    {Sum: &envelope.Checksum{Algorithm: 1, Value: []byte{1}}},
		"unknown algorithm": {Sum: &envelope.Checksum{Algorithm: 11}},
		"short default":     {Default: []byte{1}},
		"default twice":     {Sum: sum(3, 1), Default: make([]byte, 8)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			k.Name(1, n)
		}()
	}
}

func TestNoteVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "note")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			secret := kms.Key32(v.Key("secret"))
			k := partnote.NewKey(&secret, string(v.Bytes("upstream")), envelope.Location{Bucket: string(v.Bytes("bucket")), Key: string(v.Bytes("key"))})
			part, n, err := k.Open(string(v.Raw))
			got := vector.Success
			if errors.Is(err, partnote.ErrNote) {
				got = "note"
			}
			if got != v.Expect() {
				t.Fatalf("%v, want %s", err, v.Expect())
			}
			if err != nil {
				return
			}
			if plain := hex.EncodeToString(partnote.EncodePlain(n)); plain != v.Text("plain") || int64(part) != v.Int("part") {
				t.Errorf("part %d: %s", part, plain)
			}
			partnote.FixRandom(t, v.Bytes("nonce"))
			if again := k.Name(part, n); again != string(v.Raw) {
				t.Errorf("sealed again: %s", again)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	k := partnote.NewKey(&secret, "UP", loc)
	f.Add(k.Name(1, &partnote.Note{Sum: sum(2, 1)}))
	f.Add(partnote.Prefix("UP") + "00001.")
	f.Add("")
	f.Fuzz(func(t *testing.T, name string) {
		part, n, err := k.Open(name)
		if err != nil && !errors.Is(err, partnote.ErrNote) {
			t.Fatal(err)
		}
		if got, ok := k.Part(name); err == nil && (!ok || got != part || n == nil) {
			t.Fatalf("%d, %v", got, ok)
		}
	})
}

// What opens is what a reader would write again: authentic plaintexts that are no notes are refused.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x00"))
	f.Add([]byte("0123456789abcdef\x01abcd12345678"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		n, err := partnote.Decode(plain)
		if err == nil && !bytes.Equal(partnote.EncodePlain(n), plain) {
			t.Fatalf("%x is encoded again as %x", plain, partnote.EncodePlain(n))
		}
	})
}
