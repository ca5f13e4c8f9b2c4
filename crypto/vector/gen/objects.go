package main

import (
	"slices"
)

// objects adds whole objects of one PUT.
func (c *corpus) objects() {
	hello := []byte("hello")
	c.object("single-put", success, "a single PUT", baseObject(hello))
	c.object("empty", success, "an empty object has an empty body", baseObject(nil))
	c.object("two-packages", success, "a single PUT of two packages", baseObject(pattern(packageSize+1, "object")))
	o := baseObject(hello)
	o.suite = 2
	c.object("suite-2", success, "ChaCha20-Poly1305", o)
	for name, level := range map[string]int{"level-bucket": 0x10, "level-none": 0x20} {
		o := baseObject(hello)
		o.flags = level
		c.object(name, success, "a weaker binding level", o)
		moved := o
		moved.key = "elsewhere"
		c.objectReadWith(name+"-moved", success, "copied to another key behind the proxy", o, moved)
	}
	o = baseObject(hello)
	o.pairs = ikek2Pairs()
	c.object("client-pairs", success, "a client encryption context", o)
	o = baseObject(hello)
	o.kid, o.customer, o.kek = "@sse-c", true, seq(0x70, 32)
	c.object("customer-key", success, "SSE-C", o)
	o = baseObject(pattern(1000, "padded"))
	o.flags = 4
	c.object("padded", success, "1,000 bytes padded to 1,024", o)
	o = baseObject([]byte("x"))
	o.flags = 4
	c.object("padded-1-byte", success, "one byte is not padded", o)
	o = baseObject(hello)
	o.flags, o.sealedMeta, o.headers = 2, lp("a", "1"), []pair{{"content-type", "text/plain"}}
	c.object("sealed-metadata", success, "user metadata in the envelope", o)
	c.object("sealed-metadata-planted", success, "entries beside sealed metadata are ignored", o, func(s *stored) {
		s.headers = append(s.headers, pair{"x-amz-meta-b", "2"})
	})
	o = baseObject(hello)
	o.headers = allFields()
	c.object("all-headers", success, "every system header", o)
	o = baseObject(hello)
	o.headers = append(o.headers, pair{"x-amz-meta-x-amz-iv", "a"}, pair{"x-amz-meta-x-amz-key", "b"}, pair{"x-amz-meta-x-amz-key-v2", "c"})
	c.object("foreign-names", success, "foreign names beside an s3veil entry are metadata", o)
	c.brokenSignals()
	c.brokenKeys()
	c.brokenBodies()
}

func (c *corpus) brokenSignals() {
	o := baseObject([]byte("hello"))
	without := func(s *stored) { s.headers = s.headers[:len(s.headers)-1] }
	header := func(name string) func(*stored) {
		return func(s *stored) { s.headers = append(s.headers, pair{name, "a"}) }
	}
	c.object("no-signal", "plaintext", "no s3veil entry and no foreign signal", o, without)
	c.object("two-foreign-signals", "ambiguous", "V1 and V2 of a foreign format", o, without, header("x-amz-meta-x-amz-key"), header("x-amz-meta-x-amz-key-v2"))
	c.object("two-foreign-signals-v3", "ambiguous", "V2 and V3 of a foreign format", o, without, header("x-amz-meta-x-amz-3"), header("x-amz-meta-x-amz-key-v2"))
	c.object("repeated-entry", "ambiguous", "two s3veil entries", o, func(s *stored) { s.headers = append(s.headers, s.headers[len(s.headers)-1]) })
	c.object("entry-is-a-token", "envelope", "the envelope of an upload token in the metadata entry", multipartObject(part{1, []byte("hello")}), func(s *stored) {
		e := multipartObject().envelope()
		e.tlvs = e.tlvs[:len(tlvDEK)+len(tlvObjectID)]
		s.headers[len(s.headers)-1].value = e.text()
	})
	c.object("content-type-changed", "metadata", "metadata changed, policy fail", o, func(s *stored) { s.headers[0].value = "text/html" })
	c.object("foreign-name-added", "metadata", "a foreign entry planted beside ours", o, header("x-amz-meta-x-amz-iv"))
	c.object("envelope-malformed", "malformed", "an entry that does not parse", o, func(s *stored) { s.headers[len(s.headers)-1].value += "=" })
	c.object("envelope-unsupported", "unsupported", "an entry of the next major version", o, func(s *stored) {
		s.headers[len(s.headers)-1].value = "2" + s.headers[len(s.headers)-1].value[1:]
	})
}

