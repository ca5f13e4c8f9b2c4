package proxy

import (
	"fmt"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/partnote"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// maxNotePages bounds a listing of the notes of one upload: ten uploads of each of 10,000 parts.
const maxNotePages = 100

// keepsNotes reports whether s3veil remembers the parts of this upload as S3 does (FORMAT.md 9.9).
func (x *exchange) keepsNotes(u *upload) bool {
	return u.state != "" && x.bucket.rule.UploadID == UploadIDState
}

// noteKey seals and opens the notes of an upload.
func (x *exchange) noteKey(u *upload) *partnote.Key {
	return partnote.NewKey(u.attrs.ManifestKey(), u.id, x.bucket.location(x.req.Key))
}

// defaultSum is what has to be computed of every part of an upload without a declared algorithm, None for nothing.
func (x *exchange) defaultSum(u *upload) checksum.Algorithm {
	if declared, _ := u.declared(); declared != checksum.None || !x.keepsNotes(u) {
		return checksum.None
	}
	return checksum.CRC64NVME
}

// saveNote remembers the checksum of a part that the store has accepted under etag, before the client learns of it. said is
// the checksum that the client knows, with no algorithm for none; crc is the CRC64NVME where defaultSum asks for it.
func (x *exchange) saveNote(u *upload, part int, storeETag string, said sigv4.Sum, crc []byte) error {
	if !x.keepsNotes(u) {
		return nil
	}
	n := &partnote.Note{ETag: partnote.DigestOf(bare(storeETag)), Default: crc}
	if said.Algorithm != checksum.None {
		n.Sum = &envelope.Checksum{Algorithm: byte(said.Algorithm), Value: said.Value}
	}
	if said.Algorithm == checksum.CRC64NVME {
		n.Default = nil
	}
	return x.writeState(&x.bucket, x.noteKey(u).Name(part, n), []byte{})
}

// partNotes are the notes of parts by number. Parts whose checksum is not known have none.
type partNotes map[int]*partnote.Note

// readNotes finds the notes of listed parts, which ascend: those that match the ETags. What is no authentic note, and two that
// match and differ, count as none: no checksum is believed but what this upload's own key has sealed.
func (x *exchange) readNotes(u *upload, parts []s3xml.UploadedPart) (partNotes, error) {
	if !x.keepsNotes(u) || len(parts) == 0 {
		return nil, nil
	}
	want := make(map[int]partnote.Digest, len(parts))
	for _, p := range parts {
		want[p.Number] = partnote.DigestOf(bare(p.ETag))
	}
	last := parts[len(parts)-1].Number
	key, found, torn, bad := x.noteKey(u), partNotes{}, map[int]bool{}, 0
	err := x.eachNote(u.id, parts[0].Number, func(name string) bool {
		part, n, err := key.Open(name)
		if err != nil {
			bad++
			return true
		}
		if digest, listed := want[part]; listed && n.ETag == digest {
			if old := found[part]; old != nil && !old.Equal(n) {
				torn[part] = true
			}
			found[part] = n
		}
		return part <= last
	})
	for part := range torn {
		delete(found, part)
	}
	if bad+len(torn) > 0 {
		x.s.log.Warn("notes of parts are forged or contradict each other, and are ignored", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key, "forged", bad, "torn", len(torn))
	}
	return found, err
}

// eachNote lists the names of an upload's notes from a part on until f has enough.
func (x *exchange) eachNote(id string, from int, f func(name string) bool) error {
	prefix, after := partnote.Prefix(id), partnote.Before(id, from)
	for range maxNotePages {
		keys, more, err := x.notePage("ListObjectsV2", upstream.Param{Name: "list-type", Value: "2"},
			upstream.Param{Name: "prefix", Value: prefix}, upstream.Param{Name: "start-after", Value: after})
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Key <= after || !strings.HasPrefix(k.Key, prefix) {
				return fmt.Errorf("%w: listing of part notes does not advance", upstream.ErrUnavailable)
			}
			if after = k.Key; !f(k.Key) {
				return nil
			}
		}
		if !more || len(keys) == 0 {
			return nil
		}
	}
	x.s.log.Warn("too many notes of parts, the rest is not read", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key)
	return nil
}

// notePage reads a page of the reserved prefix as the store has it.
func (x *exchange) notePage(op string, query ...upstream.Param) ([]rawKey, bool, error) {
	resp, err := x.callOwn(&x.bucket, &upstream.Request{Op: op, Method: "GET", Bucket: x.bucket.reserved, Query: query, Idempotent: true})
	if err != nil {
		return nil, false, err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, false, err
	}
	return parseRawKeys(doc)
}

// show gives listed parts the checksums that their clients know.
func (notes partNotes) show(parts []s3xml.UploadedPart) {
	for i := range parts {
		if n := notes[parts[i].Number]; n != nil && n.Sum != nil {
			parts[i].Shown = []s3xml.ChecksumText{checksumText(n.Sum)}
		}
	}
}

// checksumText is a checksum as XML element.
func checksumText(c *envelope.Checksum) s3xml.ChecksumText {
	return s3xml.ChecksumText{Name: "Checksum" + checksum.Algorithm(c.Algorithm).String(), Value: checksum.Encode(c.Value)}
}
