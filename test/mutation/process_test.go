package mutation

const (
	secretFile = "crypto/kms/secretfile.go"
	entry      = "keycache/entry.go"
	cacheClose = "keycache/update.go"
	keyFile    = "cmd/s3veil/keyfile.go"
	harden     = "cmd/s3veil/harden_linux.go"
	fips       = "cmd/s3veil/fips.go"
	hsmForm    = "crypto/kms/pkcs11/mechanism.go"
	hsmLogin   = "crypto/kms/pkcs11/session.go"
	hsmModule  = "crypto/kms/pkcs11/module.go"
	drainage   = "proxy/serve.go"
	input      = "proxy/conn/input_unix.go"
	serving    = "cmd/s3veil/serve.go"
	statusPage = "cmd/s3veil/status.go"
)

// processMutations are those of memory and of files that hold secrets (THREATS.md row 27).
var processMutations = []mutation{
	{"secrets open to everybody", secretFile, "perm&others != 0", "perm&others > 7"},
	{"secrets of another user", secretFile, "o.uid != 0 && o.uid != me.uid", "o.uid < 0"},
	{"secrets a group may change", secretFile, "perm&group != groupReads", "perm&group > group"},
	{"secrets open to a group of others", secretFile, "o.gid != 0 && !me.in(o.gid)", "o.gid < 0"},
	{"one's own secrets open to a group", secretFile, "	case o.uid != 0:\n", "	case o.uid < 0:\n"},
	{"keys stay after the last release", entry, "		e.bound.Zero()\n", "		_ = e.bound\n"},
	{"keys stay after Close", cacheClose, "	c.stop()\n	c.reads.Purge()\n	c.plain.Purge()\n", "	c.stop()\n"},
	{"key files stay open at the end", keyFile, "	for _, f := range k.retired {\n		f.Close()\n", "	for _, f := range k.retired {\n		_ = f\n"},
	{"core files allowed", harden, "	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {\n		return err\n	}\n", ""},
	{"process dumpable", harden, "unix.PR_SET_DUMPABLE, 0,", "unix.PR_SET_DUMPABLE, 1,"},
	{"status page without its token", statusPage, "ConstantTimeCompare(got[:], want[:]) == 1", "ConstantTimeCompare(got[:], want[:]) >= 0"},
	{"names of objects without a token", statusPage, "if s.admin.token.Load() != nil {", "if s.admin != nil {"},
	{"any script on the status page", statusPage, "script-src 'nonce-", "script-src 'unsafe-inline' 'nonce-"},
	{"ChaCha20 written in FIPS mode", fips, "l.Format.Write == 2", "l.Format.Write == 3"},
	{"ChaCha20 read in FIPS mode", fips, "		if s == 2 {\n", "		if s == 3 {\n"},

	{"context outside the additional data of a token", hsmForm, "p11.NewGCMParams(proposed, aad,", "p11.NewGCMParams(proposed, nil,"},
	{"nonce of the token not read back", hsmForm, "	nonce = params.IV()\n", "	nonce = proposed\n"},
	{"nonce of zeros from a token", hsmForm, " || [nonceLen]byte(nonce) == [nonceLen]byte{}", ""},
	{"key of any kind in a token", hsmLogin, "kind != p11.CKK_AES || n != keyLen", "kind == 0 && n == 0"},
	{"several keys of one name in a token", hsmLogin, "s.FindObjects(s.handle, 2)", "s.FindObjects(s.handle, 1)"},
	{"wrong PIN tried again", hsmLogin, "t.reason != nil && t.refused == print", "t.reason != nil && t.closed"},
	{"lost sessions stay lost", hsmLogin, "	again = is(err, lost) || errors.Is(err, errToken)\n", "	again = false\n"},
	{"answers keep their connections in drain", drainage, "	if s.drain.Load() {\n		ctx.Set", "	if s.conns.Count() < 0 {\n		ctx.Set"},
	{"connections closed before they rest", clientEnds, "	s.letRest(ctx)\n", ""},
	{"the end does not go by the connections", drainage, "	s.conns.End(ctx)\n", ""},
	{"requests on resting connections lost at the end", input, "errors.Is(err, os.ErrDeadlineExceeded)", "errors.Is(err, os.ErrNoDeadline)"},
	{"readiness does not go first", serving, "	s.draining.Store(true)\n	s.proxy.Drain()\n", ""},
	{"no time for balancers to notice", serving, "		case <-time.After(delay):\n", "		case <-time.After(0):\n"},
	{"an interrupt waits for balancers", serving, "sig == os.Interrupt", "sig == os.Kill"},

	{"bodies that are too large asked for", expects, "		if err := x.announcedTooLarge(); err != nil {\n", "		if err := x.announcedTooLarge(); err != nil && x.req.Op == \"\" {\n"},
	{"bodies asked for whose conditions fail", expects, "		return x.preconditions()\n", "		return nil\n"},

	{"any of several tokens", hsmModule, "	case len(found) == 1:\n", "	case len(found) > 0:\n"},
}
