package main

import "strings"

// envelopeAttributes adds the vectors of FORMAT.md 5.4: boxes that authenticate.
func (c *corpus) envelopeAttributes() {
	c.goodAttributes()
	bad := func(name, class, comment, tlvs string) {
		c.badEnvelope("attr-"+name, class, comment, func(e *env) { e.tlvs = tlvs })
	}
	good := env1().tlvs
	all := []string{tlvDEK, tlvObjectID, tlvLength, tlvMAC, tlvCreated}
	join := func(list ...string) string { return strings.Join(list, "") }
	for i, name := range []string{"dek", "object-id", "length", "mac", "created"} {
		rest := join(join(all[:i]...), join(all[i+1:]...))
		bad(name+"-missing", "envelope", "required attribute missing", rest)
		bad(name+"-doubled", "envelope", "attribute twice", join(join(all[:i+1]...), join(all[i:]...)))
		short := string(all[i][0]) + be16(len(all[i])-4) + all[i][3:len(all[i])-1]
		bad(name+"-short", "envelope", "value one byte short", join(join(all[:i]...), short, join(all[i+1:]...)))
		long := string(all[i][0]) + be16(len(all[i])-2) + all[i][3:] + "\x00"
		bad(name+"-long", "envelope", "value one byte long", join(join(all[:i]...), long, join(all[i+1:]...)))
	}
	bad("out-of-order", "envelope", "02 before 01", join(tlvObjectID, tlvDEK, tlvLength, tlvMAC, tlvCreated))
	bad("trailing-byte", "envelope", "a byte after the last attribute", good+"\x82")
	bad("cut-length", "envelope", "ends inside a length", good+"\x82\x00")
	bad("cut-value", "envelope", "ends inside a value", good+"\x82\x00\x02x")
	bad("md5-short", "envelope", "MD5 of 15 bytes", good+tlv(6, string(seq(0, 15))))
	bad("checksum-empty", "envelope", "checksum without an algorithm", good+tlv(7, ""))
	bad("checksum-00", "envelope", "unknown checksum algorithm", good+tlv(7, "\x00"))
	bad("checksum-0b", "envelope", "unknown checksum algorithm", good+tlv(7, "\x0b"+string(seq(0, 16))))
	bad("checksum-crc32-short", "envelope", "CRC32 of 3 bytes", good+tlv(7, "\x01"+string(seq(0, 3))))
	bad("checksum-sha256-long", "envelope", "SHA-256 of 33 bytes", good+tlv(7, "\x05"+string(seq(0, 33))))
	bad("asked-empty", "envelope", "attribute 80 without a value", good+tlv(0x80, ""))
	bad("type-00", "unsupported", "attribute 00", tlv(0, "")+good)
	bad("type-0b", "unsupported", "first unknown attribute", good+tlv(0x0b, ""))
	bad("manifest-secret-in-single", "envelope", "attribute 09 in a single PUT", good+tlv(9, string(seq(0, 32))))
	bad("entry-in-single", "envelope", "attribute 0a in a single PUT", good+tlv(0x0a, string(seq(0, 32))))
	bad("type-7f", "unsupported", "last unknown attribute", good+tlv(0x7f, ""))
	bad("declared-in-single", "envelope", "attribute 81 in a single PUT", good+tlv(0x81, "\x01\x00"))
	bad("sealed-metadata-without-flag", "envelope", "attribute 08 without b1", good+tlv(8, ""))
	bad("length-above-5-gib", "malformed", "a stream longer than the limit", join(tlvDEK, tlvObjectID, tlv(3, be64(5<<30+1)), tlvMAC, tlvCreated))
	bad("length-negative", "malformed", "a length of 2^64 - 1", join(tlvDEK, tlvObjectID, tlv(3, be64(-1)), tlvMAC, tlvCreated))
	c.badSealedMetadata()
	c.badKinds()
}

