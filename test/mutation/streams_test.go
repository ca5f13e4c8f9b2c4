package mutation

const (
	streamFile = "crypto/stream/stream.go"
	header     = "crypto/stream/header.go"
	opening    = "crypto/stream/open.go"
	reading    = "crypto/stream/read.go"
	streamSeal = "crypto/stream/seal.go"
	engine     = "crypto/stream/engine.go"
)

// streamMutations are those of FORMAT.md 7.
var streamMutations = []mutation{
	{"stream key without R", streamFile, "dek[:], r[:], string(info)", "dek[:], nil, string(info)"},
	{"stream key without the part number", streamFile, "uint32(part))", "uint32(part*0))"},
	{"R with its top bit", streamFile, "r[0] &= 0x7f", "r[0] |= 0x80"},
	{"R not drawn", streamFile, "	_, _ = rand.Read(r[:])\n", "	_, _ = rand.Read(r[:0])\n"},
	{"headers not compared", header, "	if *h == want {\n", "	if *h == want || index >= 0 {\n"},
	{"only the first header compared", header, "	if *h == want {\n", "	if *h == want || index > 0 {\n"},
	{"final marker never set", header, "	if index == size.Packages(plain)-1 {\n", "	if index == size.Packages(plain) {\n"},
	{"nonce does not depend on the index", header, "^uint32(index))", "^uint32(index*0))"},
	{"R taken anew from every header", opening, "makeHeader(o.cipher, o.r, o.index, o.seg.Plain)", "makeHeader(o.cipher, h.r(), o.index, o.seg.Plain)"},
	{"bytes after the end", opening, "	case n > left:\n", "	case n > left+1<<40:\n"},
	{"early end not reported", opening, "func (o *Opener) Finish() error {\n	if o.err == nil && o.index < o.end {\n", "func (o *Opener) Finish() error {\n	if o.err == nil && o.index < 0 {\n"},
	{"bytes after the end, reader", reading, "p.index == p.stop && p.mustEnd", "p.index == p.stop && p.mustEnd && p.index < 0"},
	{"plaintext of a refused batch kept", opening, "			clear(out[len(dst):])\n", ""},
	{"errors of the opener not sticky", opening, "	o.err = err\n	o.wipe()\n", "	o.wipe()\n"},
	{"data key overwritten too early", streamFile, "	if *dek == (kms.Key32{}) {\n", "	if len(dek) == 0 {\n"},
	{"sealing past the declared length", streamSeal, "	case n > s.Left():\n", "	case n > s.Left()+1<<40:\n"},
	{"short plaintext sealed as complete", engine, "		e.err = fmt.Errorf(\"%w: %d bytes missing\", ErrLength, e.left)\n", "		e.err = io.EOF\n"},
	{"long plaintext cut", engine, "		return fmt.Errorf(\"%w: source runs on\", ErrLength)\n", "		return io.EOF\n"},
	{"early end of the store's bytes passed on", reading, "	if err == io.EOF || err == io.ErrUnexpectedEOF {\n", "	if err == io.ErrNoProgress {\n"},
	{"bytes of an empty object", reading, "if d.last && d.empty {", "if d.last && d.empty && d.err != nil {"},
}
