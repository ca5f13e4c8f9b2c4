package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"path"
	"strings"
	"sync"
)

// SigV4A signs with ECDSA over P-256, under a key pair that both sides derive from the secret, for a set of regions.
// Source: "Signing AWS API requests", "Key derivation for SigV4a"; FIPS 186-5 A.2.1 and SP 800-108 for the derivation.

const (
	algorithmECDSA   = "AWS4-ECDSA-P256-SHA256"
	hdrRegionSet     = "x-amz-region-set"
	paddedSignature  = 144 // hex digits of the longest signature; chunk headers are filled up to it
	signaturePadding = "*"
	// maxPublicKeys bounds the cache of derived keys; one serves an access key for good.
	maxPublicKeys = 1024
)

var errNoKeyPair = errors.New("sigv4: no key pair can be derived")

// deriveKeyPair derives the key pair of a credential.
func deriveKeyPair(accessKey string, secret Secret) (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	limit := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for counter := byte(1); counter < 255; counter++ {
		h := hmac.New(sha256.New, []byte("AWS4A"+string(secret)))
		h.Write(binary.BigEndian.AppendUint32(nil, 1))
		h.Write([]byte(algorithmECDSA))
		h.Write([]byte{0})
		h.Write([]byte(accessKey))
		h.Write([]byte{counter})
		h.Write(binary.BigEndian.AppendUint32(nil, 256))
		c := new(big.Int).SetBytes(h.Sum(nil))
		if c.Cmp(limit) > 0 {
			continue
		}
		return ecdsa.ParseRawPrivateKey(curve, c.Add(c, big.NewInt(1)).FillBytes(make([]byte, 32)))
	}
	return nil, errNoKeyPair
}

// publicKeys is a bounded cache of derived keys; its zero value is ready.
type publicKeys struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]*ecdsa.PublicKey
}

// get returns the public key of a credential. Only known access keys reach it, so that strangers cannot fill it.
func (p *publicKeys) get(c Credential) (*ecdsa.PublicKey, error) {
	id := sha256.Sum256([]byte(c.AccessKey + "\x00" + string(c.Secret)))
	p.mu.Lock()
	key := p.keys[id]
	p.mu.Unlock()
	if key != nil {
		return key, nil
	}
	pair, err := deriveKeyPair(c.AccessKey, c.Secret)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || len(p.keys) >= maxPublicKeys {
		p.keys = map[[sha256.Size]byte]*ecdsa.PublicKey{}
	}
	p.keys[id] = &pair.PublicKey
	return &pair.PublicKey, nil
}

// verifyECDSA checks a hex signature over a text.
func verifyECDSA(key *ecdsa.PublicKey, text []byte, signature string) bool {
	raw, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	digest := sha256.Sum256(text)
	return ecdsa.VerifyASN1(key, digest[:], raw)
}

// regionSet reports whether one of the regions of a set, which may hold wildcards, is accepted here.
func (v *Verifier) regionSet(set string) bool {
	for region := range strings.SplitSeq(set, ",") {
		region = strings.TrimSpace(region)
		if region == "" {
			continue
		}
		if ok, err := path.Match(region, v.Expected); region == "*" || err == nil && ok || v.Region(region) {
			return true
		}
	}
	return false
}

// chunkChecker checks the chain of chunk signatures that the request's own signature seeds.
type chunkChecker interface {
	// checkChunk and checkTrailer compare the claimed signature of what digest is the SHA-256 of.
	checkChunk(digest, claimed []byte) bool
	checkTrailer(digest, claimed []byte) bool
	// validLength reports whether a signature may have so many digits.
	validLength(n int) bool
	// fork returns an independent checker at the same place in the chain.
	fork() chunkChecker
}

func (c *chunkSigner) checkChunk(digest, claimed []byte) bool {
	return subtle.ConstantTimeCompare(c.chunk(digest), claimed) == 1
}

func (c *chunkSigner) checkTrailer(digest, claimed []byte) bool {
	return subtle.ConstantTimeCompare(c.trailer(digest), claimed) == 1
}

func (*chunkSigner) validLength(n int) bool { return n == 2*sha256.Size }
func (c *chunkSigner) fork() chunkChecker   { return c.clone() }

// asymmetricChunks is the chain of SigV4A. Signatures differ in length and are filled up with asterisks on the wire;
// signers differ in whether the padding is part of what the next signature covers, so that both are tried.
type asymmetricChunks struct {
	key          *ecdsa.PublicKey
	stamp, scope string
	prev         string
	buf          []byte
}

func (c *asymmetricChunks) checkChunk(digest, claimed []byte) bool {
	return c.check(algorithmECDSA+"-PAYLOAD\n", emptySHA256+"\n", digest, claimed)
}

func (c *asymmetricChunks) checkTrailer(digest, claimed []byte) bool {
	return c.check(algorithmECDSA+"-TRAILER\n", "", digest, claimed)
}

func (c *asymmetricChunks) check(head, middle string, digest, claimed []byte) bool {
	signature := strings.TrimRight(string(claimed), signaturePadding)
	previous := []string{c.prev}
	if n := paddedSignature - len(c.prev); n > 0 {
		previous = append(previous, c.prev+strings.Repeat(signaturePadding, n))
	}
	for _, prev := range previous {
		b := append(c.buf[:0], head...)
		for _, line := range []string{c.stamp, c.scope, prev} {
			b = append(append(b, line...), '\n')
		}
		b = append(b, middle...)
		c.buf = hex.AppendEncode(b, digest)
		if verifyECDSA(c.key, c.buf, signature) {
			c.prev = signature
			return true
		}
	}
	return false
}

func (*asymmetricChunks) validLength(n int) bool { return n > 0 && n <= paddedSignature }

func (c *asymmetricChunks) fork() chunkChecker {
	return &asymmetricChunks{key: c.key, stamp: c.stamp, scope: c.scope, prev: c.prev}
}
