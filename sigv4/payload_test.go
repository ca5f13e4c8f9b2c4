package sigv4

import (
	"bytes"
	"crypto/md5"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"s3veil/sigv4/checksum"
)

func TestPayloadRoundTrip(t *testing.T) {
	for name, mode := range allModes {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 9, 511, 512, 513, 8192, 100_000} {
				data := testData(size)
				for _, chunk := range []int{1, 100, 8192, 65536, 1 << 20} {
					if size/chunk > 10_000 {
						continue
					}
					enc := encodeBody(t, mode, data, chunk)
					for _, buf := range []int{1, 100, 4096, 1 << 20} {
						if size/buf > 10_000 {
							continue
						}
						got, p, err := readBody(newSplitReader(enc.wire, uint64(size+chunk+buf)), enc.opts, buf)
						if err != nil || !bytes.Equal(got, data) {
							t.Fatalf("%d bytes in chunks of %d read by %d: %d bytes, %v", size, chunk, buf, len(got), err)
						}
						if p.Len() != int64(size) {
							t.Errorf("Len = %d", p.Len())
						}
						if err := p.Verify(); err != nil {
							t.Errorf("second Verify: %v", err)
						}
					}
				}
			}
		})
	}
}

func TestPayloadWithoutContentLength(t *testing.T) {
	for name, mode := range allModes {
		enc := encodeBody(t, mode, testData(1000), 300)
		enc.opts.ContentLength = -1
		got, _, err := readBody(bytes.NewReader(enc.wire), enc.opts, 4096)
		if !mode.Chunked() {
			wantCode(t, err, "MissingContentLength")
		} else if err != nil || len(got) != 1000 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		enc.opts.DecodedLength, enc.opts.ContentLength = -1, int64(len(enc.wire))
		if mode.Chunked() {
			_, err = NewPayload(bytes.NewReader(enc.wire), enc.opts)
			wantCode(t, err, "MissingContentLength")
		}
	}
}

// The bodies of the two streaming examples of the S3 API reference.
func TestReferenceBodies(t *testing.T) {
	a, b := strings.Repeat("a", 65536), strings.Repeat("a", 1024)
	for name, c := range map[string]struct {
		example int
		body    io.Reader
		trailer []string
	}{
		"signed chunks": {4, bodyOf("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", a,
			"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", b,
			"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", "", ""), nil},
		"with trailer": {5, bodyOf("10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", a,
			"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", b,
			"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992", "x-amz-checksum-crc32c:sOO8/Q==",
			"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435", "", ""),
			[]string{"x-amz-checksum-crc32c"}},
	} {
		t.Run(name, func(t *testing.T) {
			ref := referenceHeaders[c.example]
			r := ref.request.clone()
			r.Header = append(r.Header, Field{"authorization", exampleAuthorization(ref.signed, ref.signature)})
			v, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			o := PayloadOptions{Verified: v, ContentLength: -1, DecodedLength: 66560, Trailer: c.trailer}
			got, p, err := readBody(c.body, o, 1<<20)
			if err != nil || string(got) != a+b {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if len(p.Checksums()) != len(c.trailer) {
				t.Errorf("checksums: %v", p.Checksums())
			}
		})
	}
}

// A client that dies after any number of bytes, with every way a source may report it, never looks complete.
func TestPayloadCutAnywhereIsRefused(t *testing.T) {
	reset := errors.New("connection reset")
	for name, mode := range allModes {
		for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, reset} {
			enc := encodeBody(t, mode, testData(700), 300)
			for cut := range len(enc.wire) {
				for _, noLength := range []bool{false, true} {
					o := enc.opts
					if noLength && mode.Chunked() {
						o.ContentLength = -1
					}
					src := newSplitReader(enc.wire[:cut], uint64(cut))
					src.end = end
					got, _, err := readBody(src, o, 1024)
					if err == nil {
						t.Fatalf("%s cut at %d (%v): accepted %d bytes", name, cut, end, len(got))
					}
					wantRefusal(t, err)
					if end == reset && !errors.Is(err, reset) {
						t.Fatalf("%s: the cause is lost: %v", name, err)
					}
				}
			}
		}
	}
}

// Whatever byte changes, the body is refused or means the same: hex digits and trailer names have no case.
func TestPayloadChangedAnywhereIsRefused(t *testing.T) {
	data := testData(300)
	for name, mode := range allModes {
		if mode == PayloadUnsigned || mode == PayloadAbsent {
			continue // nothing promised, see TestPromisedSums
		}
		enc := encodeBody(t, mode, data, 180)
		for i := range enc.wire {
			for _, flip := range []byte{1, 0x20, 0x80, 0xff} {
				wire := bytes.Clone(enc.wire)
				wire[i] ^= flip
				got, _, err := readBody(bytes.NewReader(wire), enc.opts, 64)
				if err == nil && !bytes.Equal(got, data) {
					t.Fatalf("%s: byte %d ^ %#x was accepted", name, i, flip)
				}
				letter := 'a' <= wire[i]|0x20 && wire[i]|0x20 <= 'z'
				if err == nil && !(flip == 0x20 && letter) {
					t.Fatalf("%s: byte %d became %q and was accepted", name, i, wire[i])
				}
				if err != nil {
					wantRefusal(t, err)
				}
			}
		}
	}
}

func TestNothingIsAcceptedAfterTheEnd(t *testing.T) {
	for name, mode := range allModes {
		for _, more := range []string{"\n", "\r\n", "0\r\n\r\n", "x"} {
			enc := encodeBody(t, mode, testData(300), 100)
			for _, length := range []int64{-1, int64(len(enc.wire)), int64(len(enc.wire) + len(more))} {
				o := enc.opts
				if mode.Chunked() {
					o.ContentLength = length
				}
				_, _, err := readBody(io.MultiReader(bytes.NewReader(enc.wire), strings.NewReader(more)), o, 128)
				if err == nil {
					t.Fatalf("%s: %q after the end was accepted", name, more)
				}
				wantCode(t, err, "IncompleteBody")
			}
		}
	}
}

