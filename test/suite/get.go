package suite

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var getCases = []Case{
	{"GetObject_ranges", getRanges},
	{"GetObject_range_beyond_the_end", getRangeBeyond},
	{"GetObject_range_of_empty_object", getRangeEmpty},
	{"GetObject_ignores_malformed_and_multiple_ranges", getRangeMalformed},
	{"GetObject_conditions", getConditions},
	{"GetObject_if_range", getIfRange},
	{"GetObject_response_overrides", getOverrides},
	{"GetObject_missing", getMissing},
	{"HeadObject_range", headRange},
	{"GetObjectAttributes_of_a_single_object", attributesSingle},
}

func ranged(r string) func(*s3.GetObjectInput) { return func(in *s3.GetObjectInput) { in.Range = &r } }

// rangesOf are ranges at every interesting edge of an object of n bytes: first:last inclusive.
func rangesOf(n int, edges ...int) [][2]int {
	var out [][2]int
	points := []int{0, 1, n - 1}
	for _, edge := range append([]int{64 << 10, 128 << 10}, edges...) {
		points = append(points, edge-1, edge, edge+1)
	}
	for _, a := range points {
		for _, b := range points {
			if a >= 0 && a <= b && b < n {
				out = append(out, [2]int{a, b})
			}
		}
	}
	return out
}

func (e *Env) checkRanges(key string, body []byte, edges ...int) {
	e.Helper()
	n := len(body)
	for _, r := range rangesOf(n, edges...) {
		spec := fmt.Sprintf("bytes=%d-%d", r[0], r[1])
		got, out := e.Get(key, ranged(spec))
		e.Same(spec, got, body[r[0]:r[1]+1])
		Equal(e, spec, str(out.ContentRange), fmt.Sprintf("bytes %d-%d/%d", r[0], r[1], n))
	}
	for _, tail := range []int{1, 65_536, 65_537, n, n + 5} {
		spec := fmt.Sprintf("bytes=-%d", tail)
		from := max(0, n-tail)
		got, out := e.Get(key, ranged(spec))
		e.Same(spec, got, body[from:])
		Equal(e, spec, str(out.ContentRange), fmt.Sprintf("bytes %d-%d/%d", from, n-1, n))
	}
	got, _ := e.Get(key, ranged(fmt.Sprintf("bytes=%d-", n/2)))
	e.Same("open range", got, body[n/2:])
	got, out := e.Get(key, ranged(fmt.Sprintf("bytes=%d-%d", n-3, n+1000)))
	e.Same("clipped range", got, body[n-3:])
	Equal(e, "clipped", str(out.ContentRange), fmt.Sprintf("bytes %d-%d/%d", n-3, n-1, n))
}

func getRanges(e *Env) {
	for _, n := range []int{100, 64 << 10, 3*64<<10 + 100, 2<<20 + 17} {
		key, body := fmt.Sprint(n), Data(n, uint64(n))
		e.Put(key, body)
		e.checkRanges(key, body)
	}
}

func getRangeBeyond(e *Env) {
	e.Put("k", Data(100_000, 1))
	for _, spec := range []string{"bytes=100000-", "bytes=100001-200000"} {
		e.Fails(e.GetErr("k", ranged(spec)), 416, "InvalidRange")
	}
}

func getRangeEmpty(e *Env) {
	e.Put("k", nil)
	e.Fails(e.GetErr("k", ranged("bytes=0-0")), 416, "InvalidRange")
}

func getRangeMalformed(e *Env) {
	body := Data(1000, 1)
	e.Put("k", body)
	for _, spec := range []string{"bytes=b-a", "bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes="} {
		r := e.request("GET", "/"+e.Bucket+"/k", nil)
		r.header["Range"] = spec
		a := e.do(r)
		Equal(e, spec+": status", a.status, 200)
		e.Same(spec, a.body, body)
		Equal(e, spec+": Content-Range", a.header.Get("Content-Range"), "")
	}
}

