package mutation

const (
	elsewhere = "proxy/elsewhere.go"
	states    = "proxy/state.go"
	restores  = "proxy/s3xml/elsewhere.go"
	hosts     = "proxy/upstream/target.go"
	lines     = "proxy/audit/encode.go"
)

func init() {
	filters[elsewhere] = "DocumentsReach"
	filters[states] = "MappedNames"
	filters[authorising] += "|BucketsThatAre"
	filters[restores] = "Restore|Destinations|DocumentsReach"
	filters["cmd/s3veil/inspect.go"] = "ForgedRows"
	filters[hosts] = "TargetOnTheWire"
	mutations = append(mutations,
		mutation{"bulk deletions of the bucket itself", keyNames, "return depth <= 0", "return depth < 0"},
		mutation{"keys of bulk deletions that are the bucket", bulk, "case s3op.IsBucket(e.Key):", "case e.Key == \"\":"},
		mutation{"mapped names that are none", states, "&& s3op.CheckBucket(b.name) != nil {", "&& b.name == \".\" {"},
		mutation{"mapped names that are access points", states, "s3op.CheckBucket(b.name) != nil {", "!s3op.IsBucketName(b.name) {"},
		mutation{"buckets that are a store's administration", authorising, "b.store.data.Keeps(b.name) {", "b.store.data.Keeps(\"\") {"},
		mutation{"keys that are a store's administration", hosts, "!e.keeps(key) &&", "!e.keeps(bucket) &&"},
		mutation{"settings that write anywhere", elsewhere, "|| !x.client.AllowedWhole(s3op.Write, visible) {", "|| visible == \"\" && !x.client.AllowedWhole(s3op.Write, visible) {"},
		mutation{"settings that write to unknown buckets", elsewhere, "if !ok || !s3op.IsBucketName(name) || !x.client.AllowedWhole(s3op.Write, visible) {", "if ok && (!s3op.IsBucketName(name) || !x.client.AllowedWhole(s3op.Write, visible)) {"},
		mutation{"settings that write to paths", elsewhere, "|| !s3op.IsBucketName(name) ||", "||"},
		mutation{"settings that write below the reserved prefix", elsewhere, "if s3op.Reserved(prefix) ||", "if"},
		mutation{"other tenants' buckets in ARNs", restores, "p[3] == \"\" && p[4] == \"\" ||", "p[3] == \"\" ||"},
		mutation{"settings that write outside the client's prefixes", rules, "return c.keys(class, bucket, \"\") }", "return c.Allowed(class, bucket, \"\") }"},
		mutation{"restores with a place for their result", restores, "case \"Type\", \"SelectParameters\", \"OutputLocation\":", "case \"Type\", \"SelectParameters\":"},
		mutation{"logs to anywhere", restores, "case \"Bucket\", \"TargetBucket\",", "case \"Bucket\","},
		mutation{"upper case before a host", hosts, "return hostName(bucket) &&", "return bucket != \"\" &&"},
		mutation{"buckets of a store without end", sweeps, "for range maxBucketPages {", "for range 1 << 12 {"},
		mutation{"pages of buckets held without a charge", sweeps, "x.documents.keep() // all", "// all"},
		mutation{"hidden entries without end", listings, "&& fills < maxFillPages;", "&& fills < 1<<10;"},
		mutation{"parts of a store without end", completions, "for range maxPartPages {", "for range 1 << 13 {"},
		mutation{"rows forged by what is inspected", "cmd/s3veil/inspect.go", "printable(fmt.Sprintf(format, args...))", "fmt.Sprintf(format, args...)"},
		mutation{"terminals commanded by keys", lines, "return AppendVisible(b, quoted)", "return append(b, quoted...)"},
		mutation{"direction turned by keys", lines, "|| r >= 0x202a && r <= 0x202e", ""},
	)
}
