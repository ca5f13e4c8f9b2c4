package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"s3veil/crypto/kms"
	"s3veil/crypto/s3ec"
	"s3veil/proxy"
)

// Foreign says how a bucket reads objects of the Amazon S3 Encryption Client.
type Foreign struct {
	// Reads them, formats 2 and 3; see MIGRATION.md.
	Read bool `yaml:"read" default:"false"`
	// Reads unauthenticated ones too: format 1, AES-CBC, the wrappings `kms` and `AESWrap`.
	Legacy bool `yaml:"legacy" default:"false"`
	// Looks for "<key>.instruction" beside objects that name no key.
	InstructionFiles bool `yaml:"instruction_files" default:"false"`
	// Largest object that is verified in memory before its first byte leaves, charged to `limits.memory`, of which such objects
	// take three quarters at most. Larger ones can be copied, but not read.
	MaxObject Size `yaml:"max_object" default:"16MiB"`
	// Streams larger ones: a forged object is cut off before its last 16 KiB, but what came before has left.
	InsecureDelayedAuthentication bool `yaml:"insecure_delayed_authentication" default:"false"`
	// The keys of the former writers; each that suits an object is tried in this order.
	Keys []ForeignKey `yaml:"keys"`
}

// ForeignKey is one key of the S3 Encryption Client: exactly one of its three kinds.
type ForeignKey struct {
	// Id of a key of the provider `awskms` under kms.keys.
	KMS string `yaml:"kms"`
	// Pairs `name=value` of the encryption context that the writer was configured with, beside those of the format.
	Context []string `yaml:"context"`
	// File with an AES-256 key: 32 bytes, or their base64.
	AESFile Path `yaml:"aes_file"`
	// PEM file with an RSA private key (PKCS#8 or PKCS#1).
	RSAFile Path `yaml:"rsa_file"`
}

func (l *loaded) checkForeign(p string, f *Foreign) {
	if !f.Read {
		for _, c := range []struct {
			key string
			on  bool
		}{{"legacy", f.Legacy}, {"instruction_files", f.InstructionFiles}, {"keys", len(f.Keys) > 0},
			{"insecure_delayed_authentication", f.InsecureDelayedAuthentication}} {
			if c.on {
				l.wrong(p+"."+c.key, "does nothing without foreign.read")
			}
		}
		return
	}
	if len(f.Keys) == 0 {
		l.wrong(p+".keys", "missing: there is nothing to decrypt with")
	}
	if f.MaxObject > l.Limits.Memory {
		l.wrong(p+".max_object", "must not be above limits.memory")
	}
	for i := range f.Keys {
		k, at := &f.Keys[i], index(p+".keys", i)
		kinds := 0
		for _, set := range []bool{k.KMS != "", k.AESFile != "", k.RSAFile != ""} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			l.wrong(at, "needs exactly one of kms, aes_file and rsa_file")
		}
		if len(k.Context) > 0 && k.KMS == "" {
			l.wrong(at+".context", "is for keys of a KMS")
		}
		for j, pair := range k.Context {
			if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
				l.wrong(index(at+".context", j), "%q is not name=value", pair)
			}
		}
		l.checkForeignKMS(at+".kms", k.KMS)
	}
}

func (l *loaded) checkForeignKMS(path, id string) {
	for i := range l.KMS.Keys {
		if k := &l.KMS.Keys[i]; id == "" || k.ID == id {
			if id != "" && k.Provider != "awskms" {
				l.wrong(path, "%s is not a key of the provider awskms", id)
			}
			return
		}
	}
	l.wrong(path, "there is no key %q under kms.keys", id)
}

// foreign opens the keys of a bucket that reads foreign objects, nil for others.
func (w *wired) foreign(l *loaded, p string, f *Foreign) *proxy.Foreign {
	if !f.Read {
		return nil
	}
	out := &proxy.Foreign{Keys: &s3ec.Keys{}, Legacy: f.Legacy, InstructionFiles: f.InstructionFiles, MaxObject: int64(f.MaxObject),
		Delayed: f.InsecureDelayedAuthentication}
	for i := range f.Keys {
		k, at := &f.Keys[i], index(p+".keys", i)
		switch {
		case k.AESFile != "":
			l.addAES(at+".aes_file", k.AESFile, out.Keys)
		case k.RSAFile != "":
			l.addRSA(at+".rsa_file", k.RSAFile, out.Keys)
		case k.KMS != "":
			w.addKMS(k, out.Keys)
		}
	}
	return out
}

func (w *wired) addKMS(k *ForeignKey, to *s3ec.Keys) {
	pairs := map[string]string{}
	for _, pair := range k.Context {
		name, value, _ := strings.Cut(pair, "=")
		pairs[name] = value
	}
	for _, kek := range w.settings.KEKs {
		if kek.KID == k.KMS {
			to.KMS = append(to.KMS, s3ec.KMSKey{Provider: kek.Provider, Key: kek.Name, Context: pairs})
		}
	}
}

func (l *loaded) addAES(path string, file Path, to *s3ec.Keys) {
	raw, ok := l.readPrivate(path, file)
	if !ok {
		return
	}
	defer clear(raw)
	if len(raw) != len(kms.Key32{}) {
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
		defer clear(decoded)
		if err != nil || len(decoded) != len(kms.Key32{}) {
			l.wrong(path, "%s: neither 32 bytes nor the base64 of 32 bytes", file)
			return
		}
		raw = decoded
	}
	to.AES = append(to.AES, kms.Key32(raw))
}

func (l *loaded) addRSA(path string, file Path, to *s3ec.Keys) {
	raw, ok := l.readPrivate(path, file)
	if !ok {
		return
	}
	defer clear(raw)
	key, err := parseRSA(raw)
	if err != nil {
		l.wrong(path, "%s: %s", file, err)
		return
	}
	to.RSA = append(to.RSA, key)
}

func parseRSA(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("neither PKCS#8 nor PKCS#1")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return key, nil
}
