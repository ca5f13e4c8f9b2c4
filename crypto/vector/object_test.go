package vector_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/crypto/vector"
)

// Classes that belong to whoever puts the rooms together.
var (
	errPlaintext       = errors.New("no signal")
	errAmbiguous       = errors.New("more than one signal")
	errDenied          = errors.New("key denied")
	errLength          = errors.New("stored length differs")
	errManifestMissing = errors.New("no manifest")
)

// classOf names the class of FORMAT.md 12.
func classOf(err error) string {
	if err == nil {
		return vector.Success
	}
	for _, c := range []struct {
		err  error
		name string
	}{
		{errPlaintext, "plaintext"}, {errAmbiguous, "ambiguous"}, {errDenied, "kek-denied"}, {errLength, "length"}, {errManifestMissing, "manifest-missing"},
		{kms.ErrBadCiphertext, "envelope"}, {envelope.ErrMalformed, "malformed"}, {envelope.ErrUnsupported, "unsupported"}, {envelope.ErrCommitment, "commitment"},
		{envelope.ErrEnvelope, "envelope"}, {envelope.ErrMetadata, "metadata"}, {manifest.ErrMalformed, "malformed"}, {manifest.ErrUnsupported, "unsupported"},
		{manifest.ErrManifest, "manifest"}, {stream.ErrStream, "stream"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return err.Error()
}

// stored is an object vector as a reader finds it.
type stored struct {
	loc       envelope.Location
	fields    []envelope.Field
	keys      map[string]kms.Key32
	customer  kms.Key32
	body      []byte
	manifests map[string][]byte
}

func load(v *vector.Vector) *stored {
	s := &stored{keys: map[string]kms.Key32{}, manifests: map[string][]byte{}, body: v.Raw,
		loc: envelope.Location{Realm: string(v.Bytes("realm")), Bucket: string(v.Bytes("bucket")), Key: string(v.Bytes("key"))}}
	for _, p := range v.Pairs("header") {
		s.fields = append(s.fields, envelope.Field{Name: p[0], Value: p[1]})
	}
	for _, k := range v.All("kek") {
		kid, key, _ := strings.Cut(k, " ")
		b, _ := hex.DecodeString(key)
		s.keys[kid] = kms.Key32(b)
	}
	if v.Has("customer-key") {
		s.customer = v.Key("customer-key")
	}
	list := v.All("manifest")
	for i := range list {
		name, text, _ := strings.Cut(list[len(list)-1-i], " ")
		n, _ := strconv.Atoi(text)
		s.manifests[name], s.body = s.body[len(s.body)-n:], s.body[:len(s.body)-n]
	}
	return s
}

// entry classifies the object (FORMAT.md 5.2).
func (s *stored) entry() (string, error) {
	var entries []string
	foreign := 0
	for _, f := range s.fields {
		switch f.Name {
		case "x-amz-meta-" + envelope.MetadataName:
			entries = append(entries, f.Value)
		case "x-amz-meta-x-amz-key", "x-amz-meta-x-amz-key-v2", "x-amz-meta-x-amz-3":
			foreign++
		}
	}
	switch {
	case len(entries) == 1:
		return entries[0], nil
	case len(entries) > 1 || foreign > 1:
		return "", errAmbiguous
	}
	return "", errPlaintext
}

// ikek unwraps the intermediate key and binds it.
func (s *stored) ikek(h envelope.Header) (kms.Key32, error) {
	ec := kms.RealmContext(s.loc.Realm, h.Pairs)
	if h.KID == envelope.CustomerKID {
		key, err := kms.OpenBlob(&s.customer, kms.LabelSSEC, h.Wrapped, ec)
		if err != nil {
			return key, errDenied
		}
		return kms.Bind(key, ec), nil
	}
	kek, ok := s.keys[h.KID]
	if !ok {
		return kms.Key32{}, errDenied
	}
	key, err := kms.OpenBlob(&kek, kms.LabelLocal, h.Wrapped, ec)
	return kms.Bind(key, ec), err
}

// opened is what a reader needs to read any range.
type opened struct {
	suite  stream.Suite
	dek    kms.Key32
	table  *size.Table // streams, padding included
	length int64
	rs     []stream.R
}

// open is FORMAT.md 5.7 and 9.5, with metadata policy fail.
func (s *stored) open() (*opened, error) {
	text, err := s.entry()
	if err != nil {
		return nil, err
	}
	env, err := envelope.ParseText(text)
	if err != nil {
		return nil, err
	}
	h := env.Header()
	bound, err := s.ikek(h)
	if err != nil {
		return nil, err
	}
	a, err := env.Open(&bound, s.loc, h.Kind)
	if err != nil {
		return nil, err
	}
	covered := s.fields
	if a.SealedMeta != nil {
		covered = envelope.SystemFields(covered)
	}
	if err := envelope.CheckMetadata(a, covered); err != nil {
		return nil, err
	}
	o := &opened{suite: h.Suite, dek: a.DEK, length: a.Length}
	if h.Kind == envelope.SinglePut {
		padded := a.Length
		if h.Padded {
			padded = size.Pad(padded)
		}
		if o.table = size.Single(padded); o.table.Stored() != int64(len(s.body)) {
			return nil, errLength
		}
		return o, nil
	}
	m, err := s.partTable(a, h.Binding)
	if err != nil {
		return nil, err
	}
	o.table, o.length, o.rs = m.Table, m.Table.Plain(), m.PartR
	return o, nil
}

// partTable finds the manifest that fits (FORMAT.md 9.5).
func (s *stored) partTable(a *envelope.Attributes, level envelope.Binding) (*manifest.Manifest, error) {
	var failed error
	fits := map[[16]byte]*manifest.Manifest{}
	for _, name := range slices.Sorted(maps.Keys(s.manifests)) { // the first name sorts before the second ones
		id, digest, ok := manifest.ParseName(name)
		if !ok || id != a.ObjectID {
			continue
		}
		m, err := manifest.Open(s.manifests[name], a.ManifestKey(), a.ObjectID, level, s.loc)
		switch {
		case err != nil:
			failed = err
		case m.Provisional: // counts as missing
		case m.Table.Stored() != int64(len(s.body)):
			failed = fmt.Errorf("%w: does not fit", manifest.ErrManifest)
		case digest == nil:
			return m, nil
		default:
			fits[manifest.TableDigest(m.Table)] = m
		}
	}
	switch {
	case len(fits) > 1:
		return nil, fmt.Errorf("%w: several differ", manifest.ErrManifest)
	case len(fits) == 1:
		for _, m := range fits {
			return m, nil
		}
	case failed != nil:
		return nil, failed
	}
	return nil, errManifestMissing
}

// read returns the plaintext bytes from a to b, b not included.
func (o *opened) read(body []byte, a, b int64) ([]byte, error) {
	if a >= b {
		return nil, nil
	}
	from, to, segments, err := o.table.Range(a, b-1)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(stream.DecryptReader(bytes.NewReader(body[from:to+1]), o.suite, &o.dek, segments, true))
}

// readAll is a full read: every segment from its first to its last package, the recorded R compared.
func (o *opened) readAll(body []byte) ([]byte, error) {
	var out []byte
	if o.table.Plain() > 0 {
		from, to, segments, err := o.table.Range(0, o.table.Plain()-1)
		if err != nil || from != 0 || to != int64(len(body))-1 {
			return nil, fmt.Errorf("the whole object is %d to %d: %w", from, to, err)
		}
		for _, seg := range segments {
			opener := stream.NewOpener(o.suite, &o.dek, seg)
			n := size.Enc(seg.Plain)
			if out, err = opener.Open(out, body[:n]); err != nil {
				return nil, err
			}
			if r, _ := opener.R(); o.rs != nil && r != o.rs[o.index(seg.Part)] {
				return nil, fmt.Errorf("%w: another R than recorded", stream.ErrStream)
			}
			body = body[n:]
		}
	}
	return out[:o.length], nil
}

func (o *opened) index(number int) int {
	for i := range o.table.Len() {
		if o.table.Part(i).Number == number {
			return i
		}
	}
	return -1
}

func TestObjectVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "object")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			s := load(v)
			o, err := s.open()
			var plain []byte
			if err == nil {
				plain, err = o.readAll(s.body)
			}
			if got := classOf(err); got != v.Expect() {
				t.Fatalf("%s: %v, want %s", got, err, v.Expect())
			}
			if err == nil {
				checkObject(t, v, s, o, plain)
			}
		})
	}
}