func (c *corpus) goodAttributes() {
	good := env1().tlvs
	for name, algorithm := range map[string]struct {
		id, length int
	}{"crc32": {1, 4}, "crc32c": {2, 4}, "crc64nvme": {3, 8}, "sha1": {4, 20}, "sha256": {5, 32},
		"sha512": {6, 64}, "md5": {7, 16}, "xxhash64": {8, 8}, "xxhash3": {9, 8}, "xxhash128": {10, 16}} {
		e := env1()
		e.tlvs = good + tlv(7, string([]byte{byte(algorithm.id)})+string(seq(0, algorithm.length)))
		c.goodEnvelope("attr-checksum-"+name, "a checksum", single, e)
	}
	e := env1()
	e.flags = 2
	e.tlvs = good + tlv(6, string(seq(0, 16))) + tlv(7, "\x01abcd") + tlv(8, lp("a", "1", "b", "ü")) + tlv(0x80, "\x82") + tlv(0x82, "") + tlv(0xff, strings.Repeat("x", 300))
	c.goodEnvelope("attr-everything", "every attribute of a single PUT", single, e)
	e = env1()
	e.flags, e.tlvs = 2, good+tlv(8, "")
	c.goodEnvelope("attr-sealed-metadata-empty", "b1 without any metadata", single, e)
	e = env1()
	e.tlvs = tlvDEK + tlvObjectID + tlv(3, be64(5<<30)) + tlvMAC + tlv(5, be64(1780000000))
	c.goodEnvelope("attr-length-5-gib", "the longest stream", single, e)
	e = env1()
	e.flags = 4
	c.goodEnvelope("attr-padded", "b2", single, e)
	e = multipartEnv()
	e.tlvs += tlv(0x80, "\x01") + tlv(0x81, "\x03\x01")
	c.goodEnvelope("attr-multipart", "a multipart object", multipart, e)
	e.flags, e.tlvs = 11, multipartEnv().tlvs+tlv(8, lp("a", "1"))
	c.goodEnvelope("attr-multipart-sealed-metadata", "a multipart object with b1", multipart, e)
	e = multipartEnv()
	e.kid, e.tlvs = "@sse-c", e.tlvs+tlv(9, string(seq(0x20, 32)))
	c.goodEnvelope("attr-multipart-manifest-secret", "the manifest has a secret of its own", multipart, e)
	e = tokenEnv()
	e.kid, e.tlvs = "@sse-c", e.tlvs+tlv(9, string(seq(0x20, 32)))
	c.goodEnvelope("attr-token-manifest-secret", "the manifest has a secret of its own", token, e)
	e = tokenEnv()
	e.tlvs = tlv(1, string(seq(0x20, 32))) + tlvObjectID + tlv(0x0a, string(sum([]byte("1.entry"))))
	c.goodEnvelope("attr-token-completion", "the envelope of a completion token", token, e)
	e = tokenEnv()
	e.tlvs += tlv(0x80, "\x02") + tlv(0x81, "\x05\x00") + tlv(0x90, "x")
	c.goodEnvelope("attr-token", "the envelope of a token", token, e)
}

func (c *corpus) badSealedMetadata() {
	bad := func(name, comment, value string) {
		c.badEnvelope("attr-sealed-metadata-"+name, "envelope", comment, func(e *env) { e.flags, e.tlvs = 2, e.tlvs+tlv(8, value) })
	}
	bad("unsorted", "names descend", lp("b", "1", "a", "2"))
	bad("repeated", "a name twice", lp("a", "1", "a", "2"))
	bad("cut", "ends inside a value", lp("a", "12")[:10])
	bad("odd", "a name without a value", lp("a", "1", "b"))
	bad("2049", "2,049 bytes", lp("a", strings.Repeat("x", 2040)))
	c.badEnvelope("attr-sealed-metadata-missing", "envelope", "b1 without attribute 08", func(e *env) { e.flags = 2 })
}

func (c *corpus) badKinds() {
	bad := func(name, comment, kind string, e env, change func(*env)) {
		change(&e)
		c.add("envelope", "attr-"+name, "envelope", comment, []byte(e.text()), e.fields(kind)...)
	}
	add := func(value string) func(*env) { return func(e *env) { e.tlvs += value } }
	insert := func(value string) func(*env) {
		return func(e *env) { e.tlvs = tlvDEK + tlvObjectID + value + strings.TrimPrefix(e.tlvs, tlvDEK+tlvObjectID) }
	}
	bad("multipart-length", "attribute 03 in a multipart object", multipart, multipartEnv(), insert(tlvLength))
	bad("multipart-md5", "attribute 06 in a multipart object", multipart, multipartEnv(), add(tlv(6, string(seq(0, 16)))))
	bad("multipart-checksum", "attribute 07 in a multipart object", multipart, multipartEnv(), add(tlv(7, "\x01abcd")))
	bad("multipart-declared-short", "attribute 81 of one byte", multipart, multipartEnv(), add(tlv(0x81, "\x01")))
	bad("multipart-mac-missing", "attribute 04 missing", multipart, multipartEnv(), func(e *env) { e.tlvs = tlvDEK + tlvObjectID + tlvCreated })
	bad("multipart-manifest-secret-short", "attribute 09 of 31 bytes", multipart, multipartEnv(), add(tlv(9, string(seq(0, 31)))))
	bad("multipart-entry", "attribute 0a in a multipart object", multipart, multipartEnv(), add(tlv(0x0a, string(seq(0, 32)))))
	bad("token-entry-long", "attribute 0a of 33 bytes", token, tokenEnv(), add(tlv(0x0a, string(seq(0, 33)))))
	bad("multipart-is-a-token", "the envelope of a token in the metadata entry", multipart, tokenEnv(), add(""))
	bad("token-is-an-object", "the envelope of an object in a token", token, multipartEnv(), add(""))
	bad("token-length", "attribute 03 in a token", token, tokenEnv(), add(tlvLength))
	bad("token-mac", "attribute 04 in a token", token, tokenEnv(), add(tlvMAC))
	bad("token-created", "attribute 05 in a token", token, tokenEnv(), add(tlvCreated))
	bad("token-sealed-metadata", "attribute 08 in a token", token, tokenEnv(), func(e *env) { e.flags |= 2; e.tlvs += tlv(8, "") })
	bad("single-read-as-multipart", "flags of a single PUT, read as multipart", multipart, env1(), add(""))
	bad("multipart-read-as-single", "flags of a multipart object, read as a single PUT", single, multipartEnv(), add(""))
}
