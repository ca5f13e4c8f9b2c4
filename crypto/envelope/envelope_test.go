package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/stream"
)

// seq returns n bytes that count up from first, the inputs of the known answers (FORMAT.md 14.2).
func seq(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

// env1 returns the inputs of ENV-1.
func env1() (envelope.Header, *kms.Key32, envelope.Location, *envelope.Attributes) {
	bound := kms.Key32(seq(0x40, 32))
	return envelope.Header{Suite: stream.AES256GCM, KID: "k1", Wrapped: []byte("WRAPPED")},
		&bound,
		envelope.Location{Realm: "default", Bucket: "bkt", Key: "dir/obj.bin"},
		&envelope.Attributes{
			DEK:      kms.Key32(seq(0, 32)),
			ObjectID: envelope.ObjectID(seq(0xc0, 16)),
			Length:   5,
			MetaMAC:  [32]byte(seq(0xe0, 32)),
		}
}

func seal(t *testing.T, h envelope.Header, bound *kms.Key32, loc envelope.Location, a *envelope.Attributes) *envelope.Sealed {
	t.Helper()
	s, err := envelope.Seal(h, bound, loc, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkSum(t *testing.T, name string, b []byte, length int, sum string) {
	t.Helper()
	got := sha256.Sum256(b)
	if len(b) != length || hex.EncodeToString(got[:]) != sum {
		t.Errorf("%s: %d bytes with SHA-256 %x, want %d with %s", name, len(b), got, length, sum)
	}
}

func TestKnownAnswers(t *testing.T) {
	h, bound, loc, a := env1()
	envelope.FixRandom(t, seq(0x80, 32))
	s := seal(t, h, bound, loc, a)
	checkSum(t, "ENV-1", s.Bytes(), 209, sumENV1)

	h.Pairs = kms.Context{"team": "red", "a": "ü"}
	envelope.FixRandom(t, seq(0x80, 32))
	checkSum(t, "ENV-2", seal(t, h, bound, loc, a).Bytes(), 237, sumENV2)

	h.Pairs, h.Kind = nil, envelope.Token
	envelope.FixRandom(t, seq(0x60, 32))
	token := envelope.SealTokenBytes("UP", seal(t, h, bound, loc, a), &a.DEK, loc)
	checkSum(t, "TOKEN-1", token, 173, sumTOKEN1)

	mac := envelope.MetadataMAC(&a.DEK, []envelope.Field{{Name: "content-type", Value: "text/plain"}, {Name: "x-amz-meta-a", Value: "1"}})
	if hex.EncodeToString(mac[:]) != macMETA1 {
		t.Errorf("META-1: %x", mac)
	}
}

func full() *envelope.Attributes {
	asked, md5 := byte(0x82), [16]byte(seq(3, 16))
	return &envelope.Attributes{
		DEK: kms.Key32(seq(1, 32)), ObjectID: envelope.ObjectID(seq(2, 16)), Length: 1 << 32, MetaMAC: [32]byte(seq(4, 32)),
		Created: 1780000000, ContentMD5: &md5, Checksum: &envelope.Checksum{Algorithm: envelope.SHA256, Value: seq(9, 32)},
		SealedMeta: []byte{}, Asked: &asked, Extra: []envelope.TLV{{Type: 0x82, Value: []byte{}}, {Type: 0xc0, Value: []byte("x")}, {Type: 0xff, Value: seq(0, 300)}},
	}
}

func TestRoundTrip(t *testing.T) {
	asked, declared := byte(1), [2]byte{5, 0}
	for _, c := range []struct {
		name string
		h    envelope.Header
		a    *envelope.Attributes
	}{
		{"plain single PUT", envelope.Header{}, &envelope.Attributes{Length: 5}},
		{"everything in a single PUT", envelope.Header{Binding: envelope.BindBucket, Pairs: kms.Context{"a": "", "b": strings.Repeat("x", 400)}}, full()},
		{"suite 2", envelope.Header{Suite: stream.ChaCha20Poly1305, Binding: envelope.BindNone}, &envelope.Attributes{}},
		{"multipart", envelope.Header{Kind: envelope.Multipart}, &envelope.Attributes{Created: 7, Declared: &declared, SealedMeta: []byte{}}},
		{"token", envelope.Header{Kind: envelope.Token}, &envelope.Attributes{Asked: &asked, Declared: &declared}},
		{"customer key", envelope.Header{KID: envelope.CustomerKID}, &envelope.Attributes{}},
		{"longest clear part", envelope.Header{KID: strings.Repeat("k", 64), Wrapped: make([]byte, 1024)}, &envelope.Attributes{}},
		{"a checksum of each length", envelope.Header{}, &envelope.Attributes{Checksum: &envelope.Checksum{Algorithm: envelope.CRC32C, Value: seq(0, 4)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, bound, loc, _ := env1()
			if c.h.Suite == 0 {
				c.h.Suite = stream.AES256GCM
			}
			if c.h.KID == "" {
				c.h.KID = "main.2"
			}
			if c.h.Wrapped == nil {
				c.h.Wrapped = []byte{1}
			}
			s := seal(t, c.h, bound, loc, c.a)
			if n := envelope.TextLen(c.h, c.a); n != len(s.Text()) {
				t.Errorf("TextLen is %d, the text has %d", n, len(s.Text()))
			}
			again, err := envelope.ParseText(s.Text())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), s.Bytes()) || again.Text() != s.Text() {
				t.Error("parsing and encoding changes the bytes")
			}
			a, err := again.Open(bound, loc, c.h.Kind)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(a, c.a) {
				t.Errorf("got %+v, want %+v", a, c.a)
			}
			want := c.h
			if want.Kind == envelope.Token {
				want.Kind = envelope.Multipart
			}
			want.SealedMeta = c.a.SealedMeta != nil
			if got := again.Header(); !reflect.DeepEqual(got, want) {
				t.Errorf("header %+v, want %+v", got, want)
			}
		})
	}
}

func TestSaltsDiffer(t *testing.T) {
	h, bound, loc, a := env1()
	seen := map[string]bool{}
	for range 2 {
		dek, id := envelope.NewDEK(), envelope.NewObjectID()
		for _, drawn := range []string{seal(t, h, bound, loc, a).Text(), string(dek[:]), string(id[:])} {
			if seen[drawn] {
				t.Error("two draws are equal")
			}
			seen[drawn] = true
		}
	}
}

func TestOpenRefusesAnotherLocation(t *testing.T) {
	change := map[string]envelope.Location{
		"realm":  {Realm: "other", Bucket: "bkt", Key: "dir/obj.bin"},
		"bucket": {Realm: "default", Bucket: "bkt2", Key: "dir/obj.bin"},
		"key":    {Realm: "default", Bucket: "bkt", Key: "dir/obj.bin2"},
		"border": {Realm: "default", Bucket: "bktdir", Key: "/obj.bin"},
	}
	accepted := map[envelope.Binding]string{envelope.BindKey: "", envelope.BindBucket: "key", envelope.BindNone: "bucket key border"}
	for level, fine := range accepted {
		h, bound, loc, a := env1()
		h.Binding = level
		s := seal(t, h, bound, loc, a)
		for name, other := range change {
			_, err := s.Open(bound, other, envelope.SinglePut)
			if strings.Contains(fine, name) {
				if err != nil {
					t.Errorf("level %v, other %s: %v", level, name, err)
				}
			} else if !errors.Is(err, envelope.ErrEnvelope) {
				t.Errorf("level %v, other %s: %v", level, name, err)
			}
		}
	}
}

func TestOpenRefusesAnotherKey(t *testing.T) {
	h, bound, loc, a := env1()
	s := seal(t, h, bound, loc, a)
	other := *bound
	other[31] ^= 1
	if _, err := s.Open(&other, loc, envelope.SinglePut); !errors.Is(err, envelope.ErrCommitment) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesAnotherKind(t *testing.T) {
	_, bound, loc, a := env1()
	for sealed := envelope.SinglePut; sealed <= envelope.Token; sealed++ {
		h, _, _, _ := env1()
		h.Kind = sealed
		s := seal(t, h, bound, loc, a)
		for kind := envelope.SinglePut; kind <= envelope.Token; kind++ {
			_, err := s.Open(bound, loc, kind)
			if kind == sealed && err != nil || kind != sealed && !errors.Is(err, envelope.ErrEnvelope) {
				t.Errorf("sealed as %d, opened as %d: %v", sealed, kind, err)
			}
		}
	}
}

// Every flipped bit of the head, salt, commitment and box is refused. kid, wrapped key and pairs are covered by what
// they unwrap to, which this test does not have.
func TestEveryByteFlipped(t *testing.T) {
	h, bound, loc, a := env1()
	s := seal(t, h, bound, loc, a)
	clearEnd := 7 + len(h.KID) + 2 + len(h.Wrapped)
	for i := range s.Bytes() {
		for bit := range 8 {
			b := bytes.Clone(s.Bytes())
			b[i] ^= 1 << bit
			p, err := envelope.Parse(b)
			if err != nil {
				if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrUnsupported) {
					t.Errorf("byte %d: %v", i, err)
				}
				continue
			}
			if !bytes.Equal(p.Bytes(), b) {
				t.Errorf("byte %d: parsing and encoding differ", i)
			}
			_, err = p.Open(bound, loc, p.Header().Kind)
			if i >= 7 && i < clearEnd && p.Header().KID+string(p.Header().Wrapped) != "k1WRAPPED" && len(p.Header().Wrapped) == 7 {
				if err != nil {
					t.Errorf("byte %d of the replaceable part: %v", i, err)
				}
			} else if err == nil {
				t.Errorf("byte %d, bit %d: accepted", i, bit)
			}
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	h, bound, loc, a := env1()
	h.Pairs = kms.Context{"a": "b"}
	s := seal(t, h, bound, loc, a)
	for n := range s.Bytes() {
		p, err := envelope.Parse(s.Bytes()[:n])
		if err == nil {
			_, err = p.Open(bound, loc, envelope.SinglePut)
		}
		if err == nil {
			t.Errorf("%d bytes accepted", n)
		}
	}
}

func TestParseText(t *testing.T) {
	h, bound, loc, a := env1()
	good := seal(t, h, bound, loc, a).Text()
	last := good[len(good)-1:] // 209 bytes: the last character carries 4 unused bits
	bits := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", last[0])
	for _, c := range []struct {
		name, text string
		class      error
	}{
		{"as sealed", good, nil},
		{"empty", "", envelope.ErrMalformed},
		{"prefix only", "1.", envelope.ErrMalformed},
		{"no prefix", good[2:], envelope.ErrMalformed},
		{"other prefix", "x." + good[2:], envelope.ErrMalformed},
		{"leading zero", "01." + good[2:], envelope.ErrMalformed},
		{"next major", "2." + good[2:], envelope.ErrUnsupported},
		{"major of two digits", "10." + good[2:], envelope.ErrUnsupported},
		{"padding", good + "==", envelope.ErrMalformed},
		{"leading space", " " + good, envelope.ErrMalformed},
		{"trailing space", good + " ", envelope.ErrMalformed},
		{"line end inside", good[:20] + "\n" + good[20:], envelope.ErrMalformed},
		{"carriage return at the end", good + "\r", envelope.ErrMalformed},
		{"standard alphabet", good[:20] + "+/" + good[22:], envelope.ErrMalformed},
		{"trailing bits", good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[bits|1]), envelope.ErrMalformed},
		{"two values joined", good + "," + good, envelope.ErrMalformed},
	} {
		s, err := envelope.ParseText(c.text)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", c.name, err, c.class)
		}
		if err == nil && s.Text() != c.text {
			t.Errorf("%s: encoded again as %s", c.name, s.Text())
		}
	}
}

func TestSealRefuses(t *testing.T) {
	md5, declared, bad := [16]byte{}, [2]byte{1, 0}, [2]byte{11, 0}
	for _, c := range []struct {
		name   string
		change func(*envelope.Header, *envelope.Location, *envelope.Attributes)
		class  error
	}{
		{"suite 3", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.Suite = 3 }, envelope.ErrUnsupported},
		{"no kid", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.KID = "" }, envelope.ErrMalformed},
		{"reserved kid", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.KID = "@other" }, envelope.ErrMalformed},
		{"long kid", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) {
			h.KID = strings.Repeat("k", 65)
		}, envelope.ErrMalformed},
		{"no wrapped key", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.Wrapped = nil }, envelope.ErrMalformed},
		{"long wrapped key", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.Wrapped = make([]byte, 1025) }, envelope.ErrMalformed},
		{"padded multipart", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) {
			h.Kind, h.Padded = envelope.Multipart, true
		}, envelope.ErrMalformed},
		{"binding level", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) { h.Binding = 3 }, envelope.ErrMalformed},
		{"reserved pair", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) {
			h.Pairs = kms.Context{"realm": "x"}
		}, envelope.ErrMalformed},
		{"pairs under a customer key", func(h *envelope.Header, _ *envelope.Location, _ *envelope.Attributes) {
			h.KID, h.Pairs = envelope.CustomerKID, kms.Context{"a": "b"}
		}, envelope.ErrMalformed},
		{"no realm", func(_ *envelope.Header, l *envelope.Location, _ *envelope.Attributes) { l.Realm = "" }, envelope.ErrMalformed},
		{"long realm", func(_ *envelope.Header, l *envelope.Location, _ *envelope.Attributes) {
			l.Realm = strings.Repeat("r", 256)
		}, envelope.ErrMalformed},
		{"negative length", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) { a.Length = -1 }, envelope.ErrMalformed},
		{"length above 5 GiB", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) { a.Length = 5<<30 + 1 }, envelope.ErrMalformed},
		{"checksum of wrong length", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.Checksum = &envelope.Checksum{Algorithm: envelope.SHA1, Value: make([]byte, 19)}
		}, envelope.ErrEnvelope},
		{"unknown checksum", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.Checksum = &envelope.Checksum{Algorithm: 11}
		}, envelope.ErrEnvelope},
		{"declared checksum in a single PUT", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) { a.Declared = &declared }, envelope.ErrEnvelope},
		{"unknown declared checksum", func(h *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			h.Kind, a.Declared = envelope.Token, &bad
		}, envelope.ErrEnvelope},
		{"MD5 in a multipart object", func(h *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			h.Kind, a.ContentMD5 = envelope.Multipart, &md5
		}, envelope.ErrEnvelope},
		{"sealed metadata in a token", func(h *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			h.Kind, a.SealedMeta = envelope.Token, []byte{}
		}, envelope.ErrEnvelope},
		{"sealed metadata that does not parse", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.SealedMeta = []byte{1}
		}, envelope.ErrEnvelope},
		{"extension of a known type", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.Extra = []envelope.TLV{{Type: 0x81}}
		}, envelope.ErrEnvelope},
		{"extensions out of order", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.Extra = []envelope.TLV{{Type: 0xff}, {Type: 0x82}}
		}, envelope.ErrEnvelope},
		{"long extension", func(_ *envelope.Header, _ *envelope.Location, a *envelope.Attributes) {
			a.Extra = []envelope.TLV{{Type: 0xff, Value: make([]byte, 65536)}}
		}, envelope.ErrEnvelope},
	} {
		h, bound, loc, a := env1()
		c.change(&h, &loc, a)
		if _, err := envelope.Seal(h, bound, loc, a); !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", c.name, err, c.class)
		}
	}
}

