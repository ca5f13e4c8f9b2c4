package stream

import (
	"fmt"
	"io"

	"github.com/minio/sio"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// DecryptReader returns the plaintext of the segments that lie one after the other in src, Skip and Take applied.
// src must end after the last package when the last segment reaches the end of its stream and last is true; the bytes
// of that package are released only then. No segments stand for an empty object. Violations of the format, an early end
// included, wrap ErrStream; other errors of src are returned as they are. Errors are sticky. The data key is copied, and
// the copy overwritten when the last stream key has been derived or after an error.
func DecryptReader(src io.Reader, suite Suite, dek *kms.Key32, segments []size.Segment, last bool) io.Reader {
	d := &openReader{src: src, suite: suite, segments: segments, last: last, empty: len(segments) == 0}
	for _, s := range segments {
		err := checkSegment(suite, dek, s)
		if err == nil {
			err = checkWanted(s)
		}
		if err != nil {
			d.err = err
			return d
		}
	}
	d.dek = *dek
	return d
}

// openReader runs one engine per segment.
type openReader struct {
	src      io.Reader
	suite    Suite
	dek      kms.Key32
	segments []size.Segment // current one first
	last     bool
	packages *packageReader // of the current segment; nil before it
	engine   io.Reader
	left     int64 // bytes of the current segment to release
	empty    bool  // there are no segments
	err      error
}

func (d *openReader) Read(p []byte) (n int, err error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	n, d.err = d.read(p)
	if d.err != nil {
		d.dek.Zero()
		d.engine, d.packages = nil, nil
	}
	return n, d.err
}

func (d *openReader) read(p []byte) (int, error) {
	if d.packages == nil {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	// Bounded, because behind the wanted bytes the engine would miss the final package of a ranged read.
	if int64(len(p)) > d.left {
		p = p[:d.left]
	}
	n, err := d.engine.Read(p)
	d.left -= int64(n)
	if err != nil {
		return n, engineError(err, d.packages.err)
	}
	if d.left == 0 {
		// Lets the engine return its buffer. The segment has been read completely: there is nothing behind it.
		_, _ = d.engine.Read(make([]byte, 1))
		d.segments, d.packages = d.segments[1:], nil
	}
	return n, nil
}

// next starts the next segment, or ends the plaintext.
func (d *openReader) next() error {
	if len(d.segments) == 0 {
		return d.end()
	}
	seg := d.segments[0]
	cipherByte, _ := d.suite.cipherByte()
	d.packages = &packageReader{
		src: d.src, cipher: cipherByte, plain: seg.Plain, index: seg.First, stop: seg.First + seg.Count,
		mustEnd: d.last && len(d.segments) == 1 && seg.Last(),
	}
	if err := d.packages.readHeader(); err != nil {
		return err
	}
	key := deriveKey(&d.dek, d.packages.r, seg.Part)
	defer clear(key[:])
	if len(d.segments) == 1 {
		d.dek.Zero()
	}
	var err error
	d.engine, err = sio.DecryptReader(d.packages, engineConfig(d.suite, key[:], nil, seg.First))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStream, err)
	}
	d.left = seg.Take
	return d.skip(seg.Skip)
}

// skip drops the first bytes of the first package.
func (d *openReader) skip(n int64) error {
	if n == 0 {
		return nil
	}
	var buf [4096]byte
	defer clear(buf[:])
	for n > 0 {
		m, err := d.engine.Read(buf[:min(n, int64(len(buf)))])
		n -= int64(m)
		if err != nil {
			return engineError(err, d.packages.err)
		}
	}
	return nil
}

// end is reached after the last segment, whose own reader has looked for the end of src where there was a segment.
func (d *openReader) end() error {
	if d.last && d.empty {
		if err := probeEnd(d.src); err == nil {
			return fmt.Errorf("%w: empty object with bytes", ErrStream)
		} else if err != io.EOF {
			return sourceError(err, 0)
		}
	}
	return io.EOF
}

// packageReader hands the packages of one segment to the engine, after comparing every header with the expected one, and
// ends where the segment ends. Its own errors are neither io.EOF nor io.ErrUnexpectedEOF. Errors are sticky.
type packageReader struct {
	src     io.Reader
	cipher  byte
	plain   int64 // of the whole stream
	index   int64 // current package, next one when rest is 0
	stop    int64 // first package behind the segment
	mustEnd bool  // src ends after the segment

	started bool
	r       R
	head    header
	unread  int   // bytes of head that the engine has not taken
	rest    int64 // bytes of the package behind head that src has not given
	err     error
	idle    idleCount
}

func (p *packageReader) Read(b []byte) (n int, err error) {
	if p.err != nil || len(b) == 0 {
		return 0, p.err
	}
	n, p.err = p.read(b)
	return n, p.err
}

func (p *packageReader) read(b []byte) (int, error) {
	if p.unread == 0 && p.rest == 0 {
		if p.index == p.stop {
			return 0, io.EOF
		}
		if err := p.readHeader(); err != nil {
			return 0, err
		}
	}
	if p.unread > 0 {
		n := copy(b, p.head[headerSize-p.unread:])
		p.unread -= n
		return n, nil
	}
	if int64(len(b)) > p.rest {
		b = b[:p.rest]
	}
	n, err := p.src.Read(b)
	p.rest -= int64(n)
	if err == nil {
		err = p.idle.check(n)
	}
	if err != nil && (p.rest > 0 || err != io.EOF) {
		return 0, sourceError(err, p.index)
	}
	if p.rest > 0 {
		return n, nil
	}
	p.index++
	if p.index == p.stop && p.mustEnd {
		// Without its last byte the engine cannot release a package that has something behind it. An error beside the
		// byte would not do: io.ReadFull drops it.
		if err := p.endOfSource(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (p *packageReader) endOfSource() error {
	switch err := probeEnd(p.src); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: data after the final package", ErrStream)
	default:
		return sourceError(err, p.index)
	}
}

// readHeader reads and checks the header of package index. The first one tells R.
func (p *packageReader) readHeader() error {
	for n := 0; n < headerSize; {
		m, err := p.src.Read(p.head[n:])
		if err == nil {
			err = p.idle.check(m)
		}
		if n += m; err != nil && (n < headerSize || err != io.EOF) {
			return sourceError(err, p.index)
		}
	}
	if !p.started {
		p.r, p.started = p.head.r(), true
	}
	if err := p.head.check(makeHeader(p.cipher, p.r, p.index, p.plain), p.index); err != nil {
		return err
	}
	p.unread = headerSize
	p.rest = min(size.Package, p.plain-p.index*size.Package) + tagSize
	return nil
}

// sourceError turns the ends that the engine takes for its own into an early end.
func sourceError(err error, index int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return packageError(index, "early end")
	}
	return err
}
