package sigv4

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"strconv"
	"strings"
)

// Limits of the framing. A chunk header is at most 16 digits, the signature and CRLF; extensions are not accepted.
const (
	maxChunkHeader  = 192
	maxChunkDigits  = 16
	maxTrailer      = 16 << 10
	signaturePrefix = "chunk-signature="
	// minChunk is the smallest chunk that another one may follow ("Defining the Chunk Body").
	minChunk = 8 << 10
	// maxExcess is how much more than announced a chunk may hold for its end to be looked for.
	maxExcess = 64 << 10
)

type chunkState int

const (
	inHeader chunkState = iota // before or in "size[;chunk-signature=…]\r\n"
	inData
	atCR // after the data
	atLF
	inTrailer // after the last chunk's header
	mayEnd    // complete, but for a CRLF that only some clients send
	finished
)

// chunkReader decodes aws-chunked framing. It is pushed: whatever arrives is consumed at once, so bodies can be decoded in
// the buffer they were read into. Only an unfinished line is kept.
type chunkReader struct {
	signer  chunkChecker // nil: chunks carry no signatures
	hash    hash.Hash    // of the current chunk, with signer
	sum     [sha256.Size]byte
	claimed []byte // signature of the current chunk as sent
	state   chunkState
	least   int64 // smallest chunk that another one may follow
	number  int   // of the current chunk, from 1
	whole   int64 // size of the current chunk
	size    int64 // bytes left of it
	left    int64 // decoded bytes left of the body
	excess  bool  // the current chunk holds more than that
	line    []byte
	trailer trailerReader
}

func newChunkReader(v *Verified, announced []string, decoded, least int64) *chunkReader {
	c := &chunkReader{left: decoded, least: least, trailer: trailerReader{announced: announced}}
	if v.chunk != nil {
		c.signer, c.hash = v.chunk.fork(), sha256.New()
	}
	if v.Payload == PayloadSignedChunksTrailer {
		c.trailer.signer = c.signer
	}
	return c
}

// finished reports whether the body may end here.
func (c *chunkReader) finished() bool {
	return c.state == finished || c.state == mayEnd && len(c.line) == 0
}

// feed decodes src into dst, which may begin where src begins. It returns the bytes written and consumed; src is consumed
// whole unless dst is full or an error is returned.
func (c *chunkReader) feed(dst, src []byte) (n, used int, err *Error) {
	for used < len(src) {
		switch c.state {
		case inData:
			if c.excess {
				used += c.skip(len(src) - used)
				continue
			}
			m := int(min(c.size, int64(min(len(src)-used, len(dst)-n))))
			if m == 0 {
				return n, used, nil
			}
			copy(dst[n:n+m], src[used:])
			if err := c.data(dst[n : n+m]); err != nil {
				return n + m, used + m, err
			}
			n, used = n+m, used+m
		case atCR, atLF:
			if src[used] != "\r\n"[c.state-atCR] {
				return n, used, errFraming("a chunk is longer than its size")
			}
			used++
			if c.state == atCR {
				c.state = atLF
				continue
			}
			if c.excess {
				return n, used, errExcess()
			}
			c.state = inHeader
		case finished:
			return n, used, errFraming("bytes after the end of the chunked body")
		default:
			line, m, err := c.takeLine(src[used:])
			used += m
			if err == nil && line != nil {
				err = c.endLine(line)
			}
			if err != nil {
				return n, used, err
			}
		}
	}
	return n, used, nil
}

// skip goes over up to n bytes of a chunk that holds too much. Nothing of it is handed out: what matters is whether it ends
// where it says, or whether its size is wrong.
func (c *chunkReader) skip(n int) int {
	m := min(c.size, int64(n))
	if c.size -= m; c.size == 0 {
		c.state = atCR
	}
	return int(m)
}

// data accounts for bytes of the current chunk and checks its signature once it is complete.
func (c *chunkReader) data(b []byte) *Error {
	c.size -= int64(len(b))
	c.left -= int64(len(b))
	if c.signer != nil {
		c.hash.Write(b)
	}
	if c.size > 0 {
		return nil
	}
	c.state = atCR
	return c.checkChunk()
}

