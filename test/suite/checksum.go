package suite

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
)

var checksumCases = []Case{
	{"Checksum_kept_and_returned_in_every_algorithm", checksumKept},
	{"Checksum_computed_by_the_SDK_round_trips", checksumSDK},
	{"Checksum_wrong_value_refused", checksumWrong},
	{"Checksum_of_parts", checksumParts},
	{"Checksum_of_parts_in_algorithms_the_SDK_does_not_compute", checksumDigests},
	{"Checksum_in_a_trailer_in_every_algorithm", checksumTrailer},
	{"Checksum_of_a_full_multipart_object", checksumFull},
	{"Checksum_absent_on_ranges", checksumRange},
	{"Checksum_of_unknown_algorithms_is_refused", checksumUnknown},
}

// nvme is the polynomial of CRC64NVME, reflected.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// sumOf returns the base64 checksum of b as S3 writes it.
func sumOf(algorithm types.ChecksumAlgorithm, b []byte) string {
	var raw []byte
	switch algorithm {
	case types.ChecksumAlgorithmCrc32:
		raw = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	case types.ChecksumAlgorithmCrc32c:
		raw = binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	case types.ChecksumAlgorithmCrc64nvme:
		raw = binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, nvme))
	case types.ChecksumAlgorithmSha1:
		s := sha1.Sum(b)
		raw = s[:]
	case types.ChecksumAlgorithmSha256:
		s := sha256.Sum256(b)
		raw = s[:]
	case types.ChecksumAlgorithmSha512:
		s := sha512.Sum512(b)
		raw = s[:]
	case types.ChecksumAlgorithmMd5:
		s := md5.Sum(b)
		raw = s[:]
	case types.ChecksumAlgorithmXxhash64:
		raw = binary.BigEndian.AppendUint64(nil, xxhash.Sum64(b))
	case types.ChecksumAlgorithmXxhash3:
		raw = binary.BigEndian.AppendUint64(nil, xxh3.Hash(b))
	case types.ChecksumAlgorithmXxhash128:
		s := xxh3.Hash128(b).Bytes()
		raw = s[:]
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// Checksum returns the base64 checksum of b by the algorithm's S3 name.
func Checksum(algorithm string, b []byte) string { return sumOf(types.ChecksumAlgorithm(algorithm), b) }

// algorithms are those that the SDK computes; digests are the newer ones, of which it sends given values alone.
var algorithms = []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c,
	types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256}

var digests = []types.ChecksumAlgorithm{types.ChecksumAlgorithmSha512, types.ChecksumAlgorithmMd5,
	types.ChecksumAlgorithmXxhash64, types.ChecksumAlgorithmXxhash3, types.ChecksumAlgorithmXxhash128}

func everyAlgorithm() []types.ChecksumAlgorithm { return slices.Concat(algorithms, digests) }

// headerOf is the header of an algorithm.
func headerOf(a types.ChecksumAlgorithm) string {
	return "x-amz-checksum-" + strings.ToLower(string(a))
}

func (e *Env) putSum(a types.ChecksumAlgorithm, body []byte, value string) rawAnswer {
	r := e.request("PUT", "/"+e.Bucket+"/k", body)
	r.header[headerOf(a)] = value
	return e.do(r)
}

func checksumKept(e *Env) {
	for _, a := range everyAlgorithm() {
		for _, n := range []int{0, 10, 100_000, 3 << 20} {
			body := Data(n, uint64(n))
			want := sumOf(a, body)
			if got := e.putSum(a, body, want); got.status != 200 {
				e.Errorf("%s %d: %d %s", a, n, got.status, got.code)
				continue
			}
			r := e.request("GET", "/"+e.Bucket+"/k", nil)
			r.header["x-amz-checksum-mode"] = "ENABLED"
			got := e.do(r)
			e.Same(string(a), got.body, body)
			Equal(e, string(a)+" of GET", got.header.Get(headerOf(a)), want)
			r = e.request("HEAD", "/"+e.Bucket+"/k", nil)
			r.header["x-amz-checksum-mode"] = "ENABLED"
			Equal(e, string(a)+" of HEAD", e.do(r).header.Get(headerOf(a)), want)
		}
	}
}

func checksumSDK(e *Env) {
	for _, a := range algorithms {
		for _, n := range []int{100_000, 3 << 20} {
			body := Data(n, 1)
			put := e.Put("k", body, func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = a })
			got, _ := e.Get("k", func(in *s3.GetObjectInput) { in.ChecksumMode = types.ChecksumModeEnabled })
			e.Same(string(a), got, body)
			sums := map[types.ChecksumAlgorithm]*string{types.ChecksumAlgorithmCrc32: put.ChecksumCRC32,
				types.ChecksumAlgorithmCrc32c: put.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: put.ChecksumCRC64NVME,
				types.ChecksumAlgorithmSha1: put.ChecksumSHA1, types.ChecksumAlgorithmSha256: put.ChecksumSHA256}
			Equal(e, string(a)+" of PUT", str(sums[a]), sumOf(a, body))
		}
	}
}