func TestPayloadVerifiesBeforeTheLastByteOnlyAsFailure(t *testing.T) {
	enc := encodeBody(t, PayloadSignedChunks, testData(300), 300)
	p, err := NewPayload(bytes.NewReader(enc.wire), enc.opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, p.Verify(), "IncompleteBody")
	if _, err := p.Read(make([]byte, 100)); err == nil || err == io.EOF {
		t.Errorf("read after a failure: %v", err)
	}
}

func TestPromisedSums(t *testing.T) {
	data := testData(100_000)
	right := md5.Sum(data)
	wrong := md5.Sum(nil)
	plain := func() PayloadOptions { return encodeBody(t, PayloadUnsigned, data, 0).opts }
	o := plain()
	o.MD5 = right[:]
	if _, _, err := readBody(bytes.NewReader(data), o, 70_000); err != nil {
		t.Errorf("right MD5: %v", err)
	}
	o.MD5 = wrong[:]
	_, _, err := readBody(bytes.NewReader(data), o, 70_000)
	wantCode(t, err, "BadDigest")
	o.MD5 = wrong[:15]
	_, err = NewPayload(nil, o)
	wantCode(t, err, "InvalidDigest")
	for _, a := range checksum.All() {
		o := plain()
		o.Sums = []Sum{{a, hashOf(a, data)}}
		_, p, err := readBody(bytes.NewReader(data), o, 70_000)
		if err != nil || len(p.Checksums()) != 1 || p.Checksums()[0].Algorithm != a {
			t.Errorf("%s: %v", a, err)
		}
		o.Sums = []Sum{{a, hashOf(a, nil)}}
		_, _, err = readBody(bytes.NewReader(data), o, 70_000)
		wantCode(t, err, "BadDigest")
		o.Sums[0].Value = o.Sums[0].Value[1:]
		_, err = NewPayload(nil, o)
		wantCode(t, err, "InvalidRequest")
	}
	o = encodeBody(t, PayloadHash, data, 0).opts
	_, _, err = readBody(bytes.NewReader(testData(100_000)[:99_999]), o, 1000)
	wantCode(t, err, "IncompleteBody")
	data[5] ^= 1
	_, _, err = readBody(bytes.NewReader(data), o, 1000)
	wantCode(t, err, "XAmzContentSHA256Mismatch")
}

func TestWantedChecksumIsComputed(t *testing.T) {
	data := testData(5000)
	for name, mode := range allModes {
		for _, a := range append(checksum.All(), checksum.None) {
			enc := encodeBody(t, mode, data, 999)
			enc.opts.Want = a
			_, p, err := readBody(bytes.NewReader(enc.wire), enc.opts, 2000)
			if err != nil {
				t.Fatal(err)
			}
			for _, sum := range p.Checksums() {
				if !bytes.Equal(sum.Value, hashOf(sum.Algorithm, data)) {
					t.Errorf("%s, %s: %s is %x", name, a, sum.Algorithm, sum.Value)
				}
				if sum.Algorithm == a {
					a = checksum.None // found
				}
			}
			if a != checksum.None {
				t.Errorf("%s: no %s among %v", name, a, p.Checksums())
			}
		}
	}
}

// recorder notes the sizes of reads.
type recorder struct {
	io.Reader
	sizes []int
}

func (r *recorder) Read(b []byte) (int, error) {
	r.sizes = append(r.sizes, len(b))
	return r.Reader.Read(b)
}

// With a buffer of 1 MiB every read but the last few asks the source for about as much, in every mode.
func TestLargeReadsReachTheSource(t *testing.T) {
	data := testData(4 << 20)
	for name, mode := range allModes {
		enc := encodeBody(t, mode, data, 64<<10)
		src := &recorder{Reader: bytes.NewReader(enc.wire)}
		if _, _, err := readBody(src, enc.opts, 1<<20); err != nil {
			t.Fatal(err)
		}
		if len(src.sizes) > 10 {
			t.Errorf("%s: %d reads: %v", name, len(src.sizes), src.sizes)
		}
		for _, n := range src.sizes[:4] {
			if n != 1<<20 {
				t.Errorf("%s: read of %d bytes", name, n)
			}
		}
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	data := testData(8 << 20)
	for name, mode := range allModes {
		enc := encodeBody(t, mode, data, 64<<10)
		p, err := NewPayload(bytes.NewReader(enc.wire), enc.opts)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 256<<10)
		if _, err := p.Read(b); err != nil { // warm pools
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(20, func() {
			if _, err := p.Read(b); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 1 && !poolsLeak { // a garbage collection may empty a pool
			t.Errorf("%s: %v allocations per read", name, allocs)
		}
	}
}

func TestSourceErrors(t *testing.T) {
	enc := encodeBody(t, PayloadUnsigned, testData(100), 0)
	_, _, err := readBody(iotest.ErrReader(os.ErrDeadlineExceeded), enc.opts, 10)
	if wantCode(t, err, "RequestTimeout"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the cause is lost: %v", err)
	}
	own := &Error{Code: "EntityTooLarge"}
	_, _, err = readBody(iotest.ErrReader(own), enc.opts, 10)
	wantCode(t, err, "EntityTooLarge")
	for name, mode := range allModes {
		enc := encodeBody(t, mode, testData(100), 30)
		if _, _, err := readBody(stuck{}, enc.opts, 10); err == nil {
			t.Errorf("%s: a source without progress", name)
		}
	}
}

// stuck is a source that breaks the contract of io.Reader.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
