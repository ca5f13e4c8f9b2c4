package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

func seq(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

var (
	dek = kms.Key32(seq(0, 32))
	id  = envelope.ObjectID(seq(0xc0, 16))
	loc = envelope.Location{Realm: "default", Bucket: "bkt", Key: "dir/obj.bin"}
)

func table(t testing.TB, parts ...size.Part) *size.Table {
	t.Helper()
	tab, err := size.NewTable(parts)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func man1(t testing.TB) *size.Table {
	return table(t, size.Part{Number: 1, Size: 5 << 20}, size.Part{Number: 2, Size: 5 << 20}, size.Part{Number: 3, Size: 5 << 20}, size.Part{Number: 7, Size: 1})
}

// The expected values of MAN-1 (FORMAT.md 14.2) were computed by an independent program.
func TestKnownAnswer(t *testing.T) {
	manifest.FixRandom(t, seq(0xa0, 16))
	b, err := manifest.Seal(&manifest.Manifest{Table: man1(t)}, &dek, id, envelope.BindKey, loc)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if len(b) != 75 || hex.EncodeToString(sum[:]) != "62087030f6157d025298bfbf7176b94dbb577ef3baf0c28e226792e6678c8587" {
		t.Errorf("%d bytes with SHA-256 %x", len(b), sum)
	}
	digest := manifest.TableDigest(man1(t))
	if hex.EncodeToString(digest[:]) != "128d3132d1c1e1973ea91e40645e942f" {
		t.Errorf("table digest %x", digest)
	}
}

func same(t *testing.T, got, want *manifest.Manifest) {
	t.Helper()
	if got.Table.Len() != want.Table.Len() || got.Table.Plain() != want.Table.Plain() || got.Table.Stored() != want.Table.Stored() {
		t.Fatalf("table of %d parts, %d bytes", got.Table.Len(), got.Table.Plain())
	}
	for i := range got.Table.Len() {
		if got.Table.Part(i) != want.Table.Part(i) {
			t.Errorf("part %d: %v, want %v", i, got.Table.Part(i), want.Table.Part(i))
		}
	}
	g, w := *got, *want
	g.Table, w.Table = nil, nil
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got %+v, want %+v", g, w)
	}
}

func TestRoundTrip(t *testing.T) {
	sum := func(algorithm byte, first int) envelope.Checksum {
		return envelope.Checksum{Algorithm: algorithm, Value: seq(first, envelope.ChecksumLen(algorithm))}
	}
	object, crc := sum(envelope.SHA1, 1), sum(envelope.CRC64NVME, 5)
	all := make([]size.Part, size.MaxParts)
	for i := range all {
		all[i] = size.Part{Number: i + 1, Size: int64(5<<20 + i%2)}
	}
	for name, m := range map[string]*manifest.Manifest{
		"one part":     {Table: table(t, size.Part{Number: 10000, Size: 1})},
		"empty object": {Table: table(t, size.Part{Number: 1})},
		"gaps":         {Table: man1(t), Provisional: true},
		"largest part": {Table: table(t, size.Part{Number: 5, Size: size.MaxStream}, size.Part{Number: 6, Size: size.MaxStream})},
		"as many runs as possible": {
			Table: table(t, all...), PartMD5: make([][16]byte, len(all)), PartR: make([]stream.R, len(all)),
		},
		"everything": {
			Table: man1(t), PartMD5: [][16]byte{{1}, {2}, {3}, {4}}, PartR: []stream.R{{1}, {0x7f}, {3}, {4}},
			Checksum: &object, Composite: true,
			PartChecksums: []envelope.Checksum{sum(envelope.CRC32, 1), sum(envelope.CRC32, 2), sum(envelope.CRC32, 3), sum(envelope.CRC32, 4)},
			Repaired:      1780000000, Extra: []envelope.TLV{{Type: 0x80, Value: []byte{}}, {Type: 0xff, Value: seq(0, 70000)}},
		},
		"full-object checksum": {Table: man1(t), Checksum: &crc},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := manifest.Seal(m, &dek, id, envelope.BindKey, loc)
			if err != nil {
				t.Fatal(err)
			}
			got, err := manifest.Open(b, &dek, id, envelope.BindKey, loc)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, m)
			if manifest.TableDigest(got.Table) != manifest.TableDigest(m.Table) {
				t.Error("digests differ")
			}
		})
	}
}

