package azurekv

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"s3veil/crypto/kms"
)

// maxFile bounds a file; one of an RSA key with 4,096 bits is about 900 bytes.
const maxFile = 16 << 10

// wrappedKey is the content of a file: K, wrapped under one version of an RSA key.
type wrappedKey struct {
	version keyVersion
	value   []byte
}

// document is its form, that of an answer of wrapkey with the algorithm.
type document struct {
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
	Value     octets `json:"value"`
}

// readFile reads the file of a key. It holds no secret, but whoever could replace it could put a key of their own into it: so
// it must be this process's alone.
func readFile(name, key string) (*wrappedKey, error) {
	b, err := kms.ReadSecretFile(name, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("azurekv: there is no file %s; `s3veil keys wrap` makes it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("azurekv: %w", err)
	}
	return parseFile(b, name, key)
}

// parseFile takes exactly one document, for the key.
func parseFile(b []byte, name, key string) (*wrappedKey, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var d document
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("azurekv: %s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("azurekv: %s: more than one JSON document", name)
	}
	if d.Algorithm != algRSA {
		return nil, fmt.Errorf("azurekv: %s: algorithm %q is not %s", name, d.Algorithm, algRSA)
	}
	u, err := url.Parse(key)
	if err != nil {
		return nil, err
	}
	version, ok := versionOf(d.KeyID, keyPath.FindStringSubmatch(u.Path)[1])
	if !ok || !strings.EqualFold(d.KeyID, key+"/"+version.String()) {
		return nil, fmt.Errorf("azurekv: %s: wrapped under %q, not under %s", name, d.KeyID, key)
	}
	if len(d.Value) == 0 {
		return nil, fmt.Errorf("azurekv: %s: no value", name)
	}
	return &wrappedKey{version, d.Value}, nil
}

// MakeFile draws a key, has the newest version of the RSA key wrap it, and writes the file o.File that New reads. A file that
// is there already is never replaced, and nothing is written unless the vault gives the key back.
func MakeFile(ctx context.Context, o Options) error {
	p, err := prepare(o)
	if err != nil {
		return err
	}
	defer p.Close()
	f, err := os.OpenFile(o.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(p.writeFile(ctx, f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(o.File))
	}
	return nil
}

func (p *Provider) writeFile(ctx context.Context, w io.Writer) error {
	var key kms.Key32
	_, _ = rand.Read(key[:])
	defer key.Zero()
	value, version, err := p.call(ctx, p.name, "", "wrapkey", algRSA, key[:])
	if err != nil {
		return fmt.Errorf("azurekv: wrap under %s: %w", p.key, ofKey(err))
	}
	back, err := p.unwrap(ctx, p.name, version, algRSA, value)
	if err != nil {
		return fmt.Errorf("azurekv: unwrap under %s: %w", p.key, ofKey(err))
	}
	defer back.Zero()
	if subtle.ConstantTimeCompare(back[:], key[:]) != 1 {
		return fmt.Errorf("azurekv: %s gave another key back: %w", p.key, kms.ErrBadCiphertext)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(document{p.key + "/" + version.String(), algRSA, value})
}
