package mutation

const (
	chunkReading = "sigv4/chunked.go"
	trailers     = "sigv4/trailer.go"
	scopes       = "sigv4/scope.go"
	digests      = "sigv4/sums.go"
	formPolicies = "sigv4/policy.go"
)

func init() {
	filters[authorising] += "|ImpossibleDigests"
	filters[exchanges] += "|HeaderSections"
	mutations = append(mutations, signatureMutations...)
}

// signatureMutations are what S3 refuses about signatures and framing.
var signatureMutations = []mutation{
	{"small chunks among others", chunkReading, "c.number > 1 && before < c.least", "c.number > 1 && before < 0"},
	{"chunks beyond what was announced", chunkReading, "c.state, c.excess = inData, c.size > c.left", "c.state, c.excess = inData, false"},
	{"any excess read to its end", chunkReading, "c.size-c.left > maxExcess", "c.size < 0"},
	{"trailers without their signature", trailers, "	case t.signer != nil && !t.signed:\n		return inTrailer, errNoSignature()\n", ""},
	{"anything where a trailer's signature belongs", trailers, "	if t.unsigned() && (", "	if t.bare && t.signed && ("},
	{"signatures of no trailer", trailers, " || len(t.announced) == 0", ""},
	{"signatures of trailers of any length", trailers, "	case !t.signer.validLength(len(value)):\n", "	case len(value) == 0:\n"},
	{"credentials of more than five parts", scopes, " || strings.Contains(rest, \"/\") && c.end != terminator", ""},
	{"digests that are none", digests, "	if s.claim != \"\" {\n", "	if s.claim == \"-\" {\n"},
	{"digests that are none, of nothing", authorising, "	return x.auth.CheckNothing()\n", "	return nil\n"},
	{"conditions without a field", formPolicies, "	if c.field == \"\" {\n		return false\n	}\n", ""},
	{"header sections of any size", exchanges, "x.head.Section > head.MaxSection", "x.head.Section > 9*head.MaxSection"},
	{"lines of proxies counted", heads, "		if !ofProxies(name) {\n", "		if name != \"\" {\n"},
}