func TestRewrappedOpensWithTheSameKey(t *testing.T) {
	h, bound, loc, a := env1()
	h.Pairs, h.Binding = kms.Context{"a": "b"}, envelope.BindBucket
	s := seal(t, h, bound, loc, a)
	other, err := s.Rewrapped("another-key", []byte("another, longer wrapping"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(bound, loc, envelope.SinglePut); err != nil {
		t.Error(err)
	}
	h.KID, h.Wrapped = "another-key", []byte("another, longer wrapping")
	if got := other.Header(); !reflect.DeepEqual(got, h) {
		t.Errorf("header %+v", got)
	}
	back, err := other.Rewrapped("k1", []byte("WRAPPED"))
	if err != nil || back.Text() != s.Text() {
		t.Errorf("rewrapping back gives other bytes (%v)", err)
	}
	if _, err := s.Rewrapped("", []byte("x")); !errors.Is(err, envelope.ErrMalformed) {
		t.Errorf("no kid: %v", err)
	}
	if _, err := s.Rewrapped("k", nil); !errors.Is(err, envelope.ErrMalformed) {
		t.Errorf("no wrapped key: %v", err)
	}
}

func TestCarriedAttributes(t *testing.T) {
	a := &envelope.Attributes{Extra: []envelope.TLV{{Type: 0x82}, {Type: 0xbf}, {Type: 0xc0}, {Type: 0xff}}}
	if got := a.Carried(); len(got) != 2 || got[1].Type != 0xbf {
		t.Errorf("carried %v", got)
	}
}

// The lengths of FORMAT.md 5.8 for T = 133.
func TestTextLenOfProviders(t *testing.T) {
	md5 := [16]byte{}
	a := &envelope.Attributes{ContentMD5: &md5, Extra: []envelope.TLV{{Type: 0x82}}}
	for _, c := range []struct{ k, w, want int }{{2, 76, 402}, {8, 89, 428}, {8, 113, 460}, {8, 184, 554}} {
		h := envelope.Header{Suite: 1, KID: strings.Repeat("k", c.k), Wrapped: make([]byte, c.w)}
		if got := envelope.TextLen(h, a); got != c.want {
			t.Errorf("k %d, w %d: %d characters, want %d", c.k, c.w, got, c.want)
		}
	}
}
