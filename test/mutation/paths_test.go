package mutation

const (
	keyNames = "proxy/s3op/key.go"
	rules    = "proxy/policy/policy.go"
	bulk     = "proxy/delete.go"
	listings = "proxy/list.go"
	forms    = "proxy/form.go"
)

func init() {
	for _, file := range []string{bulk, listings} {
		filters[file] = "NamesAndIDs"
	}
	filters[forms] = "Form"
	filters[uploads] += "|NamesAndIDs"
	mutations = append(mutations,
		mutation{"ids that lead upwards", keyNames, "if component == \".\" || component == \"..\" {", "if component == \".\" {"},
		mutation{"ids with the other kind of slash", keyNames, "strings.IndexAny(rest, `/\\`)", "strings.IndexAny(rest, `/`)"},
		mutation{"ids of versions not looked at", routes, "&& !CheckID(p.Value)", "&& p.Value == \"-\""},
		mutation{"ids of sources' versions not looked at", "proxy/s3op/copysource.go", "id == \"\" || !CheckID(id)", "id == \"\""},
		mutation{"keys of bulk deletions lead anywhere", bulk, "s3op.CheckKey(e.Key); err != nil {", "s3op.CheckKey(e.Key); err != nil && e.Key == \"\" {"},
		mutation{"versions of bulk deletions lead anywhere", bulk, "case !s3op.CheckID(e.VersionID):", "case e.VersionID == \"-\":"},
		mutation{"listed upload ids lead anywhere", uploads, "return parsed.Upstream, \"\", checkUpload(parsed.Upstream)", "return parsed.Upstream, \"\", nil"},
		mutation{"forged upload ids lead anywhere", uploads, "return parsed.Token.UpstreamID, \"\", checkUpload(parsed.Token.UpstreamID)", "return parsed.Token.UpstreamID, \"\", nil"},
		mutation{"upload markers lead anywhere", listings, "return parsed.Upstream, checkUpload(parsed.Upstream)", "return parsed.Upstream, nil"},
		mutation{"listings above the bucket", rules, "return ok && c.keys(", "return (ok || bucket != \"\") && c.keys("},
		mutation{"forms as long as their variables make them", forms, "if total > maxFormHead {", "if total < 0 {"},
	)
}
