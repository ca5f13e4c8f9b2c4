package stream_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/minio/sio"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

var errSource = errors.New("source failed")

// sourceOf delivers b, then err.
func sourceOf(b []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(b), iotest.ErrReader(err))
}

// readers are ways to deliver the same bytes.
var readers = map[string]func(io.Reader) io.Reader{
	"as it is":       func(r io.Reader) io.Reader { return r },
	"byte by byte":   iotest.OneByteReader,
	"by halves":      iotest.HalfReader,
	"data with EOF":  iotest.DataErrReader,
	"halves and EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.HalfReader(r)) },
}

// readSizes reads r with buffers of n bytes until it ends.
func readSizes(r io.Reader, n int) (out []byte, err error) {
	buf := make([]byte, n)
	for {
		m, err := r.Read(buf)
		out = append(out, buf[:m]...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func TestEngineAndOwnFramingWriteTheSameBytes(t *testing.T) {
	for suiteName, suite := range suites {
		for _, n := range []int{0, 1, 4096, 65535, 65536, 65537, 2 * pkg, 3*pkg + 7} {
			plain := plaintext(n)
			want := seal(t, suite, 6, plain, testR, 16)
			for name, deliver := range readers {
				for _, buf := range []int{512, 4096, enc - 1, enc, enc + 1, 4 * enc} {
					r, err := stream.EncryptReaderWithR(deliver(bytes.NewReader(plain)), suite, testDEK(), 6, int64(n), testR)
					if err != nil {
						t.Fatal(err)
					}
					got, err := readSizes(r, buf)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%s, %d bytes, source %s, buffer %d: %d bytes, %v", suiteName, n, name, buf, len(got), err)
					}
				}
			}
		}
	}
}

func TestEngineReadsWhatOwnFramingWrote(t *testing.T) {
	for suiteName, suite := range suites {
		for _, n := range []int{0, 1, 65535, 65536, 65537, 3*pkg + 7} {
			plain := plaintext(n)
			stored := seal(t, suite, 6, plain, testR, 16)
			var segs []size.Segment
			if n > 0 {
				segs = []size.Segment{whole(6, int64(n))}
			}
			for name, deliver := range readers {
				for _, buf := range []int{1000, 65535, 65536, 65537, 4 * pkg} {
					got, err := readSizes(stream.DecryptReader(deliver(bytes.NewReader(stored)), suite, testDEK(), segs, true), buf)
					if err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("%s, %d bytes, source %s, buffer %d: %d bytes, %v", suiteName, n, name, buf, len(got), err)
					}
				}
			}
		}
	}
}

// A stream of version 1.0 has no final marker: the engine's defaults would take a truncated one (DATAPATH S1).
func TestVersion1StreamsAreRefused(t *testing.T) {
	plain := plaintext(2*pkg + 5)
	key := stream.DeriveKey(testDEK(), testR, 0)
	var v1 bytes.Buffer
	_, err := sio.Encrypt(&v1, bytes.NewReader(plain), sio.Config{
		MinVersion: sio.Version10, MaxVersion: sio.Version10, CipherSuites: []byte{sio.AES_256_GCM}, Key: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range [][]byte{v1.Bytes(), v1.Bytes()[:enc], v1.Bytes()[:2*enc]} {
		for _, n := range []int64{int64(len(plain)), pkg, 2 * pkg} {
			refused(t, stream.AES256GCM, whole(0, n), stored, nil)
		}
	}
}

// DATAPATH S5: the engine would seal a shortened plaintext as complete.
func TestPlaintextOfOtherLengthIsNotSealed(t *testing.T) {
	const n = 196708
	plain := plaintext(n)
	for name, c := range map[string]struct {
		src  func() io.Reader
		want error
	}{
		"ends early":             {func() io.Reader { return bytes.NewReader(plain[:100000]) }, stream.ErrLength},
		"ends at a boundary":     {func() io.Reader { return bytes.NewReader(plain[:2*pkg]) }, stream.ErrLength},
		"ends one byte early":    {func() io.Reader { return bytes.NewReader(plain[:n-1]) }, stream.ErrLength},
		"is empty":               {func() io.Reader { return bytes.NewReader(nil) }, stream.ErrLength},
		"is cut early":           {func() io.Reader { return sourceOf(plain[:100000], io.ErrUnexpectedEOF) }, stream.ErrLength},
		"is cut at the end":      {func() io.Reader { return sourceOf(plain, io.ErrUnexpectedEOF) }, stream.ErrLength},
		"fails early":            {func() io.Reader { return sourceOf(plain[:100000], errSource) }, errSource},
		"fails at once":          {func() io.Reader { return sourceOf(nil, errSource) }, errSource},
		"fails at the end":       {func() io.Reader { return sourceOf(plain, errSource) }, errSource},
		"fails with last byte":   {func() io.Reader { return iotest.DataErrReader(sourceOf(plain, errSource)) }, errSource},
		"is cut with last byte":  {func() io.Reader { return iotest.DataErrReader(sourceOf(plain, io.ErrUnexpectedEOF)) }, stream.ErrLength},
		"runs on":                {func() io.Reader { return bytes.NewReader(plaintext(n + 1)) }, stream.ErrLength},
		"runs on and on":         {func() io.Reader { return bytes.NewReader(plaintext(n + 5*pkg)) }, stream.ErrLength},
		"stops in the middle":    {func() io.Reader { return io.MultiReader(bytes.NewReader(plain[:pkg]), idle{}) }, io.ErrNoProgress},
		"makes no more progress": {func() io.Reader { return io.MultiReader(bytes.NewReader(plain), idle{}) }, io.ErrNoProgress},
	} {
		for _, buf := range []int{1000, enc, 10 * enc} {
			r, err := stream.EncryptReader(c.src(), stream.AES256GCM, testDEK(), 0, n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readSizes(r, buf)
			if !errors.Is(err, c.want) || err == io.EOF || err == io.ErrUnexpectedEOF {
				t.Errorf("source %s: %v, want %v", name, err, c.want)
			}
			if int64(len(got)) >= size.Enc(n) {
				t.Errorf("source %s: the last package came out", name)
			}
			if m, again := r.Read(make([]byte, enc)); m != 0 || again != err {
				t.Errorf("source %s: error is not sticky: %d, %v", name, m, again)
			}
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestEmptyStreamsBypassTheEngine(t *testing.T) {
	r, err := stream.EncryptReader(bytes.NewReader(nil), stream.AES256GCM, testDEK(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r, err = stream.EncryptReader(bytes.NewReader([]byte{1}), stream.AES256GCM, testDEK(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, stream.ErrLength) || len(got) != 0 {
		t.Errorf("source runs on: %d bytes, %v", len(got), err)
	}
	if got, err := io.ReadAll(stream.DecryptReader(bytes.NewReader(nil), stream.AES256GCM, testDEK(), nil, true)); err != nil || len(got) != 0 {
		t.Errorf("empty object: %d bytes, %v", len(got), err)
	}
	if got, err := io.ReadAll(stream.DecryptReader(sourceOf(nil, errSource), stream.AES256GCM, testDEK(), nil, true)); err != errSource || len(got) != 0 {
		t.Errorf("empty object, failing source: %d bytes, %v", len(got), err)
	}
}

func TestEncryptReaderRefusesImpossibleParameters(t *testing.T) {
	for name, f := range map[string]func() (io.Reader, error){
		"suite": func() (io.Reader, error) { return stream.EncryptReader(nil, 0, testDEK(), 0, 1) },
		"part":  func() (io.Reader, error) { return stream.EncryptReader(nil, 1, testDEK(), 10001, 1) },
		"size":  func() (io.Reader, error) { return stream.EncryptReader(nil, 1, testDEK(), 0, -1) },
		"key":   func() (io.Reader, error) { return stream.EncryptReader(nil, 1, new(kms.Key32), 0, 1) },
	} {
		if r, err := f(); !errors.Is(err, stream.ErrSetup) || r != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderPassesOnSourceErrors(t *testing.T) {
	plain := plaintext(2*pkg + 5)
	stored := seal(t, stream.AES256GCM, 0, plain, testR, 16)
	segs := []size.Segment{whole(0, int64(len(plain)))}
	for _, cut := range []int{0, 7, 16, 1000, enc, enc + 3, 2 * enc, len(stored) - 1, len(stored)} {
		for name, wrap := range readers {
			r := stream.DecryptReader(wrap(sourceOf(stored[:cut], errSource)), stream.AES256GCM, testDEK(), segs, true)
			got, err := readSizes(r, 1<<20)
			if err != errSource {
				t.Errorf("source fails at %d, %s: %v", cut, name, err)
			}
			if len(got) > 2*pkg || !bytes.HasPrefix(plain, got) {
				t.Errorf("source fails at %d, %s: %d bytes released", cut, name, len(got))
			}
			if n, again := r.Read(make([]byte, 10)); n != 0 || again != err {
				t.Errorf("source fails at %d, %s: not sticky: %v", cut, name, again)
			}
		}
	}
}

func TestReaderGivesUpOnASourceWithoutProgress(t *testing.T) {
	stored := seal(t, stream.AES256GCM, 0, plaintext(pkg+5), testR, 16)
	for _, cut := range []int{0, 7, 16, 1000, enc, enc + 20, len(stored)} {
		src := io.MultiReader(bytes.NewReader(stored[:cut]), idle{})
		_, err := io.ReadAll(stream.DecryptReader(src, stream.AES256GCM, testDEK(), []size.Segment{whole(0, pkg+5)}, true))
		if err != io.ErrNoProgress {
			t.Errorf("source idles at %d: %v", cut, err)
		}
	}
}

func TestTwoAttemptsDiffer(t *testing.T) {
	var out [2][]byte
	for i := range out {
		r, err := stream.EncryptReader(bytes.NewReader([]byte("hello")), stream.AES256GCM, testDEK(), 0, 5)
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(out[0][4:16], out[1][4:16]) || bytes.Equal(out[0][16:], out[1][16:]) {
		t.Error("two attempts share R or ciphertext")
	}
}

func TestSizesAgreeWithTheEngine(t *testing.T) {
	for _, p := range []int64{0, 1, 31, 32, 33, 65535, 65536, 65537, 65569, 5 << 20, size.MaxStream} {
		if got, err := sio.EncryptedSize(uint64(p)); err != nil || int64(got) != size.Enc(p) {
			t.Errorf("EncryptedSize(%d) = %d, %v, want %d", p, got, err, size.Enc(p))
		}
	}
	for _, c := range []int64{0, 1, 31, 32, 33, 65535, 65536, 65567, 65568, 65569, 65600, 65601} {
		got, err := sio.DecryptedSize(uint64(c))
		own, ownErr := size.Dec(c)
		if (err != nil) != (ownErr != nil) || err == nil && int64(got) != own {
			t.Errorf("DecryptedSize(%d) = %d, %v; Dec = %d, %v", c, got, err, own, ownErr)
		}
	}
}

// DATAPATH S6: io.Copy never reads again after the end, and the engine would keep its 64 KiB buffer from its pool.
func TestSmallStreamsReturnTheEnginesBuffer(t *testing.T) {
	plain := plaintext(4096)
	stored := seal(t, stream.AES256GCM, 0, plain, testR, 1)
	segs := []size.Segment{whole(0, 4096)}
	buf := make([]byte, 128<<10)
	for name, f := range map[string]func() (io.Reader, error){
		"sealing": func() (io.Reader, error) {
			return stream.EncryptReader(bytes.NewReader(plain), stream.AES256GCM, testDEK(), 0, 4096)
		},
		"opening": func() (io.Reader, error) {
			return stream.DecryptReader(bytes.NewReader(stored), stream.AES256GCM, testDEK(), segs, true), nil
		},
	} {
		const runs = 200
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			r, err := f()
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = r.Read(buf)
			}
			if err != io.EOF {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		// The race detector makes pools forget at random; without any return it is 64 KiB and more.
		if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 40<<10 {
			t.Errorf("%s 4 KiB allocates %d bytes", name, got)
		}
	}
}

func ExampleOpener() {
	var dek kms.Key32
	dek[0] = 1
	s, err := stream.NewSealer(stream.AES256GCM, &dek, 0, 5)
	if err != nil {
		panic(err)
	}
	stored := s.Seal(nil, []byte("hello"))

	_, _, segments, err := size.Single(5).Range(0, 4)
	if err != nil {
		panic(err)
	}
	o := stream.NewOpener(stream.AES256GCM, &dek, segments[0])
	plain, err := o.Open(nil, stored)
	fmt.Printf("%d stored bytes, %s, %v, %v\n", len(stored), plain, err, o.Done())
	// Output: 37 stored bytes, hello, <nil>, true
}
