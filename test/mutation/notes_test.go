package mutation

const (
	notes     = "crypto/partnote/partnote.go"
	noteReads = "proxy/partnotes.go"
	noteSums  = "proxy/partsums.go"
	noteEnds  = "proxy/dropnotes.go"
	hints     = "proxy/uploadhints.go"
	parts     = "proxy/multipart.go"
)

func init() {
	for _, file := range []string{noteReads, noteSums, noteEnds, hints, parts} {
		filters[file] = "Notes|Listed|Listings|Uploads|Checksums|WithoutTheirNote"
	}
	for _, file := range []string{copies, completions} {
		filters[file] += "|WithoutState|ChecksumsOfAFailed|LosersOf|RepeatedCompletes|AtATime"
	}
	mutations = append(mutations,
		mutation{"notes not bound to their part", notes, "uint16(part))", "uint16(part*0))"},
		mutation{"notes not bound to the bucket", notes, "[]string{upstreamID, loc.Bucket, loc.Key}", "[]string{upstreamID, loc.Key}"},
		mutation{"notes not bound to the key", notes, "[]string{upstreamID, loc.Bucket, loc.Key}", "[]string{upstreamID, loc.Bucket}"},
		mutation{"one key for the notes of all uploads", notes, "kdf.Key(&key, secret[:], id[:], labelNote)", "kdf.Key(&key, id[:], id[:], labelNote)"},
		mutation{"notes in any spelling", notes, "base64.RawURLEncoding.Strict()", "base64.RawURLEncoding"},
		mutation{"notes of part 0", notes, "n < 1 || n > size.MaxParts", "n > size.MaxParts"},
		mutation{"the default twice in a note", notes, " || n.Sum != nil && n.Sum.Algorithm == crc64nvme", ""},
		mutation{"notes of superseded uploads", noteReads, "n.ETag == digest {", "(n.ETag == digest || part > 0) {"},
		mutation{"notes that contradict each other", noteReads, "old != nil && !old.Equal(n)", "old != nil && old == n"},
		mutation{"a forged note hides the others", noteReads, "			bad++\n			return true\n", "			bad++\n			return false\n"},
		mutation{"listings of notes in a circle", noteReads, "k.Key <= after || ", ""},
		mutation{"parts answered without their note", parts, "said, crc); err != nil {", "said, crc); err != nil && n < 0 {"},
		mutation{"listed checksums not compared", noteSums, "	case !bytes.Equal(known.Value, value):\n", "	case len(value) == 0:\n"},
		mutation{"listed checksums of parts without", noteSums, "	case known == nil:\n		return s3err.Part(c.u.clientID, p.Number, p.ETag)\n", "	case known == nil:\n		return nil\n"},
		mutation{"anything deleted with an upload", noteEnds, "strings.HasPrefix(k.Key, prefix)", "strings.HasPrefix(prefix, \"\")"},
		mutation{"hints of any text", hints, "kind != \"FULL_OBJECT\" && kind != \"COMPOSITE\"", "kind == \"\""},
		mutation{"repeated Completes of any list", repeats, "*m.Origin() != *c.again", "m.Origin().Upload != c.again.Upload"},
		mutation{"repeated Completes of any upload", repeats, "*m.Origin() != *c.again", "m.Origin().List != c.again.List"},
		mutation{"repeated Completes keep what checksums there are", repeats, "return c.withOwnSums(m, o)", "return m, nil"},
		mutation{"repeated Completes of perhaps another list", repeats, "bare(o.etag) != c.storeETag()", "o.etag == \"\""},
		mutation{"Completes succeed while the store cannot say whose object it is", completions, "err != nil && s3err.From(err).Status >= 500", "err != nil && o.stored < 0"},
		mutation{"copies keep their source's upload", copies, "	m.SetOrigin(nil) // of the source's upload\n", ""},
		mutation{"checksums of a failed Complete", completions, "!ours || sameSums(rival, c.m)", "b != nil"},
		mutation{"checksums end with their notes", completions, "c.knowsMore(rival)", "c.knowsMore(c.m)"},
		mutation{"checksums of a loser", completions, "!ours || sameSums(rival, c.m)", "sameSums(rival, c.m)"},
	)
}
