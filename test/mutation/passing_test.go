//go:build integration

package mutation

func init() {
	filters[exchanges] += "|Requesters|ExpectedOwners"
	filters["proxy/copytags.go"] = "ExpectedOwners"
	filters["proxy/pass.go"] = "Settings|Preflights"
	filters["proxy/window.go"] = "RangesBehind"
	mutations = append(mutations, passingMutations...)
}

// passingMutations are those of what the store is told about a request beside its bytes.
var passingMutations = []mutation{
	{"requesters pay for their own requests alone", exchanges, "	x.carry(r, \"x-amz-request-payer\")\n", ""},
	{"manifests in whosever bucket", exchanges, "		x.carry(r, \"x-amz-expected-bucket-owner\")\n", ""},
	{"settings that endanger manifests not told", "proxy/pass.go", "		x.warnOfRisk(doc)\n", ""},
	{"preflights signed", "proxy/pass.go", "Unsigned: true, Idempotent", "Idempotent"},
	{"size of the ciphertext told", "proxy/window.go", "s3err.Range(r.header, o.content)", "s3err.Range(r.header, o.stored)"},
	{"sources of whomever", "proxy/copytags.go", "	if owner == \"\" {\n", "	if owner != \"\" {\n"},
}
