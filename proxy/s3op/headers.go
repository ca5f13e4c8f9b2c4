package s3op

import "strings"

// Families of header names, in lower case. Sources: the request and response syntax of each operation in the S3 API
// reference.
var (
	// commonHeaders may go upstream with every request. Values of Origin and Access-Control-Request-* are the store's
	// CORS rules' business.
	commonHeaders = []string{
		"origin", "access-control-request-method", "access-control-request-headers",
		"x-amz-expected-bucket-owner", "x-amz-request-payer",
	}
	// commonAnswer may come back with every answer. ETag, Location, Content-Length, Content-Range, SSE and checksum
	// headers are missing on purpose: s3veil writes its own.
	commonAnswer = []string{
		"access-control-*", "content-type", "last-modified", "retry-after", "server", "vary",
		"x-amz-bucket-region", "x-amz-delete-marker", "x-amz-expiration", "x-amz-request-charged", "x-amz-version-id",
	}

	contentHeaders = []string{
		"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
	}
	aclHeaders       = []string{"x-amz-acl", "x-amz-grant-*"}
	lockHeaders      = []string{"x-amz-object-lock-*"}
	writeConditions  = []string{"if-match", "if-none-match"}
	conditionHeaders = []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
	putHeaders       = join(contentHeaders, aclHeaders, lockHeaders, writeConditions, []string{
		"x-amz-meta-*", "x-amz-storage-class", "x-amz-tagging", "x-amz-website-redirect-location",
	})
	copyHeaders = []string{
		"x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match", "x-amz-copy-source-if-modified-since",
		"x-amz-copy-source-if-unmodified-since", "x-amz-source-expected-bucket-owner", "x-amz-tagging-directive",
	}
	mfaHeaders          = []string{"x-amz-mfa"}
	governanceHeaders   = []string{"x-amz-bypass-governance-retention", "x-amz-mfa"}
	deleteHeaders       = join(governanceHeaders, []string{"if-match", "x-amz-if-match-last-modified-time"})
	deleteOwn           = []string{"x-amz-if-match-size"}
	abortHeaders        = []string{"x-amz-if-match-initiated-time"}
	listHeaders         = []string{"x-amz-optional-object-attributes"}
	documentHeaders     = []string{"content-type"}
	createBucketHeaders = []string{
		"x-amz-bucket-namespace", "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership",
	}
	lifecycleHeaders    = []string{"x-amz-transition-default-minimum-object-size"}
	notificationHeaders = []string{"x-amz-skip-destination-validation"}
	lockTokenHeaders    = []string{"x-amz-bucket-object-lock-token"}
	policyHeaders       = []string{"x-amz-confirm-remove-self-bucket-access"}

	// Headers that s3veil acts upon itself.
	payloadHeaders = []string{
		"content-md5", "x-amz-checksum-*", "x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length",
		"x-amz-content-sha256",
	}
	sseHeaders = []string{
		"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled", "x-amz-server-side-encryption-context",
	}
	ssecHeaders = []string{"x-amz-server-side-encryption-customer-*"}
	copyOwn     = []string{
		"x-amz-copy-source", "x-amz-copy-source-range", "x-amz-metadata-directive",
		"x-amz-copy-source-server-side-encryption-customer-*",
	}
	getOwn        = []string{"range", "if-range", "x-amz-checksum-mode"}
	attributesOwn = []string{"x-amz-max-parts", "x-amz-object-attributes", "x-amz-part-number-marker"}
	completeOwn   = []string{"x-amz-mp-object-size"}

	// Answer headers.
	objectAnswer = join(contentHeaders, lockHeaders, []string{
		"x-amz-archive-status", "x-amz-meta-*", "x-amz-missing-meta", "x-amz-replication-status", "x-amz-restore",
		"x-amz-storage-class", "x-amz-tagging-count", "x-amz-website-redirect-location",
	})
	copyAnswer    = []string{"x-amz-copy-source-version-id"}
	uploadAnswer  = []string{"x-amz-abort-date", "x-amz-abort-rule-id"}
	restoreAnswer = []string{"x-amz-restore-output-path"}
	bucketAnswer  = []string{
		"x-amz-access-point-alias", "x-amz-bucket-arn", "x-amz-bucket-location-name", "x-amz-bucket-location-type",
		"x-amz-bucket-object-lock-enabled",
	}

	// Query names that s3veil acts upon itself. Upload ids are mapped, response-* headers are set after the metadata MAC
	// has been checked over what the store answered.
	getLocal = []string{
		"partNumber", "response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires",
	}
	partLocal    = []string{"partNumber", "uploadId"}
	uploadLocal  = []string{"uploadId"}
	markerLocal  = []string{"upload-id-marker"}
	bucketsLocal = []string{"bucket-region", "continuation-token", "max-buckets", "prefix"}
)

func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// names is a set of header names and prefixes.
type names struct {
	exact    map[string]struct{}
	prefixes []string
}

func newNames(lists ...[]string) *names {
	s := &names{exact: make(map[string]struct{})}
	for _, name := range join(lists...) {
		if p, ok := strings.CutSuffix(name, "*"); ok {
			s.prefixes = append(s.prefixes, p)
		} else {
			s.exact[name] = struct{}{}
		}
	}
	return s
}

func (s *names) has(name string) bool {
	if s == nil {
		return false
	}
	if _, ok := s.exact[name]; ok {
		return true
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// MayForward reports whether a request header, by its lower-case name, may go upstream with the operation. User metadata
// entries of s3veil itself may not.
func (i *Info) MayForward(name string) bool {
	return i.forward.has(name) && !strings.HasPrefix(name, "x-amz-meta-s3veil")
}

// MayAnswer reports whether a header of the store, by its lower-case name, may come back to the client.
func (i *Info) MayAnswer(name string) bool {
	return i.answer.has(name) && !strings.HasPrefix(name, "x-amz-meta-s3veil")
}

// known are all x-amz-* headers that mean something to s3veil in some operation. As on S3, one that means nothing to the
// operation at hand is dropped.
var known = func() *names {
	lists := [][]string{commonHeaders, {
		"x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-api-version", "x-amz-user-agent", "x-amz-te", "x-amz-cf-id",
		"x-amz-region-set",
	}}
	for _, info := range Table {
		lists = append(lists, info.Headers, info.Own)
	}
	return newNames(lists...)
}()

// UnknownAmzHeader returns the first x-amz-* name, in lower case, that s3veil does not know on a request that writes or
// deletes objects, "" for none: it may change what the request means, so it is NotImplemented (CLIENTS.md 5). Checksum
// algorithms that s3veil cannot verify count as unknown. For other operations it returns "".
func UnknownAmzHeader(op Op, names []string) string {
	if info, ok := Table[op]; !ok || !info.Guarded {
		return ""
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "x-amz-") {
			continue
		}
		if algorithm, ok := strings.CutPrefix(name, "x-amz-checksum-"); ok {
			switch algorithm {
			case "crc32", "crc32c", "crc64nvme", "sha1", "sha256", "sha512", "md5", "xxhash64", "xxhash3", "xxhash128", "algorithm", "type", "mode":
				continue
			}
			return name
		}
		if !known.has(name) {
			return name
		}
	}
	return ""
}
