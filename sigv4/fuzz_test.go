package sigv4

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"s3veil/sigv4/checksum"
)

// awsSigner is the SDK's signer as its S3 client sets it up.
func awsSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

// asHTTP builds the request that an SDK would send for a key, a query and a header, and the view of it on the wire; false
// when HTTP itself could not carry it.
func asHTTP(key, name, value, header string) (*http.Request, *Request, bool) {
	if strings.ContainsFunc(header, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return nil, nil, false
	}
	var path []byte
	for i := range len(key) {
		if key[i] == '/' {
			path = append(path, '/')
		} else {
			path = appendByte(path, key[i])
		}
	}
	raw := "/bucket/" + string(path)
	query := strings.ReplaceAll(url.Values{name: {value}, "list-type": {"2"}, "acl": nil}.Encode(), "+", "%20")
	r, err := http.NewRequest("GET", "http://s3.example.com:9000", nil)
	if err != nil {
		return nil, nil, false
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/bucket/"+key, raw, query
	r.Header.Set("X-Amz-Meta-Fuzz", header)
	r.Header.Add("X-Amz-Meta-Fuzz", " second  value ")
	wire := &Request{Method: "GET", Path: raw, Query: query, Host: "s3.example.com:9000",
		Header: []Field{{"x-amz-meta-fuzz", header}, {"host", "s3.example.com:9000"}, {"x-amz-meta-fuzz", " second  value "}}}
	return r, wire, true
}

// FuzzSignerAgainstSDK: what this package signs, the AWS SDK signs alike, and each verifies here, header and presigned.
func FuzzSignerAgainstSDK(f *testing.F) {
	f.Add("a/b c+d", "prefix", "x/y z+%", " text  with   spaces ")
	f.Add("a//b/../c/./~-_.!'()*", "k&=", "", "")
	f.Add("\xff\x00é世界", "é", "a-b/c", "\"quoted   text\"")
	f.Add("%2F%25", "X-Id", "PutObject", "a,b")
	f.Fuzz(func(t *testing.T, key, name, value, header string) {
		r, wire, ok := asHTTP(key, name, value, header)
		if !ok || strings.HasPrefix(strings.ToLower(name), "x-amz-") || strings.EqualFold(name, "awsaccesskeyid") || strings.EqualFold(name, "signature") {
			return
		}
		v := verifierAt(exampleTime, exampleCredential())
		creds := aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}
		signed := r.Clone(context.Background())
		signed.Header.Set("X-Amz-Content-Sha256", emptyHash)
		if err := awsSigner().SignHTTP(context.Background(), creds, signed, emptyHash, "s3", "us-east-1", exampleTime); err != nil {
			t.Fatal(err)
		}
		own := wire.clone()
		if _, err := new(Signer).Sign(own, exampleCredential(), "us-east-1", "s3", emptyHash, exampleTime); err != nil {
			t.Fatal(err)
		}
		if got, _ := own.header("authorization"); got != signed.Header.Get("Authorization") {
			t.Fatalf("path %q, query %q, header %q:\n%s\nSDK:\n%s", wire.Path, wire.Query, header, got, signed.Header.Get("Authorization"))
		}
		if _, err := v.Verify(own); err != nil {
			t.Fatal(err)
		}

		r.URL.RawQuery += "&X-Amz-Expires=60"
		uri, headers, err := awsSigner().PresignHTTP(context.Background(), creds, r, unsignedPayload, "s3", "us-east-1", exampleTime)
		if err != nil {
			t.Fatal(err)
		}
		_, presigned, _ := strings.Cut(uri, "?")
		wire.Query = presigned
		if len(headers["X-Amz-Meta-Fuzz"]) != 2 {
			t.Fatalf("the SDK signs %v", headers)
		}
		if got, err := v.Verify(wire); err != nil || got.Kind != Presigned {
			t.Fatalf("presigned %q: %v", uri, err)
		}
	})
}

