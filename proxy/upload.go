package proxy

import (
	"errors"
	"fmt"

	"s3veil/crypto/envelope"
	"s3veil/proxy/s3err"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// upload is an opened upload id (FORMAT.md 9.1).
type upload struct {
	clientID string // as the client sent it
	id       string // the store's
	head     envelope.Header
	attrs    *envelope.Attributes
	state    string      // key of the state object, empty for tokens
	charge   func(int64) // counts plaintext below the upload's intermediate key
}

// declared is the checksum that the client announced at Create, None for nothing.
func (u *upload) declared() (a checksum.Algorithm, full bool) {
	if u.attrs.Declared == nil {
		return checksum.None, false
	}
	return checksum.Algorithm(u.attrs.Declared[0]), u.attrs.Declared[1] == 1
}

// openUpload opens the uploadId of the request. Everything that does not open is NoSuchUpload; a KMS that refuses or is away
// keeps its own class, because clients give an upload up on NoSuchUpload.
func (x *exchange) openUpload() (*upload, error) {
	text, _ := x.req.Get("uploadId")
	parsed, err := envelope.ParseUploadID(text)
	if err != nil {
		return nil, x.whichMissing(&x.bucket, err)
	}
	u := &upload{clientID: text}
	token := parsed.Token
	switch parsed.Form {
	case envelope.FormListed:
		e := s3err.NoSuchUpload.With(errors.New("upload id from a listing"))
		e.Message += " An id from ListMultipartUploads serves AbortMultipartUpload and ListParts only."
		return nil, e
	case envelope.FormState:
		u.state = envelope.StateNameOf(parsed.State)
		raw, err := x.readReserved(&x.bucket, u.state)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			return nil, fmt.Errorf("%w: no state object", envelope.ErrToken)
		}
		if token, err = envelope.ParseStateToken(parsed.State, raw); err != nil {
			return nil, err
		}
	}
	u.id, u.head = token.UpstreamID, token.Envelope.Header()
	if matchesCustomer(&u.head, x.customer) != nil {
		return nil, sse.ErrUploadKeyMissing
	}
	key, err := x.readKey(&x.bucket, &u.head, x.customer)
	if err != nil {
		return nil, customerError(err, &u.head, sse.ErrUploadWrongKey)
	}
	defer key.Release()
	u.charge = key.Charge
	if u.attrs, err = token.Open(key.Bound, x.bucket.location(x.req.Key)); err != nil {
		return nil, err
	}
	x.note.sse = x.uploadState(u).Type
	return u, nil
}

// upstreamUpload returns the store's upload id for Abort and ListParts, which need neither KMS nor customer key.
func (x *exchange) upstreamUpload() (id, state string, err error) {
	text, _ := x.req.Get("uploadId")
	parsed, err := envelope.ParseUploadID(text)
	if err != nil {
		return "", "", x.whichMissing(&x.bucket, err)
	}
	switch parsed.Form {
	case envelope.FormListed:
		return parsed.Upstream, "", nil
	case envelope.FormToken:
		return parsed.Token.UpstreamID, "", nil
	}
	state = envelope.StateNameOf(parsed.State)
	raw, err := x.readReserved(&x.bucket, state)
	if err != nil {
		return "", "", err
	}
	if raw == nil {
		return "", "", fmt.Errorf("%w: no state object", envelope.ErrToken)
	}
	token, err := envelope.ParseStateToken(parsed.State, raw)
	if err != nil {
		return "", "", err
	}
	return token.UpstreamID, state, nil
}

// maxTokenChars is where upload_id: auto turns to state objects: some clients keep ids in short columns.
const maxTokenChars = 1000

// newUploadID seals the upload id that the client gets; in state-object mode it writes the state object.
func (x *exchange) newUploadID(upstreamID string, token *envelope.Sealed, a *envelope.Attributes) (string, error) {
	loc := x.bucket.location(x.req.Key)
	form := x.bucket.rule.UploadID
	if form == UploadIDToken || (form == UploadIDAuto && envelope.TokenLen(upstreamID, token) <= maxTokenChars) {
		return envelope.SealToken(upstreamID, token, &a.DEK, loc), nil
	}
	raw := envelope.SealTokenBytes(upstreamID, token, &a.DEK, loc)
	if _, err := x.writeReserved(&x.bucket, envelope.StateName(upstreamID), raw, "", false); err != nil {
		return "", err
	}
	return envelope.StateID(upstreamID), nil
}

// uploadQuery is the query of a multipart request to the store.
func uploadQuery(id string, more ...upstream.Param) []upstream.Param {
	return append(more, upstream.Param{Name: "uploadId", Value: id})
}
