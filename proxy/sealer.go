package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/budget"
	"s3veil/proxy/upstream"
)

// sealedBody is an upstream request body that seals a source while it is written. The batch with the last package leaves
// only after the source has been verified; on any failure WriteTo returns it and the upstream connection closes short of
// the declared length.
type sealedBody struct {
	x      *exchange
	src    source
	sealer *stream.Sealer
	memory *budget.Budget
	buf    *budget.Buffers
}

// newSealedBody prepares the stream of part (0: single PUT). It holds buffers until Close.
func (x *exchange) newSealedBody(src source, suite stream.Suite, dek *kms.Key32, part int) (*sealedBody, error) {
	sealer, err := stream.NewSealer(suite, dek, part, src.Len())
	if err != nil {
		return nil, err
	}
	buf, err := x.s.memory.Stream(context.Background(), src.Len())
	if err != nil {
		sealer.Close()
		return nil, err
	}
	return &sealedBody{x: x, src: src, sealer: sealer, memory: x.s.memory, buf: buf}, nil
}

// Len is the stored size.
func (b *sealedBody) Len() int64 { return size.Enc(b.src.Len()) }

// Replay is false: the source is gone once read.
func (b *sealedBody) Replay() bool { return false }

// WriteTo seals batch by batch.
func (b *sealedBody) WriteTo(w io.Writer) (written int64, err error) {
	sealing := b.x.step("seal")
	defer func() { sealing.end(err) }()
	defer func() { // past this point a panic would take the connection to the store and its slot with it
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	left := b.src.Len()
	for left > 0 {
		plain := b.buf.Plain
		if int64(len(plain)) > left {
			plain = plain[:left]
		}
		if _, err := io.ReadFull(b.src, plain); err != nil {
			return written, notEOF(err)
		}
		left -= int64(len(plain))
		if left == 0 {
			if err := b.src.Verify(); err != nil {
				return written, notEOF(err)
			}
		}
		sealed := b.sealer.Seal(b.buf.Cipher[:0], plain)
		n, err := w.Write(sealed)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close gives the buffers back. It must be called after the store has answered.
func (b *sealedBody) Close() {
	b.sealer.Close()
	b.memory.Release(b.buf)
}

// sealHeld reads a small source whole, verifies it and returns its sealed form, which can be sent again. release gives the
// memory back.
func (x *exchange) sealHeld(src source, suite stream.Suite, dek *kms.Key32, part int) (held upstream.Bytes, release func(), err error) {
	plain, release, err := x.s.readHeld(src)
	if err != nil {
		return nil, nil, err
	}
	sealing := x.step("seal")
	held, err = sealBytes(plain, suite, dek, part)
	sealing.end(err)
	if err != nil {
		release()
		return nil, nil, err
	}
	return held, release, nil
}

// readHeld reads and verifies a small source. The slice has room behind it for its sealed form (sealBytes).
func (s *Server) readHeld(src source) (plain []byte, release func(), err error) {
	n := src.Len()
	if n == 0 {
		return nil, func() {}, notEOF(src.Verify())
	}
	if h, ok := src.(*heldFile); ok {
		plain, err = h.hold()
		return plain, func() {}, notEOF(err)
	}
	buf, release, err := s.memory.Held(context.Background(), n)
	if err != nil {
		return nil, nil, err
	}
	plain = buf[:n]
	if _, err := io.ReadFull(src, plain); err != nil {
		release()
		return nil, nil, notEOF(err)
	}
	if err := src.Verify(); err != nil {
		release()
		return nil, nil, err
	}
	return plain, release, nil
}

// sealBytes seals a held plaintext into the room behind it.
func sealBytes(plain []byte, suite stream.Suite, dek *kms.Key32, part int) (upstream.Bytes, error) {
	if len(plain) == 0 {
		return upstream.Bytes{}, nil
	}
	sealer, err := stream.NewSealer(suite, dek, part, int64(len(plain)))
	if err != nil {
		return nil, err
	}
	defer sealer.Close()
	return upstream.Bytes(sealer.Seal(plain[len(plain):], plain)), nil
}

// notEOF keeps the two EOF errors from being taken for the end of a stream further up.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShortBody
	}
	return err
}
