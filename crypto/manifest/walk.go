package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// ErrWalk reports a body that is not a sequence of whole streams under one data key with ascending part numbers.
var ErrWalk = fmt.Errorf("%w: body has no part table", ErrManifest)

// Walk finds the parts of a multipart body of exactly stored bytes without a manifest (FORMAT.md 9.6) and authenticates
// every package of it. The parts have ascending numbers; none is empty, since empty parts leave no trace. That no whole
// part is missing cannot be proved this way. Bodies that are not what they should be are ErrWalk, errors of body itself
// are returned as they are. Memory: two packages.
func Walk(body io.Reader, stored int64, suite stream.Suite, dek *kms.Key32) (*size.Table, error) {
	w := walker{suite: suite, dek: dek, sealed: make([]byte, size.Cipher), plain: make([]byte, 0, size.Package)}
	defer func() { clear(w.plain[:cap(w.plain)]) }()
	for at := int64(0); at < stored; {
		n, err := w.read(body, stored-at)
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", at, err)
		}
		if err := w.take(n); err != nil {
			return nil, fmt.Errorf("%w: at byte %d: %w", ErrWalk, at, err)
		}
		at += int64(n)
	}
	switch _, err := io.ReadFull(body, w.sealed[:1]); {
	case err == nil:
		return nil, fmt.Errorf("%w: data behind the declared length", ErrWalk)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	if w.index > 0 {
		return nil, fmt.Errorf("%w: the last part has no final package", ErrWalk)
	}
	table, err := size.NewTable(w.parts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWalk, err)
	}
	return table, nil
}

// walker is the state of a walk. Between two streams index is 0.
type walker struct {
	suite  stream.Suite
	dek    *kms.Key32
	sealed []byte // the present package
	plain  []byte // room for what it holds
	parts  []size.Part
	part   int      // number of the present stream; of the last one between two
	r      stream.R // of the present stream
	index  int64    // of the next package in it
}

// Fields of a package's header (FORMAT.md 7.2).
const (
	packageHead = 16
	lengthAt    = 2
	nonceAt     = 4
)

// read reads one package of at most left bytes and returns its stored size.
func (w *walker) read(body io.Reader, left int64) (int, error) {
	if left <= size.Overhead {
		return 0, fmt.Errorf("%w: %d bytes are no package", ErrWalk, left)
	}
	if err := fill(body, w.sealed[:packageHead]); err != nil {
		return 0, err
	}
	n := int(binary.LittleEndian.Uint16(w.sealed[lengthAt:])) + 1 + size.Overhead
	if int64(n) > left {
		return 0, fmt.Errorf("%w: package of %d bytes where %d are left", ErrWalk, n, left)
	}
	return n, fill(body, w.sealed[packageHead:n])
}

// fill reads p; a body that ends inside it is ErrWalk.
func fill(body io.Reader, p []byte) error {
	_, err := io.ReadFull(body, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: early end", ErrWalk)
	}
	return err
}

// take authenticates the package in sealed[:n] as the next one of the present stream, or as the first one of the stream
// with the smallest number that it fits.
func (w *walker) take(n int) error {
	payload := int64(n - size.Overhead)
	final := w.sealed[nonceAt]&0x80 != 0
	plain := int64(size.MaxStream) // a package that is not final is the same in every longer stream
	if final {
		plain = w.index*size.Package + payload
	}
	if w.index > 0 {
		r, err := w.open(n, w.part, plain)
		if err == nil && r != w.r {
			err = errors.New("another R inside a part")
		}
		if err != nil {
			return fmt.Errorf("part %d, package %d: %w", w.part, w.index, err)
		}
	} else if err := w.start(n, plain); err != nil {
		return err
	}
	w.index++
	if final {
		w.parts = append(w.parts, size.Part{Number: w.part, Size: plain})
		w.index = 0
	}
	return nil
}

// start tries the part numbers from the last one on.
func (w *walker) start(n int, plain int64) error {
	for part := w.part + 1; part <= size.MaxParts; part++ {
		r, err := w.open(n, part, plain)
		if err == nil {
			w.part, w.r = part, r
			return nil
		}
		if errors.Is(err, stream.ErrSetup) {
			return err
		}
	}
	return fmt.Errorf("opens as the first package of no part above %d", w.part)
}

// open authenticates sealed[:n] as package index of a part.
func (w *walker) open(n, part int, plain int64) (stream.R, error) {
	o := stream.NewOpener(w.suite, w.dek, size.Segment{Part: part, Plain: plain, First: w.index, Count: 1})
	defer o.Close()
	if _, err := o.Open(w.plain[:0], w.sealed[:n]); err != nil {
		return stream.R{}, err
	}
	r, _ := o.R()
	return r, nil
}
