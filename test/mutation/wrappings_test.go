package mutation

const (
	cbc3ec   = "crypto/s3ec/legacy.go"
	foreigns = "proxy/foreign.go"
)

func init() {
	mutations = append(mutations, wrappingMutations...)
}

// wrappingMutations are more of encryption headers and of foreign objects (FORMAT.md 4.5, Appendix A).
var wrappingMutations = []mutation{
	{"any algorithm of a customer key", sseParse, "	case algorithm != \"AES256\":\n", "	case algorithm == \"-\":\n"},
	{"customer keys of copies without TLS", sseParse, "(presents(h, &customerNames) || presents(h, &sourceNames))", "(presents(h, &customerNames))"},
	{"customer keys of copies stay in the head", sseParse, " || name == sourcePrefix+\"key\"", ""},
	{"customer keys and another method at once", sseParse, "		if named {\n			return r, argument(textIncompatible, HeaderType, value)\n		}\n		key", "		key"},
	{"key names without KMS", sseParse, "r.KeyName != \"\" || r.context != \"\"", "r.KeyName != \"\" && r.context != \"\""},
	{"key names of any length", sseParse, "	if len(r.KeyName) > maxKeyName {\n", "	if len(r.KeyName) > 1<<20 {\n"},
	{"methods where S3 takes none", sseParse, "	if value, ok := h(HeaderType); ok {\n", "	if value, ok := h(HeaderType); ok && value == \"\" {\n"},
	{"keys shared though each object was to have its own", sseChoose, "	c.OwnKey = r.BucketKey == Off\n", ""},
	{"unknown names stand for the bucket's key", sseChoose, "		if !ok {\n			return Choice{}, notFound(name)\n		}\n		c.KeyID = id\n", "		if ok {\n			c.KeyID = id\n		}\n"},
	{"unusable customer keys open", sseCustomer, "	if k.bad {\n		return bound, kms.ErrBadCiphertext\n	}\n", ""},
	{"customer keys print themselves in JSON", sseCustomer, "return []byte(redacted), nil", "return k.key[:], nil"},

	{"signals of two versions", foreign, "	if n > 1 {\n", "	if n > 9 {\n"},
	{"fields of older versions in version 3", foreign, "		other = names12\n", "		other = nil\n"},
	{"fields of version 3 in older ones", foreign, "	other := names3\n", "	var other []string\n"},
	{"unauthenticated objects read", foreign, "	if !legacy && (", "	if legacy && v == None && ("},
	{"content of another algorithm than the bound one", foreign, "	if h.Context[boundAlgorithm] != want {\n", "	if h.Context[boundAlgorithm] == \"\" || want == \"\" {\n"},
	{"nonces of any length", foreign, "	if len(h.IV) != size {\n", "	if len(h.IV) < size {\n"},
	{"short tags", foreign, "		if f.meta[\"x-amz-tag-len\"] != \"128\" {\n", "		if f.meta[\"x-amz-tag-len\"] == \"\" {\n"},
	{"any suite of version 3", foreign, "; c != derivedID {", "; c == \"\" {"},
	{"two contexts in version 3", foreign, "_, both := f.meta[other]; both {", "_, both := f.meta[other]; both && other == \"\" {"},
	{"base64 of any spelling in foreign fields", foreign, "base64.StdEncoding.Strict()", "base64.StdEncoding"},
	{"commitments of any length", foreign, "n > 0 && len(b) != n || ", ""},
	{"wrapped keys for another algorithm", key3ec, " || string(b[33:]) != h.algorithm()", ""},
	{"wrapped keys of another length", key3ec, "	if len(key) != len(kms.Key32{}) {\n		return kms.Key32{}, fmt.Errorf", "	if key = append(key, make([]byte, 32)...)[:32]; h == nil {\n		return kms.Key32{}, fmt.Errorf"},
	{"KMS trouble is a missing key", key3ec, "		if errors.Is(err, kms.ErrThrottled) || errors.Is(err, kms.ErrUnavailable) || ctx.Err() != nil {\n			return kms.Key32{}, err\n		}\n", ""},
	{"declared foreign lengths not compared", opened3ec, "n < 0 || n > MaxObject || h.PlainLen >= 0 && n != h.PlainLen", "n < 0 || n > MaxObject"},
	{"foreign objects longer than a nonce allows", opened3ec, "n < 0 || n > MaxObject ||", "n < 0 ||"},
	{"additional data of a streamed foreign object", stream3ec, "aad = []byte(suiteInfo)", "aad = nil"},
	{"bytes after a foreign tag", stream3ec, "io.ReadFull(d.src, tag[:])", "io.ReadFull(io.LimitReader(d.src, tagLen), tag[:])"},
	{"unwrapped keys not verified", cbc3ec, "0xA6, 0xA6}) != 1 {", "0xA6, 0xA6}) > 1 {"},
	{"padding of any bytes", cbc3ec, "		if int(c) != pad {\n", "		if int(c) > 255 {\n"},
	{"declared lengths of AES-CBC not compared", cbc3ec, "!ok || h.PlainLen >= 0 && int64(n) != h.PlainLen", "!ok"},
	{"instruction files that repeat the object", text3ec, "		case known && twice:\n", "		case known && twice && name == \"\":\n"},
	{"instruction files that say what the object should", text3ec, "		case split && known && !slices.Contains(inFile, name):\n", "		case split && known && name == \"\":\n"},
	{"text after a foreign context", text3ec, "	if len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {\n", "	if len(b) < 0 {\n"},

	{"legacy objects read without the rule", foreigns, "s3ec.Parse(meta, rule.Legacy)", "s3ec.Parse(meta, true)"},
	{"foreign keys not counted as misses", foreigns, "		if err := x.s.keys.Miss(x.client.name, b.realm); err != nil {\n			return err\n		}\n", ""},
	{"large foreign objects released unverified", foreigns, "f.head.Cipher == s3ec.CBC || !final && !f.rule.Delayed", "f.head.Cipher == s3ec.CBC"},
	{"foreign signals shown", foreigns, "o.content, o.header = &foreignObject{rule, h, key}, n, withoutForeign(o.header)", "o.content = &foreignObject{rule, h, key}, n"},
	{"instructions of clients followed", foreigns, "err == nil && entry != \"\" {\n		return nil, false, nil //", "err == nil && entry == \"-\" {\n		return nil, false, nil //"},
}
