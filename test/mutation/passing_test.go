//go:build integration

package mutation

func init() {
	filters[exchanges] += "|Requesters|ExpectedOwners"
	filters["proxy/copytags.go"] = "ExpectedOwners"
	mutations = append(mutations, passingMutations...)
}

// passingMutations are those of what the store is told about a request beside its bytes.
var passingMutations = []mutation{
	{"requesters pay for their own requests alone", exchanges, "	x.carry(r, \"x-amz-request-payer\")\n", ""},
	{"manifests in whosever bucket", exchanges, "		x.carry(r, \"x-amz-expected-bucket-owner\")\n", ""},
	{"sources of whomever", "proxy/copytags.go", "	if owner == \"\" {\n", "	if owner != \"\" {\n"},
}
