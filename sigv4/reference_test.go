package sigv4

import (
	"strings"
	"testing"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// The examples of "Authenticating Requests: Using the Authorization Header" in the S3 API reference.
var referenceHeaders = []struct {
	name      string
	request   Request
	signed    string
	signature string
}{
	{"get object", Request{Method: "GET", Path: "/test.txt", Host: "examplebucket.s3.amazonaws.com",
		Header: fields("host:examplebucket.s3.amazonaws.com", "range:bytes=0-9", "x-amz-content-sha256:"+emptyHash, "x-amz-date:20130524T000000Z")},
		"host;range;x-amz-content-sha256;x-amz-date",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"put object", Request{Method: "PUT", Path: "/test$file.text", Host: "examplebucket.s3.amazonaws.com",
		Header: fields("host:examplebucket.s3.amazonaws.com", "date:Fri, 24 May 2013 00:00:00 GMT",
			"x-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			"x-amz-date:20130524T000000Z", "x-amz-storage-class:REDUCED_REDUNDANCY")},
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"get bucket lifecycle", Request{Method: "GET", Path: "/", Query: "lifecycle", Host: "examplebucket.s3.amazonaws.com",
		Header: fields("x-amz-content-sha256:"+emptyHash, "x-amz-date:20130524T000000Z")},
		"host;x-amz-content-sha256;x-amz-date",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"list objects", Request{Method: "GET", Path: "/", Query: "max-keys=2&prefix=J", Host: "examplebucket.s3.amazonaws.com",
		Header: fields("x-amz-content-sha256:"+emptyHash, "x-amz-date:20130524T000000Z")},
		"host;x-amz-content-sha256;x-amz-date",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	{"chunked upload", Request{Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com",
		Header: fields("content-encoding:aws-chunked", "content-length:66824", "x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			"x-amz-date:20130524T000000Z", "x-amz-decoded-content-length:66560", "x-amz-storage-class:REDUCED_REDUNDANCY")},
		"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
	{"chunked upload with trailer", Request{Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com",
		Header: fields("content-encoding:aws-chunked", "x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
			"x-amz-date:20130524T000000Z", "x-amz-decoded-content-length:66560", "x-amz-storage-class:REDUCED_REDUNDANCY",
			"x-amz-trailer:x-amz-checksum-crc32c")},
		"content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
}

func exampleAuthorization(signed, signature string) string {
	return "AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request, SignedHeaders=" + signed + ", Signature=" + signature
}

func TestReferenceExamplesVerify(t *testing.T) {
	for _, c := range referenceHeaders {
		t.Run(c.name, func(t *testing.T) {
			r := c.request.clone()
			r.Header = append(r.Header, Field{"authorization", exampleAuthorization(c.signed, c.signature)})
			got, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != Header || got.AccessKey != exampleKey || got.Region != "us-east-1" || !got.Time.Equal(exampleTime) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestReferenceExamplesAreSignedAlike(t *testing.T) {
	for _, c := range referenceHeaders {
		t.Run(c.name, func(t *testing.T) {
			r := c.request.clone()
			payload, _ := r.header("x-amz-content-sha256")
			if _, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", payload, exampleTime); err != nil {
				t.Fatal(err)
			}
			if got, _ := r.header("authorization"); got != exampleAuthorization(c.signed, c.signature) {
				t.Errorf("got  %s\nwant %s", got, exampleAuthorization(c.signed, c.signature))
			}
		})
	}
}

// The example of "Authenticating Requests: Using Query Parameters".
func referencePresigned() *Request {
	return &Request{Method: "GET", Path: "/test.txt", Host: "examplebucket.s3.amazonaws.com",
		Query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + exampleKey + "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"}
}

func TestReferencePresignedVerifies(t *testing.T) {
	r := referencePresigned()
	got, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != Presigned || got.Payload != PayloadAbsent || got.AccessKey != exampleKey {
		t.Errorf("%+v", got)
	}
	r.Query = strings.ReplaceAll(r.Query, "%2F", "/") // raw slashes, as s3fs leaves them
	if _, err := verifierAt(exampleTime, exampleCredential()).Verify(r); err != nil {
		t.Errorf("raw slashes: %v", err)
	}
}

// The chunk and trailer signatures of the same pages: 65,536 and 1,024 letters a, then the empty chunk.
func TestReferenceChunkSignatures(t *testing.T) {
	big, small := []byte(strings.Repeat("a", 65536)), []byte(strings.Repeat("a", 1024))
	for name, c := range map[string]struct {
		example int
		want    [3]string
		trailer string
	}{
		"signed chunks": {4, [3]string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, ""},
		"with trailer": {5, [3]string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
			"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"},
	} {
		r := referenceHeaders[c.example].request.clone()
		payload, _ := r.header("x-amz-content-sha256")
		seed, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", payload, exampleTime)
		if err != nil {
			t.Fatal(err)
		}
		for i, chunk := range [][]byte{big, small, nil} {
			if got := seed.Next(chunk); got != c.want[i] {
				t.Errorf("%s, chunk %d: %s, want %s", name, i, got, c.want[i])
			}
		}
		if c.trailer != "" {
			if got := seed.Trailer("x-amz-checksum-crc32c:sOO8/Q==\n"); got != c.trailer {
				t.Errorf("%s, trailer: %s, want %s", name, got, c.trailer)
			}
		}
	}
	if got := SignedLen(66560, 65536); got != 66824 {
		t.Errorf("SignedLen = %d, want 66824", got)
	}
}
