package mutation

const (
	paddings  = "proxy/padding.go"
	hiding    = "proxy/sealedmeta.go"
	delaying  = "proxy/delayedbody.go"
	opened3ec = "crypto/s3ec/content.go"
	text3ec   = "crypto/s3ec/text.go"
	key3ec    = "crypto/s3ec/datakey.go"
	stream3ec = "crypto/s3ec/delayed.go"
	ecdsa4a   = "sigv4/asymmetric.go"
)

func init() {
	filters[paddings], filters[hiding], filters[delaying] = "Padd", "SealedMetadata", "Padd|Foreign"
	mutations = append(mutations, hiddenMutations...)
}

// hiddenMutations are those of padding, sealed metadata, foreign objects and SigV4A.
var hiddenMutations = []mutation{
	{"padding not read", paddings, "		return size.Pad(o.content) - 1\n", "		return b\n"},
	{"end of a window not held back", delaying, "free := b.left - heldBack; free > 0", "free := b.left; free > 0"},
	{"what follows a window not read", delaying, "	if _, err := io.Copy(io.Discard, b.src); err != nil {\n		return err\n	}\n", ""},
	{"metadata beside the envelope", hiding, "			hidden = append(hidden, envelope.Field{Name: name, Value: f.Value})\n", "			hidden = append(hidden, envelope.Field{Name: name, Value: f.Value})\n			shown = append(shown, f)\n"},
	{"the store's metadata shown", hiding, "		if !strings.HasPrefix(f.Name, metaPrefix) {\n			out = append(out, f)\n		}\n", "		out = append(out, f)\n"},
	{"foreign commitment not compared", opened3ec, "if err != nil || subtle.ConstantTimeCompare(got, h.Commitment) != 1 {", "if err != nil || subtle.ConstantTimeCompare(got, h.Commitment) > 1 {"},
	{"foreign tag not compared", stream3ec, "subtle.ConstantTimeCompare(tag[:tagLen], want[:]) != 1", "subtle.ConstantTimeCompare(tag[:tagLen], want[:]) > 1"},
	{"names twice in a foreign context", text3ec, "		if _, twice := out[name]; twice {\n			return nil, fmt.Errorf(\"%.40q stands twice\", name)\n		}\n", ""},
	{"any foreign context", key3ec, "if !maps.Equal(own, k.Context) &&", "if len(own) > 9 &&"},
	{"chunks of SigV4A not chained", ecdsa4a, "			c.prev = signature\n", ""},
	{"signatures of SigV4A not verified", ecdsa4a, "	return ecdsa.VerifyASN1(key, digest[:], raw)\n", "	return len(digest) > 0 && len(raw) > 0 && key != nil\n"},
}
