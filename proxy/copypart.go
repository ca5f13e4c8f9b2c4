package proxy

import (
	"cmp"
	"fmt"

	"s3veil/proxy/byterange"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// uploadPartCopy seals a range of another object as a part.
func (x *exchange) uploadPartCopy() error {
	if x.auth.Kind == sigv4.Anonymous {
		return s3err.AccessDenied.With(errAnonymousCopy)
	}
	if err := x.readPartEncryption(); err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	n, err := x.partNumber()
	if err != nil {
		return err
	}
	if _, err := s3op.ParseCopySource(x.head.Get("x-amz-copy-source")); err != nil {
		return x.bucketFirst(&x.bucket, err)
	}
	u, err := x.openUpload(false)
	if err != nil {
		return err
	}
	src, err := x.openSource()
	if err != nil {
		u.attrs.Zero()
		return err
	}
	from, to, err := x.copyRange(src.o.content)
	if err != nil {
		u.attrs.Zero()
		src.o.forget()
		return err
	}
	return x.slow(func() (*slowAnswer, error) {
		defer u.attrs.Zero()
		defer src.o.forget()
		return x.copyPart(u, n, src, from, to)
	})
}

func (x *exchange) copyPart(u *upload, n int, src *copySource, from, to int64) (*slowAnswer, error) {
	release, err := x.pair(&src.b)
	if err != nil {
		return nil, err
	}
	defer release()
	body, err := x.readSource(src, from, to)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	declared, _ := u.declared()
	def := x.defaultSum(u)
	summed := newSummedSource(body, cmp.Or(declared, def))
	resp, err := x.sendPart(u, n, summed, "UploadPart")
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	said, crc := splitSums(summed.sums(), def, declared != checksum.None)
	if err := x.saveNote(u, n, resp.Get("etag"), said, crc); err != nil {
		return nil, err
	}
	result := s3xml.Copied{ETag: etag.ToClient(resp.Get("etag")), LastModified: x.timestamp(), Checksums: sumElement(said)}
	return &slowAnswer{doc: func(started bool) []byte { return s3xml.AppendCopyPartResult(nil, result, started) }, head: func() {
		x.respond(200, nil)
		if src.version != "" {
			x.set("x-amz-copy-source-version-id", src.version)
		}
		x.setUploadSSE(u, sse.Object)
	}}, nil
}

// copyRange reads x-amz-copy-source-range: "bytes=first-last" inside the source, nothing else.
func (x *exchange) copyRange(n int64) (from, to int64, err error) {
	v := x.head.Get("x-amz-copy-source-range")
	if v == "" {
		return 0, n - 1, nil
	}
	r := byterange.Parse(v)
	if !r.Set || r.From < 0 || r.To < 0 {
		return 0, 0, s3err.Argument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy", "x-amz-copy-source-range", v)
	}
	if r.To >= n {
		return 0, 0, s3err.Argument(fmt.Sprintf("Range specified is not valid for source object of size: %d", n), "x-amz-copy-source-range", v)
	}
	return r.From, r.To, nil
}

// timestamp is the present in the form of S3's XML.
func (x *exchange) timestamp() string { return x.s.now().UTC().Format("2006-01-02T15:04:05.000Z") }
