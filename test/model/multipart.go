package model

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// minPart is S3's smallest size of a part that is not the last.
const minPart = 5 << 20

func (r *Runner) copy() error {
	src, key, dst, to := r.bucket(), r.key(), r.bucket(), r.key()
	want, present := r.State.Buckets[src][key]
	if src == dst && key == to {
		return nil // touch
	}
	in := &s3.CopyObjectInput{Bucket: &dst, Key: &to, CopySource: aws.String(source(src, key))}
	meta := want.Meta
	if r.rng.IntN(2) == 0 {
		meta = orEmpty(r.meta())
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, meta
	}
	enc := r.encryption()
	out, err := r.client().CopyObject(r.ctx, copying(making(in, enc), want.Enc))
	if !present {
		return expect(err, 404)
	}
	if err != nil {
		return err
	}
	r.State.Buckets[dst][to] = Object{Body: want.Body, ETag: aws.ToString(out.CopyObjectResult.ETag), Meta: meta, Parts: want.Parts, Enc: enc}
	return r.announced(out, enc)
}

// touch copies an object onto itself with new metadata.
func (r *Runner) touch() error {
	bucket, key := r.bucket(), r.key()
	want, present := r.State.Buckets[bucket][key]
	if !present {
		return nil
	}
	meta := orEmpty(r.meta())
	enc := r.encryption()
	in := &s3.CopyObjectInput{Bucket: &bucket, Key: &key,
		CopySource: aws.String(source(bucket, key)), MetadataDirective: types.MetadataDirectiveReplace, Metadata: meta}
	out, err := r.client().CopyObject(r.ctx, copying(making(in, enc), want.Enc))
	if err != nil {
		return err
	}
	r.State.Buckets[bucket][key] = Object{Body: want.Body, ETag: aws.ToString(out.CopyObjectResult.ETag), Meta: meta, Parts: want.Parts, Enc: enc}
	return nil
}

// source spells a copy source; a plus sign there means a space, as in a form.
func source(bucket, key string) string {
	return bucket + "/" + strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
}

func (r *Runner) create() error {
	if len(r.State.Uploads) > 4 {
		return nil
	}
	bucket, key, meta, enc := r.bucket(), r.key(), r.meta(), r.encryption()
	out, err := r.client().CreateMultipartUpload(r.ctx, making(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, Metadata: meta}, enc))
	if err != nil {
		return err
	}
	r.State.Uploads[*out.UploadId] = &Upload{Bucket: bucket, Key: key, Parts: map[int32]Part{}, Meta: orEmpty(meta), Enc: enc}
	return r.announced(out, enc)
}

// upload picks an open upload; ids are sorted by what the model knows of them, so that a seed means one sequence.
func (r *Runner) upload() (string, *Upload) {
	ids := slices.Collect(maps.Keys(r.State.Uploads))
	if len(ids) == 0 {
		return "", nil
	}
	slices.SortFunc(ids, func(a, b string) int { return bytes.Compare(r.describe(a), r.describe(b)) })
	id := ids[r.rng.IntN(len(ids))]
	return id, r.State.Uploads[id]
}

func (r *Runner) describe(id string) []byte {
	u := r.State.Uploads[id]
	b := fmt.Appendf(nil, "%s/%s %v", u.Bucket, u.Key, u.Meta)
	if u.Enc != nil {
		b = append(b, u.Enc.Name...)
	}
	for _, n := range slices.Sorted(maps.Keys(u.Parts)) {
		b = fmt.Appendf(b, " %d:%d:%x", n, len(u.Parts[n].Body), u.Parts[n].Body[:min(64, len(u.Parts[n].Body))])
	}
	return b
}

func (r *Runner) part() error {
	id, u := r.upload()
	if u == nil {
		return r.create()
	}
	n := int32(1 + r.rng.IntN(4))
	body := r.body(minPart, minPart+1, minPart+1<<16, 100, 1, 70_000)
	out, err := r.client().UploadPart(r.ctx, reading(&s3.UploadPartInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &id, PartNumber: &n,
		Body: bytes.NewReader(body)}, u.Enc), plain)
	if err != nil {
		return err
	}
	u.Parts[n] = Part{Body: body, ETag: *out.ETag}
	return nil
}

// plain leaves checksums of parts out: uploads are created without an algorithm.
func plain(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }

func (r *Runner) partCopy() error {
	id, u := r.upload()
	src, key := r.bucket(), r.key()
	want, present := r.State.Buckets[src][key]
	if u == nil || !present || len(want.Body) == 0 {
		return nil
	}
	first := r.rng.IntN(len(want.Body))
	last := first + r.rng.IntN(len(want.Body)-first)
	n := int32(1 + r.rng.IntN(4))
	in := &s3.UploadPartCopyInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &id,
		PartNumber: &n, CopySource: aws.String(source(src, key)), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", first, last))}
	out, err := r.client().UploadPartCopy(r.ctx, copying(reading(in, u.Enc), want.Enc))
	if err != nil {
		return err
	}
	u.Parts[n] = Part{Body: want.Body[first : last+1], ETag: *out.CopyPartResult.ETag}
	return nil
}

func (r *Runner) listParts() error {
	id, u := r.upload()
	if u == nil {
		return nil
	}
	out, err := r.client().ListParts(r.ctx, &s3.ListPartsInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &id})
	if err != nil {
		return err
	}
	if len(out.Parts) != len(u.Parts) {
		return fmt.Errorf("%d parts, want %d", len(out.Parts), len(u.Parts))
	}
	for _, p := range out.Parts {
		m := u.Parts[*p.PartNumber]
		if aws.ToInt64(p.Size) != int64(len(m.Body)) || *p.ETag != m.ETag {
			return fmt.Errorf("part %d: %d %s, want %d %s", *p.PartNumber, aws.ToInt64(p.Size), *p.ETag, len(m.Body), m.ETag)
		}
	}
	return nil
}

func (r *Runner) complete() error {
	id, u := r.upload()
	if u == nil || len(u.Parts) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(u.Parts))
	if r.PartsMayBeLeftOut && len(numbers) > 1 && r.rng.IntN(4) == 0 {
		i := r.rng.IntN(len(numbers))
		numbers = slices.Delete(numbers, i, i+1)
	}
	small := false
	var list []types.CompletedPart
	for i, n := range numbers {
		small = small || i < len(numbers)-1 && len(u.Parts[n].Body) < minPart
		list = append(list, types.CompletedPart{PartNumber: aws.Int32(n), ETag: aws.String(u.Parts[n].ETag)})
	}
	in := &s3.CompleteMultipartUploadInput{Bucket: &u.Bucket, Key: &u.Key,
		UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}
	if u.Enc != nil && r.rng.IntN(2) == 0 { // a customer's key may be left out here
		in = reading(in, u.Enc)
	}
	out, err := r.client().CompleteMultipartUpload(r.ctx, in)
	if small {
		return expect(err, 400)
	}
	if err != nil {
		return err
	}
	r.State.Complete(id, numbers, aws.ToString(out.ETag))
	return nil
}

func (r *Runner) abort() error {
	id, u := r.upload()
	if u == nil {
		return nil
	}
	_, err := r.client().AbortMultipartUpload(r.ctx, &s3.AbortMultipartUploadInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &id})
	delete(r.State.Uploads, id)
	return err
}
