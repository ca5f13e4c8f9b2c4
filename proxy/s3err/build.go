package s3err

import (
	"fmt"
	"strconv"
)

// Lookup returns the catalogue entry of an S3 code.
func Lookup(code string) (Error, bool) {
	e, ok := byCode[code]
	return e, ok
}

var byCode = func() map[string]Error {
	m := make(map[string]Error, len(catalogue))
	for _, e := range catalogue {
		m[e.Code] = e
	}
	return m
}()

// Range is InvalidRange with the Range header as requested and the plaintext size of the object in bytes.
func Range(requested string, actual int64) Error {
	return InvalidRange.Field("RangeRequested", requested).Field("ActualObjectSize", strconv.FormatInt(actual, 10))
}

// Precondition is PreconditionFailed with the header whose condition did not hold, for example "If-Match".
func Precondition(header string) Error { return PreconditionFailed.Field("Condition", header) }

// Region is AuthorizationHeaderMalformed that names the region by which SDKs correct themselves. got may be empty.
func Region(got, expected string) Error {
	message := "The authorization header is malformed; the region is wrong; expecting '" + expected + "'"
	if got != "" {
		message = "The authorization header is malformed; the region '" + got + "' is wrong; expecting '" + expected + "'"
	}
	return AuthorizationHeaderMalformed.Say(message).Field("Region", expected)
}

// HeaderSection is RequestHeaderSectionTooLarge with the limit in bytes.
func HeaderSection(limit int) Error {
	return RequestHeaderSectionTooLarge.Field("MaxSizeAllowed", strconv.Itoa(limit))
}

// Argument is InvalidArgument that names the argument (a header, query or form field) and its value.
func Argument(message, name, value string) Error {
	return InvalidArgument.Say(message).Field("ArgumentName", name).Field("ArgumentValue", value)
}

// Request is InvalidRequest with a message of its own.
func Request(message string) Error { return InvalidRequest.Say(message) }

// Unimplemented is NotImplemented for an operation or a query name; what names it.
func Unimplemented(what string) Error {
	return NotImplemented.Say("A header or query you provided implies functionality that is not implemented: " + what)
}

// UnimplementedHeader is NotImplemented for a request header.
func UnimplementedHeader(name string) Error {
	return NotImplemented.Field("Header", name).With(fmt.Errorf("request header %q is unknown", name))
}

// KeyTooLong is KeyTooLongError with the key's size and the limit, both in bytes.
func KeyTooLong(size, limit int) Error {
	return KeyTooLongError.Field("Size", strconv.Itoa(size)).Field("MaxSizeAllowed", strconv.Itoa(limit))
}

// TooLarge is EntityTooLarge with the proposed size and the limit in plaintext bytes.
func TooLarge(proposed, limit int64) Error {
	return EntityTooLarge.Field("ProposedSize", strconv.FormatInt(proposed, 10)).
		Field("MaxSizeAllowed", strconv.FormatInt(limit, 10))
}

// TooSmall is EntityTooSmall for a part that is not the last, sizes in plaintext bytes.
func TooSmall(proposed, limit int64, part int, etag string) Error {
	return EntityTooSmall.Field("ProposedSize", strconv.FormatInt(proposed, 10)).
		Field("MinSizeAllowed", strconv.FormatInt(limit, 10)).
		Field("PartNumber", strconv.Itoa(part)).Field("ETag", etag)
}

// PartNumber is InvalidPartNumber for a part that an object of actual parts does not have.
func PartNumber(requested, actual int) Error {
	return InvalidPartNumber.Field("ActualPartCount", strconv.Itoa(actual)).Field("PartNumberRequested", strconv.Itoa(requested))
}

// Metadata is MetadataTooLarge with the size of all user metadata, s3veil's envelope included, and the limit in bytes.
func Metadata(size, limit int) Error {
	return MetadataTooLarge.Field("Size", strconv.Itoa(size)).Field("MaxSizeAllowed", strconv.Itoa(limit))
}

// Part is InvalidPart that names the part.
func Part(uploadID string, number int, etag string) Error {
	return InvalidPart.Field("UploadId", uploadID).Field("PartNumber", strconv.Itoa(number)).Field("ETag", etag)
}

// Method is MethodNotAllowed; resource is "BUCKET", "OBJECT", "SERVICE" or "DELETE_MARKER".
func Method(method, resource string) Error {
	return MethodNotAllowed.Field("Method", method).Field("ResourceType", resource)
}
