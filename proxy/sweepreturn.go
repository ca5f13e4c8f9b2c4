package proxy

import (
	"errors"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/proxy/upstream"
)

// sweepAtOnce is how many keys a sweep removes between two looks at the bucket, and sweepBytes how much of their contents it
// holds meanwhile.
const (
	sweepAtOnce = 100
	sweepBytes  = 1 << 20
)

// sweptObject is a small object under the reserved prefix, as it was before its removal.
type sweptObject struct {
	key, hint string
	raw       []byte
}

// removeKeys removes keys of the reserved prefix that seemed to be nobody's a moment ago. A copy may have become visible since,
// and have looked at its manifest for the last time before that was removed: so the bucket is looked at again behind each few of
// them, and if there is anything in it, those go back and free is false. Before that, a copy makes sure of its manifest itself.
func (x *exchange) removeKeys(keys []rawKey) (free bool, err error) {
	for len(keys) > 0 {
		var kept []sweptObject
		n, held := 0, 0
		for n < min(len(keys), sweepAtOnce) && held < sweepBytes {
			o, err := x.beforeSweep(keys[n].Key)
			if err != nil {
				return false, err
			}
			if o.raw != nil {
				kept, held = append(kept, o), held+len(o.raw)
			}
			n++
		}
		for _, k := range keys[:n] {
			if err := x.deleteRaw(k); err != nil {
				return false, errors.Join(err, x.putBack(kept))
			}
		}
		if keys = keys[n:]; len(kept) == 0 {
			continue
		}
		if used, err := x.inUse(); err != nil || used {
			return false, errors.Join(err, x.putBack(kept))
		}
	}
	return true, nil
}

// beforeSweep reads what may have to go back: manifests and settings. What cannot be read serves nobody.
func (x *exchange) beforeSweep(key string) (o sweptObject, err error) {
	if strings.HasPrefix(key, envelope.StatePrefix) { // of uploads, which have ended
		return o, nil
	}
	o.key = key
	o.raw, o.hint, err = x.readHinted(&x.bucket, key)
	if err != nil && !errors.Is(err, upstream.ErrUnavailable) {
		err = nil
	}
	return o, err
}

// inUse reports whether there is an open upload in the bucket, or a key outside the reserved prefix.
func (x *exchange) inUse() (bool, error) {
	if open, err := x.openUploads(); err != nil || len(open) > 0 {
		return true, err
	}
	keys, _, err := x.rawVersions("")
	if err != nil || len(keys) == 0 {
		return err != nil, err
	}
	only, err := x.onlyReserved()
	return !only, err
}

// putBack writes what has been removed, where nobody has written it since.
func (x *exchange) putBack(kept []sweptObject) error {
	var failed []error
	for _, o := range kept {
		if _, err := x.writeReserved(&x.bucket, o.key, o.raw, o.hint, true); err != nil {
			failed = append(failed, err)
			x.s.log.Error("a manifest or setting that was swept could not be put back", "request_id", x.id, "bucket", x.bucket.visible, "key", o.key, "cause", err.Error())
		}
	}
	return errors.Join(failed...)
}

// readHinted is readReserved with the hint that the object carries.
func (x *exchange) readHinted(b *bucket, name string) (raw []byte, hint string, err error) {
	resp, err := x.callOwn(b, &upstream.Request{Op: "GetObject", Method: "GET", Bucket: b.reserved, Key: name, Idempotent: true})
	if err != nil {
		return nil, "", err
	}
	raw, err = x.reservedBody(resp, name)
	return raw, resp.Get(metaPrefix + manifest.HintName), err
}
