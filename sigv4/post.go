package sigv4

import (
	"crypto/subtle"
	"strings"
)

// Form fields of POST uploads, in lower case.
const (
	fieldPolicy     = "policy"
	fieldAlgorithm  = "x-amz-algorithm"
	fieldCredential = "x-amz-credential"
	fieldDate       = "x-amz-date"
	fieldSignature  = "x-amz-signature"
	fieldFile       = "file"
	fieldBucket     = "bucket"
	ignoredPrefix   = "x-ignore-"
)

// VerifyPost authenticates a POST form by the fields before its file and holds them against the signed policy; the
// returned policy is left to limit the file's length ([Policy.CheckLength]). Field names are in lower case, variables such
// as ${filename} are already expanded, and bucket is the one the form was sent to. A form without credentials and policy
// is Anonymous with a nil policy.
//
// The codes: InvalidArgument (fields missing, repeated or malformed), InvalidAccessKeyId, InvalidToken,
// SignatureDoesNotMatch, InvalidPolicyDocument, AccessDenied (expired, a condition failed, a field is not covered),
// InvalidRequest (SigV2 not switched on), NotImplemented (SigV4A). Source: "Browser-Based Uploads Using POST".
func (v *Verifier) VerifyPost(bucket string, form []Field) (*Verified, *Policy, error) {
	verified, policy, err := v.verifyPost(bucket, form)
	if err != nil { // a nil *Error must not become a non-nil error
		return nil, nil, err
	}
	return verified, policy, nil
}

func (v *Verifier) verifyPost(bucket string, form []Field) (*Verified, *Policy, *Error) {
	values := make(map[string]string, len(form))
	for _, f := range form {
		if _, repeated := values[f.Name]; repeated {
			return nil, nil, fail(codeInvalidArgument, "form field %q is repeated", f.Name)
		}
		values[f.Name] = f.Value
	}
	if isV2Form(values) {
		for _, name := range []string{fieldAlgorithm, fieldCredential, fieldDate, fieldSignature} {
			if _, both := values[name]; both {
				return nil, nil, fail(codeInvalidArgument, "form fields of two signature versions")
			}
		}
		return v.finishForm(bucket, values, v.verifyFormV2)
	}
	required := []string{fieldPolicy, fieldAlgorithm, fieldCredential, fieldDate, fieldSignature}
	missing := ""
	present := false
	for _, name := range required {
		if _, ok := values[name]; ok {
			present = true
		} else {
			missing = name
		}
	}
	if !present {
		return &Verified{Kind: Anonymous, Payload: PayloadAbsent}, nil, nil
	}
	if missing != "" {
		return nil, nil, fail(codeInvalidArgument, "form field %q is missing before the file", missing).
			say("Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", missing).
			argument(missing, "")
	}
	return v.finishForm(bucket, values, v.verifyFormSignature)
}

// finishForm checks the signature of a form, then the form against its policy.
func (v *Verifier) finishForm(bucket string, values map[string]string, signature func(map[string]string) (*Verified, *Error)) (*Verified, *Policy, *Error) {
	verified, err := signature(values)
	if err != nil {
		return nil, nil, err
	}
	policy, err := parsePolicy(values[fieldPolicy])
	if err != nil {
		return nil, nil, err
	}
	return verified, policy, policy.check(bucket, values, v.Now())
}

// verifyFormSignature checks the signature, which covers the policy as sent.
func (v *Verifier) verifyFormSignature(values map[string]string) (*Verified, *Error) {
	switch values[fieldAlgorithm] {
	case algorithm:
	case algorithmECDSA:
		return nil, fail(codeNotImplemented, "forms with signatures of SigV4A are not implemented")
	default:
		return nil, fail(codeInvalidArgument, "x-amz-algorithm only supports AWS4-HMAC-SHA256").
			say("Only AWS4-HMAC-SHA256 is supported").argument("X-Amz-Algorithm", values[fieldAlgorithm])
	}
	c := &claim{kind: Post, token: values[hdrAmzToken], signature: values[fieldSignature]}
	if err := c.setCredential(values[fieldCredential]); err != nil {
		return nil, err
	}
	if !c.setStamp(values[fieldDate]) {
		return nil, fail(codeInvalidArgument, "x-amz-date must be in the form YYYYMMDDTHHMMSSZ").
			say("X-Amz-Date must be formated via ISO8601 Long format").argument("X-Amz-Date", values[fieldDate])
	}
	if err := c.checkScope(); err != nil {
		return nil, err
	}
	cred, err := v.credential(c)
	if err != nil {
		return nil, err
	}
	if err := v.checkRegion(c); err != nil {
		return nil, err
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	id, key, cached := v.keys.get(cred, c.date, c.region, c.service)
	s.buf = append(s.buf[:0], values[fieldPolicy]...)
	key.sign(&s.sig, s.buf)
	if subtle.ConstantTimeCompare(s.sig[:], []byte(c.signature)) != 1 {
		return nil, fail(codeSignatureMismatch, "%s; of the policy", reasonSignatureDiffers).
			signed(cred.AccessKey, values[fieldPolicy], c.signature)
	}
	if !cached {
		v.keys.put(id, key)
	}
	return &Verified{Kind: Post, AccessKey: cred.AccessKey, Time: c.at, Region: strings.Clone(c.region), Payload: PayloadAbsent}, nil
}
