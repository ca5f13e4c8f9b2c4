package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	service    = "s3"

	dateLayout  = "20060102"
	stampLayout = "20060102T150405Z"

	// maxKeys bounds a keyring. One key serves an access key in a region for a day.
	maxKeys = 1024
)

// derivedKey is a signing key of one scope, with reusable MAC states.
type derivedKey struct {
	scope string // date/region/service/aws4_request
	key   [sha256.Size]byte
	macs  sync.Pool // of *mac
}

type mac struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

// derive computes the signing key of a scope.
// Source: "Signature Calculations for the Authorization Header", task 3, and "Deriving the signing key".
func derive(secret Secret, date, region, service string) *derivedKey {
	k := hmacSHA256([]byte("AWS4"+string(secret)), date)
	k = hmacSHA256(k, region)
	k = hmacSHA256(k, service)
	k = hmacSHA256(k, terminator)
	d := &derivedKey{scope: date + "/" + region + "/" + service + "/" + terminator}
	copy(d.key[:], k)
	d.macs.New = func() any { return &mac{h: hmac.New(sha256.New, d.key[:])} }
	return d
}

func hmacSHA256(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// sign writes the hex signature of text to dst.
func (d *derivedKey) sign(dst *[2 * sha256.Size]byte, text []byte) {
	m := d.macs.Get().(*mac)
	m.h.Reset()
	m.h.Write(text)
	hex.Encode(dst[:], m.h.Sum(m.sum[:0]))
	d.macs.Put(m)
}

// keyID names a derived key. The digest of the secret is part of it, so that a rotated secret is never served by the key
// of its predecessor.
type keyID struct {
	accessKey, date, region, service string
	secret                           [sha256.Size]byte
}

// keyring is a bounded cache of derived keys; its zero value is ready.
type keyring struct {
	mu   sync.RWMutex
	keys map[keyID]*derivedKey
	last atomic.Pointer[digested]
}

// digested is a secret and its digest.
type digested struct {
	secret Secret
	sum    [sha256.Size]byte
}

// digest is the SHA-256 of a secret. Most requests come with that of the one before.
func (k *keyring) digest(secret Secret) [sha256.Size]byte {
	if d := k.last.Load(); d != nil && d.secret == secret {
		return d.sum
	}
	d := &digested{secret, sha256.Sum256([]byte(secret))}
	k.last.Store(d)
	return d.sum
}

// get returns the key of a scope, and whether it was cached.
func (k *keyring) get(c Credential, date, region, service string) (id keyID, d *derivedKey, cached bool) {
	id = keyID{c.AccessKey, date, region, service, k.digest(c.Secret)}
	k.mu.RLock()
	d = k.keys[id]
	k.mu.RUnlock()
	if d != nil {
		return id, d, true
	}
	return id, derive(c.Secret, date, region, service), false
}

// put keeps a key. Verification calls it only after a signature matched, so that strangers cannot fill the ring.
func (k *keyring) put(id keyID, d *derivedKey) {
	id.accessKey, id.date = strings.Clone(id.accessKey), strings.Clone(id.date)
	id.region, id.service = strings.Clone(id.region), strings.Clone(id.service)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = make(map[keyID]*derivedKey)
	}
	for old := range k.keys { // an arbitrary one gives way
		if len(k.keys) < maxKeys {
			break
		}
		delete(k.keys, old)
	}
	k.keys[id] = d
}
