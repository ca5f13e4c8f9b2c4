package proxytest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

const sumHeader = "X-Amz-Checksum-Crc64nvme"

// decode takes the framing off a body and checks what the request promises about it: SHA-256, decoded length, CRC64NVME.
// Chunk signatures are not checked. The checksum ends up in the header, whether it came there or in the trailer.
func decode(h http.Header, raw []byte) ([]byte, *Answer) {
	sha := h.Get("X-Amz-Content-Sha256")
	body := raw
	if strings.HasPrefix(sha, "STREAMING-") {
		var trailer map[string]string
		var ok bool
		if body, trailer, ok = unchunk(raw); !ok {
			return nil, fail(400, "IncompleteBody")
		}
		for name := range strings.SplitSeq(h.Get("X-Amz-Trailer"), ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if trailer[name] == "" {
				return nil, fail(400, "MalformedTrailerError")
			}
			h.Set(name, trailer[name])
		}
		if n := h.Get("X-Amz-Decoded-Content-Length"); n != strconv.Itoa(len(body)) {
			return nil, fail(400, "IncompleteBody")
		}
	} else if len(sha) == 64 {
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != sha {
			return nil, fail(400, "XAmzContentSHA256Mismatch")
		}
	}
	if want := h.Get("Content-Md5"); want != "" {
		if sum := md5.Sum(body); base64.StdEncoding.EncodeToString(sum[:]) != want {
			return nil, fail(400, "BadDigest")
		}
	}
	if want := h.Get(sumHeader); want != "" && want != checksum(body) {
		return nil, fail(400, "BadDigest")
	}
	return body, nil
}

func checksum(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(data)))
}

// minChunk is the smallest chunk that another one may follow, as on S3.
const minChunk = 8 << 10

// unchunk decodes aws-chunked.
func unchunk(raw []byte) (body []byte, trailer map[string]string, ok bool) {
	trailer = map[string]string{}
	for before := int64(minChunk); ; {
		line, rest, found := bytes.Cut(raw, []byte("\r\n"))
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if !found || err != nil || n < 0 || n > int64(len(rest)) {
			return nil, nil, false
		}
		if n == 0 {
			raw = rest
			break
		}
		if before < minChunk {
			return nil, nil, false
		}
		before = n
		body = append(body, rest[:n]...)
		if raw, ok = bytes.CutPrefix(rest[n:], []byte("\r\n")); !ok {
			return nil, nil, false
		}
	}
	for {
		line, rest, found := bytes.Cut(raw, []byte("\r\n"))
		if !found {
			return nil, nil, false
		}
		if len(line) == 0 {
			return body, trailer, len(rest) == 0
		}
		name, value, _ := strings.Cut(string(line), ":")
		trailer[strings.ToLower(name)] = strings.TrimSpace(value)
		raw = rest
	}
}
