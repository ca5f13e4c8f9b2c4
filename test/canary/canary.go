// Package canary marks plaintext and looks for it where it must never be: in everything a store keeps (file contents,
// names, extended attributes, logs) and in s3veil's own logs and temporary files. Digests and checksums of the plaintext
// count as plaintext.
package canary

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mark is the text that every marked body holds many times.
const Mark = "s3veil-canary-plaintext"

// digestLimit is the largest file whose contents are searched for digests; larger ones are object bodies.
const digestLimit = 256 << 10

// Stamp writes Mark over b at regular distances and at both ends, so that any piece of a few hundred bytes shows it.
func Stamp(b []byte) []byte {
	for i := 0; i+len(Mark) <= len(b); i += 256 {
		copy(b[i:], Mark)
	}
	if len(b) >= len(Mark) {
		copy(b[len(b)-len(Mark):], Mark)
	}
	return b
}

// Digests returns the digests and checksums of b in the forms in which they travel: hex in both cases, base64, and raw
// where the raw form is long enough not to occur by chance. A body below 16 bytes has none: empty and tiny bodies have
// checksums that occur by chance or are known to everybody.
func Digests(b []byte) [][]byte {
	if len(b) < 16 {
		return nil
	}
	m, s1, s256, s512 := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
	sums := [][]byte{m[:], s1[:], s256[:], s512[:],
		binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)),
		binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))),
		binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, nvme)),
	}
	var forms [][]byte
	for _, s := range sums {
		h := hex.EncodeToString(s)
		forms = append(forms, []byte(h), []byte(strings.ToUpper(h)), []byte(base64.StdEncoding.EncodeToString(s)))
		if len(s) >= 16 {
			forms = append(forms, s)
		}
	}
	return forms
}

// nvme is the polynomial of CRC64NVME, reflected.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// Search looks below each root for Mark, also split by letter case, base64 and hex, and for the digests. It returns one
// line per finding. A root that does not exist is an error: searching nothing finds nothing.
func Search(roots []string, digests [][]byte) (findings []string, searched int64, err error) {
	marks := [][]byte{[]byte(Mark), []byte(hex.EncodeToString([]byte(Mark)))}
	for shift := range 3 { // the three alignments of base64, cut to whole groups
		enc := base64.StdEncoding.EncodeToString([]byte(Mark[shift:]))
		marks = append(marks, []byte(enc[:len(enc)-8]))
	}
	for _, root := range roots {
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			report := func(where string, needle []byte) {
				findings = append(findings, fmt.Sprintf("%s: %s: %.40q", path, where, needle))
			}
			look(d.Name(), marks, digests, func(n []byte) { report("name", n) })
			attrs, err := attributes(path)
			if err != nil {
				return err
			}
			for name, value := range attrs {
				searched += int64(len(value))
				look(string(value), marks, digests, func(n []byte) { report("attribute "+name, n) })
			}
			if !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			searched += int64(len(b))
			want := digests
			if len(b) > digestLimit {
				want = nil
			}
			lookBytes(b, marks, want, func(n []byte) { report("contents", n) })
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return findings, searched, nil
}

func look(s string, marks, digests [][]byte, found func([]byte)) {
	lookBytes([]byte(s), marks, digests, found)
}

func lookBytes(b []byte, marks, digests [][]byte, found func([]byte)) {
	for _, list := range [][][]byte{marks, digests} {
		for _, n := range list {
			if bytes.Contains(b, n) {
				found(n)
			}
		}
	}
}
