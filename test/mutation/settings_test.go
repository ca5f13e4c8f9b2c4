package mutation

const (
	setting     = "crypto/setting/setting.go"
	cacheLimits = "keycache/entry.go"
	cacheKeys   = "keycache/keycache.go"
	cacheFlight = "keycache/flight.go"
	breaker     = "keycache/breaker.go"
	defaults    = "proxy/defaults.go"
	choosing    = "proxy/encryption.go"
	authorising = "proxy/auth.go"
)

// filters name the tests of large packages that watch over a file.
var filters = map[string]string{
	defaults:    "Default|Setting|Replica",
	choosing:    "Default|Setting|Keys",
	authorising: "DemandTLS",
}

func init() {
	filters[exchanges] += "|SourcesAndSchemes"
	mutations = append(mutations,
		mutation{"settings of any size", setting, " || len(raw) > MaxSize", ""},
		mutation{"settings of any version", setting, "raw[len(magic)] != version", "raw[len(magic)] == 0xff"},
		mutation{"attributes of a setting in any order", setting, "int(typ) <= last", "int(typ)+0x100 <= last"},
		mutation{"flags of a setting with a value", setting, "e.BlockCustomer, fits = true, value == \"\"", "e.BlockCustomer, fits = true, true"},
		mutation{"any encryption in a setting", setting, "e.Type != AES256 && e.Type != KMS", "e.Type > 0x7f"},
		mutation{"any key name in a setting", setting, "e.KeyName != \"\" && !ValidKeyName(e.KeyName)", "len(e.KeyName) > MaxSize"},
		mutation{"one name for the settings of all buckets", setting, "EncodeToString([]byte(bucket))", "EncodeToString([]byte(magic))"},

		mutation{"bytes below a key not limited", cacheLimits, " || e.bytes.Load() >= l.maxBytes }", " }"},
		mutation{"expired keys serve without a policy", cacheKeys, "k.breaker.away() && now.Before(e.readUntil.Add(lim.outage.Read))", "k.breaker.away()"},
		mutation{"expired keys write without a policy", cacheKeys, "now.Before(e.writeUntil.Add(lim.bridgeWrites()))", "now.Before(e.writeUntil.Add(lim.outage.Read))"},
		mutation{"expired keys serve after a refusal", cacheFlight, "	if definite(f.err) {\n", "	if f.err == nil {\n"},
		mutation{"outages last for those that hung", breaker, "!began.Before(b.okAt)", "!began.IsZero()"},
		mutation{"calls pile up in an outage", breaker, "	if now.Before(b.retryAt) {\n", "	if b.retryAt.IsZero() {\n"},

		mutation{"default encryption in plaintext", defaults, "rule.AllowPlaintext, rule.Metadata = false,", "rule.Metadata ="},
		mutation{"default encryption of any binding", defaults, "	rule.BindingRead = []envelope.Binding{envelope.BindKey}\n", ""},
		mutation{"writes go on without the default encryption", defaults, "		return sse.Default{}, fmt.Errorf(\"default encryption of bucket %s: %w\", x.bucket.visible, err)\n", "		return sse.Default{}, nil\n"},
		mutation{"default encryption believed for ever", defaults, "found && age < defaultAge", "found"},
		mutation{"old answers overwrite a new default", defaults, "		if d.flights[name] != f {\n", "		if d.flights == nil {\n"},
		mutation{"store asked before a refusal", choosing, "err != nil || r.Type == sse.S3", "r.Type == sse.S3"},
		mutation{"the first of several schemes counts", exchanges, "allHTTPS(x.head.Joined(\"x-forwarded-proto\"))", "allHTTPS(x.head.Get(\"x-forwarded-proto\"))"},
		mutation{"everybody is a balancer", exchanges, "	if !trusted(x.source) {\n		return\n	}\n	if", "	if"},
		mutation{"the address that the client has written", exchanges, "		if !trusted(x.source) {\n			return\n		}\n	}\n", "	}\n"},
		mutation{"copies from a bucket that demands TLS", authorising, "err == nil && b.rule.RequireTLS && !x.tls", "err != nil && b.rule.RequireTLS && !x.tls"},
	)
}