func (c *corpus) brokenKeys() {
	hello := []byte("hello")
	o := baseObject(hello)
	o.kid = "other"
	c.object("kid-not-allowed", "kek-denied", "a kid that the reader does not have", o)
	o = baseObject(hello)
	o.kek = seq(0x61, 32)
	c.object("wrapped-by-another-key", "envelope", "wrapped under a key that kid does not name", o)
	o = baseObject(hello)
	o.wrapRealm = "other"
	c.object("wrapped-for-another-realm", "envelope", "the wrapped key of another realm", o)
	o = baseObject(hello)
	o.bindIKEK = seq(0x21, 32)
	c.object("another-ikek", "commitment", "a wrapped key of the same realm under which this envelope was not sealed", o)
	o = baseObject(hello)
	o.kid, o.customer, o.kek = "@sse-c", true, seq(0x70, 32)
	wrong := o
	wrong.kek = seq(0x71, 32)
	c.objectReadWith("customer-key-wrong", "kek-denied", "a wrong customer key", o, wrong)
	for name, change := range map[string]func(*object){
		"other-realm":  func(o *object) { o.realm = "default2" },
		"other-bucket": func(o *object) { o.bucket = "bkt2" },
		"other-key":    func(o *object) { o.key = "dir/obj.bin2" },
	} {
		o := baseObject(hello)
		reader := o
		change(&reader)
		c.objectReadWith(name, "envelope", "copied behind the proxy", o, reader)
	}
	o = baseObject(hello)
	o.flags = 0x10
	reader := o
	reader.bucket = "bkt2"
	c.objectReadWith("level-bucket-other-bucket", "envelope", "copied to another bucket", o, reader)
}

func (c *corpus) brokenBodies() {
	o := baseObject([]byte("hello"))
	body := func(f func([]byte) []byte) func(*stored) { return func(s *stored) { s.body = f(s.body) } }
	c.object("body-cut", "length", "last byte missing", o, body(func(b []byte) []byte { return b[:len(b)-1] }))
	c.object("body-long", "length", "a byte after the stream", o, body(func(b []byte) []byte { return append(slices.Clone(b), 0) }))
	c.object("body-doubled", "length", "the stream twice", o, body(func(b []byte) []byte { return slices.Concat(b, b) }))
	c.object("body-empty", "length", "no body for five bytes", o, body(func([]byte) []byte { return nil }))
	c.object("body-of-an-empty-object", "length", "an empty object with a body", baseObject(nil), body(func([]byte) []byte { return o.body(o.parts...) }))
	c.object("body-changed", "stream", "a ciphertext bit", o, body(func(b []byte) []byte { return flip(b, 16) }))
	other := o
	other.dek = seq(1, 32)
	c.object("body-of-another-object", "stream", "the body of another object of the same length", o, body(func([]byte) []byte { return other.body(other.parts...) }))
	padded := baseObject(pattern(1000, "padded"))
	padded.flags = 4
	c.object("padding-missing", "length", "b2, but the stream has the plaintext length", padded, body(func([]byte) []byte {
		return stream{suite: 1, dek: padded.dek, r: seq(0x10, 12), plain: padded.parts[0].plain}.bytes()
	}))
}

// multipartObjects adds whole multipart objects.
func (c *corpus) multipartObjects() {
	p := func(number, n int) part { return part{number, pattern(n, "part"+be16(number))} }
	three := []part{p(1, 100), p(2, 100), p(3, 30)}
	c.object("multipart", success, "three parts", multipartObject(three...))
	c.object("multipart-aligned", success, "a first part of whole packages", multipartObject(p(1, packageSize), p(2, 5)))
	c.object("multipart-unaligned", success, "parts of one package and a bit", multipartObject(p(1, packageSize+7), p(2, 33)))
	c.object("multipart-gaps", success, "part numbers with gaps", multipartObject(p(2, 10), p(7, 10), p(10000, 10)))
	c.object("multipart-empty-parts", success, "empty parts contribute nothing", multipartObject(p(1, 0), p(2, 50), p(3, 0), p(4, 0), p(5, 20), p(9, 0)))
	c.object("multipart-only-empty", success, "one empty part", multipartObject(p(1, 0)))
	many := make([]part, 50)
	for i := range many {
		many[i] = p(i+1, 1+i%3)
	}
	c.object("multipart-many", success, "50 parts of 1 to 3 bytes", multipartObject(many...))
	o := multipartObject(three...)
	o.suite = 2
	c.object("multipart-suite-2", success, "ChaCha20-Poly1305", o)
	o = multipartObject(three...)
	o.flags |= 0x10
	c.object("multipart-level-bucket", success, "a weaker binding level", o)
	o = multipartObject(three...)
	o.flags, o.sealedMeta, o.headers = o.flags|2, lp("a", "1"), o.headers[:1]
	c.object("multipart-sealed-metadata", success, "user metadata in the envelope", o)
	o = multipartObject(p(1, 100), p(2, 0), p(3, 30))
	rs := string(o.stream(o.parts[0]).r) + string(make([]byte, 12)) + string(o.stream(o.parts[2]).r)
	o.mTLVs = mtlv(0x11, rs)
	c.object("multipart-r", success, "R of each part is recorded, zeros for an empty part", o)
	customer := multipartObject(three...)
	customer.kid, customer.customer, customer.kek, customer.mSecret = "@sse-c", true, seq(0x70, 32), seq(0x20, 32)
	c.object("multipart-customer-key", success, "SSE-C, with a secret of its own for the manifest", customer)
	without := customer
	without.mSecret = nil
	c.object("multipart-customer-key-without-secret", success, "SSE-C, the manifest under the DEK", without)
	c.object("manifest-under-the-dek", "manifest", "the manifest is sealed under the DEK and not under its secret", customer, func(s *stored) {
		s.manifests[0].raw = without.manifestOf("", three...).bytes()
	})
	o.mTLVs = mtlv(0x11, string(flip([]byte(rs), 5)))
	c.object("multipart-r-differs", "stream", "another R than recorded: an upload of the part that was superseded", o)
	c.secondNames(three)
	c.brokenManifests(three)
	c.brokenParts(three)
}

