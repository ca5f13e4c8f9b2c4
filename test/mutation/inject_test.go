//go:build integration

package mutation

const (
	injectAnnotations = "cmd/s3veil/internal/inject/annotations.go"
	injectAuthority   = "cmd/s3veil/internal/inject/authority.go"
	injectCerts       = "cmd/s3veil/internal/inject/certs.go"
	injectConfig      = "cmd/s3veil/internal/inject/config.go"
	injectForward     = "cmd/s3veil/internal/inject/forward.go"
	injectGlob        = "cmd/s3veil/internal/inject/glob.go"
	injectKeeper      = "cmd/s3veil/internal/inject/keeper.go"
	injectMutate      = "cmd/s3veil/internal/inject/mutate.go"
	injectPod         = "cmd/s3veil/internal/inject/pod.go"
	injectReview      = "cmd/s3veil/internal/inject/review.go"
	injectServer      = "cmd/s3veil/internal/inject/server.go"
	injectTold        = "cmd/s3veil/internal/inject/told.go"
	injectCommand     = "cmd/s3veil/load.go"
)

func init() {
	filters[injectCommand] = "Inject"
	mutations = append(mutations, injectMutations...)
}

// injectMutations are those of the admission webhook (THREATS.md rows 46 and 47).
var injectMutations = []mutation{
	{"unknown annotations ignored", injectAnnotations, "if !slices.Contains(annotations, name) {", "if !slices.Contains(annotations, name) && name == \"\" {"},
	{"annotations without inject ignored", injectAnnotations, "case !always && len(others) > 0:", "case !always && len(others) > 99:"},
	{"profiles for every namespace", injectAnnotations, "!allowed(p.Namespaces, namespace, anyByte)", "!allowed(p.Namespaces, namespace, anyByte) && namespace == \"\""},
	{"any mode", injectAnnotations, "case !p.may(mode):", "case !p.may(mode) && mode == \"\":"},
	{"any upstream", injectAnnotations, "!allowed(p.Allow.Upstreams, c.upstream, labelByte)", "c.upstream == \"x\""},
	{"a star for more than a label", injectAnnotations, "c.upstream, labelByte)", "c.upstream, anyByte)"},
	{"any key", injectAnnotations, "!slices.Contains(p.Allow.Keys, c.key)", "slices.Contains(p.Allow.Keys, \"\")"},
	{"any bucket", injectAnnotations, "!allowed(p.Allow.Buckets, b, anyByte)", "b == \"\""},
	{"a star taken for one character", injectGlob, "return value != '*' && fits(value)", "return fits(value)"},
	{"references expanded", injectMutate, "\"value\": literal(v.Value)", "\"value\": v.Value"},
	{"sidecars of others taken for s3veil's", injectMutate, "		if !sameContainer(has, c.(map[string]any)) {\n", "		if !sameContainer(has, c.(map[string]any)) && has == nil {\n"},
	{"further settings of a sidecar accepted", injectMutate, "ownVariable(name) && named(want[\"env\"], name) == nil", "ownVariable(name) && name == \"\""},
	{"settings of a sidecar twice", injectMutate, "len(items(have[\"env\"])) == distinct(have[\"env\"]) && ", ""},
	{"choices not held against the rules of serve", injectMutate, "if err := in.Check(environ(told)); err != nil {", "if err := in.Check(environ(told)); err != nil && told == nil {"},
	{"volumes of others used", injectMutate, "		case !contains(has, v):\n			return malformed(\"the pod has a volume", "		case has == nil && !contains(has, v):\n			return malformed(\"the pod has a volume"},
	{"ports in use taken", injectMutate, "	if err := p.clash(w.ports); err != nil {\n", "	if err := p.clash(nil); err != nil {\n"},
	{"host network", injectPod, "case p.Spec.HostNetwork:", "case p.Spec.HostNetwork && false:"},
	{"names in two spellings", injectPod, "	if name := respelt(p.raw); name != \"\" {\n", "	if name := respelt(nil); name != \"\" {\n"},
	{"expired authority announced", injectForward, "ca, err := forward.ParseAuthority(text, now())", "ca, err := forward.ParseAuthority(text, now().AddDate(-99, 0, 0))"},
	{"S3 hosts outside the proxy", injectForward, "return overlap(strings.TrimPrefix(d, \".\"), bare) })", "return overlap(strings.TrimPrefix(d, \".\"), bare) && d == \"\" })"},
	{"deep reviews", injectReview, "	if !shallow(body, maxDepth) {\n", "	if !shallow(body, len(body)) {\n"},
	{"other objects patched", injectReview, "q.Operation == \"CREATE\" && ", ""},
	{"long reviews", injectServer, "http.MaxBytesReader(w, r.Body, maxBody)", "r.Body"},
	{"answers to nobody taken for answers", injectServer, "	if r.Context().Err() != nil {\n", "	if r.Context().Err() != nil && o == nil {\n"},
	{"any content type", injectServer, "err != nil || kind != \"application/json\"", "err != nil && kind == \"\""},
	{"TLS 1.1", injectCerts, "MinVersion: tls.VersionTLS12,", "MinVersion: tls.VersionTLS10,"},
	{"keys that others read", injectCerts, "key, err := kms.ReadSecretFile(f.KeyFile, 64<<10)", "key, err := os.ReadFile(f.KeyFile)\n	_ = kms.ReadSecretFile"},
	{"served before it is trusted", injectKeeper, "	if err := k.announce(ctx, keys.bundle); err != nil {\n", "	if err := certs.set(keys.cert, keys.key); err != nil {\n		return err\n	}\n	if err := k.announce(ctx, keys.bundle); err != nil {\n"},
	{"another writer's configuration overwritten", injectKeeper, "p := []any{map[string]any{\"op\": \"test\", \"path\": \"/metadata/resourceVersion\", \"value\": c.Metadata.ResourceVersion}}", "p := []any{map[string]any{\"op\": \"test\", \"path\": \"/metadata/name\", \"value\": \"hook\"}}"},
	{"authority for every name", injectAuthority, "		PermittedDNSDomains:         names,\n", ""},
	{"a new authority used before it is announced", injectAuthority, "	if !k.leafFits(authorities, names, now.Add(leafRenew)) {\n		if k.cert", "	if changed || !k.leafFits(authorities, names, now.Add(leafRenew)) {\n		if k.cert"},
	{"certificates not renewed", injectAuthority, "	if !k.leafFits(authorities, names, now.Add(leafRenew)) {\n		if k.cert", "	if !k.leafFits(authorities, names, now) {\n		if k.cert"},
	{"secrets in the variables", injectCommand, "if l.elsewhere && v.Type() == secretType {", "if l.elsewhere && v.Type() == nil {"},
	{"root file system writable", injectConfig, "|| dig(c, \"securityContext\", \"readOnlyRootFilesystem\") != true", ""},
	{"settings in the container's variables", injectConfig, "ownVariable(name) {\n			fail(", "name == \"\" {\n			fail("},
	{"buckets that no rule has", injectAnnotations, "case p.rule(b) == nil:", "case b == \"\":"},
	{"forward without its own certificate", injectTold, "			forward[\"ca_file\"] = trustFolder + \"/\" + caName\n", ""},
}