// FuzzVerify: no request without a signature of the secret is taken for one, and nothing panics.
func FuzzVerify(f *testing.F) {
	good := signedRequest(f, nil)
	authorization, _ := good.header("authorization")
	f.Add("PUT", good.Path, good.Query, authorization, "20130524T000000Z", unsignedPayload)
	f.Add("GET", "/", presignedRequest(f, "60").Query, "", "", "")
	f.Add("POST", "/b", "AWSAccessKeyId=a&Signature=b&Expires=1", "AWS a:b", "x", streamingUnsigned)
	f.Fuzz(func(t *testing.T, method, path, query, authorization, date, payload string) {
		r := &Request{Method: method, Path: path, Query: query, Host: "h", Header: fields("host:h")}
		for name, value := range map[string]string{"authorization": authorization, "x-amz-date": date, "x-amz-content-sha256": payload} {
			if value != "" {
				r.Header = append(r.Header, Field{name, value})
			}
		}
		secret := exampleCredential()
		secret.Secret = "one that no seed was signed with"
		got, err := verifierAt(exampleTime, secret).Verify(r)
		if err == nil && got.Kind != Anonymous {
			t.Fatalf("%+v is %+v", r, got)
		}
		if err == nil && authorization != "" {
			t.Fatalf("%q was ignored", authorization)
		}
		if err != nil {
			wantRefusal(t, err)
		}
	})
}

// FuzzPolicy: no form passes with a field that its policy does not cover, whatever the policy says.
func FuzzPolicy(f *testing.F) {
	f.Add(policyWith(`["starts-with", "$key", "a"], {"acl": "private"}`), "key", "abc")
	f.Add(policyWith(`["content-length-range", 1, 5]`), "x-ignore-a", "")
	f.Add(`{"expiration": "2013-05-24T01:00:00Z", "conditions": [["eq", "$Content-Type", "a,b"]]}`, "content-type", "a,b")
	f.Fuzz(func(t *testing.T, policy, name, value string) {
		name = strings.ToLower(name)
		_, p, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", signForm(policy, Field{name, value}))
		if err != nil {
			wantRefusal(t, err)
			return
		}
		if p == nil {
			t.Fatal("a signed form without policy")
		}
		if !uncovered(name) && !strings.Contains(strings.ToLower(policy), name) && !strings.Contains(policy, `\u`) {
			t.Fatalf("field %q passed %s", name, policy)
		}
	})
}

// decodeSimply is the reference decoder: it takes a whole body apart in the plainest way. No chunk may follow one of less than
// least bytes.
func decodeSimply(wire []byte, mode PayloadMode, seed ChunkSeed, least int64) (data []byte, ok bool) {
	before := least
	signed := mode != PayloadUnsignedChunksTrailer
	rest := string(wire)
	cut := func(end string) (head string, ok bool) { head, rest, ok = strings.Cut(rest, end); return head, ok }
	for {
		line, found := cut("\n")
		line, crlf := strings.CutSuffix(line, "\r")
		size, signature, extended := strings.Cut(line, ";chunk-signature=")
		n, valid := parseHex([]byte(size))
		if !found || !crlf || extended != signed || !valid || n > int64(len(rest)) {
			return nil, false
		}
		chunk := rest[:n]
		rest = rest[n:]
		if signed && seed.Next([]byte(chunk)) != signature {
			return nil, false
		}
		data = append(data, chunk...)
		if n == 0 {
			break
		}
		if before < least {
			return nil, false
		}
		before = n
		if rest, found = strings.CutPrefix(rest, "\r\n"); !found {
			return nil, false
		}
	}
	if mode == PayloadSignedChunks {
		return data, rest == "\r\n"
	}
	name, ok1 := cut(":")
	value, ok2 := cut("\n")
	bare := !strings.HasSuffix(value, "\r")
	value = strings.Trim(strings.TrimSuffix(value, "\r"), " \t")
	if !ok1 || !ok2 || !strings.EqualFold(name, "x-amz-checksum-crc32c") || value != checksum.Encode(hashOf(checksum.CRC32C, data)) {
		return nil, false
	}
	if !signed {
		return data, rest == "\r\n" || bare && rest == "\r\n\r\n"
	}
	if bare {
		rest = strings.TrimPrefix(rest, "\r\n")
	}
	name, ok1 = cut(":")
	signature, end, ok2 := strings.Cut(rest, "\r\n")
	want := seed.Trailer("x-amz-checksum-crc32c:" + value + "\n")
	return data, ok1 && ok2 && strings.EqualFold(name, "x-amz-trailer-signature") && strings.Trim(signature, " \t") == want && end == "\r\n"
}

var chunkedModes = []PayloadMode{PayloadSignedChunks, PayloadSignedChunksTrailer, PayloadUnsignedChunksTrailer}

