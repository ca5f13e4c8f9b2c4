package main

import (
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"

	"s3veil/crypto/vector"
)

// object is a whole stored object with every step free to be wrong: what a writer put in, and what a reader finds.
type object struct {
	realm, bucket, key string
	kid                string
	kek                []byte // wraps the IKEK
	customer           bool   // wrapped for SSE-C
	ikek               []byte // under the blob
	bindIKEK           []byte // that the envelope is sealed under, if it is another
	pairs              []pair
	wrapRealm          string // of the blob, if it is another
	suite, flags       int
	dek                []byte
	id                 string
	headers            []pair
	sealedMeta         string
	parts              []part
	mTLVs              string // attributes of the manifest
	mSecret            []byte // that the manifest is sealed under in place of the DEK (TLV 09)
}

// part is one stream: number 0 for a single PUT.
type part struct {
	number int
	plain  []byte
}

// stored is what a reader finds.
type stored struct {
	headers   []pair
	body      []byte
	manifests []namedManifest
}

type namedManifest struct {
	name string
	raw  []byte
}

// baseObject is a single PUT under the local key main.
func baseObject(plain []byte) object {
	return object{realm: "default", bucket: "bkt", key: "dir/obj.bin", kid: "main", kek: seq(0x60, 32), ikek: ikek1(), suite: 1,
		dek: seq(0, 32), id: string(seq(0xc0, 16)), headers: []pair{{"content-type", "text/plain"}, {"x-amz-meta-a", "1"}},
		parts: []part{{0, plain}}}
}

// multipartObject is a multipart object of parts.
func multipartObject(parts ...part) object {
	o := baseObject(nil)
	o.flags, o.parts = 9, parts
	return o
}

// stream returns the stream of a part. R differs by part number.
func (o object) stream(p part) stream {
	plain := p.plain
	if o.flags&4 != 0 {
		plain = append(slices.Clone(plain), make([]byte, pad(len(plain))-len(plain))...)
	}
	r := seq(0x10, 12)
	r[1] ^= byte(p.number)
	return stream{suite: o.suite, dek: o.dek, part: p.number, r: r, plain: plain}
}

// pad is pad(L) of FORMAT.md 8.5.
func pad(l int) int {
	if l < 2 {
		return l
	}
	e := bits.Len(uint(l)) - 1
	m := 1<<(e-bits.Len(uint(e))) - 1
	return (l + m) &^ m
}

// wrapped is the blob of FORMAT.md B.3.
func (o object) wrapped() string {
	label, realm := "s3veil/1/local", o.realm
	if o.customer {
		label = "s3veil/1/sse-c"
	}
	if o.wrapRealm != "" {
		realm = o.wrapRealm
	}
	return string(blob(o.kek, label, o.ikek, realmContext(realm, o.pairs...)))
}

// envelope is the envelope of the object.
func (o object) envelope() env {
	ikek := o.ikek
	if o.bindIKEK != nil {
		ikek = o.bindIKEK
	}
	e := env{magic: "S3V", version: 1, suite: o.suite, flags: o.flags, kid: o.kid, wrapped: o.wrapped(), salt: seq(0x80, 32),
		realm: o.realm, bucket: o.bucket, key: o.key, bound: bind(ikek, realmContext(o.realm, o.pairs...))}
	if len(o.pairs) > 0 {
		e.flags |= 0x40
		e.pairs = canonical(o.pairs...)
	}
	covered := slices.Clone(o.headers)
	if e.flags&2 != 0 {
		covered = slices.DeleteFunc(covered, func(p pair) bool { return len(p.name) > 11 && p.name[:11] == "x-amz-meta-" })
	}
	e.tlvs = tlv(1, string(o.dek)) + tlv(2, o.id)
	if o.flags&1 == 0 {
		e.tlvs += tlv(3, be64(int64(len(o.parts[0].plain))))
	}
	e.tlvs += tlv(4, string(metadataMAC(o.dek, covered...))) + tlv(5, be64(1780000000))
	if e.flags&2 != 0 {
		e.tlvs += tlv(8, o.sealedMeta)
	}
	if o.mSecret != nil {
		e.tlvs += tlv(9, string(o.mSecret))
	}
	return e
}

// manifestOf is the manifest of the object for a part list.
func (o object) manifestOf(tlvs string, parts ...part) man {
	var runs []string
	total := int64(0)
	for i := 0; i < len(parts); {
		n := 1
		for i+n < len(parts) && parts[i+n].number == parts[i].number+n && len(parts[i+n].plain) == len(parts[i].plain) {
			n++
		}
		runs = append(runs, run(parts[i].number, n, int64(len(parts[i].plain))))
		total += int64(n * len(parts[i].plain))
		i += n
	}
	secret := o.dek
	if o.mSecret != nil {
		secret = o.mSecret
	}
	return man{magic: "S3VM", version: 1, salt: seq(0xa0, 16), dek: secret, id: o.id, level: o.flags & 0x30, realm: o.realm, bucket: o.bucket, key: o.key,
		plain: table(len(parts), total, runs...) + tlvs}
}

// firstName and secondName are the names of FORMAT.md 9.3.
func (o object) firstName() string { return ".s3veil/m/" + hex.EncodeToString([]byte(o.id)) }
func (o object) secondName(parts ...part) string {
	return o.firstName() + "." + hex.EncodeToString(sum([]byte(o.manifestOf("", parts...).plain))[:16])
}

func (o object) body(parts ...part) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, o.stream(p).bytes()...)
	}
	return out
}

// store writes the object.
func (o object) store() stored {
	s := stored{headers: append(slices.Clone(o.headers), pair{"x-amz-meta-s3veil", o.envelope().text()}), body: o.body(o.parts...)}
	if o.flags&1 != 0 {
		s.manifests = []namedManifest{{o.firstName(), o.manifestOf(o.mTLVs, o.parts...).bytes()}}
	}
	return s
}

func (o object) plain() []byte {
	var out []byte
	for _, p := range o.parts {
		out = append(out, p.plain...)
	}
	return out
}

// object adds an object; the reader has the key main, and the customer key if the object was written with one.
func (c *corpus) object(name, expect, comment string, o object, change ...func(*stored)) {
	c.objectReadWith(name, expect, comment, o, o, change...)
}

// objectReadWith adds an object that is read with the keys and the location of another description.
func (c *corpus) objectReadWith(name, expect, comment string, o, reader object, change ...func(*stored)) {
	s := o.store()
	for _, f := range change {
		f(&s)
	}
	f := []vector.Field{text("kek", "main "+hex.EncodeToString(seq(0x60, 32)))}
	if reader.customer {
		f = []vector.Field{hexa("customer-key", reader.kek)}
	}
	f = append(f, hexa("realm", reader.realm), hexa("bucket", reader.bucket), hexa("key", reader.key))
	f = append(f, c.headers(s.headers)...)
	raw := s.body
	for _, m := range s.manifests {
		f = append(f, text("manifest", m.name+" "+strconv.Itoa(len(m.raw))))
		raw = append(raw[:len(raw):len(raw)], m.raw...)
	}
	if expect == success {
		f = append(f, num("plaintext-length", len(o.plain())), hexa("plaintext-sha256", sum(o.plain())))
	}
	c.add("object", name, expect, comment, raw, f...)
}