func getConditions(e *Env) {
	body := Data(1000, 1)
	tag := e.Put("k", body).ETag
	other := aws.String(`"00000000000000000000000000000000"`)
	past, future := aws.Time(time.Now().Add(-time.Hour)), aws.Time(time.Now().Add(-time.Second).Add(time.Hour))
	got, _ := e.Get("k", func(in *s3.GetObjectInput) { in.IfMatch = tag })
	e.Same("if-match", got, body)
	got, _ = e.Get("k", func(in *s3.GetObjectInput) { in.IfNoneMatch = other })
	e.Same("if-none-match", got, body)
	e.Fails(e.GetErr("k", func(in *s3.GetObjectInput) { in.IfMatch = other }), 412)
	e.Fails(e.GetErr("k", func(in *s3.GetObjectInput) { in.IfNoneMatch = tag }), 304)
	e.Fails(e.GetErr("k", func(in *s3.GetObjectInput) { in.IfUnmodifiedSince = past }), 412)
	got, _ = e.Get("k", func(in *s3.GetObjectInput) { in.IfModifiedSince = past })
	e.Same("if-modified-since", got, body)
	got, _ = e.Get("k", func(in *s3.GetObjectInput) { in.IfUnmodifiedSince = future })
	e.Same("if-unmodified-since", got, body)
	_, err := e.C.HeadObject(e.Ctx, &s3.HeadObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), IfMatch: other})
	e.Fails(err, 412)
	_, err = e.C.HeadObject(e.Ctx, &s3.HeadObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), IfNoneMatch: tag})
	e.Fails(err, 304)
	e.Head("k", func(in *s3.HeadObjectInput) { in.IfMatch = tag })
}

func getIfRange(e *Env) {
	body := Data(200_000, 1)
	tag := str(e.Put("k", body).ETag)
	for cond, status := range map[string]int{tag: 206, `"00000000000000000000000000000000"`: 200} {
		r := e.request("GET", "/"+e.Bucket+"/k", nil)
		r.header["Range"], r.header["If-Range"] = "bytes=70000-70009", cond
		a := e.do(r)
		Equal(e, "status with If-Range "+cond, a.status, status)
		if status == 206 {
			e.Same("range", a.body, body[70000:70010])
		} else {
			e.Same("whole", a.body, body)
		}
	}
}

func getOverrides(e *Env) {
	e.Put("k", []byte("x"))
	_, out := e.Get("k", func(in *s3.GetObjectInput) {
		in.ResponseContentType, in.ResponseCacheControl = aws.String("text/override"), aws.String("no-store")
		in.ResponseContentDisposition = aws.String("inline")
	})
	Equal(e, "content type", str(out.ContentType), "text/override")
	Equal(e, "cache control", str(out.CacheControl), "no-store")
	Equal(e, "disposition", str(out.ContentDisposition), "inline")
}

func getMissing(e *Env) {
	e.Fails(e.GetErr("missing"), 404, "NoSuchKey")
	_, err := e.C.HeadObject(e.Ctx, &s3.HeadObjectInput{Bucket: &e.Bucket, Key: aws.String("missing")})
	e.Fails(err, 404)
	_, err = e.C.GetObject(e.Ctx, &s3.GetObjectInput{Bucket: aws.String("no-such-bucket-here"), Key: aws.String("k")})
	e.Fails(err, 404, "NoSuchBucket")
}

func headRange(e *Env) {
	e.Put("k", Data(200_000, 1))
	out := e.Head("k", func(in *s3.HeadObjectInput) { in.Range = aws.String("bytes=70000-70009") })
	Equal(e, "length", num(out.ContentLength), 10)
	Equal(e, "content range", str(out.ContentRange), "bytes 70000-70009/200000")
}

func attributesSingle(e *Env) {
	put := e.Put("k", Data(200_000, 1))
	out, err := e.C.GetObjectAttributes(e.Ctx, &s3.GetObjectAttributesInput{Bucket: &e.Bucket, Key: aws.String("k"),
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesObjectSize,
			types.ObjectAttributesStorageClass, types.ObjectAttributesChecksum}})
	e.Ok(err)
	Equal(e, "size", num(out.ObjectSize), 200_000)
	Equal(e, "ETag", `"`+str(out.ETag)+`"`, str(put.ETag))
}
