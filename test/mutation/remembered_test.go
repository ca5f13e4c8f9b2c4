package mutation

const (
	repeats    = "proxy/repeated.go"
	windows    = "proxy/get.go"
	tables     = "proxy/manifests.go"
	cacheRules = "keycache/options.go"
	cacheCalls = "keycache/call.go"
	cacheSwap  = "keycache/update.go"
	localFile  = "crypto/kms/local/file.go"
	tlsFiles   = "cmd/s3veil/tls.go"
)

func init() {
	filters[repeats], filters[tables] = "Complete|Loser|Winner", "Complete|Loser|Winner|Remembered|Exact|Tables"
	filters[windows] = "Remembered"
	filters[defaults] += "|OwnCredentials"
	filters[tlsFiles] = "Fixtures|Secret|TLS|Unreadable|Private"
	mutations = append(mutations, rememberedMutations...)
	mutations = append(mutations, fileMutations...)
}

// rememberedMutations are those of what is kept between requests: manifests, part tables, intermediate keys (FORMAT.md 4.4, 9).
var rememberedMutations = []mutation{
	{"lists prove themselves against no other", repeats, "won && j < len(all)", "won && j < 0"},
	{"another object in place taken for the upload's", repeats, "c.u.attrs == nil || o.attrs.ObjectID != c.u.attrs.ObjectID", "c.u.attrs == nil"},
	{"uploads given up while the store is away", repeats, "s3err.From(cause).Status >= 500", "s3err.From(cause).Status >= 600"},
	{"lists of other parts", repeats, "		if t.Part(i).Number != p.Number {\n", "		if t.Part(i).Number != p.Number && i < 0 {\n"},
	{"reads under a remembered table fail", windows, "	if errors.Is(err, errStaleTable) {\n", "	if errors.Is(err, errStaleTable) && r.part < 0 {\n"},
	{"stale tables stay", windows, "			x.s.caches.manifests.Remove(o.attrs.ObjectID)\n", ""},
	{"stale tables stay after a failure behind the head", windows, "		opened.stale = func() { x.s.caches.manifests.Remove(id) }\n", "		_ = id\n"},
	{"remembered tables of another length", tables, "ok && m.Table.Stored() == o.stored)", "ok)"},
	{"provisional manifests read", tables, "	case m.Provisional:\n", "	case m.Provisional && b == nil:\n"},
	{"manifests of another length", tables, "	case m.Table.Stored() != o.stored:\n", "	case m.Table.Stored() != o.stored && b == nil:\n"},
	{"one of several manifests that fit", tables, "manifest.TableDigest(found.Table) != manifest.TableDigest(m.Table)", "b == nil"},

	{"uses of a key not limited", cacheLimits, "e.uses >= l.maxUses || ", ""},
	{"keys of any age", cacheRules, "o.MaxAge < 0 || o.MaxAge > maxAge", "o.MaxAge < 0"},
	{"keys for any number of uses", cacheRules, "o.MaxUses < 0 || o.MaxUses > maxUses", "o.MaxUses < 0"},
	{"outages of any length bridged", cacheRules, "o.Outage.Read < 0 || o.Outage.Read > maxOutage", "o.Outage.Read < 0"},
	{"spent keys go on in an outage", cacheKeys, "found && !usable && !e.spent(lim) && k.breaker.away()", "found && !usable && k.breaker.away()"},
	{"expired keys bridge a failed call for ever", cacheFlight, "ok && now.Before(e.readUntil.Add(lim.outage.Read))", "ok"},
	{"expired keys wrap after a failed call", cacheFlight, "ok && now.Before(e.writeUntil.Add(lim.bridgeWrites()))", "ok && now.Before(e.writeUntil.Add(lim.outage.Read))"},
	{"forged blobs cost the KMS any number of calls", cacheKeys, "!known && !c.misses.allow(now, client, realm, true)", "!known && client == \"-\""},
	{"new contexts cost the KMS any number of calls", cacheKeys, "!known && !c.misses.allow(now, client, name.realm, perRealm)", "!known && client == \"-\" && perRealm"},
	{"keys of one object each not counted", cacheCalls, "!c.opts.PerObject && !c.misses.allow(", "c.opts.PerObject && !c.misses.allow("},
	{"empty keys of a KMS", cacheCalls, "key == (kms.Key32{}) || len(wrapped) == 0 || len(wrapped) > maxWrapped", "len(wrapped) == 0 || len(wrapped) > maxWrapped"},
	{"empty keys unwrapped by a KMS", cacheCalls, "	if err == nil && key == (kms.Key32{}) {\n", "	if err == nil && k == nil {\n"},
	{"refusals of the KMS not remembered", cacheFlight, "			c.refused.Add(f.name.id, refusal{f.err, now.Add(refusalAge)})\n", ""},
	{"a call for everybody who waits", cacheFlight, "	c.flights[at] = f\n", ""},
	{"keys found by their blob alone", cacheLimits, "appendLP(room[:0], kid)", "room[:0]"},
	{"keys found without their realm", cacheLimits, "		b = appendLP(b, realm)\n", ""},
	{"keys that are gone go on reading", cacheSwap, "			c.reads.Remove(e.id)\n		case k != c.keks", "			_ = k\n		case k != c.keks"},
	{"keys of another provider go on reading", cacheSwap, "			e.readUntil = now\n", ""},
	{"keys of another provider go on writing", cacheSwap, "			c.writes(name).Remove(name)\n", ""},
	{"answers of a provider that is gone", cacheFlight, "	case c.keks[k.KID] == nil:\n", "	case c.keks == nil:\n"},
	{"shorter ages for later keys alone", cacheRules, "	if lim.maxAge < before.maxAge {\n", "	if lim.maxAge > before.maxAge {\n"},
	{"expired keys stay in memory", cacheSwap, "		if !now.Before(e.readUntil.Add(lim.outage.Read)) {\n", "		if now.IsZero() {\n"},
}

