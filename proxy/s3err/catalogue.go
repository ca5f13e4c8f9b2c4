package s3err

// The catalogue. An entry is a value: users take copies by With, Say and Field. Two entries may share a code where S3 has
// several messages for it.
var (
	// Access.

	AccessDenied                      = Error{Code: "AccessDenied", Status: 403, Message: "Access Denied."}
	ProxyAuthenticationRequired       = Error{Code: "ProxyAuthenticationRequired", Status: 407, Message: "The forward proxy demands a user name and a password."}
	AllAccessDisabled                 = Error{Code: "AllAccessDisabled", Status: 403, Message: "All access to this object has been disabled."}
	AccountProblem                    = Error{Code: "AccountProblem", Status: 403, Message: "There is a problem with your account that prevents the operation from completing successfully."}
	SignatureDoesNotMatch             = Error{Code: "SignatureDoesNotMatch", Status: 403, Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	InvalidAccessKeyID                = Error{Code: "InvalidAccessKeyId", Status: 403, Message: "The AWS Access Key Id you provided does not exist in our records."}
	AuthorizationHeaderMalformed      = Error{Code: "AuthorizationHeaderMalformed", Status: 400, Message: "The authorization header is malformed."}
	AuthorizationQueryParametersError = Error{Code: "AuthorizationQueryParametersError", Status: 400, Message: "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."}
	RequestTimeTooSkewed              = Error{Code: "RequestTimeTooSkewed", Status: 403, Message: "The difference between the request time and the current time is too large."}
	RequestExpired                    = Error{Code: "AccessDenied", Status: 403, Message: "Request has expired."}
	MissingDate                       = Error{Code: "AccessDenied", Status: 403, Message: "AWS authentication requires a valid Date or x-amz-date header."}
	InvalidToken                      = Error{Code: "InvalidToken", Status: 400, Message: "The provided token is malformed or otherwise invalid."}
	ExpiredToken                      = Error{Code: "ExpiredToken", Status: 400, Message: "The provided token has expired."}
	MissingSecurityHeader             = Error{Code: "MissingSecurityHeader", Status: 400, Message: "Your request was missing a required header."}
	InvalidSecurity                   = Error{Code: "InvalidSecurity", Status: 403, Message: "The provided security credentials are not valid."}
	InvalidPolicyDocument             = Error{Code: "InvalidPolicyDocument", Status: 400, Message: "The content of the form does not meet the conditions specified in the policy document."}
	AccessForbidden                   = Error{Code: "AccessForbidden", Status: 403, Message: "CORSResponse: This CORS request is not allowed."}

	// What does not exist, or exists already.

	NoSuchBucket                              = Error{Code: "NoSuchBucket", Status: 404, Message: "The specified bucket does not exist."}
	NoSuchKey                                 = Error{Code: "NoSuchKey", Status: 404, Message: "The specified key does not exist."}
	NoSuchVersion                             = Error{Code: "NoSuchVersion", Status: 404, Message: "The specified version does not exist."}
	NoSuchUpload                              = Error{Code: "NoSuchUpload", Status: 404, Message: "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	NoSuchTagSet                              = Error{Code: "NoSuchTagSet", Status: 404, Message: "The TagSet does not exist."}
	NoSuchBucketPolicy                        = Error{Code: "NoSuchBucketPolicy", Status: 404, Message: "The bucket policy does not exist."}
	NoSuchCORSConfiguration                   = Error{Code: "NoSuchCORSConfiguration", Status: 404, Message: "The CORS configuration does not exist"}
	NoSuchLifecycleConfiguration              = Error{Code: "NoSuchLifecycleConfiguration", Status: 404, Message: "The lifecycle configuration does not exist"}
	NoSuchWebsiteConfiguration                = Error{Code: "NoSuchWebsiteConfiguration", Status: 404, Message: "The specified bucket does not have a website configuration"}
	NoSuchObjectLockConfiguration             = Error{Code: "NoSuchObjectLockConfiguration", Status: 404, Message: "The specified object does not have a ObjectLock configuration."}
	ObjectLockConfigurationNotFound           = Error{Code: "ObjectLockConfigurationNotFoundError", Status: 404, Message: "Object Lock configuration does not exist for this bucket."}
	ServerSideEncryptionConfigurationNotFound = Error{Code: "ServerSideEncryptionConfigurationNotFoundError", Status: 404, Message: "The server side encryption configuration was not found."}
	BucketAlreadyExists                       = Error{Code: "BucketAlreadyExists", Status: 409, Message: "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	BucketAlreadyOwnedByYou                   = Error{Code: "BucketAlreadyOwnedByYou", Status: 409, Message: "Your previous request to create the named bucket succeeded and you already own it."}
	BucketNotEmpty                            = Error{Code: "BucketNotEmpty", Status: 409, Message: "The bucket you tried to delete is not empty."}
	OperationAborted                          = Error{Code: "OperationAborted", Status: 409, Message: "A conflicting conditional operation is currently in progress against this resource. Please try again."}
	ConditionalRequestConflict                = Error{Code: "ConditionalRequestConflict", Status: 409, Message: "The conditional request cannot succeed due to a conflicting operation against this resource."}
	InvalidBucketState                        = Error{Code: "InvalidBucketState", Status: 409, Message: "The request is not valid with the current state of the bucket."}
	InvalidObjectState                        = Error{Code: "InvalidObjectState", Status: 403, Message: "The operation is not valid for the current state of the object."}

	// Conditions and ranges.

	PreconditionFailed = Error{Code: "PreconditionFailed", Status: 412, Message: "At least one of the pre-conditions you specified did not hold."}
	NotModified        = Error{Code: "NotModified", Status: 304, Message: "Not Modified"}
	InvalidRange       = Error{Code: "InvalidRange", Status: 416, Message: "The requested range is not satisfiable"}
	InvalidPartNumber  = Error{Code: "InvalidPartNumber", Status: 416, Message: "The requested partnumber is not satisfiable."}

	// Names, arguments and documents.

	InvalidArgument              = Error{Code: "InvalidArgument", Status: 400, Message: "Invalid Argument"}
	InvalidRequest               = Error{Code: "InvalidRequest", Status: 400, Message: "Invalid Request."}
	InvalidBucketName            = Error{Code: "InvalidBucketName", Status: 400, Message: "The specified bucket is not valid."}
	InvalidURI                   = Error{Code: "InvalidURI", Status: 400, Message: "The specified URI couldn't be parsed."}
	KeyClimbs                    = Error{Code: "400", Status: 400, Message: "Bad Request"} // S3 says no more than that; SDKs name it so
	KeyTooLongError              = Error{Code: "KeyTooLongError", Status: 400, Message: "Your key is too long."}
	MetadataTooLarge             = Error{Code: "MetadataTooLarge", Status: 400, Message: "Your metadata headers exceed the maximum allowed metadata size"}
	RequestHeaderSectionTooLarge = Error{Code: "RequestHeaderSectionTooLarge", Status: 400, Message: "Your request header section exceeds the maximum allowed size."}
	MalformedXML                 = Error{Code: "MalformedXML", Status: 400, Message: "The XML you provided was not well-formed or did not validate against our published schema."}
	MalformedACLError            = Error{Code: "MalformedACLError", Status: 400, Message: "The XML you provided was not well-formed or did not validate against our published schema."}
	MalformedPolicy              = Error{Code: "MalformedPolicy", Status: 400, Message: "Policies must be valid JSON and the first byte must be '{'"}
	MissingRequestBodyError      = Error{Code: "MissingRequestBodyError", Status: 400, Message: "Request Body is empty"}
	MethodNotAllowed             = Error{Code: "MethodNotAllowed", Status: 405, Message: "The specified method is not allowed against this resource."}
	BadGateway                   = Error{Code: "BadGateway", Status: 502, Message: "The host cannot be reached."}
	NotImplemented               = Error{Code: "NotImplemented", Status: 501, Message: "A header you provided implies functionality that is not implemented."}
	InvalidTag                   = Error{Code: "InvalidTag", Status: 400, Message: "The tag provided was not a valid tag."}
	InvalidStorageClass          = Error{Code: "InvalidStorageClass", Status: 400, Message: "The storage class you specified is not valid"}
	InvalidLocationConstraint    = Error{Code: "InvalidLocationConstraint", Status: 400, Message: "The specified location-constraint is not valid"}
	InvalidEncryptionAlgorithm   = Error{Code: "InvalidEncryptionAlgorithmError", Status: 400, Message: "The encryption request you specified is not valid. The valid value is AES256."}
	UnexpectedContent            = Error{Code: "UnexpectedContent", Status: 400, Message: "This request does not support content."}
	BadRequest                   = Error{Code: "BadRequest", Status: 400, Message: "An error occurred when parsing the HTTP request."}
	PermanentRedirect            = Error{Code: "PermanentRedirect", Status: 301, Message: "The bucket you are attempting to access must be addressed using the specified endpoint. Send all future requests to this endpoint."}

	// Bodies.

	MissingContentLength                = Error{Code: "MissingContentLength", Status: 411, Message: "You must provide the Content-Length HTTP header."}
	IncompleteBody                      = Error{Code: "IncompleteBody", Status: 400, Message: "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	BadDigest                           = Error{Code: "BadDigest", Status: 400, Message: "The Content-MD5 you specified did not match what we received."}
	InvalidDigest                       = Error{Code: "InvalidDigest", Status: 400, Message: "The Content-Md5 you specified is not valid."}
	XAmzContentSHA256Mismatch           = Error{Code: "XAmzContentSHA256Mismatch", Status: 400, Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
	MalformedTrailer                    = Error{Code: "MalformedTrailerError", Status: 400, Message: "The request contained trailing data that was not well-formed or did not conform to our published schema."}
	InvalidChunkSize                    = Error{Code: "InvalidChunkSizeError", Status: 400, Message: "Only the last chunk is allowed to have a size less than 8192 bytes"}
	EntityTooSmall                      = Error{Code: "EntityTooSmall", Status: 400, Message: "Your proposed upload is smaller than the minimum allowed size"}
	EntityTooLarge                      = Error{Code: "EntityTooLarge", Status: 400, Message: "Your proposed upload exceeds the maximum allowed object size."}
	InvalidPart                         = Error{Code: "InvalidPart", Status: 400, Message: "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	InvalidPartOrder                    = Error{Code: "InvalidPartOrder", Status: 400, Message: "The list of parts was not in ascending order. Parts must be ordered by part number."}
	MaxMessageLengthExceeded            = Error{Code: "MaxMessageLengthExceeded", Status: 400, Message: "Your request was too big."}
	MaxPostPreDataLengthExceeded        = Error{Code: "MaxPostPreDataLengthExceeded", Status: 400, Message: "Your POST request fields preceding the upload file were too large."}
	MalformedPOSTRequest                = Error{Code: "MalformedPOSTRequest", Status: 400, Message: "The body of your POST request is not well-formed multipart/form-data."}
	IncorrectNumberOfFilesInPostRequest = Error{Code: "IncorrectNumberOfFilesInPostRequest", Status: 400, Message: "POST requires exactly one file upload per request."}
	RequestIsNotMultiPartContent        = Error{Code: "RequestIsNotMultiPartContent", Status: 412, Message: "Bucket POST must be of the enclosure-type multipart/form-data."}
	RequestTimeout                      = Error{Code: "RequestTimeout", Status: 400, Message: "Your socket connection to the server was not read from or written to within the timeout period."}

	// The service.

	InternalError      = Error{Code: "InternalError", Status: 500, Message: "We encountered an internal error, please try again."}
	ServiceUnavailable = Error{Code: "ServiceUnavailable", Status: 503, Message: "Service is unable to handle request."}
	SlowDown           = Error{Code: "SlowDown", Status: 503, Message: "Please reduce your request rate."}
	Busy               = Error{Code: "Busy", Status: 503, Message: "The service is unavailable. Try again later."}

	// Keys.

	KMSDisabled = Error{Code: "KMS.DisabledException", Status: 400, Message: "The request was rejected because the specified KMS key is not enabled."}
	KMSNotFound = Error{Code: "KMS.NotFoundException", Status: 400, Message: "The request was rejected because the specified KMS key could not be found."}

	// s3veil's own, for objects that it cannot or must not open (FORMAT.md 12). Clients do not retry a 422.

	ObjectIntegrityError  = Error{Code: "ObjectIntegrityError", Status: 422, Message: "The object failed an integrity check and was not returned."}
	ObjectNotEncrypted    = Error{Code: "ObjectNotEncrypted", Status: 422, Class: ClassPlaintext, Message: "The object is not encrypted and this bucket does not allow plaintext objects."}
	ObjectManifestMissing = Error{Code: "ObjectManifestMissing", Status: 422, Class: ClassManifestMissing, Message: "The part table of this multipart object is missing. The operator can rebuild it with: s3veil repair"}
)

// catalogue lists every entry that a code alone selects.
var catalogue = []Error{
	AccessDenied, AllAccessDisabled, AccountProblem, SignatureDoesNotMatch, ProxyAuthenticationRequired, BadGateway,
	InvalidAccessKeyID, AuthorizationHeaderMalformed, AuthorizationQueryParametersError, RequestTimeTooSkewed,
	InvalidToken, ExpiredToken, MissingSecurityHeader, InvalidSecurity,
	InvalidPolicyDocument, AccessForbidden, NoSuchBucket, NoSuchKey,
	NoSuchVersion, NoSuchUpload, NoSuchTagSet, NoSuchBucketPolicy,
	NoSuchCORSConfiguration, NoSuchLifecycleConfiguration, NoSuchWebsiteConfiguration, NoSuchObjectLockConfiguration,
	ObjectLockConfigurationNotFound, ServerSideEncryptionConfigurationNotFound, BucketAlreadyExists, BucketAlreadyOwnedByYou,
	BucketNotEmpty, OperationAborted, ConditionalRequestConflict, InvalidBucketState,
	InvalidObjectState, PreconditionFailed, NotModified, InvalidRange,
	InvalidPartNumber, InvalidArgument, InvalidRequest, InvalidBucketName,
	InvalidURI, KeyTooLongError, MetadataTooLarge, RequestHeaderSectionTooLarge,
	MalformedXML, MalformedACLError, MalformedPolicy, MissingRequestBodyError,
	MethodNotAllowed, NotImplemented, InvalidTag, InvalidStorageClass,
	InvalidLocationConstraint, InvalidEncryptionAlgorithm, UnexpectedContent, BadRequest,
	PermanentRedirect, MissingContentLength, IncompleteBody, BadDigest,
	InvalidDigest, XAmzContentSHA256Mismatch, MalformedTrailer, InvalidChunkSize,
	EntityTooSmall, EntityTooLarge, InvalidPart, InvalidPartOrder,
	MaxMessageLengthExceeded, MaxPostPreDataLengthExceeded, MalformedPOSTRequest, IncorrectNumberOfFilesInPostRequest,
	RequestIsNotMultiPartContent, RequestTimeout, InternalError, ServiceUnavailable,
	SlowDown, Busy, KMSDisabled, KMSNotFound,
	ObjectIntegrityError, ObjectNotEncrypted, ObjectManifestMissing,
}
