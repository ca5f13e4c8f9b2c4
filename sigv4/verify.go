package sigv4

import (
	"crypto/subtle"
	"sort"
	"strings"
	"time"
)

// Verify authenticates a request. A request without any credentials is Anonymous, not an error. Header and query
// credentials together, SigV2, SigV4A and unknown algorithms are errors. Every error is an *Error.
//
// The codes: AccessDenied (no date, expired or not yet valid URL, an x-amz-* header left unsigned),
// AuthorizationHeaderMalformed and AuthorizationQueryParametersError (form, scope and, with Region, a foreign region),
// InvalidAccessKeyId, InvalidToken, RequestTimeTooSkewed, SignatureDoesNotMatch, InvalidArgument (unknown payload mode or
// authorization type, two sets of credentials), InvalidRequest (SigV2, repeated security header, no
// x-amz-content-sha256), InvalidURI, NotImplemented (SigV4A).
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
		return nil, fail(codeInvalidArgument, "only one auth mechanism allowed: Authorization header or query parameters")
	case params.v2:
		return nil, fail(codeInvalidRequest, reasonOnlyV4)
	case header:
		return v.verifyHeader(s, r, authorization)
	case params.v4:
		return v.verifyPresigned(s, r, params)
	}
	return anonymous(r)
}

// anonymous describes a request without credentials. It may carry a digest or an unsigned trailer, but no chunk
// signatures: there is no key for them.
func anonymous(r *Request) (*Verified, *Error) {
	out := &Verified{Kind: Anonymous, Payload: PayloadAbsent}
	if value, ok := r.header(hdrAmzSHA256); ok {
		if err := out.setPayload(value); err != nil {
			return nil, err
		}
	}
	if out.Payload == PayloadSignedChunks || out.Payload == PayloadSignedChunksTrailer {
		return nil, fail(codeAccessDenied, "signed chunks without credentials")
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
			return nil, fail(codeAccessDenied, "a valid x-amz-date is required")
		}
	} else if date, _ := r.header(hdrDate); !c.setDate(date) {
		return nil, fail(codeAccessDenied, "a valid Date or x-amz-date header is required")
	}
	out := &Verified{Kind: Header}
	value, ok := r.header(hdrAmzSHA256)
	if !ok {
		return nil, fail(codeInvalidRequest, "missing required header for this request: x-amz-content-sha256")
	}
	if err := out.setPayload(value); err != nil {
		return nil, err
	}
	c.payload = value
	c.token, _ = r.header(hdrAmzToken)
	now := v.Now()
	return v.finish(s, r, c, out, func() *Error {
		if d := now.Sub(c.at); d > v.skew() || d < -v.skew() {
			return fail(codeTimeTooSkewed, "request time %s, server time %s", c.stamp, now.UTC().Format(stampLayout))
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
	if err != nil {
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
	if err := s.canonicalRequest(r, c.payload); err != nil {
		return nil, err
	}
	id, key, cached := v.keys.get(cred, c.date, c.region, c.service)
	key.sign(&s.sig, s.stringToSign(c.stamp, key.scope))
	if subtle.ConstantTimeCompare(s.sig[:], []byte(c.signature)) != 1 {
		return nil, fail(codeSignatureMismatch, "%s; signed headers: %s", reasonSignatureDiffers, c.names)
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

// credential looks the access key up and holds the session token against the configured one.
func (v *Verifier) credential(c *claim) (Credential, *Error) {
	cred, ok := v.Lookup(c.accessKey)
	if !ok {
		return Credential{}, fail(codeInvalidAccessKey, "access key %q is unknown", c.accessKey)
	}
	if !equalSecret(c.token, cred.SessionToken) {
		return Credential{}, fail(codeInvalidToken, "the session token is not the one configured for access key %q", c.accessKey)
	}
	cred.AccessKey = strings.Clone(c.accessKey)
	return cred, nil
}

func (v *Verifier) checkRegion(c *claim) *Error {
	if v.Region(c.region) {
		return nil
	}
	err := fail(c.malformed(), "the region %q is wrong; expecting %q", c.region, v.Expected)
	err.Region = v.Expected
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
		return fail(codeAccessDenied, "the host header is not signed")
	}
	for i := range header {
		if strings.HasPrefix(header[i].Name, amzPrefix) && !s.signed(header[i].Name) {
			return fail(codeAccessDenied, "header %q is present but not signed", header[i].Name)
		}
	}
	return nil
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
	scheme, rest, _ := strings.Cut(value, " ")
	switch scheme {
	case algorithm:
	case "AWS":
		return fail(codeInvalidRequest, reasonOnlyV4)
	case algorithmECDSA:
		return fail(codeNotImplemented, reasonAsymmetric)
	default:
		return fail(codeInvalidArgument, "unsupported authorization type")
	}
	var credential string
	fields := map[string]*string{"Credential": &credential, "SignedHeaders": &c.names, "Signature": &c.signature}
	for part := range strings.SplitSeq(rest, ",") {
		name, text, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		field := fields[name]
		if !ok || field == nil || text == "" {
			return fail(codeHeaderMalformed, "the authorization header needs Credential, SignedHeaders and Signature, once each")
		}
		*field = text
		delete(fields, name)
	}
	if len(fields) != 0 {
		return fail(codeHeaderMalformed, "the authorization header needs Credential, SignedHeaders and Signature, once each")
	}
	return c.setCredential(credential)
}

// checkWindow holds a presigned request against its own validity.
func (v *Verifier) checkWindow(c *claim, expires time.Duration, now time.Time) *Error {
	switch {
	case c.at.Sub(now) > v.skew():
		return fail(codeAccessDenied, "request is not yet valid: dated %s", c.stamp)
	case now.After(c.at.Add(expires)):
		return fail(codeAccessDenied, "request has expired: dated %s for %s", c.stamp, expires)
	}
	return nil
}
