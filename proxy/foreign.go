package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"s3veil/crypto/kms"
	"s3veil/crypto/s3ec"
	"s3veil/proxy/byterange"
	"s3veil/proxy/metrics"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// Foreign says how a bucket reads objects that the Amazon S3 Encryption Client wrote (FORMAT.md Appendix A).
type Foreign struct {
	Keys             *s3ec.Keys
	Legacy           bool  // algorithms without authentication too
	InstructionFiles bool  // look for "<key>.instruction"
	MaxObject        int64 // stored bytes up to which an object is verified whole before its first byte is released
	// Delayed streams larger objects; a wrong tag breaks the connection before the last bytes. Otherwise they are refused.
	Delayed bool
}

// foreignObject is what openForeign found out: how to decrypt, and with which key.
type foreignObject struct {
	rule *Foreign
	head *s3ec.Header
	key  kms.Key32
}

const instructionSuffix = ".instruction"

// errForeignSize reports an object that cannot be verified in memory.
var errForeignSize = fmt.Errorf("%w: object is larger than foreign.max_object", s3ec.ErrUnsupported)

// openForeign opens the data key of an object of the S3 Encryption Client. It leaves o alone if there is no signal of one;
// otherwise o.foreign and o.content are set and the signal is no longer among o.header, since to the client, and to a copy,
// it describes nothing that is left.
func (x *exchange) openForeign(b *bucket, o *object) error {
	rule := b.rule.Foreign
	meta, err := x.foreignMeta(b, o)
	if err != nil || meta == nil {
		return err
	}
	h, err := s3ec.Parse(meta, rule.Legacy)
	if err != nil {
		return err
	}
	if h.Wrapping == s3ec.KMSContext || h.Wrapping == s3ec.KMS {
		if err := x.s.keys.Miss(x.client.name, b.realm); err != nil {
			return err
		}
	}
	asking := x.keyStep("key read", "")
	data, err := rule.Keys.Open(x.context(), h)
	asking.end(err)
	if err != nil {
		return err
	}
	defer data.Zero()
	key, err := s3ec.ContentKey(h, data)
	if err != nil {
		return err
	}
	n, exact, err := s3ec.PlainSize(h, o.stored)
	if err == nil && !exact {
		n, err = x.foreignTail(b, o, h, key)
	}
	if err != nil {
		key.Zero()
		return err
	}
	x.note.kid = "s3ec"
	x.s.metrics.Foreign(foreignFormat(h))
	o.foreign, o.content, o.header = &foreignObject{rule, h, key}, n, withoutForeign(o.header)
	return nil
}

// foreignFormat is the label of the metric. Neither AES-CBC nor the old wrappings let a reader notice a store that tampers.
func foreignFormat(h *s3ec.Header) string {
	if h.Cipher == s3ec.CBC || h.Wrapping == s3ec.KMS || h.Wrapping == s3ec.AESWrap || h.Wrapping == s3ec.ECB {
		return metrics.FormatLegacy
	}
	return metrics.FormatS3EC
}

// foreignMeta is the user metadata of an object with a signal, its instruction file included; nil where there is none.
func (x *exchange) foreignMeta(b *bucket, o *object) (map[string]string, error) {
	meta := map[string]string{}
	for _, f := range o.header {
		if name, ok := strings.CutPrefix(f.Name, metaPrefix); ok {
			meta[name] = f.Value
		}
	}
	v, err := s3ec.Detect(meta)
	if err != nil {
		return nil, err
	}
	switch split := s3ec.Split(meta); {
	case v != s3ec.None && !split:
		return meta, nil
	case !b.rule.Foreign.InstructionFiles && split:
		return nil, fmt.Errorf("%w: the key lies in an instruction file", s3ec.ErrUnsupported)
	case !b.rule.Foreign.InstructionFiles || strings.HasSuffix(o.key, instructionSuffix):
		return nil, nil
	}
	file, marked, err := x.instructionFile(b, o.key)
	if err != nil {
		return nil, err
	}
	merged, err := s3ec.Merge(meta, file)
	switch {
	case v == s3ec.None && file == nil, v == s3ec.None && err != nil && !marked:
		return nil, nil // an object that happens to have such a neighbour
	case file == nil:
		return nil, fmt.Errorf("%w: no instruction file", s3ec.ErrMalformed)
	case err != nil:
		return nil, err
	}
	if v, err = s3ec.Detect(merged); err == nil && v == s3ec.None && !marked {
		return nil, nil
	}
	return merged, err
}

// instructionFile reads "<key>.instruction"; nil if there is none. marked is the marker that writers leave on it.
func (x *exchange) instructionFile(b *bucket, key string) (file []byte, marked bool, err error) {
	resp, err := x.callOn(b.store.control, &upstream.Request{Op: "GetObject", Method: "GET", Bucket: b.name, Key: key + instructionSuffix,
		Idempotent: true})
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	switch resp.Status {
	case 200:
	case 404:
		return nil, false, nil
	default:
		return nil, false, x.storeError(resp)
	}
	if file, err = io.ReadAll(io.LimitReader(resp.Body, s3ec.MaxInstruction+1)); err != nil {
		return nil, false, fmt.Errorf("%w: instruction file: %w", upstream.ErrUnavailable, err)
	}
	if entry, err := classify(resp.Header); err == nil && entry != "" {
		return nil, false, nil // what a client of s3veil's has written is nobody's instruction
	}
	for i := range resp.Header {
		marked = marked || resp.Header[i].Name == metaPrefix+"x-amz-crypto-instr-file"
	}
	return file, marked, nil
}

