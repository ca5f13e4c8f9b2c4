package attack

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
	"s3veil/test/suite"
)

var (
	seedOf  = regexp.MustCompile(`Signature=([0-9a-f]{64})`)
	stampOf = regexp.MustCompile(`(?m)^X-Amz-Date: (\S+)\r$`)
)

// signedChunks frames a body in chunks of n bytes that are signed behind head.
func (s *Scene) signedChunks(head string, body []byte, n int) string {
	s.Helper()
	seed, err := hex.DecodeString(seedOf.FindStringSubmatch(head)[1])
	if err != nil {
		s.Fatal(err)
	}
	at, err := time.Parse("20060102T150405Z", stampOf.FindStringSubmatch(head)[1])
	if err != nil {
		s.Fatal(err)
	}
	signer := v4.NewStreamSigner(aws.Credentials{AccessKeyID: s.Veil.AccessKey, SecretAccessKey: s.Veil.SecretKey}, "s3", servers.Region, seed)
	var out strings.Builder
	chunk := func(b []byte) {
		signature, err := signer.GetSignature(s.Ctx, nil, b, at)
		if err != nil {
			s.Fatal(err)
		}
		fmt.Fprintf(&out, "%x;chunk-signature=%x\r\n%s\r\n", len(b), signature, b)
	}
	for len(body) > 0 {
		k := min(n, len(body))
		chunk(body[:k])
		body = body[k:]
	}
	chunk(nil)
	return out.String()
}

// Row 19. As on S3, only the last chunk may be smaller than 8 KiB, signed or not, held or streamed; the refusal says which one is.
func TestSmallChunksAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	unsigned := func(_ string, body []byte, n int) string {
		return strings.TrimSuffix(string(chunked(body, n)), "\r\n") + "\r\n"
	}
	for what, m := range map[string]struct {
		payload string
		frame   func(head string, body []byte, n int) string
	}{
		"signed":   {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", s.signedChunks},
		"unsigned": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", unsigned},
	} {
		for _, c := range []struct {
			size, chunk int
			refused     bool
		}{{100, 100, false}, {100, 10, true}, {20_000, 8192, false}, {20_000, 8191, true}, {3 << 20, 65_536, false}, {3 << 20, 5000, true}} {
			body := suite.Data(c.size, 1)
			key := map[bool]string{true: "no", false: "chunks"}[c.refused]
			head := s.Head("PUT", "/"+s.Bucket+"/"+key, m.payload, map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": fmt.Sprint(c.size)})
			wire := m.frame(head, body, c.chunk)
			w := s.Dial()
			go io.WriteString(w, head+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(wire))+wire)
			status, text := w.Answer()
			w.Close()
			switch want := fmt.Sprintf("<Code>InvalidChunkSizeError</Code><Message>Only the last chunk is allowed to have a size less than 8192 bytes</Message><Chunk>2</Chunk><BadChunkSize>%d</BadChunkSize>", c.chunk); {
			case c.refused && (status != 400 || !strings.Contains(text, want)):
				t.Errorf("%s, %d bytes in chunks of %d: %d %.400s", what, c.size, c.chunk, status, text)
			case !c.refused && status != 200:
				t.Errorf("%s, %d bytes in chunks of %d: %d %.400s", what, c.size, c.chunk, status, text)
			case !c.refused:
				if got, err := s.Read(key, ""); err != nil || string(got) != string(body) {
					t.Errorf("%s, %d bytes in chunks of %d: %d came back, %v", what, c.size, c.chunk, len(got), err)
				}
			}
		}
	}
	if _, err := s.C.DeleteObject(s.Ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: aws.String("chunks")}); err != nil {
		t.Fatal(err)
	}
	s.quiet()
	s.nothingVisible("bodies in small chunks")
}

// As on S3 the header section has 8 KiB; the request line does not count, so that presigned URLs with long tokens work.
func TestLargeHeaderSections(t *testing.T) {
	s := NewScene(t, nil)
	s.Put("key", []byte("plain"))
	head := s.Head("GET", "/"+s.Bucket+"/key", "UNSIGNED-PAYLOAD", nil)
	for more, want := range map[int]int{6000: 200, 8192: 400, 40_000: 400} {
		w := s.Dial()
		io.WriteString(w, head+"X-Long: "+strings.Repeat("d", more)+"\r\n\r\n")
		status, text := w.Answer()
		w.Close()
		const said = "<Code>RequestHeaderSectionTooLarge</Code><Message>Your request header section exceeds the maximum allowed size.</Message><MaxSizeAllowed>8192</MaxSizeAllowed>"
		if status != want || (status == 400) != strings.Contains(text, said) {
			t.Errorf("%d bytes more: %d %s", more, status, text)
		}
	}
	signer := s3.NewPresignClient(s.C)
	req, err := signer.PresignGetObject(s.Ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: aws.String("key"), ResponseContentDisposition: aws.String(strings.Repeat("d", 10_000))})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(req.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a URL of %d bytes: %d", len(req.URL), resp.StatusCode)
	}
}

// Unsigned requests may say any nonsense about their body's digest: it is compared, never believed, and comes back as text.
func TestUnsignedNonsenseDigests(t *testing.T) {
	s := NewScene(t, func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), map[string]any{"anonymous": true, "buckets": []string{"*"}, "actions": []string{"read", "write"}})
	})
	for _, body := range []string{"", "hello"} {
		w := s.Dial()
		fmt.Fprintf(w, "PUT /%s/no HTTP/1.1\r\nHost: %s\r\nX-Amz-Content-Sha256: <b>nonsense</b>\r\nContent-Length: %d\r\n\r\n%s", s.Bucket, s.host(), len(body), body)
		status, text := w.Answer()
		w.Close()
		want := "<Code>XAmzContentSHA256Mismatch</Code>"
		if status != 400 || !strings.Contains(text, want) || !strings.Contains(text, "<ClientComputedContentSHA256>&lt;b&gt;nonsense&lt;/b&gt;</ClientComputedContentSHA256><S3ComputedContentSHA256>"+hexSum([]byte(body))) {
			t.Errorf("%q: %d %s", body, status, text)
		}
	}
	s.quiet()
	s.nothingVisible("nonsense")
}

// A credential is an access key, which may hold slashes, and the four parts of its scope; its last word and its day are S3's to name.
func TestCredentialsOfOtherForms(t *testing.T) {
	s := NewScene(t, nil)
	head := s.Head("GET", "/"+s.Bucket+"/key", "UNSIGNED-PAYLOAD", nil)
	credential := regexp.MustCompile(`Credential=[^,]+,`)
	for sent, want := range map[string]string{
		"access/32234/us-east-1/s3/extra/things":                              "the Credential is mal-formed; expecting &#34;&lt;YOUR-AKID&gt;/YYYYMMDD/REGION/SERVICE/aws4_request&#34;.",
		"access/32234/us-east-1/s3/things":                                    "incorrect terminal &#34;things&#34;. This endpoint uses &#34;aws4_request&#34;.",
		s.Veil.AccessKey + "/20130524/" + servers.Region + "/s3/aws4_request": "Invalid credential date. Date is not the same as X-Amz-Date.",
	} {
		w := s.Dial()
		io.WriteString(w, credential.ReplaceAllString(head, "Credential="+sent+",")+"\r\n")
		status, text := w.Answer()
		w.Close()
		if status != 400 || !strings.Contains(text, "<Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; "+want+"</Message>") {
			t.Errorf("%s: %d %s", sent, status, text)
		}
	}
}
