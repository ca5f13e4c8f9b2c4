package proxy

import (
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// stateHintName is the user-metadata entry of a state object that says which checksum the upload has declared. Nobody vouches for
// it: it serves lists of uploads, which the store could falsify anyway (FORMAT.md 9.9).
const stateHintName = "s3veil-sum"

// stateHint is that entry, none for an upload that declares nothing.
func stateHint(declared *[2]byte) []upstream.Field {
	algorithm, kind := declaredNames(declared)
	if algorithm == "" {
		return nil
	}
	return []upstream.Field{{Name: metaPrefix + stateHintName, Value: algorithm + "." + kind}}
}

// readHint parses the entry; what is none of S3's names is none.
func readHint(text string) (algorithm, kind string) {
	name, kind, _ := strings.Cut(text, ".")
	a, ok := checksum.Parse(name)
	if !ok || kind != "FULL_OBJECT" && kind != "COMPOSITE" {
		return "", ""
	}
	return a.String(), kind
}

// describeUploads finds the declared checksums of listed uploads by HEAD of their state objects, as many at once as for a
// listing of objects. What cannot be read shows none: the list is the store's word in any case.
func (x *exchange) describeUploads(uploads []s3xml.Upload) {
	q := x.questions()
	for i := range uploads {
		u := &uploads[i]
		q.ask(func(one *exchange) error {
			u.ChecksumAlgorithm, u.ChecksumType = one.hintOf(u.UploadID)
			return nil
		}, func(error) {})
	}
	q.answered()
}

func (x *exchange) hintOf(upstreamID string) (algorithm, kind string) {
	resp, err := x.callOwn(&x.bucket, &upstream.Request{Op: "HeadObject", Method: "HEAD", Bucket: x.bucket.reserved,
		Key: envelope.StateName(upstreamID), Idempotent: true})
	if err != nil {
		return "", ""
	}
	defer resp.Body.Close()
	if resp.Status != 200 {
		return "", ""
	}
	return readHint(resp.Get(metaPrefix + stateHintName))
}
