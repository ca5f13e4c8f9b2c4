package suite

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var multipartCases = []Case{
	{"Multipart_parts_in_any_order_and_of_any_size", multipartOrder},
	{"Multipart_part_uploaded_again_replaces", multipartAgain},
	{"Multipart_numbers_with_gaps_and_unused_parts", multipartGaps},
	{"Multipart_single_short_part", multipartShort},
	{"Multipart_without_checksums", multipartPlain},
	{"Multipart_metadata_and_tags", multipartMetadata},
	{"Multipart_reads_by_part_number", multipartPartNumber},
	{"ListParts_shows_plaintext_sizes_and_etags", listParts},
	{"ListMultipartUploads_and_Abort", listUploads},
	{"CompleteMultipartUpload_refuses_bad_lists", completeBad},
	{"CompleteMultipartUpload_refuses_small_parts", completeSmall},
	{"UploadPartCopy_whole_and_range", partCopy},
	{"UploadPart_of_unknown_upload", partUnknown},
	{"GetObjectAttributes_of_a_multipart_object", attributesMultipart},
}

// create starts an upload as the SDKs' transfer managers do: with CRC32 checksums of the parts.
func (e *Env) create(key string, more ...func(*s3.CreateMultipartUploadInput)) string {
	e.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: &e.Bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.CreateMultipartUpload(e.Ctx, in)
	e.Ok(err)
	return str(out.UploadId)
}

func (e *Env) part(key, id string, n int32, body []byte) types.CompletedPart {
	e.Helper()
	out, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: &key, UploadId: &id, PartNumber: &n,
		Body: bytes.NewReader(body)})
	e.Ok(err)
	return part(n, out)
}

func (e *Env) complete(key, id string, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return e.C.CompleteMultipartUpload(e.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &e.Bucket, Key: &key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
}

// multipart uploads bodies as parts 1..n and returns the object's ETag.
func (e *Env) multipart(key string, bodies ...[]byte) string {
	e.Helper()
	id := e.create(key)
	var parts []types.CompletedPart
	for i, b := range bodies {
		parts = append(parts, e.part(key, id, int32(i+1), b))
	}
	out, err := e.complete(key, id, parts...)
	e.Ok(err)
	return str(out.ETag)
}

func multipartOrder(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(6<<20+1, 2), Data(5<<20+65_535, 3), Data(12_345, 4)}
	id := e.create("k")
	parts := make([]types.CompletedPart, len(bodies))
	for _, i := range []int{3, 1, 0, 2} {
		parts[i] = e.part("k", id, int32(i+1), bodies[i])
	}
	out, err := e.complete("k", id, parts...)
	e.Ok(err)
	whole := bytes.Join(bodies, nil)
	got, get := e.Get("k")
	e.Same("object", got, whole)
	Equal(e, "ETag of GET", str(get.ETag), str(out.ETag))
	head := e.Head("k")
	Equal(e, "length", num(head.ContentLength), int64(len(whole)))
	Equal(e, "ETag of HEAD", str(head.ETag), str(out.ETag))
	if !strings.Contains(str(out.ETag), "-") {
		e.Errorf("ETag %s", str(out.ETag))
	}
	e.checkRanges("k", whole, 5<<20, 11<<20+1)
}

func multipartAgain(e *Env) {
	first, second, tail := Data(5<<20, 1), Data(5<<20+7, 2), Data(10, 3)
	id := e.create("k")
	old := e.part("k", id, 1, first)
	last := e.part("k", id, 2, tail)
	now := e.part("k", id, 1, second)
	if _, err := e.complete("k", id, old, last); err == nil {
		e.Fatal("Complete with the ETag of a replaced part succeeded")
	} else {
		e.Fails(err, 400, "InvalidPart")
	}
	_, err := e.complete("k", id, now, last)
	e.Ok(err)
	got, _ := e.Get("k")
	e.Same("object", got, append(append([]byte{}, second...), tail...))
}

func multipartGaps(e *Env) {
	a, b := Data(5<<20, 1), Data(33, 2)
	id := e.create("k")
	pa := e.part("k", id, 3, a)
	e.part("k", id, 5, Data(5<<20, 9))
	pb := e.part("k", id, 10_000, b)
	_, err := e.complete("k", id, pa, pb)
	e.Ok(err)
	whole := append(append([]byte{}, a...), b...)
	got, _ := e.Get("k")
	e.Same("object", got, whole)
	e.checkRanges("k", whole, len(a))
}

func multipartShort(e *Env) {
	for _, n := range []int{1, 65_536} {
		body := Data(n, uint64(n))
		e.multipart("k", body)
		got, _ := e.Get("k")
		e.Same(fmt.Sprint(n), got, body)
	}
}

