package sse

import (
	"errors"
	"strings"

	"s3veil/crypto/kms"
	"s3veil/proxy/s3err"
)

// S3's words. Those of textFlag and textNoMD5 are not known and follow the others.
const (
	textMethod       = "The encryption method specified is not supported"
	textUnsupported  = "x-amz-server-side-encryption header is not supported for this operation."
	textNeedsKMS     = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
	textFlag         = "The header 'x-amz-server-side-encryption-bucket-key-enabled' shall be true or false"
	textContext      = "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"
	textIncompatible = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
	textAlgorithm    = "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."
	textNoKey        = "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key."
	textNoMD5        = "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key."
	textKey          = "The secret key was invalid for the specified algorithm."
	textMD5          = "The calculated MD5 hash of the key did not match the hash that was provided."
)

var (
	errAlgorithm = s3err.InvalidEncryptionAlgorithm.Say("The Encryption request you specified is not valid. Supported value: AES256.")
	errInsecure  = s3err.Request("Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	errDualLayer = s3err.UnimplementedHeader(HeaderType).
			Say("A header you provided implies functionality that is not implemented: dual-layer encryption (aws:kms:dsse). Objects are encrypted once; ask for aws:kms.")
	errBlocked = s3err.AccessDenied.Say("This bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C). Please specify a different server-side encryption type")
)

// The refusals of objects and uploads under customers' keys, in S3's words. A presented key that is not the object's is
// denied; for parts S3 calls it a mistake of the request.
var (
	ErrKeyMissing       = s3err.Request("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	ErrNotApplicable    = s3err.Request("The encryption parameters are not applicable to this object.")
	ErrWrongKey         = wrongKey()
	ErrUploadKeyMissing = s3err.Request("The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	ErrUploadWrongKey   = uploadWrongKey()
)

func wrongKey() s3err.Error {
	e := s3err.AccessDenied.Say("Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.")
	e.Class = s3err.ClassKEKDenied
	return e
}

func uploadWrongKey() s3err.Error {
	e := s3err.Request("The provided encryption parameters did not match the ones used originally.")
	e.Class = s3err.ClassKEKDenied
	return e
}

func argument(message, name, value string) s3err.Error { return s3err.Argument(message, name, value) }

// notFound is S3's answer to a name that stands for no key.
func notFound(name string) s3err.Error {
	e := s3err.KMSNotFound.With(kms.ErrKeyNotFound)
	e.Class = s3err.ClassKEKDenied
	switch {
	case strings.Contains(name, "alias/"):
		return e.Say("Alias " + name + " is not found.")
	case strings.HasPrefix(name, "arn:"):
		return e.Say("Key '" + name + "' does not exist")
	}
	return e.Say("Invalid keyId '" + name + "'")
}

// notAllowed is the answer to a configured key that the bucket does not list.
func notAllowed(id string) s3err.Error {
	e := s3err.AccessDenied.With(errors.New("key " + id + " is not on the bucket's list"))
	e.Class = s3err.ClassKEKDenied
	return e
}
