package attack

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/suite"
)

// Row 23. Documents that expand, nest or count too much are refused, and s3veil goes on.
func TestHostileXMLIsRefused(t *testing.T) {
	s := NewScene(t, nil)
	up, err := s.C.CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	complete := "/" + s.Bucket + "/k?uploadId=" + *up.UploadId
	bomb := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	part := `<Part><PartNumber>%d</PartNumber><ETag>"e"</ETag></Part>`
	var parts, keys strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&parts, part, i+1)
	}
	for i := range 1_001 {
		fmt.Fprintf(&keys, "<Object><Key>%d</Key></Object>", i)
	}
	for what, c := range map[string][2]string{
		"entities":          {complete, bomb + "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&b;</ETag></Part></CompleteMultipartUpload>"},
		"external entity":   {complete, `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><CompleteMultipartUpload>&a;</CompleteMultipartUpload>`},
		"deep nesting":      {complete, strings.Repeat("<a>", 100_000)},
		"10,001 parts":      {complete, "<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"},
		"above 4 MiB":       {complete, "<CompleteMultipartUpload>" + strings.Repeat(" ", 5<<20) + "</CompleteMultipartUpload>"},
		"not closed":        {complete, "<CompleteMultipartUpload><Part>"},
		"nothing":           {complete, ""},
		"no XML":            {complete, "\x00\x01\x02"},
		"1,001 deletes":     {"/" + s.Bucket + "?delete=", "<Delete>" + keys.String() + "</Delete>"},
		"deletes of a bomb": {"/" + s.Bucket + "?delete=", bomb + "<Delete><Object><Key>&b;</Key></Object></Delete>"},
	} {
		w := s.Dial()
		fmt.Fprintf(w, "%sContent-Length: %d\r\n\r\n", s.Head("POST", c[0], hexSum([]byte(c[1])), nil), len(c[1]))
		w.Write([]byte(c[1]))
		if status, text := w.Answer(); status/100 != 4 || status == 403 {
			t.Errorf("%s: %d %.300s", what, status, text)
		}
		w.Close()
	}
	s.Put("k", []byte("still here"))
}

// Row 25. What the store gets to see of an upload is the documented list of fields, and none of them tells of the plaintext
// more than its length.
func TestStoreSeesTheDocumentedFieldsOnly(t *testing.T) {
	s, p := interposed(t)
	p.Hook(nil)
	for _, n := range []int{10, 100_000, 3 << 20} {
		s.Put(fmt.Sprint(n), suite.Data(n, 1), func(in *s3.PutObjectInput) {
			in.ContentType, in.CacheControl = aws.String("text/plain"), aws.String("no-cache")
			in.Metadata, in.Tagging = map[string]string{"mine": "1"}, aws.String("a=b")
			in.ChecksumSHA256 = aws.String(sumSHA256(suite.Data(n, 1)))
		})
	}
	allowed := []string{"host", "authorization", "x-amz-date", "x-amz-content-sha256", "content-length", "content-type", "cache-control",
		"x-amz-meta-mine", "x-amz-tagging", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-checksum-crc64nvme",
		"x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm", "content-encoding", "accept-encoding", "user-agent"}
	for name, value := range p.Sent() {
		if !slices.Contains(allowed, name) && !strings.HasPrefix(name, "x-amz-meta-s3veil") {
			t.Errorf("the store sees %s: %.80s", name, value)
		}
	}
	if p.Sent()["x-amz-meta-mine"] != "1" || p.Sent()["x-amz-tagging"] == "" {
		t.Error("nothing was seen")
	}
}

func sumSHA256(b []byte) string { return suite.Checksum("SHA256", b) }

// Rows 16 and 20. A request outside the time window is refused; inside it a replay behaves as on S3.
func TestReplayInsideTheWindowBehavesAsOnS3(t *testing.T) {
	s := NewScene(t, nil)
	body := []byte("hello")
	request := s.Head("PUT", "/"+s.Bucket+"/k", hexSum(body), nil) + fmt.Sprintf("Content-Length: %d\r\n\r\nhello", len(body))
	for range 2 {
		w := s.Dial()
		w.Write([]byte(request))
		if status, text := w.Answer(); status != 200 {
			t.Errorf("%d %s", status, text)
		}
		w.Close()
	}
	// the same head with another body is refused: the payload's hash is signed
	w := s.Dial()
	defer w.Close()
	w.Write(bytes.Replace([]byte(request), []byte("\r\n\r\nhello"), []byte("\r\n\r\nworld"), 1))
	if status, _ := w.Answer(); status != 400 {
		t.Errorf("another body: %d", status)
	}
	if got, err := s.Read("k", ""); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}
