package proxy

import (
	"errors"
	"fmt"

	"s3veil/crypto/envelope"
	"s3veil/keycache"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
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
	// keyless is a Complete without the customer's key: attrs are those of the completion token, whose DEK is the manifest's
	// secret, and head is still the upload's.
	keyless bool
}

// declared is the checksum that the client announced at Create, None for nothing.
func (u *upload) declared() (a checksum.Algorithm, full bool) {
	if u.attrs.Declared == nil {
		return checksum.None, false
	}
	return checksum.Algorithm(u.attrs.Declared[0]), u.attrs.Declared[1] == 1
}

// errNoState is an upload whose state object is gone: it has ended, or never was.
var errNoState = fmt.Errorf("%w: no state object", envelope.ErrToken)

// noState is errNoState, but for a bucket that is missing too. Of a Complete, which may be the repetition of one that has succeeded,
// that is found out when there is no object.
func (x *exchange) noState() error {
	if x.req.Op == "CompleteMultipartUpload" {
		return errNoState
	}
	return x.whichMissing(&x.bucket, errNoState)
}

// openUpload opens the uploadId of the request. Everything that does not open is NoSuchUpload; a KMS that refuses or is away
// keeps its own class, because clients give an upload up on NoSuchUpload. An upload under a customer's key needs it, but for
// what a completion token is enough for.
func (x *exchange) openUpload(completes bool) (*upload, error) {
	u, tokens, err := x.parseUpload()
	if err != nil {
		return nil, err
	}
	token, head := tokens.Token, u.head
	if completes && x.customer == nil && tokens.Completion != nil {
		u.keyless = true
		token, head = tokens.Completion, tokens.Completion.Envelope.Header()
	} else if matchesCustomer(&u.head, x.customer) != nil {
		return nil, sse.ErrUploadKeyMissing
	}
	key, err := x.readKey(&x.bucket, &head, x.customer)
	if err != nil {
		return nil, customerError(err, &head, sse.ErrUploadWrongKey)
	}
	defer key.Release()
	u.charge = key.Charge
	if u.attrs, err = token.Open(key.Bound, x.bucket.location(x.req.Key)); err != nil {
		return nil, err
	}
	if u.keyless != (u.attrs.Entry != nil) { // by itself a completion token is none of an upload
		u.attrs.Zero()
		return nil, fmt.Errorf("%w: not the kind of token", envelope.ErrToken)
	}
	x.note.sse = x.uploadState(u).Type
	return u, nil
}

// parseUpload finds the tokens of the request's uploadId.
func (x *exchange) parseUpload() (*upload, envelope.Tokens, error) {
	text, _ := x.req.Get("uploadId")
	parsed, err := envelope.ParseUploadID(text)
	if err != nil {
		return nil, envelope.Tokens{}, x.whichMissing(&x.bucket, err)
	}
	u, tokens := &upload{clientID: text}, parsed.Tokens
	switch parsed.Form {
	case envelope.FormListed:
		e := s3err.NoSuchUpload.With(errors.New("upload id from a listing"))
		e.Message += " An id from ListMultipartUploads serves AbortMultipartUpload and ListParts only."
		return nil, envelope.Tokens{}, e
	case envelope.FormState:
		u.state = envelope.StateNameOf(parsed.State)
		raw, err := x.readReserved(&x.bucket, u.state)
		if err != nil {
			return nil, envelope.Tokens{}, err
		}
		if raw == nil {
			return nil, envelope.Tokens{}, x.noState()
		}
		if tokens, err = envelope.ParseStateToken(parsed.State, raw); err != nil {
			return nil, envelope.Tokens{}, err
		}
	}
	u.id, u.head = tokens.Token.UpstreamID, tokens.Token.Envelope.Header()
	return u, tokens, checkUpload(u.id)
}

