package s3err

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy/budget"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

func TestFromMapsSentinels(t *testing.T) {
	rows := []struct {
		err    error
		code   string
		status int
		class  string
	}{
		{NoSuchKey, "NoSuchKey", 404, ""},
		{fmt.Errorf("head: %w", NoSuchKey.With(io.EOF)), "NoSuchKey", 404, ""},
		{Integrity(ClassAmbiguous, io.EOF), "ObjectIntegrityError", 422, "ambiguous"},
		{ObjectNotEncrypted, "ObjectNotEncrypted", 422, "plaintext"},
		{ObjectManifestMissing, "ObjectManifestMissing", 422, "manifest-missing"},
		{fmt.Errorf("x: %w", envelope.ErrMalformed), "ObjectIntegrityError", 422, "malformed"},
		{envelope.ErrUnsupported, "ObjectIntegrityError", 422, "unsupported"},
		{envelope.ErrCommitment, "ObjectIntegrityError", 422, "commitment"},
		{envelope.ErrEnvelope, "ObjectIntegrityError", 422, "envelope"},
		{envelope.ErrMetadata, "ObjectIntegrityError", 422, "metadata"},
		{envelope.ErrToken, "NoSuchUpload", 404, "token"},
		{fmt.Errorf("%w: %w", manifest.ErrManifest, manifest.ErrMalformed), "ObjectIntegrityError", 422, "malformed"},
		{manifest.ErrUnsupported, "ObjectIntegrityError", 422, "unsupported"},
		{manifest.ErrManifest, "ObjectIntegrityError", 422, "manifest"},
		{stream.ErrStream, "ObjectIntegrityError", 422, "stream"},
		{size.ErrSize, "ObjectIntegrityError", 422, "length"},
		{kms.ErrBadCiphertext, "ObjectIntegrityError", 422, "envelope"},
		{kms.ErrAccessDenied, "AccessDenied", 403, "kek-denied"},
		{kms.ErrKeyDisabled, "KMS.DisabledException", 400, "kek-denied"},
		{kms.ErrKeyNotFound, "KMS.NotFoundException", 400, "kek-denied"},
		{kms.ErrThrottled, "ServiceUnavailable", 503, "kek-unavailable"},
		{kms.ErrUnavailable, "ServiceUnavailable", 503, "kek-unavailable"},
		{fmt.Errorf("%w: %w", envelope.ErrToken, kms.ErrUnavailable), "ServiceUnavailable", 503, "kek-unavailable"},
		{fmt.Errorf("%w: %w", envelope.ErrToken, kms.ErrBadCiphertext), "NoSuchUpload", 404, "token"},
		{budget.ErrSlowDown, "SlowDown", 503, ""},
		{upstream.ErrUnavailable, "ServiceUnavailable", 503, ""},
		{upstream.ErrRefused, "InternalError", 500, ""},
		{upstream.ErrBusy, "SlowDown", 503, ""},
		{upstream.ErrNeedsSignature, "AccessDenied", 403, ""},
		{&sigv4.Error{Code: "RequestTimeTooSkewed", Reason: "x"}, "RequestTimeTooSkewed", 403, ""},
		{fmt.Errorf("put: %w", &sigv4.Error{Code: "XAmzContentSHA256Mismatch"}), "XAmzContentSHA256Mismatch", 400, ""},
		{&sigv4.Error{Code: "SomethingNew"}, "InternalError", 500, ""},
		{io.ErrUnexpectedEOF, "InternalError", 500, ""},
		{nil, "InternalError", 500, ""},
	}
	if keycache.ErrMissLimit != nil {
		rows = append(rows, struct {
			err    error
			code   string
			status int
			class  string
		}{keycache.ErrMissLimit, "SlowDown", 503, ""})
	}
	for _, r := range rows {
		e := From(r.err)
		if e.Code != r.code || e.Status != r.status || e.Class != r.class {
			t.Errorf("From(%v) = %s %d %q, want %s %d %q", r.err, e.Code, e.Status, e.Class, r.code, r.status, r.class)
		}
	}
}

func TestIntegrityClassesLookAlikeToClients(t *testing.T) {
	want := Body(Integrity(ClassStream, nil), "/b/k", "R", "H")
	for _, err := range []error{
		envelope.ErrMalformed, envelope.ErrUnsupported, envelope.ErrCommitment, envelope.ErrEnvelope, envelope.ErrMetadata,
		manifest.ErrManifest, manifest.ErrMalformed, manifest.ErrUnsupported, stream.ErrStream, size.ErrSize,
		kms.ErrBadCiphertext, Integrity(ClassAmbiguous, errors.New("detail")),
	} {
		e := From(fmt.Errorf("some detail: %w", err))
		if got := Body(e, "/b/k", "R", "H"); !bytes.Equal(got, want) {
			t.Errorf("%v: %s", err, got)
		}
		if e.Status != 422 || e.Class == "" || e.Cause == nil {
			t.Errorf("%v: status %d, class %q, cause %v", err, e.Status, e.Class, e.Cause)
		}
	}
}

