package mutation

const (
	missingFile = "proxy/missing.go"
	copySources = "proxy/copysource.go"
	copiedParts = "proxy/copypart.go"
	sizeDeletes = "proxy/deletecond.go"
	sending     = "proxy/upstream/do.go"
)

func init() {
	filters[missingFile], filters[copySources] = "Copy|Copies|Target|Uploads", "Copy|Copies|Target|Source"
	filters[copiedParts] = "Copy|Copies|Anonymous"
	filters[sizeDeletes] = "Condition|Meanwhile"
	filters[sending] = "Unsigned"
	mutations = append(mutations,
		mutation{"the source of a copy before the right to its target", copySources, "	if err != nil && asked {\n", "	if err != nil && !asked {\n"},
		mutation{"a missing source is looked for by writing", copySources, "	return x.noBucket(b, err)\n", "	return x.bucketFirst(b, err)\n"},
		mutation{"anonymous copies", copies, "	if x.auth.Kind == sigv4.Anonymous {\n", "	if x.auth.Kind == sigv4.Post {\n"},
		mutation{"anonymous copies of parts", copiedParts, "	if x.auth.Kind == sigv4.Anonymous {\n", "	if x.auth.Kind == sigv4.Post {\n"},
		mutation{"deletes of objects of another size", sizeDeletes, "	case plain != want:\n", "	case plain != want && want < 0:\n"},
		mutation{"sizes of plaintexts go to the store", sizeDeletes, "size: itoa(resp.ContentLength)", "size: itoa(want)"},
		mutation{"deletes of what came meanwhile", sizeDeletes, "		c.pin = resp.Get(\"etag\")\n", "		_ = resp\n"},
		mutation{"null versions that came meanwhile", sizeDeletes, " || version == \"null\"", ""},
		mutation{"sizes that are no numbers", sizeDeletes, "err != nil || want < 0 {", "err != nil && want < 0 {"},
		mutation{"sizes under a customer's key are guessed", sizeDeletes, "			return 0, errSealedSize\n", "			return size.Est(stored), nil\n"},
		mutation{"deletes of many objects of another size", sizeDeletes, "		if failed[i] != nil {\n", "		if failed[i] != nil && e.Size == \"-\" {\n"},
		mutation{"parts told to whoever may not complete", completions, "	if err := x.uploadFirst(&x.bucket, noUploads[x.req.Op], nil); err != nil {\n", "	if err := x.uploadFirst(&x.bucket, noUploads[x.req.Op], nil); err != nil && x.refusal == nil && x.storeID == \"-\" {\n"},
		mutation{"unsigned bodies of unknown framing", sending, "		if t.p.body != nil { //", "		if t.p.body != nil && t.tries < 0 { //"},
		mutation{"unsigned streams without a check", "proxy/upstream/payload.go", "		return nil, ErrNeedsSignature\n", "		return &payload{body: r.Body, sha: shaUnsigned}, nil\n"},
		mutation{"unsigned bodies without a digest that all stores verify", "proxy/upstream/payload.go", " || r.Unsigned && mode != Trailer)", ")"},
		mutation{"unknown clients learn what there is", exchanges, "	if err := x.authenticate(); err != nil {\n		return err\n	}\n	if x.auth != nil &&", "	if x.auth != nil &&"},
		mutation{"buckets in another place on AWS", sweeps, " || x.bucket.store.data.AWS()", ""},
	)
}