// checkUpload refuses a store's upload id that can be none. Aborts and listings of parts take ids as clients send them, without
// their MAC, and a store that keeps uploads in directories of their names would remove, or read, whatever the id leads to.
func checkUpload(id string) error {
	if id == "" || !s3op.CheckID(id) {
		return fmt.Errorf("%w: no upload has the id %q", envelope.ErrToken, id)
	}
	return nil
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
		return parsed.Upstream, "", checkUpload(parsed.Upstream)
	case envelope.FormToken:
		return parsed.Token.UpstreamID, "", checkUpload(parsed.Token.UpstreamID)
	}
	state = envelope.StateNameOf(parsed.State)
	raw, err := x.readReserved(&x.bucket, state)
	if err != nil {
		return "", "", err
	}
	if raw == nil {
		return "", "", x.noState()
	}
	tokens, err := envelope.ParseStateToken(parsed.State, raw)
	if err != nil {
		return "", "", err
	}
	return tokens.Token.UpstreamID, state, checkUpload(tokens.Token.UpstreamID)
}

// maxTokenChars is where upload_id: auto turns to state objects: some clients keep ids in short columns.
const maxTokenChars = 1000

// newUploadID seals the upload id that the client gets; in state-object mode it writes the state object. completion is the
// completion token of an upload under a customer's key, sealed already, and empty for others.
func (x *exchange) newUploadID(upstreamID string, token *envelope.Sealed, a *envelope.Attributes, completion string) (string, error) {
	loc := x.bucket.location(x.req.Key)
	text, raw := envelope.SealToken(upstreamID, token, &a.DEK, loc), envelope.SealTokenBytes(upstreamID, token, &a.DEK, loc)
	if completion != "" {
		text = envelope.PairID(text, completion)
		raw = []byte(text)
	}
	form := x.bucket.rule.UploadID
	if form == UploadIDToken || (form == UploadIDAuto && len(text) <= maxTokenChars) {
		return text, nil
	}
	if err := x.writeState(&x.bucket, envelope.StateName(upstreamID), raw, stateHint(a.Declared)...); err != nil {
		return "", err
	}
	return envelope.StateID(upstreamID), nil
}

// nameUpload seals the upload id that the client gets for a store's upload of an object under header h.
func (x *exchange) nameUpload(id string, h envelope.Header, key keycache.Key, a *envelope.Attributes, object *envelope.Sealed) (string, error) {
	token, err := envelope.Seal(h, key.Bound, x.bucket.location(x.req.Key), a)
	if err != nil {
		return "", err
	}
	completion := ""
	if x.customer != nil {
		if completion, err = x.sealCompletion(id, a, object.Text()); err != nil {
			return "", err
		}
	}
	return x.newUploadID(id, token, a, completion)
}

// abandonUpload aborts an upload of which the client will never learn: left open, nobody would end it but a lifecycle rule of
// the store's. Its state object goes too, since a write that failed may have happened.
func (x *exchange) abandonUpload(id string) {
	if id == "" {
		return
	}
	failed := x.storeID
	defer func() { x.storeID = failed }() // the log names the request that failed, not these
	resp, err := x.abortUpload(id)
	if err != nil {
		x.s.log.Warn("upload that could not be named stays open at the store", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key, "cause", err.Error())
		return
	}
	resp.Body.Close()
	if x.bucket.rule.UploadID == UploadIDToken {
		return
	}
	if err := x.deleteState(&x.bucket, envelope.StateName(id)); err != nil {
		x.s.log.Warn("state object of an aborted upload stays", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key, "cause", err.Error())
	}
}

// abortUpload ends an upload at the store.
func (x *exchange) abortUpload(id string) (*upstream.Response, error) {
	resp, err := x.call(&upstream.Request{Op: "AbortMultipartUpload", Method: "DELETE", Key: x.req.Key, Query: uploadQuery(id),
		Header: x.sideHeaders(), Idempotent: true})
	if err == nil && resp.Status >= 300 {
		return nil, x.storeError(resp)
	}
	return resp, err
}

// uploadQuery is the query of a multipart request to the store.
func uploadQuery(id string, more ...upstream.Param) []upstream.Param {
	return append(more, upstream.Param{Name: "uploadId", Value: id})
}
