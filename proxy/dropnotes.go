package proxy

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// dropNotes removes the notes of an upload that has ended, by the name of its state object and whatever a listing for Complete has
// seen: parts may have come since. Nothing depends on it.
func (x *exchange) dropNotes(state string) {
	if x.bucket.rule.UploadID != UploadIDState {
		return
	}
	if err := x.removeNotes(state + "."); err != nil {
		x.s.log.Warn("notes of the parts of an ended upload stay", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key, "cause", err.Error())
	}
}

func (x *exchange) removeNotes(prefix string) error {
	for range maxNotePages {
		keys, more, err := x.noteVersions(prefix)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if err := x.deleteKeys(keys); err != nil {
				return err
			}
		}
		if !more || len(keys) == 0 {
			return nil
		}
	}
	return errors.New("they do not get fewer")
}

// noteVersions is the first page of what lies under a prefix, every version of it: nothing else would make a versioned bucket
// forget it. Where the store cannot or may not list versions, keys alone.
func (x *exchange) noteVersions(prefix string) ([]rawKey, bool, error) {
	keys, more, err := x.notePage("ListObjectVersions", upstream.Param{Name: "versions", Bare: true}, upstream.Param{Name: "prefix", Value: prefix})
	if err != nil {
		x.refusal = nil
		keys, more, err = x.notePage("ListObjectsV2", upstream.Param{Name: "list-type", Value: "2"}, upstream.Param{Name: "prefix", Value: prefix})
	}
	own := keys[:0]
	for _, k := range keys {
		if k.VersionID == "null" { // of a bucket without versions, where a plain deletion does and needs no further right
			k.VersionID = ""
		}
		if strings.HasPrefix(k.Key, prefix) {
			own = append(own, k)
		}
	}
	return own, more, err
}

// deleteKeys deletes up to 1,000 keys of the reserved prefix, at once where the store can.
func (x *exchange) deleteKeys(keys []rawKey) error {
	if len(keys) > 1 {
		if done, err := x.deleteTogether(keys); done || err != nil {
			return err
		}
	}
	for _, k := range keys {
		req := &upstream.Request{Op: "DeleteObject", Method: "DELETE", Bucket: x.bucket.reserved, Key: k.Key, Idempotent: true}
		if k.VersionID != "" {
			req.Query = []upstream.Param{{Name: "versionId", Value: k.VersionID}}
		}
		if err := x.gone(x.callOwn(&x.bucket, req)); err != nil {
			return err
		}
	}
	return nil
}

// deleteTogether is DeleteObjects; done is false where the store does not take it.
func (x *exchange) deleteTogether(keys []rawKey) (done bool, err error) {
	entries := make([]s3xml.DeleteEntry, len(keys))
	for i, k := range keys {
		entries[i] = s3xml.DeleteEntry{Key: k.Key, VersionID: k.VersionID}
	}
	body := s3xml.AppendDelete(nil, entries, true)
	sum := md5.Sum(body)
	resp, err := x.callOwn(&x.bucket, &upstream.Request{Op: "DeleteObjects", Method: "POST", Bucket: x.bucket.reserved, Idempotent: true,
		Query: []upstream.Param{{Name: "delete", Bare: true}}, Body: upstream.Bytes(body), Header: []upstream.Field{
			{Name: "content-md5", Value: base64.StdEncoding.EncodeToString(sum[:])}, {Name: "content-type", Value: "application/xml"}}})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.Status != 200 {
		return false, nil
	}
	doc, err := x.readDocument(resp)
	if err != nil {
		return false, err
	}
	result, err := s3xml.ParseDeleteResult(doc)
	if err == nil && len(result.Errors) > 0 {
		err = fmt.Errorf("%d not deleted, the first: %s", len(result.Errors), result.Errors[0].Code)
	}
	return true, err
}
