package sigv4

import (
	"errors"
	"fmt"
	"io"
)

// Error is a verification failure with the S3 error code that answers it.
type Error struct {
	Code   string // for example "SignatureDoesNotMatch"
	Reason string // for the operator; it never holds secrets, signatures or tokens
	Region string // expected region, for AuthorizationHeaderMalformed
	Err    error  // what the body's source answered, nil else; never io.EOF or io.ErrUnexpectedEOF
}

func (e *Error) Error() string {
	if e.Err != nil {
		return "sigv4: " + e.Code + ": " + e.Reason + ": " + e.Err.Error()
	}
	return "sigv4: " + e.Code + ": " + e.Reason
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// S3's codes, in the spelling of the error catalogue.
const (
	codeAccessDenied       = "AccessDenied"
	codeBadDigest          = "BadDigest"
	codeHashMismatch       = "XAmzContentSHA256Mismatch"
	codeHeaderMalformed    = "AuthorizationHeaderMalformed"
	codeIncompleteBody     = "IncompleteBody"
	codeInvalidAccessKey   = "InvalidAccessKeyId"
	codeInvalidArgument    = "InvalidArgument"
	codeInvalidDigest      = "InvalidDigest"
	codeInvalidPolicy      = "InvalidPolicyDocument"
	codeInvalidRequest     = "InvalidRequest"
	codeInvalidToken       = "InvalidToken"
	codeInvalidURI         = "InvalidURI"
	codeMalformedTrailer   = "MalformedTrailerError"
	codeMissingLength      = "MissingContentLength"
	codeNotImplemented     = "NotImplemented"
	codeQueryMalformed     = "AuthorizationQueryParametersError"
	codeRequestTimeout     = "RequestTimeout"
	codeSignatureMismatch  = "SignatureDoesNotMatch"
	codeTimeTooSkewed      = "RequestTimeTooSkewed"
	codeEntityTooLarge     = "EntityTooLarge"
	codeEntityTooSmall     = "EntityTooSmall"
	reasonOnlyV4           = "the authorization mechanism is not supported, please use AWS4-HMAC-SHA256"
	reasonAsymmetric       = "SigV4A (AWS4-ECDSA-P256-SHA256) is not implemented"
	reasonSignatureDiffers = "the computed signature differs"
)

func fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// plainEnd reports whether err means an ordinary end of data, which no error of this package may wrap: encryption engines
// take both for the end of the plaintext.
func plainEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
