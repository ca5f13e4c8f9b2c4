package mutation

const (
	layout     = "crypto/envelope/layout.go"
	pairs      = "crypto/envelope/pairs.go"
	attributes = "crypto/envelope/attributes.go"
	sealing    = "crypto/envelope/seal.go"
	sealedMeta = "crypto/envelope/sealedmeta.go"
	metadata   = "crypto/envelope/metadata.go"
	words      = "crypto/envelope/words.go"
	token      = "crypto/envelope/token.go"
	uploadID   = "crypto/envelope/uploadid.go"
	man        = "crypto/manifest/manifest.go"
	manSeal    = "crypto/manifest/seal.go"
	manTable   = "crypto/manifest/table.go"
	manTLV     = "crypto/manifest/tlv.go"
	manNames   = "crypto/manifest/names.go"
	kmsContext = "crypto/kms/context.go"
	kmsKey     = "crypto/kms/key32.go"
)

var mutations = []mutation{
	{"realm not bound to the IKEK", kmsContext, "labelIKEK+string(ec.Canonical())", "labelIKEK"},
	{"names of a context not sorted by bytes", kmsContext, "slices.Sort(names)", "slices.Reverse(names)"},
	{"client pairs replace the realm", kmsContext, "	ec[ContextRealm] = realm\n", "	if ec[ContextRealm] == \"\" {\n		ec[ContextRealm] = realm\n	}\n"},
	{"keys print themselves in JSON", kmsKey, "return []byte(`\"` + redacted + `\"`), nil", "return fmt.Appendf(nil, `\"%s\"`, string(k[:])), nil"},

	{"commitment not compared", sealing, "subtle.ConstantTimeCompare(commit[:], s.commit()) != 1", "subtle.ConstantTimeCompare(commit[:], s.commit()) > 1"},
	{"head outside the additional data", sealing, "	aad = appendLP(aad, s.head())\n", ""},
	{"salt outside the additional data", sealing, "	aad = appendLP(aad, s.salt())\n", ""},
	{"commitment outside the additional data", sealing, "	aad = appendLP(aad, s.commit())\n", ""},
	{"realm outside the additional data", sealing, "	aad = appendLP(aad, loc.Realm)\n", ""},
	{"bucket outside the additional data", sealing, "	aad = appendLP(aad, loc.Bucket)\n", ""},
	{"key outside the additional data", sealing, "	return appendLP(aad, loc.Key)\n", "	return aad\n"},
	{"binding level ignored", sealing, "	loc = loc.Bound(level)\n", "	_ = level\n"},
	{"one label for commitment and key", sealing, `labelSeal   = "s3veil/1/seal"`, `labelSeal   = "s3veil/1/commit"`},
	{"salt not drawn", sealing, "	draw(raw[at:])\n", ""},
	{"a copy of every data key stays behind", sealing, "	defer k.Zero()\n", ""},

	{"any base64 accepted", layout, ".Strict()", ""},
	{"line ends accepted", layout, `strings.ContainsAny(text, "\r\n")`, `strings.ContainsAny(text, "\x00")`},
	{"any version accepted", layout, "	case version != major:\n", "	case version == 0xff:\n"},
	{"any suite accepted", layout, "	case !knownSuite(suite):\n", "	case suite == 0xff:\n"},
	{"unknown flag accepted", layout, "	case flags&flagUnknown != 0:\n", "	case flags == 0xff:\n"},
	{"multipart without manifest accepted", layout, "(flags&flagMultipart != 0) != (flags&flagManifest != 0)", "flags == 0xff"},
	{"padded multipart accepted", layout, "	case flags&flagMultipart != 0 && flags&flagPadded != 0:\n", "	case flags == 0xff:\n"},
	{"binding level 11 accepted", layout, "	case flags&maskBinding == maskBinding:\n", "	case flags == 0xff:\n"},
	{"any kid accepted", layout, "!ok || !validKID(string(kid))", "!ok"},
	{"pairs under a customer key accepted", layout, "		if s.h.KID == CustomerKID {\n", "		if s.h.KID == \"\" {\n"},
	{"short box accepted", layout, "saltLen+commitLen+minBox {", "saltLen+commitLen {"},
	{"empty wrapped key accepted", layout, "!ok || len(s.h.Wrapped) < 1 ||", "!ok ||"},
	{"long wrapped key accepted", layout, "!ok || len(s.h.Wrapped) < 1 || len(s.h.Wrapped) > maxWrapped", "!ok || len(s.h.Wrapped) < 1"},

	{"pairs in any order", pairs, "string(name) <= last", "string(name) == \"\""},
	{"reserved names in pairs", pairs, `name == "" || name == kms.ContextFormat || name == kms.ContextRealm`, `name == ""`},
	{"pairs that are not UTF-8", pairs, "!utf8.ValidString(name) || !utf8.ValidString(value)", "!utf8.ValidString(name) && len(value) < 0"},
	{"repeated names in JSON", pairs, "_, twice := pairs[name]; twice", "_, twice := pairs[name]; twice && name == \"\""},
	{"text after JSON", pairs, "!errors.Is(err, io.EOF)", "errors.Is(err, io.ErrClosedPipe)"},
	{"half a surrogate pair", pairs, "	if loneSurrogate(jsonText) {\n", "	if loneSurrogate(nil) {\n"},
	{"any number of pairs", pairs, "len(pairs) > maxPairs || ", ""},

	{"attributes in any order", attributes, "int(typ) <= last {", "int(typ) == last-1000 {"},
	{"unknown attributes ignored", attributes, "	case !known && typ < typeIgnorable:\n", "	case !known && typ > 0xfe && typ < typeIgnorable:\n"},
	{"forbidden attributes accepted", attributes, "	case row.in[kind] == forbidden:\n", "	case kind > Token:\n"},
	{"missing attributes accepted", attributes, "if need && !seen[typ] {", "if need && kind > Token {"},
	{"checksums of any length", attributes, "typ == typeChecksum && (len(value) == 0 ||", "typ == typeChecksum && len(value) == 0 && (len(value) == 0 ||"},
	{"length beyond a stream", attributes, "length < 0 || length > size.MaxStream ||", "length < 0 ||"},
	{"sealed metadata without its flag", attributes, "	if seen[typeSealedMeta] != h.SealedMeta {\n", "	if kind > Token {\n"},
	{"sealed metadata unsorted", sealedMeta, "entries[n-1].Name >= string(name)", "entries[n-1].Name == string(name)+\"\\x00\""},
	{"sealed metadata of any length", sealedMeta, "	if len(b) > MaxSealedMeta {\n", "	if len(b) > 1<<20 {\n"},

	{"metadata MAC not compared", metadata, "subtle.ConstantTimeCompare(mac[:], a.MetaMAC[:]) != 1", "subtle.ConstantTimeCompare(mac[:], a.MetaMAC[:]) > 1"},
	{"system headers not covered", metadata, "	return coveredHeaders[name]\n", "	return name == \"\"\n"},
	{"own entries covered", metadata, "return !strings.HasPrefix(entry, Prefix)", "return entry != Prefix"},
	{"one label for metadata and uploads", sealing, `labelMeta   = "s3veil/1/meta"`, `labelMeta   = "s3veil/1/uploadid"`},
	{"undecodable words decoded", words, "return string(b), utf8.Valid(b)\n}\n\n// hexDigit", "return string(b), true\n}\n\n// hexDigit"},

	{"token MAC not compared", token, "uploadMAC(t.UpstreamID, &a.DEK, loc), mac) != 1", "uploadMAC(t.UpstreamID, &a.DEK, loc), mac) > 1"},
	{"upstream id outside the token MAC", token, "	in = appendLP(in, upstreamID)\n", ""},
	{"bucket outside the token MAC", token, "	in = appendLP(in, loc.Bucket)\n", ""},
	{"key outside the token MAC", token, "labelUpload, appendLP(in, loc.Key))", "labelUpload, in)"},
	{"object envelope in a token", token, "t.Envelope.Open(bound, loc, Token)", "t.Envelope.Open(bound, loc, Multipart)"},
	{"state object of another upload", token, "sha256.Sum256([]byte(t.Token.UpstreamID)) != digest", "sha256.Sum256([]byte(t.Token.UpstreamID)) == [32]byte{}"},
	{"state id of any length", uploadID, "!ok || len(sum) != sha256.Size", "!ok || len(sum) < sha256.Size"},

	{"manifest not bound to the object id", manSeal, "[]byte(bound.Key), id[:]}", "[]byte(bound.Key)}"},
	{"manifest not bound to the key", manSeal, "[]byte(bound.Bucket), []byte(bound.Key),", "[]byte(bound.Bucket),"},
	{"manifest not bound to the bucket", manSeal, "[]byte(bound.Realm), []byte(bound.Bucket),", "[]byte(bound.Realm),"},
	{"manifest not bound to the realm", manSeal, "{head, []byte(bound.Realm),", "{head,"},
	{"manifest key without the salt", manSeal, "dek[:], head[headLen-saltLen:], labelManifest", "dek[:], nil, labelManifest"},
	{"any manifest version", man, "	case b[4] != version:\n", "	case b[4] == 0xff:\n"},
	{"manifest of any size", man, "len(b) < minSize || len(b) > MaxSize", "len(b) < minSize"},
	{"runs that could be one", manTable, "r.first() <= last.Number || r.first() == last.Number+1 && int64(r.length()) == last.Size", "r.first() <= last.Number"},
	{"counts not added up", manTable, "len(parts) != int(n) || sum != total", "sum != total"},
	{"lengths not added up", manTable, "len(parts) != int(n) || sum != total", "len(parts) != int(n) || sum+total == 0 && n > 1000000"},
	{"manifest attributes in any order", manTLV, "if int(typ) <= last {", "if int(typ) == last-1000 {"},
	{"unknown manifest attributes ignored", manTLV, "		if typ < typeIgnorable {\n", "		if typ < 1 {\n"},
	{"provisional with R", manTLV, "	case m.PartR != nil && m.Provisional:\n", "	case m.PartR != nil && m.Provisional && n < 0:\n"},
	{"digests for other parts", manTLV, "m.PartMD5 != nil && len(m.PartMD5) != n:", "m.PartMD5 != nil && len(m.PartMD5) < n-1000000:"},
	{"R with its top bit", manTLV, "r[0]&0x80 != 0 || ", ""},
	{"names in any case", manNames, "len(text) != 2*len(dst) || strings.ToLower(text) != text", "len(text) != 2*len(dst)"},
	{"hints with spare bits", manNames, "|| EncodeHint(string(b), string(k)) != hint", ""},
}
