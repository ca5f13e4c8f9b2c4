package sigv4

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Error is a verification failure with the S3 error code that answers it.
type Error struct {
	Code   string // for example "SignatureDoesNotMatch"
	Reason string // for the operator; it never holds secrets, signatures or tokens
	Region string // expected region, where that of the scope is wrong
	Err    error  // what the body's source answered, nil else; never io.EOF or io.ErrUnexpectedEOF

	// Message is S3's text for the client, which may quote what it sent; empty where the code's usual text fits.
	Message string
	// Fields are further elements of S3's error document, for example AWSAccessKeyId. They are not for the log.
	Fields []Field
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
	codeInvalidChunkSize   = "InvalidChunkSizeError"
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
	reasonSignatureDiffers = "the computed signature differs"
)

func fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// say adds S3's own text for the client.
func (e *Error) say(format string, args ...any) *Error {
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// field adds an element of S3's error document.
func (e *Error) field(name, value string) *Error {
	e.Fields = append(e.Fields, Field{name, value})
	return e
}

// argument adds the elements by which S3 names a faulty header, parameter or field.
func (e *Error) argument(name, value string) *Error {
	return e.field("ArgumentName", name).field("ArgumentValue", value)
}

// signed adds what the signature was computed over, by which a client finds its mistake. All of it came from the client;
// the signature that was expected is not among it. S3's CanonicalRequest is left out: it repeats headers that hold keys.
func (e *Error) signed(accessKey, stringToSign, signature string) *Error {
	return e.field("AWSAccessKeyId", accessKey).field("StringToSign", stringToSign).
		field("SignatureProvided", strings.Clone(signature)).field("StringToSignBytes", fmt.Sprintf("% x", stringToSign))
}

// errOnlyV4 refuses signature version 2.
func errOnlyV4() *Error {
	return fail(codeInvalidRequest, reasonOnlyV4).
		say("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

// plainEnd reports whether err means an ordinary end of data, which no error of this package may wrap: encryption engines
// take both for the end of the plaintext.
func plainEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