// FuzzChunkedMutations frames a body, changes, inserts, removes or repeats bytes of it, delivers it in pieces, and holds the
// reader against the reference decoder.
func FuzzChunkedMutations(f *testing.F) {
	f.Add([]byte("hello world"), uint16(4), byte(0), byte(0), uint16(0), uint16(0), byte(0), uint64(1))
	f.Add([]byte("hello world"), uint16(4), byte(1), byte(1), uint16(3), uint16(1), byte(32), uint64(2))
	f.Add([]byte("hello world"), uint16(100), byte(2), byte(2), uint16(20), uint16(2), byte('\n'), uint64(3))
	f.Add([]byte(""), uint16(1), byte(1), byte(3), uint16(90), uint16(5), byte(0), uint64(4))
	f.Add(bytes.Repeat([]byte("ab"), 3000), uint16(1000), byte(1), byte(4), uint16(1100), uint16(1090), byte(0), uint64(5))
	f.Fuzz(func(t *testing.T, data []byte, chunk uint16, mode, op byte, at, length uint16, value byte, split uint64) {
		if len(data) > 1<<12 {
			return
		}
		m := chunkedModes[int(mode)%len(chunkedModes)]
		enc := encodeBody(t, m, data, max(int(chunk), 1))
		checkAgainstReference(t, mutate(enc.wire, op, int(at), int(length), value), m, enc.opts, split)
	})
}

func mutate(wire []byte, op byte, at, length int, value byte) []byte {
	at = min(at, len(wire))
	end := min(at+length, len(wire))
	out := append([]byte{}, wire[:at]...)
	switch op % 5 {
	case 0:
		return wire
	case 1: // change
		out = append(out, wire[at:]...)
		if at < len(out) {
			out[at] ^= value
		}
		return out
	case 2: // insert
		return append(append(out, bytes.Repeat([]byte{value}, length%64)...), wire[at:]...)
	case 3: // remove
		return append(out, wire[end:]...)
	default: // repeat
		return append(append(out, wire[at:end]...), wire[at:]...)
	}
}

// FuzzChunkedRaw feeds arbitrary bytes to the unsigned mode, where no signature stands in the way of the parser.
func FuzzChunkedRaw(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\r\n\r\n"), uint16(5), uint64(1))
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\n\r\n\r\n"), uint16(5), uint64(2))
	f.Add([]byte("0000000000000002\r\nhe\r\n3\r\nllo\r\n0\r\nX-Amz-Checksum-Crc32c: mnG7TA== \r\n\r\n"), uint16(5), uint64(3))
	f.Add([]byte("-5\r\nhello\r\n"), uint16(5), uint64(4))
	f.Fuzz(func(t *testing.T, wire []byte, decoded uint16, split uint64) {
		o := PayloadOptions{Verified: &Verified{Payload: PayloadUnsignedChunksTrailer}, ContentLength: -1, DecodedLength: int64(decoded),
			Trailer: []string{"x-amz-checksum-crc32c"}}
		checkAgainstReference(t, wire, PayloadUnsignedChunksTrailer, o, split)
	})
}

func checkAgainstReference(t *testing.T, wire []byte, mode PayloadMode, o PayloadOptions, split uint64) {
	t.Helper()
	least := []int64{1, 4, 600, minChunk}[split%4]
	want, ok := decodeSimply(wire, mode, testSeed(t), least)
	ok = ok && int64(len(want)) == o.DecodedLength && (o.ContentLength < 0 || o.ContentLength == int64(len(wire)))
	got, _, err := readChunks(newSplitReader(wire, split), o, 1+rand.New(rand.NewPCG(split, 1)).IntN(2000), least)
	if (err == nil) != ok {
		t.Fatalf("%q: accepted is %v, want %v: %v", wire, err == nil, ok, err)
	}
	if ok && !bytes.Equal(got, want) {
		t.Fatalf("%q: %q, want %q", wire, got, want)
	}
	if err != nil {
		wantRefusal(t, err)
	}
}

// A fuzz target whose corpus got lost would pass without testing anything.
func TestSeedCorporaAreCommitted(t *testing.T) {
	for _, target := range []string{"FuzzSignerAgainstSDK", "FuzzVerify", "FuzzPolicy", "FuzzChunkedMutations", "FuzzChunkedRaw"} {
		files, err := os.ReadDir("testdata/fuzz/" + target)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d seeds, %v", target, len(files), err)
		}
	}
}