func checksumWrong(e *Env) {
	for _, a := range everyAlgorithm() {
		for _, n := range []int{10, 2 << 20} {
			got := e.putSum(a, Data(n, 1), sumOf(a, []byte("something else")))
			if got.status != 400 || got.code != "BadDigest" {
				e.Errorf("%s: %d %s, want 400 BadDigest", a, got.status, got.code)
			}
			e.Absent("k")
		}
	}
}

func checksumParts(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(100, 2)}
	for _, a := range algorithms {
		id := e.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = a })
		var parts []types.CompletedPart
		for i, b := range bodies {
			out, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
				PartNumber: aws.Int32(int32(i + 1)), Body: reader(b), ChecksumAlgorithm: a})
			e.Ok(err)
			p := part(int32(i+1), out)
			Equal(e, string(a)+" of part", sumIn(p, a), sumOf(a, b))
			parts = append(parts, p)
		}
		_, err := e.complete("k", id, parts...)
		e.Ok(err)
		got, _ := e.Get("k", func(in *s3.GetObjectInput) { in.ChecksumMode = types.ChecksumModeEnabled })
		e.Same(string(a), got, append(append([]byte{}, bodies[0]...), bodies[1]...))
	}
}

// checksumDigests uploads parts with composite checksums: the object's is that of the parts', with their number.
func checksumDigests(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(100, 2)}
	for _, a := range digests {
		r := e.request("POST", "/"+e.Bucket+"/k", nil)
		r.query, r.header["x-amz-checksum-algorithm"] = "uploads=", string(a)
		made := e.do(r)
		var upload struct{ UploadId string }
		e.Ok(xml.Unmarshal(made.body, &upload))
		Equal(e, "type of Create", made.header.Get("x-amz-checksum-type"), "COMPOSITE")
		var list, sums strings.Builder
		for i, b := range bodies {
			sum := sumOf(a, b)
			r := e.request("PUT", "/"+e.Bucket+"/k", b)
			r.query, r.header[headerOf(a)] = fmt.Sprintf("partNumber=%d&uploadId=%s", i+1, url.QueryEscape(upload.UploadId)), sum
			out := e.do(r)
			Equal(e, string(a)+" of part", out.header.Get(headerOf(a)), sum)
			fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Checksum%s>%s</Checksum%[3]s></Part>", i+1,
				out.header.Get("Etag"), a, sum)
			raw, _ := base64.StdEncoding.DecodeString(sum)
			sums.Write(raw)
		}
		r = e.request("POST", "/"+e.Bucket+"/k", []byte("<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>"))
		r.query = "uploadId=" + url.QueryEscape(upload.UploadId)
		want := sumOf(a, []byte(sums.String())) + "-2"
		if done := e.do(r); done.status != 200 || !strings.Contains(string(done.body), want) {
			e.Fatalf("%s: %d %s, want %s", a, done.status, done.body, want)
		}
		r = e.request("GET", "/"+e.Bucket+"/k", nil)
		r.header["x-amz-checksum-mode"] = "ENABLED"
		got := e.do(r)
		e.Same(string(a), got.body, slices.Concat(bodies...))
		Equal(e, string(a)+" of GET", got.header.Get(headerOf(a)), want)
		Equal(e, string(a)+" type of GET", got.header.Get("x-amz-checksum-type"), "COMPOSITE")
	}
}

// checksumTrailer sends checksums behind the body.
func checksumTrailer(e *Env) {
	body := Data(1000, 3)
	for _, a := range everyAlgorithm() {
		put := func(sum string) rawAnswer {
			r := e.request("PUT", "/"+e.Bucket+"/"+string(a), fmt.Appendf(nil, "3e8\r\n%s\r\n0\r\n%s:%s\r\n\r\n", body, headerOf(a), sum))
			r.hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
			r.header["x-amz-trailer"], r.header["x-amz-decoded-content-length"] = headerOf(a), "1000"
			r.header["content-encoding"] = "aws-chunked"
			return e.do(r)
		}
		if got := put(sumOf(a, body[1:])); got.status != 400 || got.code != "BadDigest" {
			e.Errorf("%s: %d %s, want 400 BadDigest", a, got.status, got.code)
		}
		e.Absent(string(a))
		if got := put(sumOf(a, body)); got.status != 200 {
			e.Errorf("%s: %d %s", a, got.status, got.code)
		}
		r := e.request("GET", "/"+e.Bucket+"/"+string(a), nil)
		r.header["x-amz-checksum-mode"] = "ENABLED"
		got := e.do(r)
		e.Same(string(a), got.body, body)
		Equal(e, string(a)+" of GET", got.header.Get(headerOf(a)), sumOf(a, body))
	}
}