func multipartPlain(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(70_000, 2)}
	c := e.Target.Client(func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	id := e.create("k", noChecksum)
	var parts []types.CompletedPart
	for i, b := range bodies {
		out, err := c.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
			PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(b)})
		e.Ok(err)
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
	}
	_, err := e.complete("k", id, parts...)
	e.Ok(err)
	got, _ := e.Get("k")
	e.Same("object", got, bytes.Join(bodies, nil))
}

func multipartMetadata(e *Env) {
	id := e.create("k", func(in *s3.CreateMultipartUploadInput) {
		in.ContentType, in.Metadata = aws.String("text/parts"), map[string]string{"a": "b"}
	})
	p := e.part("k", id, 1, Data(1000, 1))
	_, err := e.complete("k", id, p)
	e.Ok(err)
	head := e.Head("k")
	Equal(e, "content type", str(head.ContentType), "text/parts")
	Equal(e, "metadata", head.Metadata["a"], "b")
	Equal(e, "entries", len(head.Metadata), 1)
}

func multipartPartNumber(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(5<<20+1, 2), Data(500, 3)}
	e.multipart("k", bodies...)
	for i, b := range bodies {
		n := aws.Int32(int32(i + 1))
		got, get := e.Get("k", func(in *s3.GetObjectInput) { in.PartNumber = n })
		e.Same(fmt.Sprint("part ", i+1), got, b)
		Equal(e, "parts count", aws.ToInt32(get.PartsCount), int32(len(bodies)))
		head := e.Head("k", func(in *s3.HeadObjectInput) { in.PartNumber = n })
		Equal(e, "length of HEAD", num(head.ContentLength), int64(len(b)))
		for _, sum := range []*string{get.ChecksumCRC32, head.ChecksumCRC32} { // SDKs compare it with what they read
			if want := sumOf(types.ChecksumAlgorithmCrc32, b); sum != nil && *sum != want && !strings.Contains(*sum, "-") {
				e.Errorf("part %d: checksum %s, want none or %s", i+1, *sum, want)
			}
		}
	}
	e.Fails(e.GetErr("k", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(9) }), 416)
}

func listParts(e *Env) {
	id := e.create("k")
	want := map[int32]types.CompletedPart{}
	sizes := map[int32]int64{1: 5 << 20, 2: 65_537, 7: 1}
	for n, size := range sizes {
		want[n] = e.part("k", id, n, Data(int(size), uint64(n)))
	}
	out, err := e.C.ListParts(e.Ctx, &s3.ListPartsInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id})
	e.Ok(err)
	Equal(e, "parts", len(out.Parts), len(sizes))
	Equal(e, "upload id", str(out.UploadId), id)
	for _, p := range out.Parts {
		n := aws.ToInt32(p.PartNumber)
		Equal(e, fmt.Sprint("size of part ", n), num(p.Size), sizes[n])
		Equal(e, fmt.Sprint("ETag of part ", n), str(p.ETag), str(want[n].ETag))
	}
	page, err := e.C.ListParts(e.Ctx, &s3.ListPartsInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
		MaxParts: aws.Int32(1), PartNumberMarker: aws.String("1")})
	e.Ok(err)
	if len(page.Parts) != 1 || aws.ToInt32(page.Parts[0].PartNumber) != 2 {
		e.Errorf("second page: %d parts", len(page.Parts))
	}
}