// secondNames adds objects whose manifest is found as FORMAT.md 9.5 says.
func (c *corpus) secondNames(three []part) {
	o := multipartObject(three...)
	good := o.manifestOf("", three...).bytes()
	lost := o.manifestOf("", three[:2]...).bytes()
	set := func(list ...namedManifest) func(*stored) { return func(s *stored) { s.manifests = list } }
	second := namedManifest{o.secondName(three...), good}
	other := namedManifest{o.secondName(three[:2]...), lost}
	c.object("second-name", success, "only a second name", o, set(second))
	c.object("second-name-wins", success, "the first name belongs to a Complete that lost", o, set(namedManifest{o.firstName(), lost}, second))
	c.object("second-name-of-a-loser", success, "a second name that does not fit", o, set(namedManifest{o.firstName(), good}, other))
	c.object("second-names", success, "two second names, one fits", o, set(other, second))
	provisional := o.manifestOf(mtlv(0x15, ""), three...).bytes()
	c.object("provisional-and-second", success, "a provisional manifest counts as missing", o, set(namedManifest{o.firstName(), provisional}, second))
	repaired := o.manifestOf(mtlv(0x14, be64(1780000000)), three...).bytes()
	c.object("repaired", success, "rebuilt by repair", o, set(namedManifest{o.firstName(), repaired}))
	c.object("manifest-provisional", "manifest-missing", "only a provisional manifest", o, set(namedManifest{o.firstName(), provisional}))
	c.object("manifest-missing", "manifest-missing", "no manifest", o, set())
	// Another list of parts with the same stored length: both open, both fit.
	swapped := []part{{1, three[0].plain}, {2, three[1].plain[:30]}, {3, three[0].plain}}
	c.object("second-names-differ", "manifest", "two second names fit and differ", o, set(second, namedManifest{o.secondName(swapped...), o.manifestOf("", swapped...).bytes()}))
}

func (c *corpus) brokenManifests(three []part) {
	o := multipartObject(three...)
	first := func(raw []byte) func(*stored) {
		return func(s *stored) { s.manifests = []namedManifest{{o.firstName(), raw}} }
	}
	good := o.manifestOf("", three...).bytes()
	c.object("manifest-changed", "manifest", "a bit of the manifest", o, first(flip(good, 30)))
	c.object("manifest-short", "malformed", "62 bytes", o, first(good[:62]))
	c.object("manifest-version", "unsupported", "unknown version", o, first(slices.Concat(good[:4], []byte{2}, good[5:])))
	c.object("manifest-does-not-fit", "manifest", "lengths of another Complete", o, first(o.manifestOf("", three[:2]...).bytes()))
	older := o
	older.id = string(seq(0xd0, 16))
	c.object("manifest-of-an-older-object", "manifest", "the manifest of another object under the same key", o, first(older.manifestOf("", three...).bytes()))
	elsewhere := o
	elsewhere.key = "dir/obj.bin2"
	c.object("manifest-of-another-key", "manifest", "the manifest of the same upload id at another key", o, first(elsewhere.manifestOf("", three...).bytes()))
}

func (c *corpus) brokenParts(three []part) {
	o := multipartObject(three...)
	body := func(parts ...part) func(*stored) { return func(s *stored) { s.body = o.body(parts...) } }
	c.object("parts-permuted", "stream", "two parts of equal length exchanged", o, body(three[1], three[0], three[2]))
	c.object("parts-repeated", "stream", "part 1 in place of part 2", o, body(three[0], three[0], three[2]))
	c.object("parts-dropped", "manifest", "the last part is missing", o, body(three[:2]...))
	c.object("parts-added", "manifest", "a part too many", o, body(three[0], three[1], three[2], part{4, []byte("x")}))
	c.object("parts-renumbered", "stream", "part 2 was uploaded as part 4", o, body(three[0], part{4, three[1].plain}, three[2]))
	c.object("part-shortened", "manifest", "a part one byte short", o, body(three[0], part{2, three[1].plain[:99]}, three[2]))
	c.object("part-border-moved", "stream", "a byte moved from part 1 to part 2", o, body(part{1, three[0].plain[:99]}, part{2, append(slices.Clone(three[1].plain), 'x')}, three[2]))
}