// The sizes of FORMAT.md 9.4: 51 + 12 · runs + TLVs.
func TestSizes(t *testing.T) {
	two := make([]size.Part, size.MaxParts)
	all := make([]size.Part, size.MaxParts)
	for i := range two {
		two[i] = size.Part{Number: i + 1, Size: 5 << 20}
		all[i] = size.Part{Number: i + 1, Size: int64(5<<20 + i%2)}
	}
	two[len(two)-1].Size = 1
	for _, c := range []struct {
		parts []size.Part
		want  int
	}{{two, 160080}, {all, 280056}} {
		b, err := manifest.Seal(&manifest.Manifest{Table: table(t, c.parts...), PartMD5: make([][16]byte, len(c.parts))}, &dek, id, envelope.BindKey, loc)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != c.want {
			t.Errorf("%d bytes, want %d", len(b), c.want)
		}
	}
}

func TestOpenRefusesAnotherPlace(t *testing.T) {
	otherKey, otherID := dek, id
	otherKey[0] ^= 1
	otherID[0] ^= 1
	for _, level := range []envelope.Binding{envelope.BindKey, envelope.BindBucket, envelope.BindNone} {
		b, err := manifest.Seal(&manifest.Manifest{Table: man1(t)}, &dek, id, level, loc)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			dek  *kms.Key32
			id   envelope.ObjectID
			loc  envelope.Location
			ok   bool
		}{
			{"same", &dek, id, loc, true},
			{"key", &otherKey, id, loc, false},
			{"object id", &dek, otherID, loc, false},
			{"realm", &dek, id, envelope.Location{Realm: "r", Bucket: loc.Bucket, Key: loc.Key}, false},
			{"bucket", &dek, id, envelope.Location{Realm: loc.Realm, Bucket: "b", Key: loc.Key}, level == envelope.BindNone},
			{"object key", &dek, id, envelope.Location{Realm: loc.Realm, Bucket: loc.Bucket, Key: "k"}, level != envelope.BindKey},
		} {
			_, err := manifest.Open(b, c.dek, c.id, level, c.loc)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, manifest.ErrManifest) {
				t.Errorf("level %v, other %s: %v", level, c.name, err)
			}
		}
	}
}

