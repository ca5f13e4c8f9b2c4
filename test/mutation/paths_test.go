package mutation

const (
	keyNames  = "proxy/s3op/key.go"
	rules     = "proxy/policy/policy.go"
	bulk      = "proxy/delete.go"
	listings  = "proxy/list.go"
	forms     = "proxy/form.go"
	documents = "proxy/documents.go"
	partLists = "proxy/listparts.go"
	returns   = "proxy/sweepreturn.go"
)

func init() {
	for _, file := range []string{bulk, listings} {
		filters[file] = "NamesAndIDs"
	}
	filters[listings] += "|Pages"
	filters[partLists] = "StayWithinTheBudget"
	filters[returns] = "DeleteBucket|Sweeps"
	filters[forms], filters[documents] = "Form", "StayWithinTheBudget"
	filters[exchanges] += "|StayWithinTheBudget|RepeatedBypasses"
	filters[foreigns] = "Foreign|NeighboursOf|Delayed"
	filters[uploads] += "|NamesAndIDs"
	mutations = append(mutations,
		mutation{"ids that lead upwards", keyNames, "if component == \".\" || component == \"..\" {", "if component == \".\" {"},
		mutation{"ids with the other kind of slash", keyNames, "r == '/' || r == '\\\\'", "r == '/'"},
		mutation{"ids of versions not looked at", routes, "&& !CheckID(p.Value)", "&& p.Value == \"-\""},
		mutation{"ids of sources' versions not looked at", "proxy/s3op/copysource.go", "id == \"\" || !CheckID(id)", "id == \"\""},
		mutation{"keys of bulk deletions lead anywhere", bulk, "s3op.CheckKey(e.Key); err != nil {", "s3op.CheckKey(e.Key); err != nil && e.Key == \"\" {"},
		mutation{"versions of bulk deletions lead anywhere", bulk, "case !s3op.CheckID(e.VersionID):", "case e.VersionID == \"-\":"},
		mutation{"listed upload ids lead anywhere", uploads, "return parsed.Upstream, \"\", checkUpload(parsed.Upstream)", "return parsed.Upstream, \"\", nil"},
		mutation{"forged upload ids lead anywhere", uploads, "return parsed.Token.UpstreamID, \"\", checkUpload(parsed.Token.UpstreamID)", "return parsed.Token.UpstreamID, \"\", nil"},
		mutation{"upload markers lead anywhere", listings, "return parsed.Upstream, checkUpload(parsed.Upstream)", "return parsed.Upstream, nil"},
		mutation{"listings above the bucket", rules, "return ok && c.keys(", "return (ok || bucket != \"\") && c.keys("},
		mutation{"announced documents not charged", documents, "	if n > smallDocument {\n", "	if n < 0 {\n"},
		mutation{"answers of the store not charged", documents, "err := x.charge(false, room-int64(cap(doc))); err != nil", "err := x.charge(false, 0); err != nil"},
		mutation{"charges of answers end before they are sent", documents, "len(doc) <= smallDocument || x.streaming", "len(doc) >= 0 || x.streaming"},
		mutation{"charges of pages of parts end with their notes", partLists, "	x.documents.keep()\n", ""},
		mutation{"charges of pages end with the next one", listings, "		x.documents.keep()\n", ""},
		mutation{"listings in a circle", listings, "next.Last == from && (version == \"\" || next.Hidden > 0)", "next.Last == \"-\""},
		mutation{"versions left out behind hidden entries", listings, "		version = page.NextVersion ", "		_ = page.NextVersion "},
		mutation{"charges of documents stay", "proxy/exchange.go", "	x.documents.end()\n", ""},
		mutation{"whole objects fill the budget", buffers, "return total / 4 * 3", "return total"},
		mutation{"plaintext of whole objects stays", buffers, "		clear(slab[:n])\n		b.give(slab)\n		b.whole", "		b.give(slab)\n		b.whole"},
		mutation{"delayed objects not charged", "proxy/foreign.go", "s3ec.DelayedBuffer+heldBack", "0"},
		mutation{"another content type beside the signed one", version, "			if typed {", "			if typed && f.Value == \"-\" {"},
		mutation{"plain requests in tunnels not read", hellos, "	return names, done, nil\n", "	return nil, true, nil\n"},
		mutation{"endless heads of plain requests pass", hellos, "return names, true, errHead", "return names, true, nil"},
		mutation{"names in continued lines not read", hellos, "		value = line\n", "		p.host = false\n"},
		mutation{"plain requests in tunnels for any host", tunnels, "		if !secure {\n			return f.forbidsRequest(name)", "		if !secure {\n			return nil"},
		mutation{"repeated bypasses: the first decides", exchanges, "x.head.Query, x.head.Joined)", "x.head.Query, x.head.Get)"},
		mutation{"sweeps do not look again", returns, "err := x.inUse(); err != nil || used {", "err := x.inUse(); err != nil && used {"},
		mutation{"what was swept stays away", returns, "	for _, o := range kept {\n", "	for _, o := range kept[:0] {\n"},
		mutation{"hints of what was swept are lost", returns, "x.writeReserved(&x.bucket, o.key, o.raw, o.hint, true)", "x.writeReserved(&x.bucket, o.key, o.raw, \"\", true)"},
		mutation{"interrupted sweeps put nothing back", returns, "				return false, errors.Join(err, x.putBack(kept))\n", "				return false, err\n"},
		mutation{"keys stay in idle processes", "keycache/update.go", "	c.sweep(c.now())\n	c.idle", "	c.idle"},
		mutation{"forms as long as their variables make them", forms, "if total > maxFormHead {", "if total < 0 {"},
	)
}
