package stream_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	cryptorand "crypto/rand"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// The known answers of FORMAT.md 14.2, confirmed by an independent implementation in another language.
func TestKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		suite  stream.Suite
		part   int
		plain  []byte
		key    string
		stored string // whole, or SHA-256 if long
		length int
	}{
		{
			"STREAM-1", stream.AES256GCM, 0, []byte("hello"),
			"ed2de4d3ed1f983d1b8820dca2901a356e9873c1cbc54fd79f5ed43a56a95a20",
			"20000400901112131415161718191a1bbe0e6882705d76a9367f422d77275fed8a54becbe7", 37,
		},
		{
			"STREAM-2", stream.AES256GCM, 7, make([]byte, 65537),
			"6f451cbc796a2ac66bb9a75c4303f1ee4cc01e7d12508018f138768e73a5977d",
			"6a21f5bbf0aa0d193455bdf39c39bfdb3c5eee3c6556e18d10da3220ffbb4d97", 65601,
		},
		{
			"STREAM-1 with suite 2", stream.ChaCha20Poly1305, 0, []byte("hello"),
			"ed2de4d3ed1f983d1b8820dca2901a356e9873c1cbc54fd79f5ed43a56a95a20",
			"20010400901112131415161718191a1b3c77ac448f4edb24ff3d4080065b3c64ccc9291762", 37,
		},
		{
			"STREAM-2 with suite 2", stream.ChaCha20Poly1305, 7, make([]byte, 65537),
			"6f451cbc796a2ac66bb9a75c4303f1ee4cc01e7d12508018f138768e73a5977d",
			"975e152832e266ffde4c193ac9e0cab58c699baa9d8196cb1121caf86c587a59", 65601,
		},
	} {
		key := stream.DeriveKey(testDEK(), testR, c.part)
		if hex.EncodeToString(key) != c.key {
			t.Errorf("%s: stream key %x, want %s", c.name, key, c.key)
		}
		stored := seal(t, c.suite, c.part, c.plain, testR, 1)
		if len(stored) != c.length {
			t.Errorf("%s: %d bytes, want %d", c.name, len(stored), c.length)
		}
		sum := sha256.Sum256(stored)
		if got := hex.EncodeToString(stored); got != c.stored && hex.EncodeToString(sum[:]) != c.stored {
			t.Errorf("%s: stored form differs", c.name)
		}
		for name, entry := range entries {
			if got, err := entry(c.suite, whole(c.part, int64(len(c.plain))), stored); err != nil || !bytes.Equal(got, c.plain) {
				t.Errorf("%s: %s: %d bytes, %v", c.name, name, len(got), err)
			}
		}
	}
}

func TestBatchSizeDoesNotChangeTheStream(t *testing.T) {
	for name, suite := range suites {
		for _, n := range []int{1, 65535, 65536, 65537, 2 * pkg, 3*pkg + 7, 17*pkg + 1, 32 * pkg} {
			plain := plaintext(n)
			want := seal(t, suite, 3, plain, testR, 1)
			if int64(len(want)) != size.Enc(int64(n)) {
				t.Fatalf("%s, %d bytes: stored %d", name, n, len(want))
			}
			for _, batch := range []int{2, 4, 8, 16} {
				if !bytes.Equal(seal(t, suite, 3, plain, testR, batch), want) {
					t.Errorf("%s, %d bytes: batches of %d differ", name, n, batch)
				}
			}
		}
	}
}

func TestSealAppends(t *testing.T) {
	s, err := stream.NewSealerWithR(stream.AES256GCM, testDEK(), 0, 5, testR)
	if err != nil {
		t.Fatal(err)
	}
	room := make([]byte, 3, 200)
	copy(room, "abc")
	out := s.Seal(room, []byte("hello"))
	if string(out[:3]) != "abc" || len(out) != 3+37 || &out[0] != &room[0] {
		t.Errorf("%d bytes, prefix %q", len(out), out[:3])
	}
	if got := s.Seal(out, nil); len(got) != len(out) {
		t.Error("sealing nothing after the end changed the output")
	}
}

