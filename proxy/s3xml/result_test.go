package s3xml

import (
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/size"
	"s3veil/proxy/s3err"
)

func decode(t *testing.T, b []byte, into any) {
	t.Helper()
	if err := xml.Unmarshal(b, into); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
}

func TestPartsAreRewritten(t *testing.T) {
	l, err := ParseParts([]byte(Header + `<ListPartsResult xmlns="` + Namespace + `"><Bucket>store</Bucket><Key>k</Key><UploadId>up</UploadId>
<PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>7</NextPartNumberMarker><IsTruncated>true</IsTruncated>
<StorageClass>STANDARD_IA</StorageClass><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>
<Part><PartNumber>1</PartNumber><LastModified>2026</LastModified><ETag>"e"</ETag><Size>5245440</Size><ChecksumCRC64NVME>AA==</ChecksumCRC64NVME></Part>
<Part><PartNumber>7</PartNumber><ETag>"f"</ETag><Size>16</Size></Part></ListPartsResult>`))
	if err != nil {
		t.Fatal(err)
	}
	if !l.Truncated || l.Next != 7 || l.StorageClass != "STANDARD_IA" || len(l.Parts) != 2 || l.Parts[0].Size != 5<<20 ||
		!l.Parts[0].Valid || l.Parts[0].Stored != size.Enc(5<<20) || l.Parts[1].Valid || l.Parts[0].ETag != `"e"` {
		t.Errorf("%+v", l)
	}
	var out struct {
		Bucket, Key, ChecksumType string
		UploadID                  string `xml:"UploadId"`
		ChecksumAlgorithm         []string
		Part                      []struct {
			PartNumber, Size                      int
			ETag, LastModified, ChecksumCRC64NVME string
		}
	}
	decode(t, l.Append(nil, Names{"b", "k&", "token"}, "CRC32C", ""), &out)
	if out.Bucket != "b" || out.Key != "k&" || out.UploadID != "token" || !reflect.DeepEqual(out.ChecksumAlgorithm, []string{"CRC32C"}) ||
		out.ChecksumType != "" {
		t.Errorf("%+v", out)
	}
	if p := out.Part[0]; p.Size != 5<<20 || p.ETag != `"e-0"` || p.LastModified != "2026" || p.ChecksumCRC64NVME != "" {
		t.Errorf("%+v", p)
	}
	for _, bad := range []string{"<ListPartsResult><Part/></ListPartsResult>", "<x></x>",
		"<ListPartsResult><Part><PartNumber>1</PartNumber><Size>-1</Size></Part></ListPartsResult>"} {
		if _, err := ParseParts([]byte(bad)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestUploadsAreRewritten(t *testing.T) {
	l, err := ParseUploads([]byte(`<ListMultipartUploadsResult><Bucket>store</Bucket><KeyMarker/><UploadIdMarker/>
<NextKeyMarker>z%20z</NextKeyMarker><NextUploadIdMarker>u9</NextUploadIdMarker><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<Upload><Key>a%20b</Key><UploadId>u1</UploadId><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Initiator><ID>i</ID></Initiator></Upload>
<Upload><Key>.s3veil%2Fp%2F1</Key><UploadId>u2</UploadId></Upload>
<CommonPrefixes><Prefix>.s3veil/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListMultipartUploadsResult>`))
	if err != nil {
		t.Fatal(err)
	}
	if l.Hidden != 2 || len(l.Uploads) != 1 || l.Uploads[0].Key != "a b" || l.Uploads[0].UploadID != "u1" || !l.Truncated ||
		l.NextKey != "z z" || l.NextUpload != "u9" {
		t.Errorf("%+v", l)
	}
	var out struct {
		Bucket, UploadIDMarker string
		NextUploadIDMarker     string `xml:"NextUploadIdMarker"`
		Marker                 string `xml:"UploadIdMarker"`
		Upload                 []struct {
			Key, ChecksumAlgorithm string
			UploadID               string `xml:"UploadId"`
			Initiator              struct{ ID string }
		}
		CommonPrefixes []struct{ Prefix string }
	}
	b := l.Append(nil, "b", "0.x", func(id string) string { return "0." + id })
	decode(t, b, &out)
	if out.Bucket != "b" || out.Marker != "0.x" || out.NextUploadIDMarker != "0.u9" || len(out.CommonPrefixes) != 1 || len(out.Upload) != 1 {
		t.Fatalf("%s", b)
	}
	if u := out.Upload[0]; u.Key != "a%20b" || u.UploadID != "0.u1" || u.Initiator.ID != "i" || u.ChecksumAlgorithm != "" {
		t.Errorf("%+v", u)
	}
	if strings.Contains(string(b), "s3veil") {
		t.Errorf("%s", b)
	}
}

func TestResultsAndErrorsInsideA200(t *testing.T) {
	r, err := ParseResult([]byte("  \n"+Header+"   <CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</ETag></CompleteMultipartUploadResult>"),
		"CompleteMultipartUploadResult", "b")
	if err != nil || r.ETag != `"a-2"` {
		t.Errorf("%+v %v", r, err)
	}
	r, err = ParseResult([]byte("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"), "InitiateMultipartUploadResult", "b")
	if err != nil || r.UploadID != "u" {
		t.Errorf("%+v %v", r, err)
	}
	_, err = ParseResult([]byte(Header+"<Error><Code>SlowDown</Code><Message>m</Message></Error>"), "CopyObjectResult", "b")
	if e := s3err.From(err); !errors.Is(err, s3err.SlowDown) || e.Status != 503 || e.Message != "m" {
		t.Errorf("%v", err)
	}
	_, err = ParseResult([]byte("<Error><Code>Odd</Code></Error>"), "CopyObjectResult", "b")
	if e := s3err.From(err); e.Code != "Odd" || e.Status != 500 {
		t.Errorf("%v", err)
	}
	if _, err = ParseResult([]byte("<Other></Other>"), "CopyObjectResult", "b"); !errors.Is(err, ErrSyntax) {
		t.Errorf("%v", err)
	}
}

func TestStoreErrorsPassWithoutTheStoresNames(t *testing.T) {
	e, ok := ParseError([]byte(`<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>store-b</BucketName>`+
		`<Resource>/store-b</Resource><RequestId>R</RequestId><HostId>H</HostId><Endpoint>store.host</Endpoint><UploadId>raw</UploadId>`+
		`<ETag>"e"</ETag><ActualObjectSize>65568</ActualObjectSize><Key>k</Key></Error>`), "b")
	if !ok || e.Code != "NoSuchBucket" || e.Message != "The specified bucket does not exist" {
		t.Fatalf("%+v", e)
	}
	want := []s3err.Field{{Name: "BucketName", Value: "b"}, {Name: "ETag", Value: `"e-0"`}, {Name: "Key", Value: "k"}}
	if !reflect.DeepEqual(e.Fields, want) {
		t.Errorf("%+v", e.Fields)
	}
	for _, body := range []string{"", "Bad Gateway", "<html><body></body></html>", "<Error></Error>", "<Error>"} {
		if _, ok := ParseError([]byte(body), "b"); ok {
			t.Errorf("%s is an error body", body)
		}
	}
}

func TestLocations(t *testing.T) {
	for body, want := range map[string]string{
		`<LocationConstraint xmlns="` + Namespace + `"/>`:    "us-east-1",
		`<LocationConstraint>eu-west-3</LocationConstraint>`: "eu-west-3",
		`<LocationConstraint>EU</LocationConstraint>`:        "eu-west-1",
	} {
		if got, err := ParseLocation([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %s %v", body, got, err)
		}
	}
	if _, err := ParseLocation([]byte("<a/>")); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

func TestShortAnswers(t *testing.T) {
	sums := []ChecksumText{{"ChecksumCRC32", "AAAAAA=="}}
	for want, got := range map[string][]byte{
		`<InitiateMultipartUploadResult xmlns="N"><Bucket>b</Bucket><Key>k&lt;</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>`:                                                                                                        AppendInitiate(nil, Names{"b", "k<", "u"}),
		`<CompleteMultipartUploadResult xmlns="N"><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>&quot;e-1&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>`: AppendCompleteResult(nil, Created{"l", "b", "k", `"e-1"`, sums, "FULL_OBJECT"}, false),
		`<PostResponse><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag></PostResponse>`:                                                                                                                                          AppendPostResponse(nil, Created{Location: "l", Bucket: "b", Key: "k", ETag: "e"}),
		`<CopyObjectResult xmlns="N"><LastModified>t</LastModified><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></CopyObjectResult>`:                                                                                                       AppendCopyResult(nil, Copied{ETag: "e", LastModified: "t", Checksums: sums}, false),
		`<CopyPartResult xmlns="N"><LastModified>t</LastModified><ETag>e</ETag></CopyPartResult>`:                                                                                                                                                  AppendCopyPartResult(nil, Copied{ETag: "e", LastModified: "t"}, false),
	} {
		if want = Header + strings.Replace(want, `"N"`, `"`+Namespace+`"`, 1); string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	late := AppendCopyResult([]byte("before"), Copied{ETag: "e"}, true)
	if !strings.HasPrefix(string(late), "before<CopyObjectResult ") {
		t.Errorf("%s", late)
	}
}

func TestDeleteResultsAreMerged(t *testing.T) {
	r, err := ParseDeleteResult([]byte(`<DeleteResult><Deleted><Key>a</Key><VersionId>1</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>2</DeleteMarkerVersionId></Deleted>` +
		`<Error><Key>b</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>`))
	if err != nil {
		t.Fatal(err)
	}
	r.Errors = append(r.Errors, Refused(DeleteEntry{Key: ".s3veil/m/1", VersionID: "v"}, s3err.AccessDenied))
	again, err := ParseDeleteResult(r.Append(nil))
	if err != nil || !reflect.DeepEqual(again, r) || again.Deleted[0] != (Deleted{"a", "1", "true", "2"}) || len(again.Errors) != 2 ||
		again.Errors[1] != (DeleteError{".s3veil/m/1", "v", "AccessDenied", "Access Denied."}) {
		t.Errorf("%+v %v", again, err)
	}
	if r, err := ParseDeleteResult([]byte("<DeleteResult/>")); err != nil || len(r.Deleted)+len(r.Errors) != 0 {
		t.Errorf("quiet: %+v %v", r, err)
	}
}

func TestBucketsSurvive(t *testing.T) {
	l := BucketList{"id", "name<", []Bucket{{"b1", "2026-01-01T00:00:00.000Z", "eu"}, {"b2", "x", ""}}, "p", "tok"}
	got, err := ParseBuckets(l.Append(nil))
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := ParseBuckets([]byte("<ListAllMyBucketsResult><Owner/></ListAllMyBucketsResult>")); err != nil || len(got.Buckets) != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAttributes(t *testing.T) {
	n := int64(70000)
	a := Attributes{
		ETag: "e-0", Checksums: []ChecksumText{{"ChecksumSHA256", "x"}}, ChecksumType: "COMPOSITE", StorageClass: "STANDARD", ObjectSize: &n,
		Parts: &AttributeParts{Total: 2, Marker: 0, Next: 1, Max: 1, Truncated: true, Parts: []AttributePart{{1, 65536, []ChecksumText{{"ChecksumSHA256", "y"}}}}},
	}
	var out struct {
		ETag, StorageClass string
		ObjectSize         int64
		Checksum           struct{ ChecksumSHA256, ChecksumType string }
		ObjectParts        struct {
			PartsCount, PartNumberMarker, NextPartNumberMarker, MaxParts int
			IsTruncated                                                  bool
			Part                                                         []struct {
				PartNumber, Size int
				ChecksumSHA256   string
			}
		}
	}
	decode(t, a.Append(nil), &out)
	if out.ETag != "e-0" || out.ObjectSize != n || out.Checksum.ChecksumSHA256 != "x" || out.Checksum.ChecksumType != "COMPOSITE" ||
		out.ObjectParts.PartsCount != 2 || !out.ObjectParts.IsTruncated || out.ObjectParts.Part[0].Size != 65536 || out.ObjectParts.Part[0].ChecksumSHA256 != "y" {
		t.Errorf("%+v", out)
	}
	if got := string((&Attributes{}).Append(nil)); strings.Contains(got, "Object") && strings.Contains(got, "<ObjectSize") {
		t.Error(got)
	}
}