func (c *chunkReader) checkChunk() *Error {
	if c.signer == nil {
		return nil
	}
	right := c.signer.checkChunk(c.hash.Sum(c.sum[:0]), c.claimed)
	c.hash.Reset()
	if !right {
		return fail(codeSignatureMismatch, "the signature of a chunk differs")
	}
	return nil
}

// takeLine consumes bytes up to and including "\n". It returns the line with its end, or nil while it is incomplete; the
// line is valid until the next call.
func (c *chunkReader) takeLine(src []byte) (line []byte, used int, err *Error) {
	limit := maxChunkHeader
	if c.state == inTrailer {
		limit = maxTrailer
	}
	end := bytes.IndexByte(src, '\n') + 1
	used = end
	if end == 0 {
		used = len(src)
	}
	if len(c.line)+used > limit {
		return nil, used, errFraming("a line of the chunked body is too long")
	}
	if end > 0 && len(c.line) == 0 {
		return src[:end], used, nil
	}
	c.line = append(c.line, src[:used]...)
	if end == 0 {
		return nil, used, nil
	}
	line, c.line = c.line, c.line[:0]
	return line, used, nil
}

// endLine takes a complete line.
func (c *chunkReader) endLine(line []byte) *Error {
	switch c.state {
	case inTrailer:
		next, err := c.trailer.line(line)
		c.state = next
		return err
	case mayEnd:
		if string(line) != "\r\n" {
			return errFraming("bytes after the end of the chunked body")
		}
		c.state = finished
		return nil
	}
	before := c.whole
	if err := c.header(line); err != nil {
		return err
	}
	switch {
	case c.size > 0 && c.number > 1 && before < c.least:
		return errChunkSize(c.number, before)
	case c.size-c.left > maxExcess:
		return errExcess()
	case c.size > 0:
		c.state, c.excess = inData, c.size > c.left
		return nil
	case c.left > 0:
		return fail(codeIncompleteBody, "the chunks hold %d bytes less than x-amz-decoded-content-length", c.left)
	}
	c.state = inTrailer
	return c.checkChunk()
}

// header parses "size\r\n", or "size;chunk-signature=…\r\n" when chunks are signed.
func (c *chunkReader) header(line []byte) *Error {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return errFraming("a chunk header does not end in CRLF")
	}
	size, extension, extended := bytes.Cut(text, []byte(";"))
	if extended != (c.signer != nil) {
		return errFraming("chunk signatures do not fit the payload mode")
	}
	if extended {
		signature, ok := bytes.CutPrefix(extension, []byte(signaturePrefix))
		if !ok || !c.signer.validLength(len(signature)) {
			return errFraming("a chunk header has no valid chunk-signature")
		}
		c.claimed = append(c.claimed[:0], signature...)
	}
	if c.size, ok = parseHex(size); !ok {
		return errFraming("a chunk header has no valid size")
	}
	c.whole = c.size
	c.number++
	return nil
}

// parseHex parses a size in bytes: 1 to 16 hex digits without sign or prefix, at most 1<<63 - 1.
func parseHex(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > maxChunkDigits {
		return 0, false
	}
	var n uint64
	for _, c := range text {
		d := nibble(c)
		if d > 15 {
			return 0, false
		}
		n = n<<4 | uint64(d)
	}
	return int64(n), n < 1<<63
}

// isOneOf reports whether name, in any case, is on a list of lower-case names.
func isOneOf(name string, list []string) bool {
	for _, l := range list {
		if strings.EqualFold(name, l) {
			return true
		}
	}
	return false
}

// errChunkSize is a chunk that was too small for another to follow. S3 names the number of the one that follows, which is
// where it shows, and the size of the one that is too small.
func errChunkSize(number int, before int64) *Error {
	return fail(codeInvalidChunkSize, "chunk %d follows one of %d bytes", number, before).
		field("Chunk", strconv.Itoa(number)).field("BadChunkSize", strconv.FormatInt(before, 10))
}

// errExcess is a body of more plaintext than announced.
func errExcess() *Error {
	return fail(codeIncompleteBody, "the chunks hold more than x-amz-decoded-content-length")
}

// errFraming is a body whose chunks do not add up to a body.
func errFraming(reason string) *Error {
	return fail(codeIncompleteBody, "%s", reason).say("The request body terminated unexpectedly")
}
