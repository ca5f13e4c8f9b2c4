package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// listPage is what encoding/xml makes of a listing.
type listPage struct {
	XMLName               xml.Name
	Name                  string
	Prefix                string
	KeyCount              *int
	MaxKeys               int
	IsTruncated           bool
	NextContinuationToken string
	NextMarker            string
	Contents              []listEntry
	Version               []listEntry
	DeleteMarker          []listEntry
	CommonPrefixes        []struct{ Prefix string }
}

type listEntry struct {
	Key, VersionID, ETag, StorageClass string
	Size                               int64
	LastModified                       string
	Owner                              struct{ ID, DisplayName string }
	ChecksumAlgorithm, ChecksumType    string
	RestoreStatus                      struct{ IsRestoreInProgress string }
}

func decodeList(t testing.TB, b []byte) listPage {
	t.Helper()
	var p listPage
	if err := xml.Unmarshal(b, &p); err != nil {
		t.Fatalf("not XML: %v\n%s", err, b)
	}
	return p
}

const v2Page = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>store-name</Name><Prefix></Prefix><KeyCount>5</KeyCount><MaxKeys>5</MaxKeys>
 <Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><NextContinuationToken>tok&amp;1</NextContinuationToken>
 <Contents><Key>-a&lt;b&#x20;c</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>65568</Size><Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner><StorageClass>STANDARD</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>
 <Contents><Key>.s3veil/m/0011</Key><ETag>"x"</ETag><Size>75</Size></Contents>
 <!-- a comment --><Contents><Key><![CDATA[b&c]]></Key><ETag>"a-3"</ETag><Size>0</Size></Contents>
 <CommonPrefixes><Prefix>.s3veil/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>
