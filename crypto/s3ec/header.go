// Package s3ec reads objects that the Amazon S3 Encryption Client wrote, versions 1 to 3 of its format. It writes none.
//
// FORMAT.md Appendix A is the specification. All functions work on bytes: the caller fetches metadata, instruction files
// and bodies. Nothing is returned before it has been authenticated, except the content of AES-CBC objects, which carry no
// authentication at all and are opened only where the caller asks for legacy objects.
package s3ec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// The error classes. Clients see one integrity error for all of them (FORMAT.md 12).
var (
	ErrAmbiguous   = errors.New("s3ec: signals of more than one version")
	ErrMalformed   = errors.New("s3ec: malformed metadata")
	ErrUnsupported = errors.New("s3ec: unsupported algorithm")
	ErrLegacy      = errors.New("s3ec: unauthenticated legacy algorithm, not switched on")
	ErrNoKey       = errors.New("s3ec: no configured key opens the object")
	ErrCommitment  = errors.New("s3ec: the key does not match the commitment")
	ErrContent     = errors.New("s3ec: the content is not authentic")
)

// Version is the version of the metadata format. None stands for an object without a signal.
type Version int

// The versions.
const (
	None Version = iota
	V1
	V2
	V3
)

// Cipher is how the content is encrypted.
type Cipher int

// The ciphers: suites 0x70, 0x72 and 0x73.
const (
	CBC        Cipher = 0x70 // AES-CBC with PKCS#5 padding, not authenticated
	GCM        Cipher = 0x72 // AES-GCM under the data key
	GCMDerived Cipher = 0x73 // AES-256-GCM under a key derived from the data key, with commitment
)

// Wrapping is how the data key is encrypted.
type Wrapping int

// The wrappings. KMS, AESWrap and ECB are legacy: they do not bind the content's algorithm.
const (
	KMSContext Wrapping = iota + 1
	AESGCM
	RSAOAEP
	KMS
	AESWrap
	ECB
)

// Header is what the metadata of an object says about its encryption.
type Header struct {
	Version  Version
	Cipher   Cipher
	Wrapping Wrapping

	EDK        []byte            // encrypted data key
	IV         []byte            // 16 bytes for CBC, 12 for GCM
	Commitment []byte            // 28 bytes, V3
	MessageID  []byte            // 28 bytes, V3
	Context    map[string]string // encryption context or description of the key
	PlainLen   int64             // as the writer declared it, -1 if it did not
}

const (
	tagLen     = 16
	committed  = 28
	maxEDK     = 4096 // more than any KMS or RSA key makes
	maxContext = 8192
	gcmName    = "AES/GCM/NoPadding"
	cbcName    = "AES/CBC/PKCS5Padding"
	derivedID  = "115" // 0x73 in decimal
	lengthName = "x-amz-unencrypted-content-length"
)

// names of V1 and V2, and of V3, all without the prefix of user metadata.
var (
	names12 = []string{"x-amz-iv", "x-amz-key", "x-amz-key-v2", "x-amz-wrap-alg", "x-amz-cek-alg", "x-amz-matdesc", "x-amz-tag-len"}
	names3  = []string{"x-amz-3", "x-amz-c", "x-amz-d", "x-amz-i", "x-amz-w", "x-amz-t", "x-amz-m"}
	// inFile are the names of V3 that an instruction file holds; the others stay with the object (FORMAT.md A.1).
	inFile = []string{"x-amz-3", "x-amz-w", "x-amz-t", "x-amz-m"}
)

// IsName reports whether a user metadata name, without "x-amz-meta-", belongs to the formats.
func IsName(name string) bool {
	return slices.Contains(names12, name) || slices.Contains(names3, name) || name == lengthName || name == "x-amz-crypto-instr-file"
}

// Detect says which version's signal user metadata carries. Names are in lower case and without "x-amz-meta-". An object
// of V3 whose key lies in an instruction file is V3 as well: Split reports it. Signals of several versions are
// ErrAmbiguous.
func Detect(meta map[string]string) (Version, error) {
	has := func(name string) bool { _, ok := meta[name]; return ok }
	v, n := None, 0
	for _, s := range []struct {
		is bool
		v  Version
	}{
		{has("x-amz-key"), V1}, {has("x-amz-key-v2"), V2}, {has("x-amz-3") || has("x-amz-d") || has("x-amz-i"), V3},
	} {
		if s.is {
			v = s.v
			n++
		}
	}
	if n > 1 {
		return None, ErrAmbiguous
	}
	other := names3
	if v == V3 {
		other = names12
	}
	for _, name := range other {
		if v != None && has(name) {
			return None, fmt.Errorf("%w: %s in version %d", ErrAmbiguous, name, v)
		}
	}
	return v, nil
}

// Split reports whether an object of V3 keeps its encrypted data key in an instruction file.
func Split(meta map[string]string) bool {
	_, key := meta["x-amz-3"]
	_, commitment := meta["x-amz-d"]
	return commitment && !key
}

