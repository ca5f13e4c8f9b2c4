//go:build integration

package integration

import (
	"bytes"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// bare are cases that a store itself answers otherwise than S3 does; s3veil in front of it has no such exceptions. The
// run against the bare stores shows that what the suite expects is what S3 does, not what s3veil happens to do.
var bare = map[string]map[string]string{
	servers.RGW: {
		"PutObject_refuses_metadata_beyond_2KB":                    "takes larger metadata",
		"GetObject_ignores_malformed_and_multiple_ranges":          "reads malformed ranges in its own way",
		"GetObject_if_range":                                       "ignores If-Range",
		"GetObjectAttributes_of_a_single_object":                   "does not know the operation",
		"GetObjectAttributes_of_a_multipart_object":                "does not know the operation",
		"ListObjectsV2_shows_plaintext_sizes_and_etags":            "Complete answers without ETag",
		"CopyObject_within_and_across_buckets":                     "answers ETags without quotes",
		"CopyObject_source_conditions":                             "ignores x-amz-copy-source-if-none-match",
		"Multipart_parts_in_any_order_and_of_any_size":             "Complete answers without ETag",
		"Multipart_numbers_with_gaps_and_unused_parts":             "refuses a Complete that leaves parts out",
		"Multipart_reads_by_part_number":                           "ignores partNumber",
		"ListMultipartUploads_and_Abort":                           "answers NoSuchKey for an unknown upload",
		"CompleteMultipartUpload_refuses_bad_lists":                "sorts the part list",
		"PutObject_if_match":                                       "does not take the ETag it gave out",
		"CompleteMultipartUpload_if_none_match_star":               "ignores conditions on Complete",
		"Checksum_kept_and_returned_in_every_algorithm":            "knows no checksums",
		"Checksum_computed_by_the_SDK_round_trips":                 "knows no checksums",
		"Checksum_wrong_value_refused":                             "knows no checksums",
		"Checksum_of_parts":                                        "knows no checksums",
		"Checksum_of_parts_in_algorithms_the_SDK_does_not_compute": "knows no checksums",
		"Checksum_in_a_trailer_in_every_algorithm":                 "knows no checksums",
		"Checksum_of_a_full_multipart_object":                      "knows no checksums",
		"DeleteObjects_quiet":                                      "ignores Quiet",
		"Answer_304_has_its_ETag_and_no_body":                      "answers 304 without ETag",
		"Answer_Content_Encoding_without_aws_chunked":              "does not know STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"CopyObject_carries_tags":                                  "ignores the tags of a copy",
		"PutObject_in_every_payload_mode":                          "does not know STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"UploadPartCopy_whole_and_range":                           "answers ETags without quotes",
	},
	servers.MinIO: {
		"GetObject_ignores_malformed_and_multiple_ranges":          "answers 416 to a range that ends before it begins",
		"GetObject_if_range":                                       "ignores If-Range",
		"UploadPart_of_unknown_upload":                             "has another code for one",
		"Checksum_kept_and_returned_in_every_algorithm":            "knows the first five alone",
		"Checksum_wrong_value_refused":                             "knows the first five alone, and says XAmzContentChecksumMismatch",
		"Checksum_of_parts_in_algorithms_the_SDK_does_not_compute": "knows the first five alone",
		"Checksum_in_a_trailer_in_every_algorithm":                 "knows the first five alone, and says XAmzContentChecksumMismatch",
		"Checksum_of_a_full_multipart_object":                      "says XAmzContentChecksumMismatch",
		"Answer_Content_Encoding_without_aws_chunked":              "keeps aws-chunked that comes last",
		"Request_version_null":                                     "does not name the null version",
		"Request_CORS_preflight":                                   "has no CORS rules of buckets",
	},
}

func TestBareStoresMeetTheSuite(t *testing.T) {
	for kind, except := range bare {
		if !slices.Contains(servers.Kinds(), kind) {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			suite.Run(t, s3veil.Bare(servers.MustShared(t, kind)), except)
		})
	}
}

func TestProgramsAgainstBareVersity(t *testing.T) {
	runPrograms(t, s3veil.Bare(servers.MustShared(t, servers.Versity)))
}

// veil are cases that a store's own limits show through s3veil.
var veil = map[string]map[string]string{
	servers.RGW: {
		"Multipart_numbers_with_gaps_and_unused_parts": "refuses a Complete that leaves parts out",
		"PutObject_if_match":                           "does not take the ETag it gave out",
		"CompleteMultipartUpload_if_none_match_star":   "ignores conditions on Complete",
		"ListMultipartUploads_and_Abort":               "answers NoSuchKey for an unknown upload",
	},
	servers.MinIO: {
		"Request_version_null":   "does not name the null version",
		"Request_CORS_preflight": "has no CORS rules of buckets",
	},
}

func TestS3veilMeetsTheSuite(t *testing.T) {
	for _, kind := range servers.Kinds() {
		if kind == servers.Versity {
			continue // in test/gosdk
		}
		t.Run(kind, func(t *testing.T) {
			c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, kind), Replicas: 2})
			suite.Run(t, &c.Target, veil[kind])
		})
	}
}

// What s3veil remembers of uploads with upload_id: state, every store keeps and lists, and forgets with the upload.
func TestS3veilMeetsTheSuiteWithState(t *testing.T) {
	for _, kind := range servers.Kinds() {
		t.Run(kind, func(t *testing.T) {
			store := servers.MustShared(t, kind)
			c := s3veil.MustStart(t, s3veil.Options{Store: store, Replicas: 2, Configure: func(c map[string]any) {
				c["buckets"] = []any{map[string]any{"name": "*", "key": "main", "upload_id": "state"}}
			}})
			if kind == servers.Versity { // of the suite, what depends on the form of ids depends on no store
				suite.Run(t, &c.Target, veil[kind])
			}
			remembers(t, c.Client(), store.Client())
		})
	}
}

// remembers completes an upload that declares no checksum.
func remembers(t *testing.T, c, store *s3.Client) {
	ctx, bucket, key := t.Context(), servers.NewBucket(t, c), aws.String("k")
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key}, undeclared)
	if err != nil {
		t.Fatal(err)
	}
	parts, list := [][]byte{suite.Data(5<<20, 1), suite.Data(1000, 2)}, []types.CompletedPart(nil)
	for i, p := range parts {
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(p)}, undeclared)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
	}
	for range 2 { // the second is a repetition
		out, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}, undeclared)
		if err != nil || aws.ToString(out.ChecksumCRC64NVME) != suite.Checksum("CRC64NVME", bytes.Join(parts, nil)) {
			t.Errorf("%+v, %v", out, err)
		}
	}
	left, err := store.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: aws.String(".s3veil/u/")})
	if err != nil || len(left.Versions)+len(left.DeleteMarkers) != 0 {
		t.Errorf("%+v, %v", left, err)
	}
}

// undeclared keeps the SDK from declaring a checksum of its own.
func undeclared(o *s3.Options) {
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
}

func TestProgramsAgainstS3veil(t *testing.T) {
	for _, kind := range servers.Kinds() {
		for name, tls := range map[string]bool{"http": false, "https": true} {
			t.Run(kind+"-"+name, func(t *testing.T) {
				c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, kind), TLS: tls})
				runPrograms(t, &c.Target)
			})
		}
	}
}
