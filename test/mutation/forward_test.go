package mutation

const (
	auditChain  = "proxy/audit/verify.go"
	auditLog    = "proxy/audit/audit.go"
	auditFile   = "proxy/audit/file.go"
	guard       = "proxy/forward/guard.go"
	awsNames    = "proxy/forward/aws.go"
	decisions   = "proxy/forward/forward.go"
	authorities = "proxy/forward/ca.go"
	leafNames   = "proxy/forward/leaf.go"
	proxyUsers  = "proxy/forward/users.go"
	tunnels     = "proxy/forward/tunnel.go"
	targets     = "proxy/forward/target.go"
	forwardPort = "proxy/forward.go"
	connects    = "proxy/connect.go"
	granted     = "proxy/forward/connect.go"
	ending      = "proxy/forward/tunnels.go"
	relays      = "proxy/relay.go"
	hostStores  = "proxy/hoststore.go"
	hellos      = "proxy/forward/hello.go"
	heads       = "proxy/head/head.go"
	expects     = "proxy/expect.go"
)

func init() {
	for _, file := range []string{forwardPort, connects, relays, hostStores} {
		filters[file] = "Forward|SignedForTheirClient"
	}
	filters[expects] = "HTTP10|OverTheLimit|ConditionsAreLookedAt"
	mutations = append(mutations, auditMutations...)
	mutations = append(mutations, forwardMutations...)
}

// auditMutations are those of the audit log (THREATS.md row 39).
var auditMutations = []mutation{
	{"hashes not compared", auditChain, "hex.EncodeToString(sum[:]) != c.Hash", "hex.EncodeToString(sum[:]) == \"\""},
	{"lines in any order", auditChain, "	case v.report.Lines == 0:\n", "	case v.report.Lines > 0:\n		v.heads = []string{c.Hash}\n	case v.report.Lines == 0:\n"},
	{"chains begin anywhere", auditChain, "case i < 0 && v.Chains && c.Prev == \"\":", "case i < 0 && c.Prev == \"\":"},
	{"expected hashes not looked for", auditChain, "		if !found {\n", "		if !found && hash == \"\" {\n"},
	{"lost lines not told", auditLog, "	if l.lost == 0 {\n", "	if l.lost >= 0 {\n"},
	{"chain goes on with a lost line", auditLog, "		return line, fmt.Errorf(\"audit: %w\", err)\n", "		l.prev = append(l.prev[:0], hash[:]...)\n		return line, fmt.Errorf(\"audit: %w\", err)\n"},
	{"two processes in one file", auditFile, "	if err := lock(next); err != nil {\n", "	if err := lock(next); err != nil && f.path == \"\" {\n"},
}

