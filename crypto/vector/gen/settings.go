package main

import (
	"strings"

	"s3veil/crypto/vector"
)

// settings adds the vectors of FORMAT.md 9.8: the plaintext of a bucket's default encryption, and one as a whole object.
func (c *corpus) settings() {
	const head = "S3VC\x01"
	aes, kms := tlv(1, "\x01"), tlv(1, "\x02")
	add := func(name, expect, comment, raw string, fields ...vector.Field) {
		c.add("setting", name, expect, comment, []byte(raw), fields...)
	}
	good := func(name, comment, raw string, typ, bucketKey, block int, more ...vector.Field) {
		add(name, success, comment, raw, append([]vector.Field{num("type", typ), num("bucket-key", bucketKey), num("block-customer", block)}, more...)...)
	}
	keyName := func(s string) vector.Field { return hexa("key-name", []byte(s)) }
	const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"
	good("aes256", "known answer SET-1", head+aes, 1, 0, 0)
	good("kms", "known answer SET-2", head+kms+tlv(2, arn)+tlv(3, "")+tlv(4, ""), 2, 1, 1, keyName(arn))
	good("kms-configured-key", "no name: the key that the configuration names", head+kms, 2, 0, 0)
	good("aes256-bucket-key", "a bucket key without KMS means nothing and is kept", head+aes+tlv(3, ""), 1, 1, 0)
	good("aes256-blocks", "customers' keys are refused", head+aes+tlv(4, ""), 1, 0, 1)
	good("key-name-2048", "the longest name", head+kms+tlv(2, strings.Repeat("k", 2048)), 2, 0, 0, keyName(strings.Repeat("k", 2048)))
	good("ignorable", "a type that a reader may ignore", head+aes+tlv(0x80, "later"), 1, 0, 0, text("ignorable", "yes"))

	bad := func(name, comment, raw string) { add(name, "malformed", comment, raw) }
	bad("empty", "no bytes", "")
	bad("magic", "another magic", "S3VM\x01"+aes)
	bad("cut-head", "the head alone, cut", head[:4])
	bad("nothing-said", "no attribute", head)
	bad("cut-attribute", "a value beyond the end", (head + aes)[:len(head)+3])
	bad("trailing-byte", "a byte behind the last attribute", head+aes+"\x02")
	bad("type-missing", "a key name alone", head+tlv(2, "k"))
	bad("type-zero", "encryption 00", head+tlv(1, "\x00"))
	bad("type-long", "two bytes of type", head+tlv(1, "\x01\x01"))
	bad("out-of-order", "the type behind the name", head+tlv(2, "k")+kms)
	bad("doubled", "two types", head+aes+aes)
	bad("key-name-without-kms", "a name for AES256", head+aes+tlv(2, "k"))
	bad("key-name-empty", "an empty name", head+kms+tlv(2, ""))
	bad("key-name-long", "2,049 characters", head+kms+tlv(2, strings.Repeat("k", 2049)))
	bad("key-name-space", "a character that no name has", head+kms+tlv(2, "a b"))
	bad("bucket-key-value", "a flag with a value", head+kms+tlv(3, "\x01"))
	bad("block-value", "a flag with a value", head+kms+tlv(4, "\x00"))
	bad("too-long", "more than 4,096 bytes", head+aes+tlv(0x80, strings.Repeat("x", 4096)))
	add("version", "unsupported", "the next version", "S3VC\x02"+aes)
	add("encryption-3", "unsupported", "an encryption of later times", head+tlv(1, "\x03"))
	add("attribute-05", "unsupported", "an attribute that must be understood", head+aes+tlv(5, ""))

	o := baseObject([]byte(head + kms + tlv(2, arn)))
	o.key, o.headers = ".s3veil/c/e/Ymt0", []pair{{"content-type", "application/octet-stream"}}
	c.object("bucket-setting", success, "the default encryption of the bucket, as it is stored", o)
	other := o
	other.bucket, other.key = "bkt2", ".s3veil/c/e/Ymt0Mg"
	c.objectReadWith("bucket-setting-of-another", "envelope", "the default encryption of another bucket", o, other)
}
