package mutation

const (
	routing = "proxy/s3op/s3op.go"
	hoists  = "proxy/allow.go"
	foreign = "crypto/s3ec/header.go"
	sweeps  = "proxy/buckets.go"
	routes  = "proxy/s3op/route.go"
	version = "sigv4/v2.go"
)

func init() {
	filters[hoists], filters[sweeps] = "HeadersInURLs", "DeleteBucket|RegionsOfAWS|NeverEnd"
	filters[copies] += "|DeleteBucket"
	mutations = append(mutations, hoistedMutations...)
}

// hoistedMutations are those of headers in presigned URLs, of foreign wrappings, and of what DeleteBucket sweeps.
var hoistedMutations = []mutation{
	{"headers in URLs of version 2 decide nothing", routing, " || strings.EqualFold(p.Name, \"AWSAccessKeyId\")", ""},
	{"line breaks in headers from URLs", hoists, "!head.IsToken(p.Name) || hasControl(p.Value)", "!head.IsToken(p.Name)"},
	{"wrapping of foreign keys downgraded", foreign, "h.Wrapping == KMS && bound", "h.Wrapping == KMS && bound && h.Version == V3"},
	{"manifests in front of objects swept", sweeps, "err == nil && !more && len(behind) == 0", "err == nil && (more || len(behind) >= 0)"},
	{"manifests of uploads completed meanwhile swept", sweeps, "err := x.nothingElse(); err != nil || !free", "err := x.nothingElse(); err != nil && !free"},
	{"manifests of uploads that go on swept", sweeps, "err != nil || len(open) > 0 {", "err != nil || len(open) < 0 {"},
	{"uploads of a bucket that stays aborted", sweeps, "if only, err := x.onlyReserved(); err != nil || !only {\n		return", "if _, err := x.onlyReserved(); err != nil {\n		return"},
	{"manifests of copies swept meanwhile", copies, "err != nil || raw != nil {", "err != nil || raw == nil {"},
	{"manifests of other buckets swept", sweeps, "if x.st.keepsForOthers(&x.bucket) {", "if x.st.keepsForOthers(&x.bucket) && notEmpty == nil {"},
	{"two parameters of version 2 in one", version, "signedV2[name] {\n			return true", "signedV2[name] && name == value {\n			return true"},
	{"settings of a missing bucket guessed", "proxy/defaults.go", "x.bucket.reserved != x.bucket.name && s3err.From(err).Code", "x.bucket.reserved == \"\" && s3err.From(err).Code"},
	{"governance bypass in words that stores decode", routes, "!strings.EqualFold(bypass, \"false\")", "strings.EqualFold(bypass, \"true\")"},
}
