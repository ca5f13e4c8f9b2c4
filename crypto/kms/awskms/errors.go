package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	base "s3veil/crypto/kms"
)

// classes are the error codes of the API reference, "Common Errors" included.
var classes = map[string]error{
	"AccessDeniedException": base.ErrAccessDenied, "AccessDenied": base.ErrAccessDenied, "NotAuthorized": base.ErrAccessDenied,
	"UnrecognizedClientException": base.ErrAccessDenied, "InvalidSignatureException": base.ErrAccessDenied,
	"InvalidClientTokenId": base.ErrAccessDenied, "ExpiredTokenException": base.ErrAccessDenied, "MissingAuthenticationToken": base.ErrAccessDenied,
	"OptInRequired": base.ErrAccessDenied, "IncompleteSignature": base.ErrAccessDenied, "InvalidGrantTokenException": base.ErrAccessDenied,

	"DisabledException": base.ErrKeyDisabled, "KMSInvalidStateException": base.ErrKeyDisabled,
	"NotFoundException": base.ErrKeyNotFound, "InvalidKeyUsageException": base.ErrKeyNotFound, "InvalidArnException": base.ErrKeyNotFound,
	"InvalidAliasNameException": base.ErrKeyNotFound,

	"ThrottlingException": base.ErrThrottled, "Throttling": base.ErrThrottled, "LimitExceededException": base.ErrThrottled,
	"RequestLimitExceeded": base.ErrThrottled, "TooManyRequestsException": base.ErrThrottled,

	"InvalidCiphertextException": base.ErrBadCiphertext, "IncorrectKeyException": base.ErrBadCiphertext,

	"KeyUnavailableException": base.ErrUnavailable, "DependencyTimeoutException": base.ErrUnavailable,
	"KMSInternalException": base.ErrUnavailable, "InternalFailure": base.ErrUnavailable, "ServiceUnavailable": base.ErrUnavailable,
	"RequestExpired": base.ErrUnavailable,
}

// stale are the refusals of credentials that may have been replaced.
var stale = map[string]bool{"ExpiredTokenException": true, "UnrecognizedClientException": true, "InvalidClientTokenId": true}

// fail gives an error its class. What has none is unavailability: it is tried again, and nothing is concluded from it.
func (p *Provider) fail(ctx context.Context, op, kek string, err error) error {
	class := base.ErrUnavailable
	var api smithy.APIError
	var http1 *smithyhttp.ResponseError
	switch {
	case ctx.Err() != nil:
		class = ctx.Err()
	case errors.As(err, &api) && classes[api.ErrorCode()] != nil:
		class = classes[api.ErrorCode()]
	case errors.As(err, &api) && api.ErrorCode() == "ValidationException":
		class = base.ErrKeyNotFound // blobs and keys are of the right size: it is the name of the key
	case errors.As(err, &http1) && http1.HTTPStatusCode() == http.StatusTooManyRequests:
		class = base.ErrThrottled
	case errors.As(err, &http1) && http1.HTTPStatusCode() == http.StatusForbidden:
		class = base.ErrAccessDenied
	}
	if errors.As(err, &api) && stale[api.ErrorCode()] && p.tell != nil {
		p.tell()
	}
	return fmt.Errorf("awskms: %s under %q: %w: %s", op, kek, class, text(err))
}

// text is what the operator needs of an error: the code and the message, without the client's long chain of wrappers.
func text(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
