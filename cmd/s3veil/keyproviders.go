package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"s3veil/crypto/kms"
	"s3veil/keycache"
)

// keyProvider is how one kind of KMS enters the configuration. Each has a file of its own, kms_<provider>.go, with its keys
// of the configuration (a struct that KMSKey inlines), check and open.
type keyProvider struct {
	// check reports the mistakes of an entry whose common keys are right.
	check func(l *loaded, path string, k *KMSKey)
	// open returns the provider of an entry. It reads files, but asks nothing of the KMS: one that is down must not keep the
	// process from starting. A provider with a Close method is closed a while after its entry has gone.
	// trust holds the CAs of ca_file, nil for the system's.
	open func(ctx context.Context, k *KMSKey, trust *tls.Config, log *slog.Logger) (kms.Provider, error)
}

// keyProviders are the kinds of this build beside local.
var keyProviders map[string]keyProvider

func init() { // here and not in the declaration, because checks refer to this table
	keyProviders = map[string]keyProvider{
		"awskms":  {checkAWSKMS, openAWSKMS},
		"transit": {checkTransit, openTransit},
		"gcpkms":  {checkGCP, openGCP},
		"azurekv": {checkAzure, openAzure},
		"pkcs11":  {checkPKCS11, openPKCS11},
	}
}

// checkProvider checks the keys of an entry that depend on its provider.
func (l *loaded) checkProvider(p string, k *KMSKey) {
	kind, known := keyProviders[k.Provider]
	switch {
	case k.Provider == "":
		l.wrong(p+".provider", "missing")
		return
	case k.Provider == "local" && k.File == "":
		l.wrong(p+".file", "missing; `s3veil keys new` makes one")
	case k.Provider != "local" && !known:
		l.wrong(p+".provider", "there is no provider %q", k.Provider)
		return
	}
	l.checkOwner(p, k.Provider, reflect.ValueOf(k).Elem())
	if known {
		kind.check(l, p, k)
	}
}

// checkOwner refuses keys that the tag `of` gives to other providers: a setting that does nothing would be worse.
func (l *loaded) checkOwner(p, provider string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		of, limited := f.Tag.Lookup("of")
		if !limited || v.Field(i).IsZero() || containsWord(of, provider) {
			continue
		}
		name, inline := yamlKey(f)
		if !inline {
			l.wrong(join(p, name), "is not a key of the provider %s", provider)
			continue
		}
		for j := range v.Field(i).NumField() {
			field := v.Field(i).Type().Field(j)
			if inner := v.Field(i).Field(j); !inner.IsZero() && plainText(inner) != plainText(l.defaultOf(field)) {
				name, _ := yamlKey(field)
				l.wrong(join(p, name), "is not a key of the provider %s", provider)
			}
		}
	}
}

// defaultOf is the value of a field that nobody has set.
func (l *loaded) defaultOf(f reflect.StructField) reflect.Value {
	v := reflect.New(f.Type).Elem()
	if text, ok := f.Tag.Lookup("default"); ok {
		if err := new(loader).scalar(text, v); err != nil {
			panic(f.Name + ": " + err.Error())
		}
	}
	return v
}

func containsWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// remoteKey opens the provider of an entry, or takes over that of an unchanged one, so that its sessions survive a reload.
func (w *wired) remoteKey(ctx context.Context, l *loaded, p string, k *KMSKey, old *kept, log *slog.Logger) {
	kind, ok := keyProviders[k.Provider]
	if !ok || k.ID == "" || l.hasMistakes(p) {
		return
	}
	text := plainText(reflect.ValueOf(k).Elem())
	trust, pem := l.trust(p, k)
	text += string(pem)
	print := sha256.Sum256([]byte(text))
	provider, ok := old.providers[print]
	if !ok {
		var err error
		if provider, err = kind.open(ctx, k, trust, log); err != nil {
			l.wrong(p, "%s", err)
			return
		}
	}
	w.kept.providers[print] = provider
	w.settings.KEKs = append(w.settings.KEKs, keycache.KEK{KID: k.ID, Provider: provider, Name: k.Key})
	for _, name := range append([]string{k.ID}, k.Aliases...) {
		w.settings.Families[name] = []string{k.ID}
	}
}

// trust returns the certificate authorities of an entry and their file's content, nothing for the system's.
func (l *loaded) trust(p string, k *KMSKey) (*tls.Config, []byte) {
	if k.CAFile == "" {
		return nil, nil
	}
	pem, _ := os.ReadFile(string(k.CAFile))
	return &tls.Config{RootCAs: l.pool(p+".ca_file", k.CAFile), MinVersion: tls.VersionTLS12}, pem
}

// plainText writes a value with everything in it, secrets included. It serves comparison alone.
func plainText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q;", v.String())
	case reflect.Struct:
		var b strings.Builder
		for i := range v.NumField() {
			b.WriteString(plainText(v.Field(i)))
		}
		return b.String()
	case reflect.Slice:
		var b strings.Builder
		fmt.Fprintf(&b, "%d:", v.Len())
		for i := range v.Len() {
			b.WriteString(plainText(v.Index(i)))
		}
		return b.String()
	case reflect.Bool:
		return fmt.Sprintf("%t;", v.Bool())
	default:
		return fmt.Sprintf("%d;", v.Int())
	}
}

// retireProviders closes what next does not use any more.
func (k *kept) retireProviders(next *kept) {
	for print, p := range k.providers {
		if _, stays := next.providers[print]; stays {
			continue
		}
		if c, ok := p.(io.Closer); ok {
			time.AfterFunc(closeAfter, func() { _ = c.Close() })
		}
	}
}