func listUploads(e *Env) {
	id := e.create("dir/k")
	e.part("dir/k", id, 1, Data(100, 1))
	out, err := e.C.ListMultipartUploads(e.Ctx, &s3.ListMultipartUploadsInput{Bucket: &e.Bucket})
	e.Ok(err)
	if len(out.Uploads) != 1 || str(out.Uploads[0].Key) != "dir/k" {
		e.Fatalf("uploads: %d", len(out.Uploads))
	}
	// the listed id must be good for looking and for aborting
	listed := str(out.Uploads[0].UploadId)
	parts, err := e.C.ListParts(e.Ctx, &s3.ListPartsInput{Bucket: &e.Bucket, Key: aws.String("dir/k"), UploadId: &listed})
	e.Ok(err)
	Equal(e, "parts", len(parts.Parts), 1)
	_, err = e.C.AbortMultipartUpload(e.Ctx, &s3.AbortMultipartUploadInput{Bucket: &e.Bucket, Key: aws.String("dir/k"),
		UploadId: &listed})
	e.Ok(err)
	_, err = e.C.ListParts(e.Ctx, &s3.ListPartsInput{Bucket: &e.Bucket, Key: aws.String("dir/k"), UploadId: &id})
	e.Fails(err, 404, "NoSuchUpload")
	out, err = e.C.ListMultipartUploads(e.Ctx, &s3.ListMultipartUploadsInput{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "uploads left", len(out.Uploads), 0)
	e.Absent("dir/k")
}

func completeBad(e *Env) {
	id := e.create("k")
	a, b := e.part("k", id, 1, Data(5<<20, 1)), e.part("k", id, 2, Data(5<<20, 2))
	wrong := a
	wrong.ETag = aws.String(`"00000000000000000000000000000000"`)
	_, err := e.complete("k", id, b, a)
	e.Fails(err, 400, "InvalidPartOrder")
	_, err = e.complete("k", id, wrong, b)
	e.Fails(err, 400, "InvalidPart")
	missing := b
	missing.PartNumber = aws.Int32(3)
	_, err = e.complete("k", id, a, missing)
	e.Fails(err, 400, "InvalidPart")
	e.Absent("k")
	_, err = e.complete("k", id, a, b)
	e.Ok(err)
}

func completeSmall(e *Env) {
	id := e.create("k")
	a, b := e.part("k", id, 1, Data(5<<20-1, 1)), e.part("k", id, 2, Data(100, 2))
	_, err := e.complete("k", id, a, b)
	e.Fails(err, 400, "EntityTooSmall")
	e.Absent("k")
}

func partCopy(e *Env) {
	src := Data(6<<20+100, 1)
	e.Put("single", src)
	e.multipart("multi", src[:5<<20], src[5<<20:])
	for _, from := range []string{"single", "multi"} {
		id := e.create("dst", noChecksum)
		source := aws.String(e.Bucket + "/" + from)
		one, err := e.C.UploadPartCopy(e.Ctx, &s3.UploadPartCopyInput{Bucket: &e.Bucket, Key: aws.String("dst"), UploadId: &id,
			PartNumber: aws.Int32(1), CopySource: source})
		e.Ok(err)
		two, err := e.C.UploadPartCopy(e.Ctx, &s3.UploadPartCopyInput{Bucket: &e.Bucket, Key: aws.String("dst"), UploadId: &id,
			PartNumber: aws.Int32(2), CopySource: source, CopySourceRange: aws.String("bytes=65530-5300000")})
		e.Ok(err)
		listed, err := e.C.ListParts(e.Ctx, &s3.ListPartsInput{Bucket: &e.Bucket, Key: aws.String("dst"), UploadId: &id})
		e.Ok(err)
		if len(listed.Parts) != 2 {
			e.Fatalf("%d parts", len(listed.Parts))
		}
		for i, out := range []*s3.UploadPartCopyOutput{one, two} {
			Equal(e, fmt.Sprint("ETag of part ", i+1, " in the list"), str(listed.Parts[i].ETag), str(out.CopyPartResult.ETag))
		}
		_, err = e.complete("dst", id,
			types.CompletedPart{PartNumber: aws.Int32(1), ETag: one.CopyPartResult.ETag},
			types.CompletedPart{PartNumber: aws.Int32(2), ETag: two.CopyPartResult.ETag})
		e.Ok(err)
		got, _ := e.Get("dst")
		e.Same("copied from "+from, got, append(append([]byte{}, src...), src[65530:5300001]...))
	}
}

func noChecksum(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "" }

func partUnknown(e *Env) {
	real := e.create("k")
	for _, id := range []string{"0123456789abcdef", real + "x", strings.Repeat("A", 900)} {
		_, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
			PartNumber: aws.Int32(1), Body: reader([]byte("x"))}, noRetry)
		e.Fails(err, 404, "NoSuchUpload")
	}
	_, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("other"), UploadId: &real,
		PartNumber: aws.Int32(1), Body: reader([]byte("x"))}, noRetry)
	e.Fails(err, 404, "NoSuchUpload")
}

func attributesMultipart(e *Env) {
	etag := e.multipart("k", Data(5<<20, 1), Data(5<<20+1, 2), Data(9, 3))
	out, err := e.C.GetObjectAttributes(e.Ctx, &s3.GetObjectAttributesInput{Bucket: &e.Bucket, Key: aws.String("k"),
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesObjectSize,
			types.ObjectAttributesObjectParts}})
	e.Ok(err)
	Equal(e, "size", num(out.ObjectSize), 10<<20+10)
	Equal(e, "ETag", `"`+str(out.ETag)+`"`, etag)
	if e.Target.Encrypted {
		if out.ObjectParts == nil {
			e.Fatal("no ObjectParts")
		}
		Equal(e, "parts", aws.ToInt32(out.ObjectParts.TotalPartsCount), 3)
	}
}