func sumIn(p types.CompletedPart, a types.ChecksumAlgorithm) string {
	return str(map[types.ChecksumAlgorithm]*string{types.ChecksumAlgorithmCrc32: p.ChecksumCRC32,
		types.ChecksumAlgorithmCrc32c: p.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: p.ChecksumCRC64NVME,
		types.ChecksumAlgorithmSha1: p.ChecksumSHA1, types.ChecksumAlgorithmSha256: p.ChecksumSHA256}[a])
}

func checksumRange(e *Env) {
	body := Data(200_000, 1)
	e.Put("k", body)
	got, out := e.Get("k", func(in *s3.GetObjectInput) {
		in.Range, in.ChecksumMode = aws.String("bytes=10-100000"), types.ChecksumModeEnabled
	})
	e.Same("range", got, body[10:100_001])
	for name, v := range map[string]*string{"crc32": out.ChecksumCRC32, "crc64": out.ChecksumCRC64NVME} {
		Equal(e, name+" on a range", str(v), "")
	}
}

// checksumFull completes uploads with a checksum of the whole object, as the CRT clients do.
func checksumFull(e *Env) {
	bodies := [][]byte{Data(5<<20, 1), Data(5<<20+12_345, 2), Data(100, 3)}
	var whole []byte
	for _, b := range bodies {
		whole = append(whole, b...)
	}
	for _, a := range algorithms[:3] {
		id := e.create("k", func(in *s3.CreateMultipartUploadInput) {
			in.ChecksumAlgorithm, in.ChecksumType = a, types.ChecksumTypeFullObject
		})
		var parts []types.CompletedPart
		for i, b := range bodies {
			out, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
				PartNumber: aws.Int32(int32(i + 1)), Body: reader(b), ChecksumAlgorithm: a})
			e.Ok(err)
			parts = append(parts, part(int32(i+1), out))
		}
		complete := func(sum string) (*s3.CompleteMultipartUploadOutput, error) {
			in := &s3.CompleteMultipartUploadInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
				ChecksumType: types.ChecksumTypeFullObject, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}
			switch a {
			case types.ChecksumAlgorithmCrc32:
				in.ChecksumCRC32 = &sum
			case types.ChecksumAlgorithmCrc32c:
				in.ChecksumCRC32C = &sum
			default:
				in.ChecksumCRC64NVME = &sum
			}
			return e.C.CompleteMultipartUpload(e.Ctx, in, noRetry)
		}
		_, err := complete(sumOf(a, whole[1:]))
		e.Fails(err, 400, "BadDigest")
		_, err = complete(sumOf(a, whole))
		e.Ok(err)
		r := e.request("GET", "/"+e.Bucket+"/k", nil)
		r.header["x-amz-checksum-mode"] = "ENABLED"
		got := e.do(r)
		e.Same(string(a), got.body, whole)
		Equal(e, string(a)+" of GET", got.header.Get(headerOf(a)), sumOf(a, whole))
		Equal(e, "type", got.header.Get("x-amz-checksum-type"), "FULL_OBJECT")
	}
}

// checksumUnknown: nobody may believe an upload to have been checked that was not.
func checksumUnknown(e *Env) {
	if !e.Target.Encrypted { // some stores ignore what they do not know
		return
	}
	id := e.create("mp", noChecksum)
	for what, c := range map[string]struct{ header, value, code string }{
		"header":              {"x-amz-checksum-crc128", "AAAAAA==", "NotImplemented InvalidRequest"},
		"trailer":             {"x-amz-trailer", "x-amz-checksum-crc128", "InvalidRequest"},
		"trailer of no sum":   {"x-amz-trailer", "x-amz-other", "InvalidRequest"},
		"announced algorithm": {"x-amz-sdk-checksum-algorithm", "CRC128", "InvalidRequest"},
	} {
		for _, query := range []string{"", "partNumber=1&uploadId=" + id} {
			r := e.request("PUT", "/"+e.Bucket+"/mp", []byte("hello"))
			if r.query = query; c.header == "x-amz-trailer" {
				r.hash, r.body = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", []byte("5\r\nhello\r\n0\r\n"+c.value+":AAAAAA==\r\n\r\n")
				r.header["X-Amz-Decoded-Content-Length"] = "5"
			}
			r.header[c.header] = c.value
			if a := e.do(r); a.status != 400 && a.status != 501 || !slices.Contains(strings.Fields(c.code), a.code) {
				e.Errorf("%s, %q: %d %s", what, query, a.status, a.body)
			}
		}
		e.Absent("mp")
	}
	for header, more := range map[string]map[string]string{"x-amz-checksum-algorithm": {"x-amz-checksum-algorithm": "CRC128"},
		"x-amz-checksum-type":    {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF_OBJECT"},
		"a full digest":          {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"},
		"a type of no algorithm": {"x-amz-checksum-type": "COMPOSITE"}} {
		r := e.request("POST", "/"+e.Bucket+"/mp", nil)
		r.query = "uploads="
		for k, v := range more {
			r.header[k] = v
		}
		if a := e.do(r); a.status != 400 || a.code != "InvalidRequest" {
			e.Errorf("Create with %s: %d %s", header, a.status, a.body)
		}
	}
}
