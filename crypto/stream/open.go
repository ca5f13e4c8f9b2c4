package stream

import (
	"crypto/cipher"
	"fmt"
	"slices"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// Opener opens the packages of one segment of a stream in order (FORMAT.md 7.5). Errors wrap ErrStream and are sticky.
// Not safe for concurrent use.
type Opener struct {
	suite  Suite
	cipher byte
	dek    kms.Key32 // until the first header has told R
	seg    size.Segment
	aead   cipher.AEAD
	r      R
	known  bool  // r is that of an authenticated package
	index  int64 // next package
	end    int64 // first package behind the segment
	err    error
	nonce  [12]byte
}

// NewOpener opens the packages seg.First … seg.First+seg.Count-1 of a stream of seg.Plain bytes. The key is derived
// from the first header it is given. An impossible parameter shows as the error of the first Open. The data key is
// copied, and the copy overwritten when the stream key exists or on Close.
func NewOpener(suite Suite, dek *kms.Key32, seg size.Segment) *Opener {
	o := &Opener{suite: suite, seg: seg, index: seg.First, end: seg.First + seg.Count}
	o.cipher, _ = suite.cipherByte()
	if err := checkSegment(suite, dek, seg); err != nil {
		o.fail(err)
		return o
	}
	o.dek = *dek
	return o
}

// checkSegment refuses segments that lie outside their stream. The empty segment of an empty stream is valid.
func checkSegment(suite Suite, dek *kms.Key32, seg size.Segment) error {
	if err := checkSetup(suite, dek, seg.Part, seg.Plain); err != nil {
		return fmt.Errorf("%w: %w", ErrStream, err)
	}
	n := size.Packages(seg.Plain)
	if seg.First < 0 || seg.First > n || seg.Count < 0 || seg.Count > n-seg.First || seg.Count == 0 && n > 0 {
		return fmt.Errorf("%w: packages %d + %d of %d", ErrStream, seg.First, seg.Count, n)
	}
	return nil
}

// Left returns the stored bytes of the segment that remain to be opened, 0 after an error.
func (o *Opener) Left() int64 {
	if o.err != nil || o.index >= o.end {
		return 0
	}
	return size.Segment{Plain: o.seg.Plain, First: o.index, Count: o.end - o.index}.Stored()
}

// Done reports whether every package of the segment has been opened.
func (o *Opener) Done() bool { return o.err == nil && o.index == o.end }

// Finish returns nil if every package of the segment has been opened, else the sticky error: a source that ended is not
// reported by Open, which sees no more of it.
func (o *Opener) Finish() error {
	if o.err == nil && o.index < o.end {
		return o.fail(packageError(o.index, "early end"))
	}
	return o.err
}

// R returns the random value of the stream once the first package has been opened.
func (o *Opener) R() (R, bool) { return o.r, o.known }

// Open authenticates whole packages in src and appends their plaintext to dst (Skip and Take are not applied here).
// src is a multiple of 65,568 bytes unless it holds the stream's last package. dst and src must not overlap. On an error
// dst is returned as it was, with the room behind it that was written to cleared: a batch is released whole or not at
// all. A batch that is too long (trailing data) or ends inside a package (early end) is an error. It does not allocate
// after the first batch if dst has room for the plaintext.
func (o *Opener) Open(dst, src []byte) ([]byte, error) {
	if o.err != nil {
		return dst, o.err
	}
	left := o.Left()
	switch n := int64(len(src)); {
	case n > left:
		return dst, o.fail(fmt.Errorf("%w: %d bytes after the end", ErrStream, n-left))
	case n < left && n%size.Cipher != 0:
		return dst, o.fail(packageError(o.index+n/size.Cipher, "early end"))
	}
	packages := (len(src) + size.Cipher - 1) / size.Cipher
	out := slices.Grow(dst, max(len(src)-packages*size.Overhead, 0))
	for len(src) > 0 {
		m := headerSize + tagSize + int(min(size.Package, o.seg.Plain-o.index*size.Package))
		var err error
		if out, err = o.open(out, src[:m]); err != nil {
			clear(out[len(dst):])
			return dst, o.fail(err)
		}
		src = src[m:]
		o.index++
	}
	return out, nil
}

// open opens the package at o.index, whose length is the expected one.
func (o *Opener) open(dst, pkg []byte) ([]byte, error) {
	h := header(pkg[:headerSize])
	if o.aead == nil {
		r := h.r()
		if err := h.check(makeHeader(o.cipher, r, o.index, o.seg.Plain), o.index); err != nil {
			return dst, err
		}
		aead, err := newAEAD(o.suite, &o.dek, r, o.seg.Part)
		if err != nil {
			return dst, fmt.Errorf("%w: %w", ErrStream, err)
		}
		o.aead, o.r = aead, r
		o.dek.Zero()
	} else if err := h.check(makeHeader(o.cipher, o.r, o.index, o.seg.Plain), o.index); err != nil {
		return dst, err
	}
	o.nonce = h.nonce(o.index)
	out, err := o.aead.Open(dst, o.nonce[:], pkg[headerSize:], pkg[:aadSize])
	if err != nil {
		return dst, packageError(o.index, "authentication failed")
	}
	o.known = true
	return out, nil
}

// fail makes err sticky and drops the keys.
func (o *Opener) fail(err error) error {
	o.err = err
	o.wipe()
	return err
}

func (o *Opener) wipe() {
	o.dek.Zero()
	o.aead = nil
}

// Close overwrites what is left of the data key and drops the cipher. Nothing can be opened afterwards: Open then returns
// an error, unless one is sticky already. Close may be repeated.
func (o *Opener) Close() {
	if o.err == nil && o.index < o.end {
		o.err = fmt.Errorf("%w: opener is closed", ErrStream)
	}
	o.wipe()
}
