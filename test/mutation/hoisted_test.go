//go:build integration

package mutation

const (
	routing = "proxy/s3op/s3op.go"
	hoists  = "proxy/allow.go"
	foreign = "crypto/s3ec/header.go"
)

func init() {
	filters[hoists] = "HeadersInURLs"
	mutations = append(mutations, hoistedMutations...)
}

// hoistedMutations are those of headers in presigned URLs, and of foreign wrappings.
var hoistedMutations = []mutation{
	{"headers in URLs of version 2 decide nothing", routing, " || strings.EqualFold(p.Name, \"AWSAccessKeyId\")", ""},
	{"line breaks in headers from URLs", hoists, "!isToken(p.Name) || hasControl(p.Value)", "!isToken(p.Name)"},
	{"wrapping of foreign keys downgraded", foreign, "h.Wrapping == KMS && bound", "h.Wrapping == KMS && bound && h.Version == V3"},
}