// forwardMutations are those of the forward proxy (THREATS.md rows 22, 42, 43).
var forwardMutations = []mutation{
	{"link-local addresses reached", guard, "a.IsMulticast(), a.IsLinkLocalUnicast(),", "a.IsMulticast(),"},
	{"metadata addresses reached", guard, "a.IsLinkLocalUnicast(), within(never, a):", "a.IsLinkLocalUnicast():"},
	{"embedded addresses not seen", guard, "	if nat64.Contains(a) {\n", "	if nat64.Contains(a) && a.Is4() {\n"},
	{"loopback for everybody", guard, "if !client.Unmap().IsLoopback() {", "if !client.IsValid() {"},
	{"own ports reached", guard, "own.Port() == to.Port() && isHere(a, own.Addr())", "own.Port() == to.Port() && isHere(a, own.Addr()) && !a.IsValid()"},
	{"denied networks reached", guard, "within(f.Deny, a)", "within(nil, a)"},
	{"one good address is enough", guard, "			return nil, fmt.Errorf(\"%s: %w\", t.Host, err)\n", "			continue\n"},
	{"names resolved twice", guard, "	for _, a := range addrs {\n		c, err", "	addrs, _ = f.resolve(ctx, t, func(netip.AddrPort) error { return nil })\n	for _, a := range addrs {\n		c, err"},
	{"names with s3 in an unknown place tunnelled", awsNames, "slices.Contains(labels[:at+1], \"s3\")", "slices.Contains(labels[:0], \"s3\")"},
	{"unknown S3 services tunnelled", awsNames, "		return awsS3\n	}\n	return awsRefused\n}\n\n// privateLink", "		return awsS3\n	}\n	return awsOther\n}\n\n// privateLink"},
	{"access point aliases accepted", awsNames, "at > 0 && refusedBucket(", "at > 99 && refusedBucket("},
	{"any port", decisions, "!allows(f.Ports, t.Port)", "!allows(f.Ports, t.Port) && t.Port == 0"},
	{"others reached though denied", decisions, "	if !f.Tunnel {\n", "	if !f.Tunnel && t.Host == \"\" {\n"},
	{"clients from anywhere", decisions, "return within(f.AllowFrom, client)", "return client.IsValid()"},
	{"signatures trusted everywhere", decisions, "return within(f.AnySignatureFrom, client)", "return len(f.AnySignatureFrom) > 0"},
	{"authority for every name", authorities, "		PermittedDNSDomains:         domains,\n", ""},
	{"authority for every address", authorities, "	if len(addresses) == 0 { // a kind", "	if len(addresses) == 99 { // a kind"},
	{"authorities below the authority", authorities, "MaxPathLenZero: true,", "MaxPathLen: 3,"},
	{"names in TLS not compared", leafNames, "hello.ServerName != \"\" && normalName", "hello.ServerName == \"-\" && normalName"},
	{"leaves as old as the authority", leafNames, "leafLife    = 24 * time.Hour", "leafLife    = 24000 * time.Hour"},
	{"any password", proxyUsers, "!found || !known || !same", "!found || !known || !same && name == \"\""},
	{"names in tunnels not read", hellos, "		return []string{name}, done, err\n", "		return nil, done, err\n"},
	{"clients that refuse the authority not named", granted, "op.Op == \"remote error\"", "op.Op == \"-\""},
	{"tunnels begin after the end", ending, "	if t.over {\n", "	if t.over && t.open == nil {\n"},
	{"connections go on after what cannot be meant", forwardPort, ".With(cause).Closing()", ".With(cause)"},
	{"connections go on after a refusal", forwardPort, ".With(&forward.Refusal{Reason: reason}).Closing()", ".With(&forward.Refusal{Reason: reason})"},
	{"two framings", heads, "length > 1 || transfer > 1 || length+transfer > 1", "length > 1 && transfer > 1"},
	{"other codings", heads, "			if !strings.EqualFold(value, \"chunked\") {\n", "			if value == \"gzip\" && transfer > 1 {\n"},
	{"user names in targets", heads, "strings.ContainsAny(authority, \"@?#\\\\\")", "strings.ContainsAny(authority, \"?#\\\\\")"},
	{"TLS that cannot be read tunnelled", hellos, "	return \"\", true, errHello\n", "	return \"\", true, nil\n"},
	{"TLS behind an alert not read", hellos, "return 20 <= first && first <= 24", "return first == 22"},
	{"names in TLS that are none", tunnels, "		if _, err := ParseTarget(name, 443); err != nil {\n", "		if _, err := ParseTarget(name, 443); err != nil && name == \"\" {\n"},
	{"mapped addresses are other hosts", targets, "return Target{a.Unmap().String(), port}, nil", "return Target{a.String(), port}, nil"},
	{"numbers are names", targets, "|| isNumber(host", "|| host == \"\" && isNumber(host"},
	{"S3 addresses under another name", guard, "err == nil && place.S3 {", "err == nil && place.S3 && !a.IsValid() {"},
	{"protocols switched", relays, "resp.StatusCode == 101", "resp.StatusCode == 100"},
	{"chunks for HTTP/1.0", relays, "resp.ContentLength < 0 && x.head.Old", "resp.ContentLength < -1 && x.head.Old"},
	{"any version of HTTP", heads, "out.Old && string(h.Protocol()) != \"HTTP/1.0\"", "out.Old && string(h.Protocol()) == \"\""},
	{"interim answers for HTTP/1.0", expects, "	case !h.IsHTTP11():\n", "	case !h.IsHTTP11() && len(v) == 0:\n"},
	{"zones and user names in targets", targets, "	if !isName(host) {\n", "	if host == \"\" {\n"},
	{"Host headers not compared", forwardPort, "	if !target.Is(host, schemePort[x.head.Scheme]) {\n", "	if !target.Is(host, schemePort[x.head.Scheme]) && host == \"\" {\n"},
	{"hosts inside a CONNECT not compared", forwardPort, "if !x.via.target.Is(x.head.Host, x.via.target.Port) || !x.via.target.Is(host, x.via.target.Port) {", "if x.head.Host == \"\" {"},
	{"no user demanded", forwardPort, "	if f.Users == nil {\n", "	if f.Users != nil {\n"},
	{"origin form accepted", forwardPort, "	if x.head.Scheme == \"\" {\n", "	if x.head.Scheme == \"-\" {\n"},
	{"no user demanded for CONNECT", connects, "	if err := x.authenticateProxy(f); err != nil {\n", "	if err := x.authenticateProxy(f); err != nil && x.head.Path == \"\" {\n"},
	{"CONNECT with a body", connects, "	case x.head.Has(\"transfer-encoding\") ||", "	case x.head.Has(\"-\") ||"},
	{"TLS tunnelled without an authority", connects, "	if !f.Intercepts() {\n", "	if !f.Intercepts() && x.head.Path == \"\" {\n"},
	{"loops", relays, "	case forward.Loops(x.head.Fields):\n", "	case x.head.Method == \"\":\n"},
	{"stores without the guard", hostStores, "	u.Control = st.forward.Control(x.source)\n", ""},
	{"objects to the upstream all the same", hostStores, "x.st.forward == nil || !x.st.forward.ToHost", "x.st.forward == nil || x.st.forward.ToHost"},
	{"requests signed for others", hostStores, "	return *c, nil\n", "	return sigv4.Credential{AccessKey: \"other\", Secret: c.Secret}, nil\n"},
}
