package sigv4

import (
	"strconv"
	"strings"
	"time"
)

// Query parameters of presigned requests. Names are compared without case, so that none escapes by its spelling.
const (
	paramAlgorithm  = "X-Amz-Algorithm"
	paramCredential = "X-Amz-Credential"
	paramDate       = "X-Amz-Date"
	paramExpires    = "X-Amz-Expires"
	paramSigned     = "X-Amz-SignedHeaders"
	paramSignature  = "X-Amz-Signature"
	paramToken      = "X-Amz-Security-Token"
	paramSHA256     = "X-Amz-Content-Sha256"
)

// authParams are the parameters of a query that belong to authentication.
type authParams struct {
	v2 bool // a parameter of signature version 2 is there
	v4 bool // at least one of version 4 that names credentials is there
	// only4 is one that version 2 does not have: its URLs may carry a session token too.
	only4 bool

	algorithm, credential, date, expires, signed, signature, token, sha256, regions *string
}

// authParams collects the parameters of authentication. One that occurs twice is an error.
func (q *query) authParams() (authParams, *Error) {
	var a authParams
	for _, p := range q.pairs {
		name := q.name(p)
		if !authLike(name) {
			continue
		}
		var field **string
		switch strings.ToLower(string(name)) {
		case "awsaccesskeyid", "signature":
			a.v2 = true
			continue
		case "x-amz-algorithm":
			field = &a.algorithm
		case "x-amz-credential":
			field = &a.credential
		case "x-amz-date":
			field = &a.date
		case "x-amz-expires":
			field = &a.expires
		case "x-amz-signedheaders":
			field = &a.signed
		case "x-amz-signature":
			field = &a.signature
		case "x-amz-security-token":
			field = &a.token
		case "x-amz-region-set":
			field = &a.regions
		case "x-amz-content-sha256":
			field = &a.sha256
		default:
			continue
		}
		if *field != nil {
			return a, fail(codeQueryMalformed, "query parameter %s is repeated", name)
		}
		value := decode(q.value(p))
		*field = &value
	}
	for _, field := range []*string{a.algorithm, a.credential, a.date, a.expires, a.signed, a.signature} {
		a.only4 = a.only4 || field != nil
	}
	a.v4 = a.only4 || a.token != nil
	return a, nil
}

// authLike filters names cheaply: x-amz-*, AWSAccessKeyId, Signature.
func authLike(name []byte) bool {
	if len(name) < len("signature") {
		return false
	}
	return name[0]|0x20 == 'x' || name[0]|0x20 == 'a' || name[0]|0x20 == 's'
}

// verifyPresigned authenticates by query. Source: "Authenticating Requests: Using Query Parameters". The body is unsigned
// unless x-amz-content-sha256, as header or parameter, says otherwise.
func (v *Verifier) verifyPresigned(s *scratch, r *Request, a authParams) (*Verified, *Error) {
	for _, field := range []*string{a.algorithm, a.credential, a.date, a.expires, a.signed, a.signature} {
		if field == nil || *field == "" {
			return nil, fail(codeQueryMalformed, "query authentication requires X-Amz-Algorithm, X-Amz-Credential, "+
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders and X-Amz-Expires")
		}
	}
	c := &claim{kind: Presigned, names: *a.signed, signature: *a.signature}
	switch *a.algorithm {
	case algorithm:
	case algorithmECDSA:
		c.asymmetric = true
	default:
		return nil, fail(codeQueryMalformed, "X-Amz-Algorithm only supports AWS4-HMAC-SHA256").
			say(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	if c.regions, _ = r.header(hdrRegionSet); a.regions != nil {
		c.regions = *a.regions
	}
	if err := c.setCredential(*a.credential); err != nil {
		return nil, err
	}
	if !c.setStamp(*a.date) {
		return nil, fail(codeQueryMalformed, "X-Amz-Date must be in the form YYYYMMDDTHHMMSSZ").
			say(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	expires, err := parseExpires(*a.expires)
	if err != nil {
		return nil, err
	}
	out := &Verified{Kind: Presigned}
	if err := out.setPresignedPayload(r, a, c); err != nil {
		return nil, err
	}
	token, inHeader := r.header(hdrAmzToken)
	switch {
	case a.token != nil && inHeader:
		return nil, fail(codeInvalidRequest, "two session tokens")
	case a.token != nil:
		token = *a.token
	}
	c.token = token
	now := v.Now()
	return v.finish(s, r, c, out, func() *Error { return v.checkWindow(c, expires, now) })
}

// setPresignedPayload reads the payload mode of a presigned request. Streaming modes are signed in a header only.
func (v *Verified) setPresignedPayload(r *Request, a authParams, c *claim) *Error {
	value, ok := r.header(hdrAmzSHA256)
	if a.sha256 != nil {
		if ok && value != *a.sha256 {
			return fail(codeInvalidArgument, "x-amz-content-sha256 differs between header and query")
		}
		value, ok = *a.sha256, true
	}
	if !ok {
		v.Payload, c.payload = PayloadAbsent, unsignedPayload
		return nil
	}
	if err := v.setPayload(value, false); err != nil {
		return err
	}
	if v.Payload.Chunked() {
		return fail(codeInvalidArgument, reasonStreamingNoHeader)
	}
	c.payload = value
	return nil
}

func parseExpires(text string) (time.Duration, *Error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	message := ""
	switch {
	case err != nil || text[0] == '+':
		message = "X-Amz-Expires should be a number"
	case seconds < 0:
		message = "X-Amz-Expires must be non-negative"
	case seconds == 0:
		message = "X-Amz-Expires must be at least 1 second"
	case seconds > maxExpires:
		message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
	}
	if message != "" {
		return 0, fail(codeQueryMalformed, "%s", message).say("%s", message)
	}
	return time.Duration(seconds) * time.Second, nil
}
