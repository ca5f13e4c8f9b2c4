package envelope

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"s3veil/crypto/kms"
)

// The layout of FORMAT.md 9.1: version, BE16(u), upstream UploadId, envelope, MAC.
const (
	tokenVersion = 0x01
	tokenMAC     = 16
)

// SealToken encodes the upload token of FORMAT.md 9.1 as the UploadId that a client gets. env was sealed with Kind
// Token. upstreamID has 1–65,535 bytes; other lengths panic, as an upstream's answer is checked before. The caller holds
// the result against the limits of FORMAT.md 3.3.
func SealToken(upstreamID string, env *Sealed, dek *kms.Key32, loc Location) string {
	return rawURL.EncodeToString(SealTokenBytes(upstreamID, env, dek, loc))
}

// SealTokenBytes is SealToken before base64url: what a state object holds (FORMAT.md 9.1).
func SealTokenBytes(upstreamID string, env *Sealed, dek *kms.Key32, loc Location) []byte {
	if upstreamID == "" {
		panic("envelope: empty upstream UploadId")
	}
	mustFit(len(upstreamID))
	out := make([]byte, 0, 3+len(upstreamID)+len(env.raw)+tokenMAC)
	out = append(out, tokenVersion)
	out = append16(out, []byte(upstreamID))
	out = append(out, env.raw...)
	return append(out, uploadMAC(upstreamID, dek, loc)...)
}

// TokenLen returns the characters of the token for an upstream id and an envelope.
func TokenLen(upstreamID string, env *Sealed) int {
	return rawURL.EncodedLen(3 + len(upstreamID) + len(env.raw) + tokenMAC)
}

// uploadMAC binds the upstream id to the DEK, the bound bucket name and the key, whatever the binding level.
func uploadMAC(upstreamID string, dek *kms.Key32, loc Location) []byte {
	var in []byte
	in = appendLP(in, upstreamID)
	in = appendLP(in, loc.Bucket)
	mac := labelMAC(dek, labelUpload, appendLP(in, loc.Key))
	return mac[:tokenMAC]
}

// UploadToken is a parsed token that has not been opened: enough for Abort and ListParts. Nothing in it is
// authenticated before Open.
type UploadToken struct {
	UpstreamID string
	Envelope   *Sealed

	raw []byte
}

// Bytes returns the token before base64url. The slice belongs to the token.
func (t *UploadToken) Bytes() []byte { return t.raw }

// ParseToken parses a token; every failure is ErrToken. What was accepted is reproduced by encoding Bytes.
func ParseToken(text string) (*UploadToken, error) {
	b, ok := decode64(text)
	if !ok {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrToken)
	}
	return parseToken(b)
}

// parseToken takes over b.
func parseToken(b []byte) (*UploadToken, error) {
	if len(b) < 1 || b[0] != tokenVersion {
		return nil, fmt.Errorf("%w: version", ErrToken)
	}
	id, at, ok := take16(b, 1)
	if !ok || len(id) == 0 || len(b)-at < tokenMAC {
		return nil, fmt.Errorf("%w: lengths", ErrToken)
	}
	env, err := parse(slices.Clone(b[at : len(b)-tokenMAC]))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrToken, err)
	}
	if env.h.Kind != Multipart || env.h.SealedMeta {
		return nil, fmt.Errorf("%w: flags", ErrToken)
	}
	return &UploadToken{UpstreamID: string(id), Envelope: env, raw: b}, nil
}

// Open opens the envelope, then checks the MAC (FORMAT.md 9.1). bound is IKEK' (kms.Bind). Every failure is ErrToken.
func (t *UploadToken) Open(bound *kms.Key32, loc Location) (*Attributes, error) {
	a, err := t.Envelope.Open(bound, loc, Token)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrToken, err)
	}
	mac := t.raw[len(t.raw)-tokenMAC:]
	if subtle.ConstantTimeCompare(uploadMAC(t.UpstreamID, &a.DEK, loc), mac) != 1 {
		a.Zero()
		return nil, fmt.Errorf("%w: MAC differs", ErrToken)
	}
	return a, nil
}

// ParseStateToken parses the content of the state object whose name carries digest: a token before base64url, or the text of
// PairID. The upstream id inside must hash to digest (FORMAT.md 9.1). Every failure is ErrToken.
func ParseStateToken(digest [32]byte, content []byte) (t Tokens, err error) {
	if text, ok := strings.CutPrefix(string(content), pairIDPrefix); ok {
		t, err = parsePair(text)
	} else {
		t.Token, err = parseToken(slices.Clone(content))
	}
	if err != nil {
		return Tokens{}, err
	}
	if sha256.Sum256([]byte(t.Token.UpstreamID)) != digest {
		return Tokens{}, fmt.Errorf("%w: state object of another upload", ErrToken)
	}
	return t, nil
}
