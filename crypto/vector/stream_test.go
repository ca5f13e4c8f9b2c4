package vector_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/crypto/vector"
)

// Every stream vector is read whole, by both engines, and package by package.
func TestStreamVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "stream")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			suite, dek := stream.Suite(v.Int("suite")), kms.Key32(v.Key("dek"))
			seg := size.Segment{Part: int(v.Int("part")), Plain: v.Int("plain-length")}
			seg.Count, seg.Take = size.Packages(seg.Plain), seg.Plain

			opener := stream.NewOpener(suite, &dek, seg)
			plain, err := opener.Open(nil, v.Raw)
			if err == nil {
				err = opener.Finish()
			}
			if got := classOf(err); got != v.Expect() {
				t.Errorf("opener: %s: %v, want %s", got, err, v.Expect())
			}
			var segments []size.Segment
			if seg.Plain > 0 {
				segments = append(segments, seg)
			}
			read, err := io.ReadAll(stream.DecryptReader(bytes.NewReader(v.Raw), suite, &dek, segments, true))
			if got := classOf(err); got != v.Expect() {
				t.Errorf("reader: %s: %v, want %s", got, err, v.Expect())
			}
			if v.Expect() == vector.Success {
				checkStream(t, v, plain, read)
			}
			checkPackages(t, v, suite, &dek, seg, plain)
		})
	}
}

func checkStream(t *testing.T, v *vector.Vector, plain, read []byte) {
	sum := sha256.Sum256(plain)
	if hex.EncodeToString(sum[:]) != v.Text("plaintext-sha256") || !bytes.Equal(plain, read) {
		t.Errorf("%d and %d bytes of another plaintext", len(plain), len(read))
	}
	if got := size.Enc(v.Int("plain-length")); got != int64(len(v.Raw)) {
		t.Errorf("enc is %d, the stream has %d", got, len(v.Raw))
	}
	if got, err := size.Dec(int64(len(v.Raw))); err != nil || got != v.Int("plain-length") {
		t.Errorf("dec is %d, %v", got, err)
	}
	if got := size.Est(int64(len(v.Raw))); got != v.Int("plain-length") {
		t.Errorf("est is %d", got)
	}
}

// checkPackages reads every package alone, as a ranged read does. In a stream that must be refused, the packages named
// by bad-packages fail, and the others cannot be told from good ones.
func checkPackages(t *testing.T, v *vector.Vector, suite stream.Suite, dek *kms.Key32, seg size.Segment, plain []byte) {
	var bad []string
	if v.Has("bad-packages") {
		bad = strings.Split(v.Text("bad-packages"), " ")
	}
	for i := range size.Packages(seg.Plain) {
		from := min(i*size.Cipher, int64(len(v.Raw)))
		to := min(from+size.Cipher, size.Enc(seg.Plain), int64(len(v.Raw)))
		one := seg
		one.First, one.Count = i, 1
		opener := stream.NewOpener(suite, dek, one)
		got, err := opener.Open(nil, v.Raw[from:to])
		if err == nil {
			err = opener.Finish()
		}
		if slices.Contains(bad, strconv.FormatInt(i, 10)) {
			if !errors.Is(err, stream.ErrStream) {
				t.Errorf("package %d alone: %v", i, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("package %d alone: %v", i, err)
		} else if v.Expect() == vector.Success && !bytes.Equal(got, plain[i*size.Package:][:len(got)]) {
			t.Errorf("package %d alone has other bytes", i)
		}
	}
}