func TestEveryByteFlipped(t *testing.T) {
	b, err := manifest.Seal(&manifest.Manifest{Table: man1(t)}, &dek, id, envelope.BindKey, loc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := manifest.Open(bad, &dek, id, envelope.BindKey, loc); !errors.Is(err, manifest.ErrManifest) || errors.Is(err, manifest.ErrUnsupported) != (i == 4) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := manifest.Open(b[:i], &dek, id, envelope.BindKey, loc); !errors.Is(err, manifest.ErrManifest) || errors.Is(err, manifest.ErrMalformed) != (i < 63) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, err := manifest.Open(make([]byte, manifest.MaxSize+1), &dek, id, envelope.BindKey, loc); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("oversize: %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	crc := envelope.Checksum{Algorithm: envelope.CRC32, Value: seq(0, 4)}
	short := envelope.Checksum{Algorithm: envelope.CRC32, Value: seq(0, 3)}
	other := envelope.Checksum{Algorithm: envelope.CRC32C, Value: seq(0, 4)}
	one := table(t, size.Part{Number: 1, Size: 1})
	for name, m := range map[string]*manifest.Manifest{
		"no table":                   {},
		"single PUT":                 {Table: size.Single(5)},
		"digests for other parts":    {Table: one, PartMD5: make([][16]byte, 2)},
		"no digests":                 {Table: one, PartMD5: [][16]byte{}},
		"R for other parts":          {Table: one, PartR: make([]stream.R, 2)},
		"R with its top bit":         {Table: one, PartR: []stream.R{{0x80}}},
		"R of an empty part":         {Table: table(t, size.Part{Number: 1}), PartR: []stream.R{{1}}},
		"provisional with R":         {Table: one, PartR: make([]stream.R, 1), Provisional: true},
		"composite without checksum": {Table: one, Composite: true},
		"short checksum":             {Table: one, Checksum: &short},
		"unknown checksum":           {Table: one, Checksum: &envelope.Checksum{Algorithm: 9}},
		"no part checksums":          {Table: one, PartChecksums: []envelope.Checksum{}},
		"part checksums of two kinds": {Table: table(t, size.Part{Number: 1, Size: 1}, size.Part{Number: 2, Size: 1}),
			PartChecksums: []envelope.Checksum{crc, other}},
		"short part checksum": {Table: one, PartChecksums: []envelope.Checksum{short}},
		"known type as extra": {Table: one, Extra: []envelope.TLV{{Type: 0x15}}},
		"extras out of order": {Table: one, Extra: []envelope.TLV{{Type: 0x81}, {Type: 0x81}}},
		"above 1 MiB":         {Table: one, Extra: []envelope.TLV{{Type: 0x80, Value: make([]byte, manifest.MaxSize)}}},
	} {
		if _, err := manifest.Seal(m, &dek, id, envelope.BindKey, loc); !errors.Is(err, manifest.ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	be := func(n uint64, size int) string { return string(seq8(n)[8-size:]) }
	run := func(first, count, length uint64) string { return be(first, 2) + be(count, 2) + be(length, 8) }
	head := func(n, total, runs uint64) string { return be(n, 4) + be(total, 8) + be(runs, 2) }
	tlv := func(typ byte, value string) string { return string([]byte{typ}) + be(uint64(len(value)), 4) + value }
	one := head(1, 5, 1) + run(1, 1, 5)
	for _, c := range []struct {
		name, plain string
		class       error // nil: accepted
	}{
		{"one part", one, nil},
		{"no part", head(0, 0, 1) + run(1, 0, 5), manifest.ErrManifest},
		{"no run", head(1, 5, 0) + run(1, 1, 5), manifest.ErrManifest},
		{"cut run", head(1, 5, 2) + run(1, 1, 5), manifest.ErrManifest},
		{"10,001 parts", head(10001, 0, 1) + run(1, 10001, 0), manifest.ErrManifest},
		{"part number 0", head(1, 5, 1) + run(0, 1, 5), manifest.ErrManifest},
		{"part number 10,001", head(1, 5, 1) + run(10001, 1, 5), manifest.ErrManifest},
		{"run beyond 10,000", head(2, 10, 1) + run(10000, 2, 5), manifest.ErrManifest},
		{"run of nothing", head(1, 5, 2) + run(1, 1, 5) + run(3, 0, 5), manifest.ErrManifest},
		{"count above N", head(1, 10, 1) + run(1, 2, 5), manifest.ErrManifest},
		{"count below N", head(2, 5, 1) + run(1, 1, 5), manifest.ErrManifest},
		{"wrong total", head(1, 6, 1) + run(1, 1, 5), manifest.ErrManifest},
		{"two runs", head(2, 11, 2) + run(1, 1, 5) + run(2, 1, 6), nil},
		{"runs that could be one", head(2, 10, 2) + run(1, 1, 5) + run(2, 1, 5), manifest.ErrManifest},
		{"equal lengths after a gap", head(2, 10, 2) + run(1, 1, 5) + run(3, 1, 5), nil},
		{"descending runs", head(2, 11, 2) + run(2, 1, 5) + run(1, 1, 6), manifest.ErrManifest},
		{"overlapping runs", head(3, 16, 2) + run(1, 2, 5) + run(2, 1, 6), manifest.ErrManifest},
		{"part above 5 GiB", head(1, 5<<30+1, 1) + run(1, 1, 5<<30+1), manifest.ErrMalformed},
		{"part of 2^63", head(1, 1<<63, 1) + run(1, 1, 1<<63), manifest.ErrMalformed},
		{"empty extension", one + tlv(0x80, ""), nil},
		{"attribute is cut", one + "\x80\x00\x00\x00", manifest.ErrManifest},
		{"attribute beyond the end", one + "\x80\xff\xff\xff\xffx", manifest.ErrManifest},
		{"attributes out of order", one + tlv(0x81, "") + tlv(0x80, ""), manifest.ErrManifest},
		{"attribute twice", one + tlv(0x80, "") + tlv(0x80, ""), manifest.ErrManifest},
		{"attribute 0f", one + tlv(0x0f, ""), manifest.ErrUnsupported},
		{"attribute 16", one + tlv(0x16, ""), manifest.ErrUnsupported},
		{"attribute 7f", one + tlv(0x7f, ""), manifest.ErrUnsupported},
		{"digests of a wrong length", one + tlv(0x10, string(seq(0, 15))), manifest.ErrManifest},
		{"no digest", one + tlv(0x10, ""), manifest.ErrManifest},
		{"R of a wrong length", one + tlv(0x11, string(seq(0, 13))), manifest.ErrManifest},
		{"R for two parts", one + tlv(0x11, string(seq(0, 24))), manifest.ErrManifest},
		{"checksum without a value", one + tlv(0x12, "\x01"), manifest.ErrManifest},
		{"checksum of type 2", one + tlv(0x12, "\x01\x02abcd"), manifest.ErrManifest},
		{"checksum of another length", one + tlv(0x12, "\x01\x00abcde"), manifest.ErrManifest},
		{"empty part checksums", one + tlv(0x13, ""), manifest.ErrManifest},
		{"part checksums for two parts", one + tlv(0x13, "\x01abcdefgh"), manifest.ErrManifest},
		{"unknown part checksums", one + tlv(0x13, "\x06abcd"), manifest.ErrManifest},
		{"repaired, short", one + tlv(0x14, "1234567"), manifest.ErrManifest},
		{"repaired at 0", one + tlv(0x14, string(make([]byte, 8))), manifest.ErrManifest},
		{"provisional with a value", one + tlv(0x15, "x"), manifest.ErrManifest},
		{"provisional with R", one + tlv(0x11, string(seq(0, 12))) + tlv(0x15, ""), manifest.ErrManifest},
	} {
		b := manifest.SealPlain([]byte(c.plain), &dek, id, loc)
		m, err := manifest.Open(b, &dek, id, envelope.BindKey, loc)
		if !errors.Is(err, c.class) || c.class == manifest.ErrManifest && (errors.Is(err, manifest.ErrMalformed) || errors.Is(err, manifest.ErrUnsupported)) {
			t.Errorf("%s: %v, want %v", c.name, err, c.class)
		}
		if err == nil && string(manifest.EncodePlain(m)) != c.plain {
			t.Errorf("%s: encoded again as %x", c.name, manifest.EncodePlain(m))
		}
	}
}

func seq8(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

func TestNames(t *testing.T) {
	first := manifest.Name(id)
	if first != ".s3veil/m/c0c1c2c3c4c5c6c7c8c9cacbcccdcecf" {
		t.Errorf("first name %s", first)
	}
	digest := [16]byte(seq(0x10, 16))
	second := manifest.SecondName(id, digest)
	if second != first+".101112131415161718191a1b1c1d1e1f" {
		t.Errorf("second name %s", second)
	}
	if got, d, ok := manifest.ParseName(first); !ok || got != id || d != nil {
		t.Errorf("%s: %x %v %v", first, got, d, ok)
	}
	if got, d, ok := manifest.ParseName(second); !ok || got != id || d == nil || *d != digest {
		t.Errorf("%s: %x %v %v", second, got, d, ok)
	}
	for _, bad := range []string{"", first + ".", second + ".", second + "0", first[:len(first)-1], "x" + first, ".s3veil/u/" + first[10:],
		".s3veil/m/C0C1c2c3c4c5c6c7c8c9cacbcccdcecf", first[:len(first)-1] + "g", first + "/x"} {
		if _, _, ok := manifest.ParseName(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestHint(t *testing.T) {
	for _, c := range [][2]string{{"bkt", "dir/obj.bin"}, {"b", "."}, {"b.c", "ü\x00\n"}, {"b", ""}} {
		hint := manifest.EncodeHint(c[0], c[1])
		if bucket, key, ok := manifest.DecodeHint(hint); !ok || bucket != c[0] || key != c[1] {
			t.Errorf("%q: %q %q %v", hint, bucket, key, ok)
		}
	}
	for _, bad := range []string{"", "Yg", "Yg.Yg.Yg", "Yg.Yh", "Yg==.Yg", "Y\ng.Yg", "Yg .Yg"} {
		if _, _, ok := manifest.DecodeHint(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
}