func checkObject(t *testing.T, v *vector.Vector, s *stored, o *opened, plain []byte) {
	sum := sha256.Sum256(plain)
	if hex.EncodeToString(sum[:]) != v.Text("plaintext-sha256") || int64(len(plain)) != v.Int("plaintext-length") || o.length != int64(len(plain)) {
		t.Fatalf("%d bytes of another plaintext", len(plain))
	}
	// Size: a listing shows at most 32 bytes more per part, and exactly the length of a single stream.
	est := size.Est(int64(len(s.body)))
	if over := est - o.table.Plain(); over < 0 || over > 32*int64(o.table.Len()-1) {
		t.Errorf("a listing shows %d bytes of %d", est, o.table.Plain())
	}
	cuts := []int64{0, 1, o.length / 2, o.length - 1, o.length, size.Package - 1, size.Package, size.Package + 1}
	for i := range o.table.Len() {
		cuts = append(cuts, o.table.Start(i), o.table.Start(i)+1)
	}
	for _, a := range cuts {
		for _, b := range cuts {
			if a < 0 || a > b || b > o.length {
				continue
			}
			got, err := o.read(s.body, a, b)
			if err != nil || !bytes.Equal(got, plain[a:b]) {
				t.Fatalf("bytes %d to %d: %d bytes, %v", a, b, len(got), err)
			}
		}
	}
}
