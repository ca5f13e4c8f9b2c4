package s3err

import (
	"context"
	"errors"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/manifest"
	"s3veil/crypto/s3ec"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy/budget"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// The classes of FORMAT.md 12.
const (
	ClassPlaintext       = "plaintext"
	ClassAmbiguous       = "ambiguous"
	ClassMalformed       = "malformed"
	ClassUnsupported     = "unsupported"
	ClassKEKDenied       = "kek-denied"
	ClassKEKUnavailable  = "kek-unavailable"
	ClassCommitment      = "commitment"
	ClassEnvelope        = "envelope"
	ClassLength          = "length"
	ClassStream          = "stream"
	ClassManifestMissing = "manifest-missing"
	ClassManifest        = "manifest"
	ClassMetadata        = "metadata"
	ClassToken           = "token"
)

// Integrity is the one answer of all classes marked * in FORMAT.md 12: class and cause reach the operator only.
func Integrity(class string, cause error) Error {
	e := ObjectIntegrityError
	e.Class, e.Cause = class, cause
	return e
}

// From maps any error to its answer: an Error in the chain as it is, the sentinels of crypto, keycache, kms, sigv4 and
// upstream by the tables of docs/OPERATIONS.md 1 and FORMAT.md 12, everything else to InternalError. nil is InternalError too.
// Its cause is err itself, so that the log sees the whole chain.
func From(err error) Error {
	if own, direct := err.(Error); direct {
		return own
	}
	var own Error
	if errors.As(err, &own) {
		return own.With(err)
	}
	var signature *sigv4.Error
	if errors.As(err, &signature) {
		return fromSignature(signature).With(err)
	}
	for _, row := range sentinels {
		if row.is != nil && errors.Is(err, row.is) {
			e := row.answer.With(err)
			e.Class = row.class
			return e
		}
	}
	return InternalError.With(err)
}

func fromSignature(s *sigv4.Error) Error {
	e, ok := Lookup(s.Code)
	if !ok {
		return InternalError
	}
	if e.Code == AuthorizationHeaderMalformed.Code && s.Region != "" {
		e.Message = Region("", s.Region).Message
	}
	if s.Message != "" {
		e.Message = s.Message
	}
	for _, f := range s.Fields {
		e = e.Field(f.Name, f.Value)
	}
	if s.Region != "" { // in every form of a signature: SDKs correct themselves by it
		e = e.Field("Region", s.Region)
	}
	return e
}

// sentinels is tried from top to bottom. The KMS comes first, because an upload token or an envelope that cannot be opened
// for want of a key keeps the class of the KMS (FORMAT.md 9.1); narrow classes precede wide ones.
var sentinels = []struct {
	is     error
	answer Error
	class  string
}{
	{s3ec.ErrNoKey, AccessDenied, ClassKEKDenied}, // whatever the keys that did not fit answered
	{kms.ErrAccessDenied, AccessDenied, ClassKEKDenied},
	{kms.ErrKeyDisabled, KMSDisabled, ClassKEKDenied},
	{kms.ErrKeyNotFound, KMSNotFound, ClassKEKDenied},
	{kms.ErrThrottled, ServiceUnavailable, ClassKEKUnavailable},
	{kms.ErrUnavailable, ServiceUnavailable, ClassKEKUnavailable},
	{keycache.ErrMissLimit, SlowDown, ""},
	{envelope.ErrToken, NoSuchUpload, ClassToken},
	{kms.ErrBadCiphertext, ObjectIntegrityError, ClassEnvelope},
	{envelope.ErrMalformed, ObjectIntegrityError, ClassMalformed},
	{envelope.ErrUnsupported, ObjectIntegrityError, ClassUnsupported},
	{envelope.ErrCommitment, ObjectIntegrityError, ClassCommitment},
	{envelope.ErrEnvelope, ObjectIntegrityError, ClassEnvelope},
	{envelope.ErrMetadata, ObjectIntegrityError, ClassMetadata},
	{s3ec.ErrAmbiguous, ObjectIntegrityError, ClassAmbiguous},
	{s3ec.ErrMalformed, ObjectIntegrityError, ClassMalformed},
	{s3ec.ErrUnsupported, ObjectIntegrityError, ClassUnsupported},
	{s3ec.ErrLegacy, ObjectIntegrityError, ClassUnsupported},
	{s3ec.ErrCommitment, ObjectIntegrityError, ClassCommitment},
	{s3ec.ErrContent, ObjectIntegrityError, ClassStream},
	{manifest.ErrMalformed, ObjectIntegrityError, ClassMalformed},
	{manifest.ErrUnsupported, ObjectIntegrityError, ClassUnsupported},
	{manifest.ErrManifest, ObjectIntegrityError, ClassManifest},
	{stream.ErrStream, ObjectIntegrityError, ClassStream},
	{size.ErrSize, ObjectIntegrityError, ClassLength},
	{budget.ErrSlowDown, SlowDown, ""},
	{upstream.ErrBusy, SlowDown, ""},
	{upstream.ErrNeedsSignature, AccessDenied, ""},
	{upstream.ErrRefused, InternalError, ""},
	{upstream.ErrUnavailable, ServiceUnavailable, ""},
	{context.DeadlineExceeded, ServiceUnavailable, ""},
	{context.Canceled, ServiceUnavailable, ""},
}