func TestMalformedRegionNamesTheExpectedOne(t *testing.T) {
	b := string(Body(From(&sigv4.Error{Code: "AuthorizationHeaderMalformed", Region: "eu-central-1"}), "/", "R", "H"))
	if strings.Count(b, "<Region>eu-central-1</Region>") != 1 || !strings.Contains(b, "expecting &#39;eu-central-1&#39;") {
		t.Error(b)
	}
	for _, code := range []string{"AuthorizationQueryParametersError", "InvalidArgument"} { // presigned URLs, forms
		if b := string(Body(From(&sigv4.Error{Code: code, Region: "eu-central-1", Message: "said"}), "/", "R", "H")); !strings.Contains(b, "<Message>said</Message><Region>eu-central-1</Region>") {
			t.Error(b)
		}
	}
}

func TestSignatureErrorsKeepTheirWordsAndElements(t *testing.T) {
	e := From(&sigv4.Error{Code: "BadDigest", Reason: "for the log", Message: "The CRC32 you specified did not match the calculated checksum.",
		Fields: []sigv4.Field{{Name: "AWSAccessKeyId", Value: "AKIA"}}})
	b := string(Body(e, "", "R", "H"))
	if !strings.Contains(b, "<Message>The CRC32 you specified did not match the calculated checksum.</Message>") ||
		!strings.Contains(b, "<AWSAccessKeyId>AKIA</AWSAccessKeyId>") || strings.Contains(b, "for the log") {
		t.Error(b)
	}
}

func TestBodyIsValidXMLForAnyText(t *testing.T) {
	nasty := "<a>&\"'\x00\xff\u2028]]>é"
	e := InvalidArgument.Say(nasty).Field("ArgumentName", nasty).Field("Bad Name", "x").Field("Code", "x").Field("0x", "x")
	b := Body(e, nasty, "R", "H")
	var doc struct {
		Code, Message, ArgumentName, Resource, RequestID, HostID string
		All                                                      []struct{ XMLName xml.Name } `xml:",any"`
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	want := "<a>&\"'\uFFFD\uFFFD\u2028]]>é"
	if doc.Code != "InvalidArgument" || doc.Message != want || doc.ArgumentName != want || doc.Resource != want {
		t.Errorf("%+v", doc)
	}
	if len(doc.All) != 2 { // RequestId and HostId
		t.Errorf("unexpected elements: %+v", doc.All)
	}
}

func TestCopiesLeaveTheCatalogueAlone(t *testing.T) {
	a := NoSuchKey.Field("Key", "a")
	b := a.Field("X", "b")
	c := a.Field("X", "c")
	if len(NoSuchKey.Fields) != 0 || b.Fields[1].Value != "b" || c.Fields[1].Value != "c" || NoSuchKey.Cause != nil {
		t.Error("a copy shares state with its original")
	}
	if !errors.Is(fmt.Errorf("x: %w", b.With(io.EOF)), NoSuchKey) || errors.Is(b, NoSuchBucket) {
		t.Error("errors.Is does not compare codes")
	}
	if !errors.Is(b.With(io.EOF), io.EOF) {
		t.Error("the cause is not in the chain")
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	for _, e := range catalogue {
		if e.Code == "" || e.Message == "" || e.Status < 300 || e.Status > 599 {
			t.Errorf("%+v", e)
		}
		if got, ok := Lookup(e.Code); !ok || got.Status != e.Status || got.Message != e.Message {
			t.Errorf("Lookup(%s) = %+v", e.Code, got)
		}
	}
	if _, ok := Lookup("Nothing"); ok {
		t.Error("Lookup of an unknown code")
	}
}

func TestBuildersNameTheirSubject(t *testing.T) {
	rows := []struct {
		e    Error
		want string
	}{
		{Range("bytes=5-", 5), "<RangeRequested>bytes=5-</RangeRequested><ActualObjectSize>5</ActualObjectSize>"},
		{Precondition("If-Match"), "<Condition>If-Match</Condition>"},
		{PartNumber(3, 2), "<ActualPartCount>2</ActualPartCount><PartNumberRequested>3</PartNumberRequested>"},
		{KeyTooLong(1025, 1024), "<Size>1025</Size><MaxSizeAllowed>1024</MaxSizeAllowed>"},
		{TooLarge(9, 8), "<ProposedSize>9</ProposedSize><MaxSizeAllowed>8</MaxSizeAllowed>"},
		{TooSmall(9, 10, 2, `"e-0"`), "<PartNumber>2</PartNumber><ETag>&#34;e-0&#34;</ETag>"},
		{HeaderSection(8192), "<MaxSizeAllowed>8192</MaxSizeAllowed>"},
		{Metadata(3000, 2048), "<Size>3000</Size><MaxSizeAllowed>2048</MaxSizeAllowed>"},
		{Part("u", 3, "e"), "<UploadId>u</UploadId><PartNumber>3</PartNumber><ETag>e</ETag>"},
		{UnimplementedHeader("x-amz-new"), "<Header>x-amz-new</Header>"},
		{Method("PUT", "OBJECT"), "<Method>PUT</Method><ResourceType>OBJECT</ResourceType>"},
		{Argument("m", "n", "v"), "<ArgumentName>n</ArgumentName><ArgumentValue>v</ArgumentValue>"},
	}
	for _, r := range rows {
		if b := string(Body(r.e, "", "R", "H")); !strings.Contains(b, r.want) || strings.Contains(b, "<Resource>") {
			t.Errorf("%s: %s", r.e.Code, b)
		}
	}
}