// Parse reads the header from user metadata. legacy lets unauthenticated algorithms pass, which are ErrLegacy otherwise.
// Other errors are ErrAmbiguous, ErrMalformed and ErrUnsupported; metadata without a signal is ErrMalformed.
func Parse(meta map[string]string, legacy bool) (*Header, error) {
	v, err := Detect(meta)
	if err != nil {
		return nil, err
	}
	f := fields{meta: meta}
	h := &Header{Version: v, PlainLen: -1}
	switch v {
	case V1:
		f.v1(h)
	case V2:
		f.v2(h)
	case V3:
		f.v3(h)
	default:
		return nil, fmt.Errorf("%w: no signal", ErrMalformed)
	}
	if f.err != nil {
		return nil, f.err
	}
	if !legacy && (h.Cipher == CBC || h.Wrapping == KMS || h.Wrapping == AESWrap || h.Wrapping == ECB) {
		return nil, ErrLegacy
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// check holds the header against what its algorithms need.
func (h *Header) check() error {
	size := map[Cipher]int{CBC: 16, GCM: 12, GCMDerived: 12}[h.Cipher]
	if len(h.IV) != size {
		return fmt.Errorf("%w: initialisation vector of %d bytes", ErrMalformed, len(h.IV))
	}
	if h.PlainLen < -1 {
		return fmt.Errorf("%w: plaintext length", ErrMalformed)
	}
	// A key wrapped with kms+context must not be passed off as one of kms, whose content may be of any algorithm: the pair is
	// reserved, so no writer of kms has it.
	if _, bound := h.Context[boundAlgorithm]; h.Wrapping == KMS && bound {
		return fmt.Errorf("%w: the context of kms+context under kms", ErrMalformed)
	}
	if h.Wrapping != KMSContext {
		return nil
	}
	want := gcmName
	switch h.Cipher {
	case CBC:
		want = cbcName
	case GCMDerived:
		want = derivedID
	}
	if h.Context[boundAlgorithm] != want {
		return fmt.Errorf("%w: the context does not name the algorithm of the content", ErrMalformed)
	}
	return nil
}

// boundAlgorithm is the pair by which kms+context binds the algorithm of the content.
const boundAlgorithm = "aws:x-amz-cek-alg"

// fields reads metadata and keeps the first mistake.
type fields struct {
	meta map[string]string
	err  error
}

func (f *fields) fail(class error, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: "+format, append([]any{class}, args...)...)
	}
}

// bytes decodes base64 of n bytes, or of 1 to maxEDK if n is 0.
func (f *fields) bytes(name string, n int) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(f.meta[name])
	if err != nil || n > 0 && len(b) != n || len(b) == 0 || len(b) > maxEDK {
		f.fail(ErrMalformed, "%s", name)
		return nil
	}
	return b
}

func (f *fields) context(name string) map[string]string {
	c, err := parseContext(f.meta[name])
	if err != nil {
		f.fail(ErrMalformed, "%s: %v", name, err)
	}
	return c
}

func (f *fields) plainLen() int64 {
	s, ok := f.meta[lengthName]
	if !ok {
		return -1
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		f.fail(ErrMalformed, lengthName)
	}
	return int64(n)
}

func (f *fields) v1(h *Header) {
	h.Cipher, h.Wrapping = CBC, ECB
	h.EDK, h.IV = f.bytes("x-amz-key", 0), f.bytes("x-amz-iv", 16)
	h.Context, h.PlainLen = f.context("x-amz-matdesc"), f.plainLen()
	if len(h.EDK) > 48 {
		f.fail(ErrUnsupported, "key wrapped with RSA by version 1")
	}
}

func (f *fields) v2(h *Header) {
	switch alg := f.meta["x-amz-cek-alg"]; alg {
	case gcmName:
		h.Cipher = GCM
		if f.meta["x-amz-tag-len"] != "128" {
			f.fail(ErrUnsupported, "x-amz-tag-len %.10q", f.meta["x-amz-tag-len"])
		}
	case cbcName:
		h.Cipher = CBC
	default:
		f.fail(ErrUnsupported, "x-amz-cek-alg %.40q", alg)
	}
	switch alg := f.meta["x-amz-wrap-alg"]; alg {
	case "kms+context":
		h.Wrapping = KMSContext
	case "kms":
		h.Wrapping = KMS
	case "AES/GCM":
		h.Wrapping = AESGCM
	case "RSA-OAEP-SHA1":
		h.Wrapping = RSAOAEP
	case "AESWrap":
		h.Wrapping = AESWrap
	default:
		f.fail(ErrUnsupported, "x-amz-wrap-alg %.40q", alg)
	}
	h.EDK, h.IV = f.bytes("x-amz-key-v2", 0), f.bytes("x-amz-iv", 0)
	h.Context, h.PlainLen = f.context("x-amz-matdesc"), f.plainLen()
}

func (f *fields) v3(h *Header) {
	h.Cipher = GCMDerived
	if c := f.meta["x-amz-c"]; c != derivedID {
		f.fail(ErrUnsupported, "x-amz-c %.10q", c)
	}
	name, other := "x-amz-m", "x-amz-t"
	switch w := f.meta["x-amz-w"]; w {
	case "02":
		h.Wrapping = AESGCM
	case "12":
		h.Wrapping, name, other = KMSContext, "x-amz-t", "x-amz-m"
	case "22":
		h.Wrapping = RSAOAEP
	default:
		f.fail(ErrUnsupported, "x-amz-w %.10q", w)
	}
	if _, both := f.meta[other]; both {
		f.fail(ErrMalformed, "%s with x-amz-w %q", other, f.meta["x-amz-w"])
	}
	h.EDK, h.IV = f.bytes("x-amz-3", 0), fixedIV()
	h.Commitment, h.MessageID = f.bytes("x-amz-d", committed), f.bytes("x-amz-i", committed)
	h.Context, h.PlainLen = f.context(name), f.plainLen()
}

// fixedIV is the nonce of V3, whose key is used once: twelve bytes of 0x01.
func fixedIV() []byte {
	iv := make([]byte, 12)
	for i := range iv {
		iv[i] = 1
	}
	return iv
}
