package stream

import (
	"fmt"
	"io"

	"github.com/minio/sio"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// engineConfig returns the only settings under which the engine runs (FORMAT.md 7.6): one version, one suite, a key of
// its own for every stream. The engine copies the key.
func engineConfig(suite Suite, key []byte, r *R, first int64) sio.Config {
	cipherByte, _ := suite.cipherByte()
	return sio.Config{
		MinVersion:     sio.Version20,
		MaxVersion:     sio.Version20,
		CipherSuites:   []byte{cipherByte},
		Key:            key,
		Nonce:          (*[12]byte)(r),
		SequenceNumber: uint32(first),
	}
}

// EncryptReader returns the stored form of a stream of exactly plain bytes read from src, through sio, for tools and
// small objects. An early or late end of src is ErrLength, which is neither io.EOF nor io.ErrUnexpectedEOF; other errors
// of src are returned as they are. Errors are sticky. The last package appears only after src has ended cleanly, so a
// src that verifies something reports it instead of io.EOF.
func EncryptReader(src io.Reader, suite Suite, dek *kms.Key32, part int, plain int64) (io.Reader, error) {
	return encryptReader(src, suite, dek, part, plain, drawR())
}

func encryptReader(src io.Reader, suite Suite, dek *kms.Key32, part int, plain int64, r R) (io.Reader, error) {
	if err := checkSetup(suite, dek, part, plain); err != nil {
		return nil, err
	}
	exact := &exactReader{src: src, left: plain}
	if plain == 0 {
		return exact, nil // the engine is not called for empty streams (FORMAT.md 7.6)
	}
	key := deriveKey(dek, r, part)
	defer clear(key[:])
	engine, err := sio.EncryptReader(exact, engineConfig(suite, key[:], &r, 0))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return &sealReader{engine: engine}, nil
}

// sealReader makes the engine's errors sticky, and its end: the engine returns its buffer to its pool only on the Read
// after the end, which io.Copy never calls.
type sealReader struct {
	engine io.Reader
	err    error
}

func (s *sealReader) Read(p []byte) (n int, err error) {
	if s.err != nil || len(p) == 0 {
		return 0, s.err
	}
	n, s.err = s.engine.Read(p)
	if s.err == io.EOF {
		_, _ = s.engine.Read(nil)
	}
	return n, s.err
}

// exactReader passes on exactly left bytes of src, then its clean end. The engine takes io.EOF and io.ErrUnexpectedEOF
// for the end of a stream, so neither leaves it early. Errors are sticky.
type exactReader struct {
	src  io.Reader
	left int64
	err  error
	idle idleCount
}

func (e *exactReader) Read(p []byte) (n int, err error) {
	if e.err != nil || len(p) == 0 {
		return 0, e.err
	}
	if e.left == 0 {
		e.err = e.end()
		return 0, e.err
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err = e.src.Read(p)
	e.left -= int64(n)
	if err == nil {
		err = e.idle.check(n)
	}
	switch {
	case err == nil || e.left == 0 && err == io.EOF:
		return n, nil // the clean end is asked for once more
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		e.err = fmt.Errorf("%w: %d bytes missing", ErrLength, e.left)
	default:
		e.err = err
	}
	return n, e.err
}

// end returns io.EOF if src ends here.
func (e *exactReader) end() error {
	switch err := probeEnd(e.src); {
	case err == io.EOF:
		return io.EOF
	case err == nil:
		return fmt.Errorf("%w: source runs on", ErrLength)
	case err == io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: source was cut", ErrLength)
	default:
		return err
	}
}

// maxIdle is how many reads in a row may bring neither data nor an error before a source counts as broken. The engine
// would ask for ever.
const maxIdle = 100

type idleCount int

// check returns io.ErrNoProgress after maxIdle reads of nothing.
func (c *idleCount) check(n int) error {
	if n > 0 {
		*c = 0
	} else if *c++; *c >= maxIdle {
		return io.ErrNoProgress
	}
	return nil
}

// probeEnd reads one byte: it returns nil if there is one, io.EOF at a clean end, or the error of src.
func probeEnd(src io.Reader) error {
	var b [1]byte
	for range maxIdle {
		n, err := src.Read(b[:])
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// engineError wraps what the engine found, and passes on what its source reported.
func engineError(err, source error) error {
	if source != nil && source != io.EOF {
		return source
	}
	return fmt.Errorf("%w: %v", ErrStream, err)
}

// checkWanted refuses segments whose Skip and Take do not begin in their first and end in their last package.
func checkWanted(s size.Segment) error {
	stop := s.First*size.Package + s.Skip + s.Take
	if s.Skip < 0 || s.Skip >= size.Package || s.Take < 1 || s.Take > s.Plain || stop > s.Plain ||
		stop <= (s.First+s.Count-1)*size.Package || stop > (s.First+s.Count)*size.Package {
		return fmt.Errorf("%w: segment skips %d and takes %d of packages %d + %d", ErrStream, s.Skip, s.Take, s.First, s.Count)
	}
	return nil
}
