package mutation

const (
	hostNames = "proxy/forward/hosts.go"
	relaying  = "proxy/forward/relay.go"
)

func init() { mutations = append(mutations, guardMutations...) }

// guardMutations are more of the forward proxy: addresses behind names, certificates, users, CONNECT.
var guardMutations = []mutation{
	{"stores reached at any address", guard, "		return f.forbidden(netip.AddrPortFrom(a, uint16(n)), client)\n", "		_, _ = a, n\n		return nil\n"},
	{"denied networks dialled", guard, "return f.Check(to, client) })", "return f.forbidden(to, client) })"},
	{"addresses of 6to4 reached", guard, "netip.MustParsePrefix(\"2002::/16\"), ", ""},
	{"metadata service of AWS over IPv6", guard, "netip.MustParsePrefix(\"fd00:ec2::/32\"), ", ""},
	{"metadata service of Azure", guard, ", netip.MustParsePrefix(\"168.63.129.16/32\")", ""},
	{"metadata service of Alibaba", guard, "netip.MustParsePrefix(\"100.100.100.200/32\"), ", ""},
	{"addresses of the younger protocol that mean older ones", guard, "	a = a.Unmap()\n	if nat64", "	if nat64"},
	{"listeners on every address reached over loopback", guard, "	if a.IsLoopback() {\n		return true\n	}\n", ""},
	{"listeners on every address reached over another", guard, "ok && ip.Unmap() == a {", "ok && ip.Unmap() == a && !ok {"},
	{"zones in addresses", guard, "a.Zone() != \"\", ", ""},

	{"directory buckets accepted", awsNames, "\"--x-s3\", ", ""},
	{"Object Lambda accepted", awsNames, "\"--ol-s3\", ", ""},
	{"refused S3 hosts tunnelled", decisions, "	case awsRefused:\n", "	case awsRefused + 9:\n"},
	{"ports of S3 hosts not compared", hostNames, "p.port != 0 && p.port != t.Port", "p.port != 0 && p.port == 1"},
	{"patterns for every host", hostNames, "	if strings.Trim(host, \"*.\") == \"\" {\n", "	if host == \"\" {\n"},

	{"expired authorities", authorities, "	case now.After(cert.NotAfter):\n", "	case now.After(cert.NotAfter.AddDate(100, 0, 0)):\n"},
	{"authorities that are none", authorities, "!cert.BasicConstraintsValid || !cert.IsCA || ", ""},
	{"names that end like a covered one", authorities, "strings.HasSuffix(name, \".\"+domain)", "strings.HasSuffix(name, domain)"},
	{"constraints that clients may ignore", authorities, "PermittedDNSDomainsCritical: true,", "PermittedDNSDomainsCritical: false,"},
	{"authority for more than servers", authorities, "		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},\n", ""},
	{"authority of addresses for every name", authorities, "		t.PermittedDNSDomains = []string{\"s3veil.invalid\"}\n", ""},
	{"leaves outlive the authority", leafNames, "earlier(now.Add(leafLife), ca.NotAfter)", "now.Add(leafLife)"},
	{"leaves of an expired authority", leafNames, "	if !now.Before(ca.NotAfter) {\n", "	if now.IsZero() {\n"},
	{"leaves in their last hours", leafNames, "now.Before(c.end.Add(-leafRenewal)) ||", "now.Before(c.end) ||"},
	{"any number of leaves", leafNames, "	if l.order.Len() > maxLeaves {\n", "	if l.order.Len() > maxLeaves*maxLeaves {\n"},
	{"users without a password", proxyUsers, "!ok || name == \"\" || password == \"\"", "!ok || name == \"\""},
	{"users that stand twice", proxyUsers, "_, twice := u.sums[name]; twice {", "_, twice := u.sums[name]; twice && name == \"\" {"},

	{"first messages of TLS of any length", hellos, "errors.Is(err, errMore) && len(start) < maxHello", "errors.Is(err, errMore)"},
	{"passwords of the proxy reach other hosts", relaying, "\"proxy-authorization\": true, ", ""},
	{"headers that Connection names reach other hosts", relaying, "		if f.Name == \"connection\" {\n", "		if f.Name == \"-\" {\n"},
	{"requests of other hosts without a trace", relaying, "	req.Header.Add(\"Via\", \"1.1 \"+viaName)\n", ""},
	{"S3 hosts in tunnels", tunnels, "		if err == nil && place.S3 {\n", "		if err == nil && place.S3 && name == \"\" {\n"},

	{"CONNECT from anywhere", connects, "	case !f.Admits(x.source):\n", "	case !f.Admits(x.source) && x.head.Path == \"\":\n"},
	{"requests from anywhere", forwardPort, "	if !f.Admits(x.source) {\n", "	if !f.Admits(x.source) && x.head.Path == \"\" {\n"},
	{"CONNECT inside a CONNECT", connects, "	case x.via.connected:\n", "	case x.via.connected && x.head.Path == \"\":\n"},
	{"CONNECT whose Host names another", connects, "h != \"\" && !x.via.target.Is(", "h == \"-\" && !x.via.target.Is("},
	{"CONNECT to any port", connects, "f.Decide(x.via.target)", "f.Classify(x.via.target)"},
	{"requests to any port", forwardPort, "f.Decide(target)", "f.Classify(target)"},
	{"two passwords", forwardPort, "ok && x.head.Count(\"proxy-authorization\") == 1 {", "ok {"},
	{"one store for clients of loopback and others", hostStores, "x.req.VirtualHost, x.source.IsLoopback()}", "x.req.VirtualHost, true}"},
	{"the upstream's proxy dials for clients", hostStores, "	u.Proxy = \"\"", "	_ = u.Proxy"},
}
