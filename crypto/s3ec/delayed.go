package s3ec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"s3veil/crypto/kms"
)

// DelayedBuffer is how much a Delayed reader takes at once and holds, in bytes.
const DelayedBuffer = 64 << 10

// Delayed decrypts a GCM body of any length in constant memory. It is the mode that the S3 Encryption Client calls delayed
// authentication: plaintext is released before the tag at the end has been checked, and a wrong one shows as ErrContent in
// place of io.EOF. Whoever uses it must be able to take back what was read.
type Delayed struct {
	src   io.Reader
	left  int64 // ciphertext, without the tag
	ctr   cipher.Stream
	tag   *ghash
	buf   []byte
	ready []byte
	err   error
}

// NewDelayed returns the reader for a body of stored bytes. AES-CBC objects, which have no tag, are ErrUnsupported.
func NewDelayed(h *Header, key kms.Key32, body io.Reader, stored int64) (*Delayed, error) {
	if h.Cipher == CBC {
		return nil, fmt.Errorf("%w: AES-CBC cannot be streamed", ErrUnsupported)
	}
	plain, _, err := PlainSize(h, stored)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	var aad []byte
	if h.Cipher == GCMDerived {
		aad = []byte(suiteInfo)
	}
	tag, err := newGHASH(block, h.IV, aad)
	if err != nil {
		return nil, err
	}
	var counter [aes.BlockSize]byte
	copy(counter[:], h.IV)
	binary.BigEndian.PutUint32(counter[12:], 2)
	return &Delayed{src: body, left: plain, ctr: cipher.NewCTR(block, counter[:]), tag: tag, buf: make([]byte, DelayedBuffer)}, nil
}

// Read implements io.Reader. A body that is too short or too long, or whose tag is wrong, ends in ErrContent.
func (d *Delayed) Read(p []byte) (int, error) {
	for len(d.ready) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

func (d *Delayed) fill() {
	if d.left == 0 {
		d.err = d.finish()
		return
	}
	b := d.buf[:min(int64(len(d.buf)), d.left)]
	if _, err := io.ReadFull(d.src, b); err != nil {
		d.err = short(err)
		return
	}
	d.left -= int64(len(b))
	d.tag.add(b)
	d.ctr.XORKeyStream(b, b)
	d.ready = b
}

func (d *Delayed) finish() error {
	var tag [tagLen + 1]byte
	switch n, err := io.ReadFull(d.src, tag[:]); {
	case err == nil || n < tagLen && errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: length", ErrContent)
	case n != tagLen:
		return short(err)
	}
	want := d.tag.final()
	if subtle.ConstantTimeCompare(tag[:tagLen], want[:]) != 1 {
		return ErrContent
	}
	return io.EOF
}

// short keeps errors of the body and turns an early end into ErrContent.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the body ends early", ErrContent)
	}
	return err
}