</ListBucketResult>`

func TestListV2IsRewritten(t *testing.T) {
	l, err := ParseList([]byte(v2Page))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Entries) != 3 || l.Hidden != 2 || !l.Truncated || l.Last != "dir/" || l.Next != "tok&1" {
		t.Errorf("%+v", l)
	}
	if e := l.Entries[0]; e.Key != "-a<b c" || e.Stored != 65568 || e.Size != 65536 || e.ETag != `"d41d8cd98f00b204e9800998ecf8427e"` {
		t.Errorf("%+v", e)
	}
	out := l.Append(nil, "visible")
	p := decodeList(t, out)
	if p.Name != "visible" || *p.KeyCount != 3 || p.MaxKeys != 5 || !p.IsTruncated || p.NextContinuationToken != "tok&1" {
		t.Errorf("%+v", p)
	}
	if len(p.Contents) != 2 || len(p.CommonPrefixes) != 1 || p.CommonPrefixes[0].Prefix != "dir/" {
		t.Fatalf("%s", out)
	}
	a, b := p.Contents[0], p.Contents[1]
	if a.Key != "-a<b c" || a.Size != 65536 || a.ETag != `"d41d8cd98f00b204e9800998ecf8427e-0"` || a.Owner.DisplayName != "Me" ||
		a.StorageClass != "STANDARD" || a.RestoreStatus.IsRestoreInProgress != "false" || a.ChecksumAlgorithm+a.ChecksumType != "" {
		t.Errorf("%+v", a)
	}
	if b.Key != "b&c" || b.Size != 0 || b.ETag != `"a-3"` {
		t.Errorf("%+v", b)
	}
	if bytes.Contains(out, []byte(".s3veil")) || bytes.Contains(out, []byte("store-name")) {
		t.Errorf("%s", out)
	}
}

func TestListKeepsWhatTheCallerChanged(t *testing.T) {
	l, err := ParseList([]byte(v2Page))
	if err != nil {
		t.Fatal(err)
	}
	l.Entries[0].Size = 7
	l.Entries[1].Plaintext, l.Entries[1].Size = true, l.Entries[1].Stored
	l.Entries[0].Plaintext = true
	l.Entries = l.Entries[:2]
	p := decodeList(t, l.Append(nil, "b"))
	if len(p.Contents) != 2 || len(p.CommonPrefixes) != 0 || *p.KeyCount != 2 {
		t.Fatalf("%+v", p)
	}
	if p.Contents[0].Size != 7 || p.Contents[0].ETag != `"d41d8cd98f00b204e9800998ecf8427e"` || p.Contents[1].Size != 0 {
		t.Errorf("%+v", p.Contents)
	}
}

func TestListIsRefilledFromTheNextPage(t *testing.T) {
	first, err := ParseList([]byte(v2Page))
	if err != nil {
		t.Fatal(err)
	}
	second, err := ParseList([]byte(`<ListBucketResult><Name>n</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>` +
		`<Contents><Key>x</Key><Size>33</Size><ETag>"e"</ETag></Contents>` +
		`<CommonPrefixes><Prefix>y/</Prefix></CommonPrefixes></ListBucketResult>`))
	if err != nil {
		t.Fatal(err)
	}
	first.Extend(second)
	p := decodeList(t, first.Append([]byte{}, "b"))
	if p.IsTruncated || p.NextContinuationToken != "" || *p.KeyCount != 5 || first.Last != "y/" || first.Hidden != 2 {
		t.Errorf("%+v", p)
	}
	if len(p.Contents) != 3 || p.Contents[2].Key != "x" || p.Contents[2].Size != 1 || p.Contents[2].ETag != `"e-0"` ||
		len(p.CommonPrefixes) != 2 || p.CommonPrefixes[1].Prefix != "y/" {
		t.Errorf("%+v", p)
	}
}

func TestListOfEncodedKeys(t *testing.T) {
	l, err := ParseList([]byte(`<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%2Es3veil%2Fm/1</Key></Contents>` +
		`<Contents><Key>a+b%2B%C3%BC</Key><Size>1</Size></Contents><Contents><Key>50%</Key></Contents></ListBucketResult>`))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Entries) != 2 || l.Hidden != 1 || l.Entries[0].Key != "a b+ü" || l.Entries[1].Key != "50%" {
		t.Errorf("%+v", l.Entries)
	}
	if p := decodeList(t, l.Append(nil, "b")); p.Contents[0].Key != "a+b%2B%C3%BC" {
		t.Errorf("keys must stay encoded: %+v", p)
	}
}

func TestListOfVersions(t *testing.T) {
	l, err := ParseList([]byte(`<s3:ListVersionsResult xmlns:s3="u"><s3:Name>n</s3:Name><s3:IsTruncated>true</s3:IsTruncated>` +
		`<s3:NextKeyMarker>k</s3:NextKeyMarker><s3:NextVersionIdMarker>v</s3:NextVersionIdMarker>` +
		`<s3:Version><s3:Key>k</s3:Key><s3:VersionId>1</s3:VersionId><s3:ETag>"e"</s3:ETag><s3:Size>33</s3:Size></s3:Version>` +
		`<s3:DeleteMarker><s3:Key>.s3veil/m/1</s3:Key></s3:DeleteMarker>` +
		`<s3:DeleteMarker><s3:Key>k</s3:Key><s3:VersionId>0</s3:VersionId></s3:DeleteMarker></s3:ListVersionsResult>`))
	if err != nil {
		t.Fatal(err)
	}
	if l.Next != "k" || l.NextVersion != "v" || l.Entries[0].Kind != Version || l.Entries[1].Kind != DeleteMarker {
		t.Errorf("%+v", l)
	}
	p := decodeList(t, l.Append(nil, "b"))
	if len(p.Version) != 1 || p.Version[0].Size != 1 || p.Version[0].ETag != `"e-0"` || len(p.DeleteMarker) != 1 || p.Name != "b" {
		t.Errorf("%+v", p)
	}
}

func TestOtherDocumentsAreNotLists(t *testing.T) {
	for _, doc := range []string{
		``, `<Error><Code>NoSuchBucket</Code></Error>`, `<ListBucketResult/>`, `<ListBucketResult>`, `<ListBucketResult></x>`,
		`<!DOCTYPE a [<!ENTITY x "y">]><ListBucketResult>&x;</ListBucketResult>`, `<ListBucketResult>&x;</ListBucketResult>`,
		`<?xml version="1.0" encoding="latin-1"?><ListBucketResult></ListBucketResult>`,
		`<ListBucketResult><?php ?></ListBucketResult>`, `<ListBucketResult></ListBucketResult><a></a>`, `x<ListBucketResult></ListBucketResult>`,
		strings.Repeat("<a>", 17) + strings.Repeat("</a>", 17),
	} {
		if _, err := ParseList([]byte(doc)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// page builds a listing of n keys as AWS writes it.
func page(n int) []byte {
	var b bytes.Buffer
	b.WriteString(Header + `<ListBucketResult xmlns="` + Namespace + `"><Name>bucket</Name><Prefix></Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`)
	for i := range n {
		fmt.Fprintf(&b, `<Contents><Key>some/directory/of/objects/object-%06d.parquet</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e98009%010d&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>%d</Size><Owner><ID>0123456789abcdef0123456789abcdef</ID><DisplayName>owner</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>`, i, i, i*1000)
	}
	b.WriteString(`</ListBucketResult>`)
	return b.Bytes()
}

func BenchmarkList1000(b *testing.B) {
	doc := page(1000)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	dst := make([]byte, 0, len(doc)+8192)
	for b.Loop() {
		l, err := ParseList(doc)
		if err != nil {
			b.Fatal(err)
		}
		dst = l.Append(dst[:0], "bucket")
	}
}

func BenchmarkList1000EncodingXML(b *testing.B) {
	doc := page(1000)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		decodeList(b, doc)
	}
}
