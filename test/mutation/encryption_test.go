package mutation

import "strings"

const (
	sseParse    = "proxy/sse/parse.go"
	sseChoose   = "proxy/sse/choose.go"
	sseNames    = "proxy/sse/names.go"
	sseCustomer = "proxy/sse/customer.go"
	encryption  = "proxy/encryption.go"
	copies      = "proxy/copy.go"
	exchanges   = "proxy/exchange.go"
	objects     = "proxy/object.go"
	uploads     = "proxy/upload.go"
	keyless     = "proxy/keyless.go"
	completions = "proxy/complete.go"
)

func init() {
	const tests = "Keyless|Customer|Encryption|CopiesBetween|Completion|Envelopes|AnonymousClientsDo|WantASignature|RightToListParts"
	for _, file := range []string{encryption, copies, exchanges, objects, uploads, keyless, completions} {
		filters[file] = strings.TrimPrefix(filters[file]+"|"+tests, "|")
	}
}

// encryptionMutations are those of encryption headers and customers' keys (FORMAT.md 4.5, 9.1, 10; THREATS.md rows 26, 36).
var encryptionMutations = []mutation{
	{"customer keys without TLS", sseParse, "	if !tls && (", "	if !tls && h == nil && ("},
	{"MD5 of a customer key not compared", sseParse, "EncodeToString(want[:]) != sum {", "EncodeToString(want[:]) == \"\" {"},
	{"customer key of any length", sseParse, "copy(key.key[:], raw) != len(key.key) || len(raw) != len(key.key)", "copy(key.key[:], raw) < 0"},
	{"two methods at once", sseParse, "		if named {\n", "		if named && value == \"\" {\n"},
	{"any encryption method", sseParse, "	case value == \"aws:kms:dsse\":\n", "	case value != \"\":\n		return r, nil\n	case value == \"aws:kms:dsse\":\n"},
	{"customer keys print themselves", sseCustomer, "_, _ = io.WriteString(f, redacted)", "_, _ = io.WriteString(f, string(k.key[:]))"},
	{"customer keys stay", sseCustomer, "		k.key.Zero()\n		k.bad = true\n", ""},
	{"keys outside of the bucket's list", sseChoose, "!slices.Contains(rules.Keys, c.KeyID)", "!slices.Contains(rules.Keys, c.KeyID) && c.KeyID == \"\""},
	{"require_sse ignored", sseChoose, "	if rules.Require && r.Type == None {\n", "	if rules.Require && r.Type == None && names == nil {\n"},
	{"blocked customer keys accepted", sseChoose, "r.Type == Customer && d.BlockCustomer", "r.Type == Customer && d.BlockCustomer && names == nil"},
	{"one name for two keys", sseNames, "twice && other != id", "twice && other != id && id == \"\""},

	{"customer keys stay in the head", encryption, "			x.head.Fields[i].Value = \"\"\n", ""},
	{"wrong customer key is no refusal at the commitment", encryption, "errors.Is(err, envelope.ErrCommitment)", "err == nil"},
	{"customer keys outlive their exchange", exchanges, "	x.forgetCustomerKeys()\n", ""},
	{"customer keys without TLS in operations that need none", exchanges, "sse.RefusePlain(x.encryptionHeader, x.tls); err != nil", "sse.RefusePlain(x.encryptionHeader, true); err != nil"},
	{"customer key for an object without", objects, "matchesCustomer(&o.head, customer); err != nil", "matchesCustomer(&o.head, customer); err != nil && customer == nil"},
	{"ciphertext shared between customer keys", copies, "src.o.head.KID != envelope.CustomerKID && ", ""},
	{"ciphertext shared between contexts", copies, "maps.Equal(src.o.head.Pairs, x.choice.Context)", "maps.Equal(x.choice.Context, x.choice.Context)"},
	{"loser of two completions answers as the winner", completions, "return bare(o.etag) == c.storeETag(), nil", "return true, nil"},
	{"completion token as a token", uploads, "u.keyless != (u.attrs.Entry != nil)", "u.keyless && u.attrs.Entry == nil"},
	{"completion without its object", keyless, "envelope.EntryDigest(o.entry) != *c.u.attrs.Entry", "o.entry == \"\""},

	{"tokens of two uploads", uploadID, "token.UpstreamID != completion.UpstreamID || ", ""},
	{"a pair without a customer key", uploadID, "token.Envelope.h.KID != CustomerKID || ", ""},
	{"a completion token under a customer key", uploadID, " || completion.Envelope.h.KID == CustomerKID", ""},
	{"a pair of two binding levels", uploadID, "token.Envelope.h.Binding != completion.Envelope.h.Binding", "len(first) == 0"},
	{"digest of an entry in an object", attributes, "typeEntry:      {32, [3]presence{forbidden, forbidden, optional}}", "typeEntry:      {32, [3]presence{optional, optional, optional}}"},
	{"manifest secret in a single PUT", attributes, "typeManifest:   {32, [3]presence{forbidden, optional, optional}}", "typeManifest:   {32, [3]presence{optional, optional, optional}}"},
}