// measureForeign is what a listing shows of an object without an envelope in a bucket that reads foreign ones.
func (x *exchange) measureForeign(e *s3xml.Entry, resp *upstream.Response) (listedSize, error) {
	meta, err := x.foreignMeta(&x.bucket, &object{key: e.Key, header: resp.Header})
	if err != nil || meta == nil {
		if isTrouble(err) {
			return listedSize{}, err
		}
		return listedSize{}, nil
	}
	h, err := s3ec.Parse(meta, true)
	if err != nil {
		return listedSize{}, nil // shown as the store has it; reading it names what is wrong
	}
	n, _, err := s3ec.PlainSize(h, e.Stored)
	if err != nil {
		return listedSize{}, nil
	}
	return listedSize{known: true, content: n}, nil
}

// isTrouble reports whether err is the store's and not the object's.
func isTrouble(err error) bool {
	return err != nil && !errors.Is(err, s3ec.ErrAmbiguous) && !errors.Is(err, s3ec.ErrMalformed) && !errors.Is(err, s3ec.ErrUnsupported)
}

// withoutForeign drops what described the foreign encryption.
func withoutForeign(fields []upstream.Field) []upstream.Field {
	out := make([]upstream.Field, 0, len(fields))
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f.Name, metaPrefix); !ok || !s3ec.IsName(name) {
			out = append(out, f)
		}
	}
	return out
}

// foreignTail finds the length of an AES-CBC object whose writer did not declare it, by decrypting its last block.
func (x *exchange) foreignTail(b *bucket, o *object, h *s3ec.Header, key kms.Key32) (int64, error) {
	from := max(0, o.stored-2*16)
	req := &upstream.Request{Op: "GetObject", Method: "GET", Bucket: b.name, Key: o.key, Idempotent: true,
		Header: []upstream.Field{{Name: "if-match", Value: o.etag}, {Name: "range", Value: byterange.Format(from, o.stored-1)}}}
	resp, err := x.callOn(b.store.control, req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.Status >= 300 {
		return 0, x.storeError(resp)
	}
	tail := make([]byte, o.stored-from)
	if _, err := io.ReadFull(resp.Body, tail); err != nil {
		return 0, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	return s3ec.TailSize(h, key, o.stored, tail)
}

// openForeignBody returns the plaintext bytes a..b of a foreign object from its whole stored body. final says that the reader
// calls Verify before it uses what it has read, so that an object of any length may be streamed.
func (x *exchange) openForeignBody(o *object, body io.ReadCloser, a, b int64, final bool) (answerSource, error) {
	f := o.foreign
	if o.stored > f.rule.MaxObject {
		if f.head.Cipher == s3ec.CBC || !final && !f.rule.Delayed {
			return nil, errForeignSize
		}
		release, err := x.s.memory.Reserve(x.context(), s3ec.DelayedBuffer+heldBack)
		if err != nil {
			return nil, err
		}
		d, err := s3ec.NewDelayed(f.head, f.key, body, o.stored)
		if err != nil {
			release()
			return nil, err
		}
		return newDelayedBody(d, charged{body, release}, a, b-a+1), nil
	}
	raw, release, err := x.s.memory.Whole(x.context(), o.stored)
	if err != nil {
		return nil, err
	}
	if _, err = io.ReadFull(body, raw); err != nil {
		err = fmt.Errorf("%w: %w", errRelayShort, err)
	}
	var plain []byte
	if err == nil {
		_, _ = body.Read(make([]byte, 1)) // the end gives the connection back
		plain, err = s3ec.Open(f.head, f.key, raw)
	}
	if err == nil && int64(len(plain)) != o.content {
		err = s3ec.ErrContent
	}
	if err != nil {
		release()
		return nil, err
	}
	return &memoryBody{Reader: bytes.NewReader(plain[a : b+1]), all: raw, body: body, release: release, length: b - a + 1}, nil
}

// charged is a body behind which memory is given back.
type charged struct {
	io.ReadCloser
	release func()
}

// Close is called once.
func (c charged) Close() error {
	defer c.release()
	return c.ReadCloser.Close()
}

// sendForeign answers with a window of a foreign object.
func (x *exchange) sendForeign(o *object, w window, resp *upstream.Response, status int) error {
	body, err := x.openForeignBody(o, resp.Body, w.a, w.b, false)
	if err != nil {
		resp.Body.Close()
		return err
	}
	x.respondObject(status, o)
	if err := x.applyOverrides(); err != nil {
		body.Close()
		return err
	}
	x.setWindow(o, w)
	x.stream(body, w.b-w.a+1)
	return nil
}
