package sigv4

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"hash"

	"s3veil/sigv4/checksum"
)

// hashBlock is how many bytes pass through all hashes at once, so that they stay in a near cache.
const hashBlock = 32 << 10

// sums computes every hash a body needs, each once, and compares them with what was promised.
type sums struct {
	hashes   [checksum.Last + 1]hash.Hash
	md5      hash.Hash
	active   []hash.Hash
	wantMD5  []byte
	payload  []byte // expected SHA-256 of the body, nil for none
	claim    string // what stands in its place and is no digest
	promised []Sum
	trailers []Sum
	want     checksum.Algorithm
}

func (s *sums) init(o *PayloadOptions) {
	s.promised, s.wantMD5, s.want = o.Sums, o.MD5, o.Want
	if o.Verified.Payload == PayloadHash {
		s.payload, s.claim = o.Verified.Hash[:], o.Verified.Claim
		s.need(checksum.SHA256)
	}
	for _, sum := range o.Sums {
		s.need(sum.Algorithm)
	}
	for _, name := range o.Trailer {
		if a, ok := checksum.FromHeader(name); ok {
			s.need(a)
		}
	}
	if o.Want != checksum.None {
		s.need(o.Want)
	}
	if o.MD5 != nil {
		s.md5 = md5.New()
		s.active = append(s.active, s.md5)
	}
}

func (s *sums) need(a checksum.Algorithm) {
	if s.hashes[a] == nil {
		s.hashes[a] = a.New()
		s.active = append(s.active, s.hashes[a])
	}
}

func (s *sums) write(b []byte) {
	for len(b) > 0 && len(s.active) > 0 {
		block := b
		if len(s.active) > 1 && len(b) > hashBlock {
			block = b[:hashBlock]
		}
		for _, h := range s.active {
			h.Write(block)
		}
		b = b[len(block):]
	}
}

func (s *sums) value(a checksum.Algorithm) []byte {
	if a == checksum.None {
		return nil
	}
	return s.hashes[a].Sum(nil)
}

func (s *sums) verify() *Error {
	if s.claim != "" {
		return errHash(s.claim, s.value(checksum.SHA256))
	}
	if s.payload != nil && !bytes.Equal(s.value(checksum.SHA256), s.payload) {
		return errHash(hex.EncodeToString(s.payload), s.value(checksum.SHA256))
	}
	if s.md5 != nil && !bytes.Equal(s.md5.Sum(nil), s.wantMD5) {
		return fail(codeBadDigest, "the Content-MD5 did not match what was received").
			field("ExpectedDigest", hex.EncodeToString(s.wantMD5)).field("CalculatedDigest", checksum.Encode(s.md5.Sum(nil)))
	}
	for _, list := range [][]Sum{s.promised, s.trailers} {
		for _, sum := range list {
			if !bytes.Equal(s.value(sum.Algorithm), sum.Value) {
				return fail(codeBadDigest, "the %s did not match the calculated checksum", sum.Algorithm).
					say("The %s you specified did not match the calculated checksum.", sum.Algorithm)
			}
		}
	}
	return nil
}

// CheckNothing holds a request without a body against what x-amz-content-sha256 says in place of a digest. Digests that are
// ones are held against bodies only.
func (v *Verified) CheckNothing() error {
	if v.Claim == "" {
		return nil
	}
	none := checksum.SHA256.New()
	return errHash(v.Claim, none.Sum(nil))
}

// errHash is a body that has another digest than its request says.
func errHash(claim string, computed []byte) *Error {
	return fail(codeHashMismatch, "the provided x-amz-content-sha256 does not match what was computed").
		field("ClientComputedContentSHA256", claim).field("S3ComputedContentSHA256", hex.EncodeToString(computed))
}
