package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/local"
	"s3veil/keycache"
	"s3veil/proxy"
)

// defaultKeyID is the family that `s3veil keys new` and `s3veil dev` make.
const defaultKeyID = "main"

// openKeyFile is a key file in use, with what it looked like when it was opened.
type openKeyFile struct {
	*local.File
	info os.FileInfo
}

// closeAfter is how long the keys of a replaced file stay in memory: calls that began before the reload may still use them.
const closeAfter = time.Minute

// keys opens every key file and every KMS, and collects what the configured ids and aliases stand for.
func (w *wired) keys(ctx context.Context, l *loaded, old *kept, log *slog.Logger) {
	w.settings.Families = map[string][]string{}
	owner := map[string]string{}
	for i := range l.KMS.Keys {
		k, p := &l.KMS.Keys[i], index("kms.keys", i)
		if k.Provider != "local" {
			w.remoteKey(ctx, l, p, k, old, log)
			continue
		}
		if k.File == "" || k.ID == "" {
			continue
		}
		f := w.keyFile(l, p+".file", k.File, old)
		if f == nil {
			continue
		}
		if _, err := f.Resolve(k.ID); err != nil && !(errors.Is(err, kms.ErrKeyDisabled) && !l.wraps(k)) {
			l.wrong(p+".file", "%s: %s", k.File, keyProblem(f.File, k.ID, err))
			continue
		}
		kids := f.Family(k.ID)
		for _, kid := range kids {
			if other, taken := owner[kid]; taken {
				l.wrong(p+".id", "%s has key %q, which %s has too", k.File, kid, other)
				continue
			}
			owner[kid] = p
			w.settings.KEKs = append(w.settings.KEKs, keycache.KEK{KID: kid, Provider: f.Provider(), Name: kid})
		}
		for _, name := range append([]string{k.ID}, k.Aliases...) {
			w.settings.Families[name] = kids
		}
	}
}

// keyFile opens a key file, or takes over an unchanged one; nil after a mistake.
func (w *wired) keyFile(l *loaded, path string, name Path, old *kept) *openKeyFile {
	if f := w.kept.files[name]; f != nil {
		return f // two ids in one file
	}
	info := l.files.add(string(name))
	f := old.files[name]
	if f == nil || !same(f.info, info) {
		file, err := local.Open(string(name))
		if err != nil {
			l.wrong(path, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
			return nil
		}
		f = &openKeyFile{file, info}
	}
	w.kept.files[name] = f
	return f
}

// wraps reports whether some bucket's new objects are under a key. One that only reads may have no active key any more: a
// key that is disabled while objects are under it stops at once, and requests name it (400 KMS.DisabledException).
func (l *loaded) wraps(k *KMSKey) bool {
	return slices.ContainsFunc(l.buckets(), func(b proxy.Bucket) bool { return b.Key == k.ID || slices.Contains(k.Aliases, b.Key) })
}

// keyProblem says why an id cannot be used with a key file.
func keyProblem(f *local.File, id string, err error) string {
	if errors.Is(err, kms.ErrKeyDisabled) {
		return "no active key of " + id
	}
	var ids []string
	for _, k := range f.List() {
		ids = append(ids, k.ID)
	}
	return "no key " + id + ", only " + strings.Join(ids, ", ")
}

// retire closes the key files of k that next does not use any more, once nothing can be using them.
func (k *kept) retire(next *kept) {
	k.retireProviders(next)
	next.retired = append(next.retired, k.retired...)
	for name, f := range k.files {
		if next.files[name] != f {
			next.retired = append(next.retired, f)
			time.AfterFunc(closeAfter, f.Close)
		}
	}
}

// close overwrites the keys of every file, those of the last minute's reloads too, when the process ends.
func (k *kept) close() {
	for _, f := range k.files {
		f.Close()
	}
	for _, f := range k.retired {
		f.Close()
	}
	for _, p := range k.providers {
		if c, ok := p.(io.Closer); ok {
			_ = c.Close()
		}
	}
}
