package sigv4

import (
	"crypto/subtle"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Verify authenticates a request. A request without any credentials is Anonymous, not an error. Header and query
// credentials together and unknown algorithms are errors, and SigV2 is one for credentials that may not use it. Every error is an *Error.
//
// The codes: AccessDenied (no date, expired or not yet valid URL, an x-amz-* header left unsigned),
// AuthorizationHeaderMalformed and AuthorizationQueryParametersError (form, scope and, with Region, a foreign region),
// InvalidAccessKeyId, InvalidToken, RequestTimeTooSkewed, SignatureDoesNotMatch, InvalidArgument (unknown payload mode or
// authorization type, two sets of credentials), InvalidRequest (SigV2 not switched on, repeated security header, no
// x-amz-content-sha256), InvalidURI.
func (v *Verifier) Verify(r *Request) (*Verified, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	verified, err := v.verify(s, r)
	if err != nil { // a nil *Error must not become a non-nil error
		return nil, err
	}
	return verified, nil
}

func (v *Verifier) verify(s *scratch, r *Request) (*Verified, *Error) {
	if err := checkRepeated(r.Header); err != nil {
		return nil, err
	}
	if err := s.query.parse(r.Query); err != nil {
		return nil, err
	}
	params, err := s.query.authParams()
	if err != nil {
		return nil, err
	}
	authorization, header := r.header(hdrAuthorization)
	switch {
	case header && (params.v2 || params.v4):
		return nil, fail(codeInvalidArgument, "only one auth mechanism allowed: Authorization header or query parameters").
			say("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "+
				"or the Authorization header should be specified").field("ArgumentName", "Authorization")
	case params.v2 && params.only4:
		return nil, fail(codeInvalidArgument, "query parameters of two signature versions")
	case params.v2:
		return v.verifyPresignedV2(s, r)
	case header && strings.HasPrefix(authorization, schemeV2+" "):
		return v.verifyHeaderV2(s, r, authorization[len(schemeV2)+1:])
	case header:
		return v.verifyHeader(s, r, authorization)
	case params.v4:
		return v.verifyPresigned(s, r, params)
	}
	return anonymous(r)
}

// anonymous describes a request without credentials. It may carry a digest or an unsigned trailer, but no chunk
// signatures: there is no key for them. What is no digest is one that nothing has, as on S3: the body is held against it.
func anonymous(r *Request) (*Verified, *Error) {
	out := &Verified{Kind: Anonymous, Payload: PayloadAbsent}
	value, _ := r.header(hdrAmzSHA256)
	if value == "" {
		return out, nil
	}
	switch err := out.setPayload(value, false); {
	case err == nil, out.Payload.Chunked():
	case err.Code == codeInvalidArgument:
		out.Payload, out.Claim = PayloadHash, strings.Clone(value)
	default:
		return nil, err
	}
	if out.Payload == PayloadSignedChunks || out.Payload == PayloadSignedChunksTrailer {
		return nil, fail(codeInvalidRequest, "signed chunks without credentials").say("Anonymous requests don't support this " +
			"x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	return out, nil
}

func (v *Verifier) verifyHeader(s *scratch, r *Request, authorization string) (*Verified, *Error) {
	c := &claim{kind: Header}
	if err := c.setAuthorization(authorization); err != nil {
		return nil, err
	}
	if stamp, ok := r.header(hdrAmzDate); ok {
		if !c.setStamp(stamp) {
			return nil, errNoDate()
		}
	} else if date, _ := r.header(hdrDate); !c.setDate(date) {
		return nil, errNoDate()
	}
	out := &Verified{Kind: Header}
	value, ok := r.header(hdrAmzSHA256)
	if !ok {
		return nil, fail(codeInvalidRequest, "missing required header for this request: x-amz-content-sha256").
			say("Missing required header for this request: x-amz-content-sha256")
	}
	if err := out.setPayload(value, c.asymmetric); err != nil {
		return nil, err
	}
	c.payload = value
	c.token, _ = r.header(hdrAmzToken)
	c.regions, _ = r.header(hdrRegionSet)
	now := v.Now()
	return v.finish(s, r, c, out, func() *Error {
		if d := now.Sub(c.at); d > v.skew() || d < -v.skew() {
			return fail(codeTimeTooSkewed, "request time %s, server time %s", c.stamp, now.UTC().Format(stampLayout)).
				field("RequestTime", c.stamp).field("ServerTime", now.UTC().Format(time.RFC3339)).
				field("MaxAllowedSkewMilliseconds", strconv.FormatInt(v.skew().Milliseconds(), 10))
		}
		return nil
	})
}

// finish checks everything a claim of either kind has in common and the signature last.
func (v *Verifier) finish(s *scratch, r *Request, c *claim, out *Verified, checkTime func() *Error) (*Verified, *Error) {
	if err := c.checkScope(); err != nil {
		return nil, err
	}
	cred, err := v.credential(c)
	unknown := err != nil && err.Code == codeInvalidAccessKey
	if err != nil && !(unknown && v.AnyUnknownKey) {
		return nil, err
	}
	if err := checkTime(); err != nil {
		return nil, err
	}
	if err := v.checkRegion(c); err != nil {
		return nil, err
	}
	if err := s.setSignedNames(c, r.Header); err != nil {
		return nil, err
	}
	if unknown {
		out.AccessKey, out.Time, out.Region, out.Unverified = strings.Clone(c.accessKey), c.at, strings.Clone(c.region), true
		if out.Payload == PayloadSignedChunks || out.Payload == PayloadSignedChunksTrailer {
			out.chunk = uncheckedChunks{}
		}
		return out, nil
	}
	if err := s.canonicalRequest(r, c.payload); err != nil {
		return nil, err
	}
	if c.asymmetric {
		return v.finishAsymmetric(s, c, cred, out)
	}
	id, key, cached := v.keys.get(cred, c.date, c.region, c.service)
	key.sign(&s.sig, s.stringToSign(c.stamp, key.scope))
	if subtle.ConstantTimeCompare(s.sig[:], []byte(c.signature)) != 1 {
		return nil, fail(codeSignatureMismatch, "%s; signed headers: %s", reasonSignatureDiffers, c.names).
			signed(cred.AccessKey, string(s.buf), c.signature)
	}
	if !cached {
		v.keys.put(id, key)
	}
	out.AccessKey, out.Time, out.Region = cred.AccessKey, c.at, strings.Clone(c.region)
	if out.Payload == PayloadSignedChunks || out.Payload == PayloadSignedChunksTrailer {
		out.chunk = newChunkSigner(key, strings.Clone(c.stamp), s.sig)
	}
	return out, nil
}

// finishAsymmetric checks the signature of SigV4A over the canonical request in s.buf.
func (v *Verifier) finishAsymmetric(s *scratch, c *claim, cred Credential, out *Verified) (*Verified, *Error) {
	key, err := v.public.get(cred)
	if err != nil {
		return nil, fail(codeSignatureMismatch, "access key %q: %v", cred.AccessKey, err)
	}
	scope := c.date + "/" + c.service + "/" + terminator
	text := s.stringToSignOf(algorithmECDSA, c.stamp, scope)
	if !verifyECDSA(key, text, c.signature) {
		return nil, fail(codeSignatureMismatch, "the signature does not verify; signed headers: %s", c.names).
			signed(cred.AccessKey, string(text), c.signature)
	}
	out.AccessKey, out.Time, out.Region = cred.AccessKey, c.at, strings.Clone(v.Expected)
	if out.Payload == PayloadSignedChunks || out.Payload == PayloadSignedChunksTrailer {
		out.chunk = &asymmetricChunks{key: key, stamp: strings.Clone(c.stamp), scope: scope, prev: strings.Clone(c.signature)}
	}
	return out, nil
}

// credential looks the access key up and holds the session token against the configured one.
func (v *Verifier) credential(c *claim) (Credential, *Error) {
	cred, ok := v.Lookup(c.accessKey)
	if !ok {
		return Credential{}, fail(codeInvalidAccessKey, "access key %q is unknown", c.accessKey).field("AWSAccessKeyId", strings.Clone(c.accessKey))
	}
	if !equalSecret(c.token, cred.SessionToken) {
		return Credential{}, fail(codeInvalidToken, "the session token is not the one configured for access key %q", c.accessKey)
	}
	cred.AccessKey = strings.Clone(c.accessKey)
	return cred, nil
}

func (v *Verifier) checkRegion(c *claim) *Error {
	if !c.asymmetric && v.Region(c.region) || c.asymmetric && v.regionSet(c.regions) {
		return nil
	}
	if c.asymmetric {
		err := fail(c.malformed(), "the region set %q does not hold %q", c.regions, v.Expected).
			say("%sthe region set '%s' is wrong; expecting '%s'", c.lead(), c.regions, v.Expected)
		err.Region = v.Expected
		return err
	}
	err := fail(c.malformed(), "the region %q is wrong; expecting %q", c.region, v.Expected).
		say("%sthe region '%s' is wrong; expecting '%s'", c.lead(), c.region, v.Expected)
	err.Region = v.Expected
	if c.kind == Post {
		err = err.argument(paramCredential, strings.Join([]string{c.accessKey, c.date, c.region, c.service, c.end}, "/"))
	}
	return err
}

// setSignedNames parses the list of signed headers into s.names, sorted. host and every x-amz-* header of the request
// must be on it.
func (s *scratch) setSignedNames(c *claim, header []Field) *Error {
	s.names = s.names[:0]
	for rest, more := c.names, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		if name == "" || strings.ToLower(name) != name {
			return fail(c.malformed(), "signed headers must be a list of names in lower case")
		}
		s.names = append(s.names, name)
	}
	if !sort.StringsAreSorted(s.names) {
		sort.Strings(s.names)
	}
	for i := 1; i < len(s.names); i++ {
		if s.names[i] == s.names[i-1] {
			return fail(c.malformed(), "signed header %q is listed twice", s.names[i])
		}
	}
	if !s.signed(hdrHost) {
		return fail(codeAccessDenied, "the host header is not signed").
			say("There were headers present in the request which were not signed").field("HeadersNotSigned", hdrHost)
	}
	for i := range header {
		if strings.HasPrefix(header[i].Name, amzPrefix) && !s.signed(header[i].Name) {
			return s.errUnsigned(header)
		}
	}
	return nil
}

// errUnsigned names every x-amz-* header that is not on the list of signed ones.
func (s *scratch) errUnsigned(header []Field) *Error {
	var missing []string
	for i := range header {
		if strings.HasPrefix(header[i].Name, amzPrefix) && !s.signed(header[i].Name) {
			missing = append(missing, header[i].Name)
		}
	}
	list := strings.Join(missing, ", ")
	return fail(codeAccessDenied, "headers are present but not signed: %q", list).
		say("There were headers present in the request which were not signed").field("HeadersNotSigned", list)
}

func (s *scratch) signed(name string) bool {
	i := sort.SearchStrings(s.names, name)
	return i < len(s.names) && s.names[i] == name
}

// once lists the headers that decide about authentication or about the meaning of the body. Two of a kind leave open
// which one counts, so they are refused, signed or not.
var once = map[string]bool{
	hdrAuthorization: true, hdrHost: true, hdrDate: true, hdrAmzDate: true, hdrAmzSHA256: true, hdrAmzToken: true,
	"content-length": true, "content-md5": true, "x-amz-decoded-content-length": true, "x-amz-trailer": true,
}

func checkRepeated(header []Field) *Error {
	for i := range header {
		name := header[i].Name
		if !once[name] && !strings.HasPrefix(name, "x-amz-checksum-") {
			continue
		}
		for j := range i {
			if header[j].Name == name {
				return fail(codeInvalidRequest, "header %q is repeated", name)
			}
		}
	}
	return nil
}

// setAuthorization parses "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
func (c *claim) setAuthorization(value string) *Error {
	scheme, rest, spaced := strings.Cut(value, " ")
	if !spaced {
		return fail(codeInvalidArgument, "the authorization header has one word only").
			say("Authorization header is invalid -- one and only one ' ' (space) required.").argument("Authorization", strings.Clone(value))
	}
	switch scheme {
	case algorithm:
	case algorithmECDSA:
		c.asymmetric = true
	default:
		return fail(codeInvalidArgument, "unsupported authorization type").
			say("Unsupported Authorization Type").argument("Authorization", strings.Clone(scheme))
	}
	var credential string
	if err := c.setComponents(rest, &credential); err != nil {
		return err
	}
	return c.setCredential(credential)
}

// setComponents parses the three components of an Authorization header, each once, in any order.
func (c *claim) setComponents(list string, credential *string) *Error {
	if strings.Count(list, ",") != 2 {
		return c.errHeader("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	for part := range strings.SplitSeq(list, ",") {
		part = strings.Trim(part, " \t")
		name, text, ok := strings.Cut(part, "=")
		if !ok {
			return c.errHeader("the authorization component %q is malformed.", part)
		}
		switch name {
		case "Credential":
			*credential = text
		case "SignedHeaders":
			c.names = text
		case "Signature":
			c.signature = text
		}
	}
	switch "" {
	case *credential:
		return c.errHeader("missing Credential.")
	case c.names:
		return c.errHeader("missing SignedHeaders.")
	case c.signature:
		return c.errHeader("missing Signature.")
	}
	return nil
}

// errHeader is AuthorizationHeaderMalformed in S3's words. They may quote the header and so are not for the log.
func (c *claim) errHeader(format string, args ...any) *Error {
	return fail(codeHeaderMalformed, "the authorization header needs Credential, SignedHeaders and Signature, once each").
		say(c.lead()+format, args...)
}

func errNoDate() *Error {
	return fail(codeAccessDenied, "no valid Date or x-amz-date header").
		say("AWS authentication requires a valid Date or x-amz-date header.")
}

// checkWindow holds a presigned request against its own validity.
func (v *Verifier) checkWindow(c *claim, expires time.Duration, now time.Time) *Error {
	switch {
	case c.at.Sub(now) > v.skew():
		return fail(codeAccessDenied, "request is not yet valid: dated %s", c.stamp).say("Request is not valid yet.")
	case now.After(c.at.Add(expires)):
		return fail(codeAccessDenied, "request has expired: dated %s for %s", c.stamp, expires).say("Request has expired.").
			field("X-Amz-Expires", strconv.FormatInt(int64(expires/time.Second), 10)).
			field("Expires", c.at.Add(expires).UTC().Format(time.RFC3339)).field("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}
