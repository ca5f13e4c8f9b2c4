package envelope

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// StatePrefix is where state objects lie (FORMAT.md 9.7).
const StatePrefix = ".s3veil/u/"

const (
	pairIDPrefix   = "2."
	stateIDPrefix  = "1."
	listedIDPrefix = "0."
)

// Form is one of the forms of an UploadId (FORMAT.md 9.1).
type Form byte

// The forms of UploadIds.
const (
	FormToken  Form = iota // the token itself
	FormState              // 1.<base64url of the SHA-256 of the upstream id>: the token lies in a state object
	FormListed             // 0.<base64url of the upstream id>: enough for Abort and ListParts
)

// UploadID is a parsed UploadId. Only the fields of its form are set.
type UploadID struct {
	Form     Form
	Tokens            // FormToken, not opened
	State    [32]byte // FormState: SHA-256 of the upstream id
	Upstream string   // FormListed: the upstream id, not authenticated
}

// Tokens are what continues an upload: its token, and under a customer's key a second one with which a Complete that does
// not present the key can seal the manifest (FORMAT.md 9.1). Neither is opened.
type Tokens struct {
	Token      *UploadToken
	Completion *UploadToken // nil for uploads without a customer's key
}

// PairID returns the UploadId of an upload under a customer's key. Both tokens are those of one upstream id.
func PairID(token, completion string) string { return pairIDPrefix + token + "." + completion }

// parsePair parses what stands behind "2.".
func parsePair(text string) (Tokens, error) {
	first, second, _ := strings.Cut(text, ".")
	token, err := ParseToken(first)
	if err != nil {
		return Tokens{}, err
	}
	completion, err := ParseToken(second)
	if err != nil {
		return Tokens{}, err
	}
	// The binding level seals the manifest, and of the token without its key nothing else is authenticated.
	if token.UpstreamID != completion.UpstreamID || token.Envelope.h.KID != CustomerKID || completion.Envelope.h.KID == CustomerKID ||
		token.Envelope.h.Binding != completion.Envelope.h.Binding {
		return Tokens{}, fmt.Errorf("%w: tokens that are no pair", ErrToken)
	}
	return Tokens{token, completion}, nil
}

// EntryDigest is what a completion token knows the object by: SHA-256 of its s3veil entry.
func EntryDigest(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// StateID returns the 45-character UploadId of state-object mode.
func StateID(upstreamID string) string {
	sum := sha256.Sum256([]byte(upstreamID))
	return stateIDPrefix + rawURL.EncodeToString(sum[:])
}

// StateName returns the key of the state object of an upstream id.
func StateName(upstreamID string) string { return StateNameOf(sha256.Sum256([]byte(upstreamID))) }

// StateNameOf returns the key of the state object of an upstream id's SHA-256.
func StateNameOf(digest [32]byte) string { return StatePrefix + hex.EncodeToString(digest[:]) }

// ParseStateName is the inverse of StateNameOf; ok is false for every other key.
func ParseStateName(key string) (digest [32]byte, ok bool) {
	text, ok := strings.CutPrefix(key, StatePrefix)
	if !ok || len(text) != 64 || strings.ToLower(text) != text {
		return digest, false
	}
	_, err := hex.Decode(digest[:], []byte(text))
	return digest, err == nil
}

// ListedID returns the UploadId that ListMultipartUploads shows where the token is not known.
func ListedID(upstreamID string) string {
	return listedIDPrefix + rawURL.EncodeToString([]byte(upstreamID))
}

// ParseUploadID parses an UploadId of any form; a dot never occurs in a token. Every failure is ErrToken.
func ParseUploadID(text string) (UploadID, error) {
	if rest, ok := strings.CutPrefix(text, stateIDPrefix); ok {
		sum, ok := decode64(rest)
		if !ok || len(sum) != sha256.Size {
			return UploadID{}, fmt.Errorf("%w: state id", ErrToken)
		}
		return UploadID{Form: FormState, State: [32]byte(sum)}, nil
	}
	if rest, ok := strings.CutPrefix(text, listedIDPrefix); ok {
		id, ok := decode64(rest)
		if !ok || len(id) == 0 {
			return UploadID{}, fmt.Errorf("%w: listed id", ErrToken)
		}
		return UploadID{Form: FormListed, Upstream: string(id)}, nil
	}
	if rest, ok := strings.CutPrefix(text, pairIDPrefix); ok {
		pair, err := parsePair(rest)
		return UploadID{Form: FormToken, Tokens: pair}, err
	}
	t, err := ParseToken(text)
	if err != nil {
		return UploadID{}, err
	}
	return UploadID{Form: FormToken, Tokens: Tokens{Token: t}}, nil
}