// fileMutations are those of files, settings and the audit log.
var fileMutations = []mutation{
	{"secrets that are no files", secretFile, "	if !info.Mode().IsRegular() {\n", "	if info == nil {\n"},
	{"secrets of any length", secretFile, "		case int64(len(b)) > limit:\n", "		case limit < 0:\n"},
	{"private keys that all can read", tlsFiles, "b, err := kms.ReadSecretFile(string(file), maxSecretFile)", "b, err := os.ReadFile(string(file))\n	_ = kms.ReadSecretFile"},
	{"key files that all can read", localFile, "text, err := kms.ReadSecretFile(path, maxFile)", "text, err := os.ReadFile(path)"},
	{"key files made for all", localFile, "os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)", "os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)"},
	{"audit logs made for all", auditFile, "os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)", "os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)"},
	{"chains begin anew at a restart", auditFile, "return New(f, chain, prev), f, nil", "return New(f, chain, prev[:0]), f, nil"},
	{"lines behind half a line", auditFile, "torn: len(tail) > 0 && tail[len(tail)-1] != '\\n'", "torn: len(tail) < 0"},
	{"half lines after a failed write", auditFile, "	m.torn = err != nil && n > 0\n", ""},
	{"hash outside the end of a line", auditChain, "at < 0 || string(line[at:]) != hashField+c.Hash+`\"}`", "at < 0"},
	{"chains that do not name the line before", auditLog, "	line = append(line, prev...)\n", ""},
	{"quotes in fields of the audit log", "proxy/audit/encode.go", "c == '\"' || ", ""},

	{"settings with a key name for AES256", setting, "	case e.KeyName != \"\" && e.Type != KMS:\n", "	case e.KeyName != \"\" && e.Type == 0:\n"},
	{"settings without an encryption", setting, "	if e.Type == 0 {\n", "	if e.Type == 0xff {\n"},
	{"unknown attributes of a setting ignored", setting, "	case typ >= typeIgnorable:\n", "	case typ > typeBlockCustomer:\n"},
	{"empty key names in a setting", setting, "e.KeyName, fits = value, value != \"\"", "e.KeyName, fits = value, true"},
	{"one client's answer for all", defaults, "		name.client = x.client.name\n", "		name.client = \"\"\n"},
}
