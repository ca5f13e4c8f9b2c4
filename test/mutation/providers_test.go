package mutation

// The files of the key providers.
const (
	transitProvider = "crypto/kms/transit/transit.go"
	transitBlob     = "crypto/kms/transit/blob.go"
	transitClient   = "crypto/kms/transit/client.go"
	transitErrors   = "crypto/kms/transit/errors.go"
	transitSession  = "crypto/kms/transit/session.go"
	googleProvider  = "crypto/kms/gcpkms/gcpkms.go"
	googleClient    = "crypto/kms/gcpkms/client.go"
	googleLogin     = "crypto/kms/gcpkms/login.go"
)

func init() {
	// All but the test with a store, which takes longest.
	const quick = "Conforms|Context|States|Damaged|Classes|Nonsense|New|Credential|Token|Defaults|Failures"
	filters[googleProvider], filters[googleClient], filters[googleLogin] = quick, quick, quick
	mutations = append(mutations,
		mutation{"keys that ignore the context", transitProvider, "	case err == nil:\n		return fmt.Errorf(\"%w: the key ignores", "	case false:\n		return fmt.Errorf(\"%w: the key ignores"},
		mutation{"wrapping makes a missing key", transitProvider, "if !p.isChecked(kek) {", "if false {"},
		mutation{"context not sent to Vault", transitProvider, "EncodeToString(ec.Canonical())", "EncodeToString([]byte(\"s3veil\"))"},
		mutation{"data keys in clear over a network", transitProvider, "base.Scheme == \"http\" && !loopback(base.Hostname())", "false"},
		mutation{"names of keys leave their path", transitProvider, "if !keyName.MatchString(kek) {", "if kek == \"\" {"},
		mutation{"a short key of Vault", transitProvider, "	if len(out.Plaintext) != len(kms.Key32{}) {\n		return kms.Key32{}, fmt.Errorf(\"%w: it holds", "	out.Plaintext = append(out.Plaintext, make([]byte, 32)...)[:32]\n	if false {\n		return kms.Key32{}, fmt.Errorf(\"%w: it holds"},
		mutation{"version 0 of a blob", transitBlob, "vault:v([1-9][0-9]{0,8}):", "vault:v([0-9]{1,9}):"},
		mutation{"blobs in base64 of any spelling", transitBlob, "^vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})$", "^vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/\\\\s]+=*)\\\\s*$"},
		mutation{"redirects to http", transitClient, "req.URL.Scheme != \"https\" && (via[0].URL.Scheme == \"https\" || !loopback(req.URL.Hostname()))", "false"},
		mutation{"a failed login is a bad blob", transitErrors, "return fmt.Errorf(\"%w: login at %s: %s\", class, path, a.Error())", "_ = class\n	return fmt.Errorf(\"login at %s: %w\", path, a)"},
		mutation{"a login for every refusal", transitSession, "if time.Since(t.got) < s.loginAgain {", "if false {"},
		mutation{"tokens are not renewed", transitSession, "case now.renewable:\n", "case false:\n"},
		mutation{"sums of answers of Google", googleProvider, " || sumOf(out.Ciphertext) != out.CiphertextSum", ""},
		mutation{"sums of requests to Google", googleProvider, "!out.VerifiedPlaintext || !out.VerifiedContext || ", ""},
		mutation{"sum of an unwrapped key", googleProvider, "if sumOf(out.Plaintext) != out.PlaintextSum {", "if false {"},
		mutation{"another key in the answer of Google", googleProvider, "!strings.HasPrefix(out.Name, kek+\"/cryptoKeyVersions/\")", "false"},
		mutation{"context not sent to Google", googleProvider, "	b := ec.Canonical()\n", "	b := []byte(\"s3veil\")\n"},
		mutation{"a damaged request is a bad blob", googleClient, "strings.Contains(strings.ToLower(e.message), saysSum) || strings.Contains(strings.ToLower(e.message), \"checksum\")", "false"},
		mutation{"credentials that all can read", googleLogin, "if kind.Type != google.ExternalAccount {", "if false {"},
	)
}
