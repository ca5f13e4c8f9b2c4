package mutation

// More files of the key providers.
const (
	awsProvider   = "crypto/kms/awskms/awskms.go"
	awsErrors     = "crypto/kms/awskms/errors.go"
	azureProvider = "crypto/kms/azurekv/azurekv.go"
	azureClient   = "crypto/kms/azurekv/client.go"
	azureErrors   = "crypto/kms/azurekv/errors.go"
	azureFile     = "crypto/kms/azurekv/file.go"
	azureLogin    = "crypto/kms/azurekv/login.go"
)

func init() {
	for _, file := range []string{azureProvider, azureClient, azureErrors, azureFile, azureLogin} {
		// All but the test with a store, which takes longest.
		filters[file] = "Contract|Wrap|Context|Rotation|Answers|Classes|Options|File|Login|Tokens|Request|Secrets"
	}
	filters[awsProvider], filters[awsErrors] = "Contract|Keys|Every|Answers|Names|Errors|Options|Request", "Contract|Errors"
	mutations = append(mutations,
		mutation{"the blob chooses the key of AWS", awsProvider, "&kms.DecryptInput{KeyId: &kek, ", "&kms.DecryptInput{"},
		mutation{"another key in the answer of AWS", awsProvider, "if len(out.Plaintext) != len(base.Key32{}) || !same(kek, out.KeyId) {\n		return base.Key32{}, odd(", "if len(out.Plaintext) != len(base.Key32{}) {\n		return base.Key32{}, odd("},
		mutation{"a short key of AWS", awsProvider, "	if len(out.Plaintext) != len(base.Key32{}) || !same(kek, out.KeyId) {\n		return base.Key32{}, odd(", "	out.Plaintext = append(out.Plaintext, make([]byte, 32)...)[:32]\n	if !same(kek, out.KeyId) {\n		return base.Key32{}, odd("},
		mutation{"context not sent to AWS", awsProvider, "DecryptInput{KeyId: &kek, EncryptionContext: ec,", "DecryptInput{KeyId: &kek, EncryptionContext: map[string]string{},"},
		mutation{"AWS is asked again and again", awsProvider, ", Retryer: aws.NopRetryer{}", ""},
		mutation{"keys of AWS over plain http", awsProvider, "u.Scheme == \"http\" && !loopback(u.Hostname())", "false"},
		mutation{"a disabled key of AWS is tried again", awsErrors, "\"DisabledException\": base.ErrKeyDisabled, ", ""},
		mutation{"a forged blob is an outage of AWS", awsErrors, "\"InvalidCiphertextException\": base.ErrBadCiphertext, ", ""},
		mutation{"RSA keys of Azure wrap intermediate keys", azureProvider, "		if host(o.Key, vaultHosts) {", "		if false {"},
		mutation{"context of a file's key", azureProvider, "return kms.SealBlob(&k, kms.LabelLocal, &key, ec), nil", "return kms.SealBlob(&k, kms.LabelLocal, &key, nil), nil"},
		mutation{"keys of other vaults", azureProvider, "if !ok || !keyPath.MatchString(\"/keys/\"+name) {", "if !ok {"},
		mutation{"the file of one key opens another's blobs", azureProvider, "	if kek != p.key {", "	if false {"},
		mutation{"another version in the answer of Azure", azureProvider, "	case answered != version:", "	case answered != answered:"},
		mutation{"a forged version is a missing key", azureProvider, "errors.Is(err, kms.ErrKeyNotFound) {\n		err = p.withoutVersion", "false {\n		err = p.withoutVersion"},
		mutation{"a short key of Azure", azureProvider, "	case len(out) != len(kms.Key32{}):", "	case len(out) == 0:"},
		mutation{"keys of Azure over plain http", azureProvider, "u.Scheme != \"https\" && (u.Scheme != \"http\" || !loopback(u.Hostname()))", "false"},
		mutation{"another key in the answer of Azure", azureClient, " || !strings.EqualFold(parts[2], name)", ""},
		mutation{"a disabled key of Azure is a refusal", azureErrors, "	case \"KeyDisabled\", ", "	case "},
		mutation{"files that all can change", azureFile, "b, err := kms.ReadSecretFile(name, maxFile)", "b, err := os.ReadFile(name)"},
		mutation{"files of another key", azureFile, "strings.EqualFold(d.KeyID, key+\"/\"+version.String())", "strings.EqualFold(d.KeyID, d.KeyID)"},
		mutation{"files of another algorithm", azureFile, "	if d.Algorithm != algRSA {", "	if false {"},
		mutation{"a file is replaced", azureFile, "os.O_WRONLY|os.O_CREATE|os.O_EXCL", "os.O_WRONLY|os.O_CREATE|os.O_TRUNC"},
		mutation{"a refused token is kept", azureLogin, "	l.source, l.current = nil, nil // azidentity", "	// azidentity"},
		mutation{"a login for every refusal of Azure", azureLogin, "	if time.Since(g.got) < loginAgain {", "	if false {"},
		mutation{"secrets of Azure print themselves", azureLogin, "// String returns a placeholder.\nfunc (Secret) String() string { return \"[secret]\" }", ""},
	)
}
