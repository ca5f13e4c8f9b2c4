package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"math"

	"s3veil/crypto/kdf"
	"s3veil/crypto/kms"
)

// The labels of FORMAT.md 3.1 that this package uses.
const (
	labelCommit = "s3veil/1/commit"
	labelSeal   = "s3veil/1/seal"
	labelAAD    = "s3veil/1/aad"
	labelMeta   = "s3veil/1/meta"
	labelUpload = "s3veil/1/uploadid"
)

// random is the source of DEKs, object ids and salts; tests replace it.
var random io.Reader = rand.Reader

// draw fills b from the operating system's generator, whose failure ends the program.
func draw(b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic("envelope: no randomness: " + err.Error())
	}
}

// NewDEK draws the data-encryption key of one object. What it is drawn into is overwritten: the caller has the only copy.
func NewDEK() kms.Key32 {
	var k kms.Key32
	defer k.Zero()
	draw(k[:])
	return k
}

// NewObjectID draws the identity of one envelope.
func NewObjectID() ObjectID {
	var id ObjectID
	draw(id[:])
	return id
}

// Seal draws a salt and seals attributes under IKEK' (kms.Bind) (FORMAT.md 5.6). h.Kind says which attributes are
// written; attributes that the kind does not have are an error, except Length, MetaMAC and Created, which are left out.
// Neither h nor a is kept. Errors wrap the class that a reader of such an envelope would report.
func Seal(h Header, bound *kms.Key32, loc Location, a *Attributes) (*Sealed, error) {
	if err := checkHeader(&h); err != nil {
		return nil, err
	}
	if len(loc.Realm) < 1 || len(loc.Realm) > maxRealm {
		return nil, fmt.Errorf("%w: realm of %d bytes", ErrMalformed, len(loc.Realm))
	}
	if err := checkAttributes(h.Kind, h.Padded, a); err != nil {
		return nil, err
	}
	plain := encodeAttributes(h.Kind, a)
	defer clear(plain)
	at := clearLen(&h)
	raw := make([]byte, 0, at+saltLen+commitLen+len(plain)+tagLen)
	raw = appendClear(raw, &h, a.SealedMeta != nil)
	raw = raw[:at+saltLen]
	draw(raw[at:])
	commit, key := derive(bound, raw[at:])
	defer clear(key[:])
	raw = append(raw, commit[:]...)
	s := &Sealed{raw: raw, saltAt: at}
	return parse(aead(&key).Seal(raw, zeroNonce[:], plain, s.additional(loc, h.Binding)))
}

// Open checks the commitment, opens the box and parses the attributes as those of kind (FORMAT.md 5.7 steps 6–8).
// bound is IKEK' (kms.Bind). Errors wrap ErrCommitment, ErrEnvelope, ErrUnsupported (an attribute that a reader must
// understand) or ErrMalformed (a length beyond the limits). The caller overwrites the DEK when it is done with it.
func (s *Sealed) Open(bound *kms.Key32, loc Location, kind Kind) (*Attributes, error) {
	if kind > Token || (kind == SinglePut) != (s.h.Kind == SinglePut) {
		return nil, fmt.Errorf("%w: flags of another kind", ErrEnvelope)
	}
	commit, key := derive(bound, s.salt())
	defer clear(key[:])
	if subtle.ConstantTimeCompare(commit[:], s.commit()) != 1 {
		return nil, ErrCommitment
	}
	plain, err := aead(&key).Open(nil, zeroNonce[:], s.box(), s.additional(loc, s.h.Binding))
	if err != nil {
		return nil, fmt.Errorf("%w: authentication failed", ErrEnvelope)
	}
	defer clear(plain)
	return decodeAttributes(kind, &s.h, plain)
}

// additional is the AAD of FORMAT.md 5.5. kid, wrapped key and pairs are outside: the commitment covers them.
func (s *Sealed) additional(loc Location, level Binding) []byte {
	loc = loc.Bound(level)
	aad := make([]byte, 0, len(labelAAD)+6*4+headLen+saltLen+commitLen+len(loc.Realm)+len(loc.Bucket)+len(loc.Key))
	aad = append(aad, labelAAD...)
	aad = appendLP(aad, s.head())
	aad = appendLP(aad, s.salt())
	aad = appendLP(aad, s.commit())
	aad = appendLP(aad, loc.Realm)
	aad = appendLP(aad, loc.Bucket)
	return appendLP(aad, loc.Key)
}

// derive returns commit and K_seal (FORMAT.md 5.6). The caller overwrites the key.
func derive(bound *kms.Key32, salt []byte) (commit, key [kdf.Size]byte) {
	var prk [kdf.Size]byte
	kdf.Extract(&prk, bound[:], salt)
	kdf.Expand(&commit, &prk, labelCommit)
	kdf.Expand(&key, &prk, labelSeal)
	clear(prk[:])
	return commit, key
}

// zeroNonce is used under keys that seal once (FORMAT.md 5.6).
var zeroNonce [12]byte

func aead(key *[kdf.Size]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	return gcm
}

// must panics on errors that only a wrong key length or a disabled primitive can cause.
func must(err error) {
	if err != nil {
		panic("envelope: " + err.Error())
	}
}

// mustFit guards lengths that are written as BE16.
func mustFit(n int) {
	if n > math.MaxUint16 {
		panic("envelope: field too long")
	}
}
