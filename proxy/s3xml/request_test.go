package s3xml

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

func part(number, etag string) string {
	return "<Part><PartNumber>" + number + "</PartNumber><ETag>" + etag + "</ETag></Part>"
}

func complete(parts string) []byte {
	return []byte("<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>")
}

func TestCompleteIsParsed(t *testing.T) {
	got, err := ParseComplete([]byte(Header + `<CompleteMultipartUpload xmlns="` + Namespace + `">
 <Part><ETag>&quot;a-0&quot;</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><PartNumber>2</PartNumber></Part>` +
		part("10000", " b ") + `</CompleteMultipartUpload>`))
	want := []CompletedPart{{2, `"a-0"`, []ChecksumText{{"ChecksumCRC32C", "AAAAAA=="}}}, {10000, "b", nil}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	out := string(AppendComplete(nil, got))
	if !strings.Contains(out, `<Part><ETag>&quot;a-0&quot;</ETag><PartNumber>2</PartNumber><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>`) {
		t.Error(out)
	}
}

func TestCompleteRefusesWhatS3Refuses(t *testing.T) {
	var many strings.Builder
	for i := 1; i <= 10001; i++ {
		many.WriteString(part(fmt.Sprint(i), "e"))
	}
	for body, code := range map[string]string{
		"":                            "MalformedXML",
		part("1", "a") + "<Other/>":   "MalformedXML",
		part("x", "a"):                "MalformedXML",
		part("", "a"):                 "MalformedXML",
		part("1", ""):                 "MalformedXML",
		"<Part><ETag>a</ETag></Part>": "MalformedXML",
		"<Part><PartNumber>1</PartNumber><PartNumber>2</PartNumber><ETag>a</ETag></Part>": "MalformedXML",
		"<Part><PartNumber>1</PartNumber><ETag><b/></ETag></Part>":                        "MalformedXML",
		"<Part><PartNumber>1</PartNumber><ETag>a</ETag><New/></Part>":                     "MalformedXML",
		"<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA384/></Part>":          "NotImplemented",
		part("0", "a"):                  "InvalidArgument",
		part("-1", "a"):                 "InvalidArgument",
		part("10001", "a"):              "InvalidArgument",
		part("2", "a") + part("1", "b"): "InvalidPartOrder",
		part("1", "a") + part("1", "b"): "InvalidPartOrder",
		many.String():                   "MalformedXML",
	} {
		if _, err := ParseComplete(complete(body)); s3err.From(err).Code != code {
			t.Errorf("%.80s: %v, want %s", body, err, code)
		}
	}
	full := strings.TrimSuffix(many.String(), part("10001", "e"))
	if parts, err := ParseComplete(complete(full)); err != nil || len(parts) != 10000 {
		t.Errorf("10,000 parts: %d %v", len(parts), err)
	}
	for _, body := range []string{
		"", "<Complete></Complete>", "<CompleteMultipartUpload/>", string(complete(part("1", "a"))) + "x",
		`<!DOCTYPE x [<!ENTITY e "1">]>` + string(complete(part("&e;", "a"))), string(complete(part("1", "a\x01"))),
		string(complete(part("1", "\xff"))), string(complete(part("1", "a") + strings.Repeat(" ", MaxComplete))),
		string(complete(strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20))),
	} {
		if _, err := ParseComplete([]byte(body)); s3err.From(err).Code != "MalformedXML" {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

func TestDeleteIsParsedAndWritten(t *testing.T) {
	body := `<Delete xmlns="` + Namespace + `"><Object><Key>a&lt;&#10;b</Key><VersionId>v</VersionId><ETag>"e-0"</ETag></Object>` +
		`<Object><Key> b </Key><Size>5</Size><LastModifiedTime>Wed, 21 Oct 2026 07:28:00 GMT</LastModifiedTime></Object><Quiet>true</Quiet></Delete>`
	got, quiet, err := ParseDelete([]byte(body))
	want := []DeleteEntry{
		{Key: "a<\nb", VersionID: "v", ETag: `"e-0"`},
		{Key: " b ", Size: "5", LastModifiedTime: "Wed, 21 Oct 2026 07:28:00 GMT"},
	}
	if err != nil || !quiet || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v %v %v", got, quiet, err)
	}
	again, quiet, err := ParseDelete(AppendDelete(nil, got, false))
	if err != nil || quiet || !reflect.DeepEqual(again, want) {
		t.Errorf("%+v %v %v", again, quiet, err)
	}
}

func TestDeleteNeverNamesAnotherKey(t *testing.T) {
	got := string(AppendDelete(nil, []DeleteEntry{{Key: "a\x01\r\ufffe<"}}, false))
	if !strings.Contains(got, "<Key>a&#1;&#13;&#65534;&lt;</Key>") {
		t.Error(got)
	}
}

func TestDeleteRefusesWhatS3Refuses(t *testing.T) {
	object := "<Object><Key>k</Key></Object>"
	if entries, _, err := ParseDelete([]byte("<Delete>" + strings.Repeat(object, 1000) + "</Delete>")); err != nil || len(entries) != 1000 {
		t.Errorf("1,000 keys: %v", err)
	}
	for _, none := range []string{"<Delete/>", "<Delete><Quiet>true</Quiet></Delete>"} { // the store says what it thinks of them
		if entries, _, err := ParseDelete([]byte(none)); err != nil || len(entries) != 0 {
			t.Errorf("%s: %v, %v", none, entries, err)
		}
	}
	for _, body := range []string{
		"", "<Delete>" + strings.Repeat(object, 1001) + "</Delete>",
		"<Delete><Object></Object></Delete>", "<Delete><Object><Key></Key></Object></Delete>",
		"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", "<Delete><Object><Key>a<b/></Key></Object></Delete>",
		"<Delete><Object><Key>a</Key><ETag/></Object></Delete>", "<Delete><Object><Key>a</Key><Size> </Size></Object></Delete>", // conditions
		"<Delete><Object><Key>a</Key><LastModifiedTime></LastModifiedTime></Object></Delete>",
		"<Delete><Object><Key>a</Key><IfNew>1</IfNew></Object></Delete>", "<Delete><Thing/></Delete>", "<Deletes>" + object + "</Deletes>",
		"<Delete>" + object + strings.Repeat(" ", MaxDelete) + "</Delete>", "<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
	} {
		if _, _, err := ParseDelete([]byte(body)); s3err.From(err).Code != "MalformedXML" {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}