func TestEmptyStreamHasNoBytes(t *testing.T) {
	s, err := stream.NewSealer(stream.AES256GCM, testDEK(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Done() || len(s.Seal(nil, nil)) != 0 {
		t.Error("an empty stream has packages")
	}
	o := stream.NewOpener(stream.AES256GCM, testDEK(), size.Segment{})
	if plain, err := o.Open(nil, nil); err != nil || len(plain) != 0 || !o.Done() || o.Finish() != nil {
		t.Errorf("empty stream: %v", err)
	}
}

func TestEachSealerDrawsItsOwnR(t *testing.T) {
	const draws = 20000
	seen := make(map[stream.R]bool, draws)
	var or stream.R
	for range draws {
		s, err := stream.NewSealer(stream.ChaCha20Poly1305, testDEK(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := s.R()
		if seen[r] {
			t.Fatalf("R %x drawn twice", r)
		}
		seen[r] = true
		for i := range or {
			or[i] |= r[i]
		}
	}
	if want := (stream.R{0x7f, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}); or != want {
		t.Errorf("bits of R ever set: %x, want %x", or, want)
	}
}

func TestFailingRandomSourceStopsTheProcess(t *testing.T) {
	if os.Getenv("S3VEIL_TEST_FAILING_RANDOM") == "1" {
		cryptorand.Reader = failingReader{}
		_, _ = stream.NewSealer(stream.AES256GCM, testDEK(), 0, 1)
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailingRandomSourceStopsTheProcess$")
	cmd.Env = append(os.Environ(), "S3VEIL_TEST_FAILING_RANDOM=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "random") {
		t.Errorf("process went on: %v\n%s", err, out)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("no random data") }

func TestSealerRefusesImpossibleParameters(t *testing.T) {
	for name, f := range map[string]func() (*stream.Sealer, error){
		"suite 0":        func() (*stream.Sealer, error) { return stream.NewSealer(0, testDEK(), 0, 1) },
		"suite 3":        func() (*stream.Sealer, error) { return stream.NewSealer(3, testDEK(), 0, 1) },
		"part -1":        func() (*stream.Sealer, error) { return stream.NewSealer(1, testDEK(), -1, 1) },
		"part 10001":     func() (*stream.Sealer, error) { return stream.NewSealer(1, testDEK(), 10001, 1) },
		"length -1":      func() (*stream.Sealer, error) { return stream.NewSealer(1, testDEK(), 0, -1) },
		"length > 5 GiB": func() (*stream.Sealer, error) { return stream.NewSealer(1, testDEK(), 0, size.MaxStream+1) },
		"zero data key":  func() (*stream.Sealer, error) { return stream.NewSealer(1, new(kms.Key32), 0, 1) },
	} {
		if s, err := f(); !errors.Is(err, stream.ErrSetup) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealerMisusePanics(t *testing.T) {
	newSealer := func() *stream.Sealer {
		s, err := stream.NewSealer(stream.AES256GCM, testDEK(), 0, 2*pkg+5)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, f := range map[string]func(){
		"past the end":      func() { newSealer().Seal(nil, make([]byte, 2*pkg+6)) },
		"short batch":       func() { newSealer().Seal(nil, make([]byte, 100)) },
		"short by one":      func() { newSealer().Seal(nil, make([]byte, 2*pkg+4)) },
		"after the end":     func() { s := newSealer(); s.Seal(nil, make([]byte, 2*pkg+5)); s.Seal(nil, []byte{1}) },
		"after Close":       func() { s := newSealer(); s.Close(); s.Seal(nil, make([]byte, pkg)) },
		"overlapping slice": func() { b := make([]byte, 4*pkg); newSealer().Seal(b[:0], b[:pkg]) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestBatchesDoNotAllocate(t *testing.T) {
	for name, suite := range suites {
		for _, n := range []int{1, 4, 16} {
			const runs = 6
			total := (runs + 2) * n * pkg
			s, err := stream.NewSealer(suite, testDEK(), 1, int64(total))
			if err != nil {
				t.Fatal(err)
			}
			plain, stored := make([]byte, n*pkg), make([]byte, 0, (runs+2)*n*enc)
			if got := testing.AllocsPerRun(runs, func() { stored = s.Seal(stored, plain) }); got != 0 {
				t.Errorf("%s: sealing %d packages: %v allocations", name, n, got)
			}
			stored = s.Seal(stored, plain)
			o := stream.NewOpener(suite, testDEK(), whole(1, int64(total)))
			out, rest := make([]byte, 0, n*pkg), stored
			// The first run, which AllocsPerRun does not count, derives the key.
			got := testing.AllocsPerRun(runs, func() {
				if _, err := o.Open(out, rest[:n*enc]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n*enc:]
			})
			if got != 0 {
				t.Errorf("%s: opening %d packages: %v allocations", name, n, got)
			}
		}
	}
}
