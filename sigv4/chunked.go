package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

// The bounds of aws-chunked framing: a chunk header line with its extensions, and the whole trailer section.
const (
	maxChunkLine = 4 << 10
	maxTrailer   = 16 << 10
	lookahead    = 512
)

// chunkedDecoder decodes aws-chunked bodies. Chunks are never buffered: their bytes are released while the chunk's
// signature is still unknown, and the caller commits nothing before finish has returned.
type chunkedDecoder struct {
	src     io.Reader
	signed  bool
	trailer bool
	chain   *chunkSigner

	buf    [lookahead]byte // bytes read from src and not yet used
	r, w   int
	bare   bool      // the last line ended in LF alone
	left   int64     // bytes left of the current chunk
	opened bool      // a chunk is under way
	ended  bool      // the empty chunk's header has been read
	sum    hash.Hash // of the current chunk, signed modes
	claim  string    // its signature
	total  int64
	limit  int64
}

func newChunkedDecoder(src io.Reader, mode PayloadMode, o PayloadOptions) *chunkedDecoder {
	d := &chunkedDecoder{src: src, signed: mode != PayloadUnsignedChunksTrailer, trailer: mode != PayloadSignedChunks,
		limit: o.DecodedLength}
	if d.signed {
		d.chain = o.Verified.chunk.clone()
		d.sum = sha256.New()
	}
	return d
}

// Read returns bytes of chunks. io.EOF means that the last, empty chunk has been reached.
func (d *chunkedDecoder) Read(b []byte) (int, error) {
	for d.left == 0 {
		if d.ended {
			return 0, io.EOF
		}
		if err := d.nextChunk(); err != nil {
			return 0, err
		}
	}
	if int64(len(b)) > d.left {
		b = b[:d.left]
	}
	n, err := d.take(b)
	d.left -= int64(n)
	if d.signed {
		d.sum.Write(b[:n])
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// take reads looked-ahead bytes first, then the source directly.
func (d *chunkedDecoder) take(b []byte) (int, error) {
	if d.r < d.w {
		n := copy(b, d.buf[d.r:d.w])
		d.r += n
		return n, nil
	}
	return d.src.Read(b)
}

// nextChunk closes the current chunk and reads the header of the next.
func (d *chunkedDecoder) nextChunk() error {
	if d.opened {
		if err := d.expect("\r\n"); err != nil {
			return err
		}
		if err := d.verifyChunk(); err != nil {
			return err
		}
	}
	line, err := d.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := parseHex(size)
	if err != nil {
		return refuse("InvalidRequest", "malformed chunk size")
	}
	if d.total += n; d.total > d.limit || d.total < 0 {
		return refuse("IncompleteBody", "chunks hold more than x-amz-decoded-content-length")
	}
	d.claim = ""
	if d.signed {
		var ok bool
		if d.claim, ok = strings.CutPrefix(strings.TrimSpace(extension), "chunk-signature="); !ok || len(d.claim) != 64 {
			return refuse("InvalidRequest", "missing chunk signature")
		}
		d.sum.Reset()
	}
	d.left, d.opened, d.ended = n, true, n == 0
	return nil
}

// parseHex accepts hexadecimal digits only, up to 15 of them.
func parseHex(s string) (int64, error) {
	if s == "" || len(s) > 15 || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 16, 64)
}

// verifyChunk compares the signature of the chunk that has just been read.
func (d *chunkedDecoder) verifyChunk() error {
	if !d.signed {
		return nil
	}
	if subtle.ConstantTimeCompare(d.chain.chunk(d.sum.Sum(nil)), []byte(d.claim)) != 1 {
		return refuse("SignatureDoesNotMatch", "chunk signature differs")
	}
	return nil
}

// finish reads the empty chunk, the trailer and the end of the body.
func (d *chunkedDecoder) finish() ([]Field, error) {
	if d.left > 0 {
		return nil, refuse("IncompleteBody", "chunk was not read to its end")
	}
	if !d.ended {
		if err := d.nextChunk(); err != nil {
			return nil, err
		}
		if !d.ended {
			return nil, refuse("IncompleteBody", "chunks hold more than x-amz-decoded-content-length")
		}
	}
	if err := d.verifyChunk(); err != nil {
		return nil, err
	}
	var fields []Field
	var err error
	if d.trailer {
		fields, err = d.readTrailer()
	} else {
		err = d.expect("\r\n")
	}
	if err != nil {
		return nil, err
	}
	if d.r < d.w {
		return nil, refuse("IncompleteBody", "bytes after the last chunk")
	}
	return fields, expectEnd(d.src)
}

// readTrailer reads the trailer fields up to the empty line and verifies their signature where there is one. Fields end in
// CRLF, in LF, or in LF and then CRLF, as the S3 API reference writes them and minio-go sends them; the canonical form has
// LF in any case.
func (d *chunkedDecoder) readTrailer() ([]Field, error) {
	var fields []Field
	var canonical bytes.Buffer
	signature, left, bare := "", maxTrailer, false
	for {
		line, err := d.line(left)
		if err != nil {
			return nil, err
		}
		if line == "" && bare {
			// The rest of the field before it, or the end.
			bare = false
			if end, err := d.atEnd(); err != nil || end {
				if err != nil {
					return nil, err
				}
				break
			}
			continue
		}
		if line == "" {
			break
		}
		bare = d.bare
		left -= len(line)
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || name == "" || signature != "" {
			return nil, refuse("MalformedTrailerError", "malformed trailer")
		}
		if name == "x-amz-trailer-signature" {
			signature = value
			continue
		}
		if _, dup := find(fields, name); dup {
			return nil, refuse("MalformedTrailerError", "repeated trailer "+name)
		}
		fields = append(fields, Field{name, value})
		canonical.WriteString(name + ":" + value + "\n")
	}
	if !d.signed {
		return fields, nil
	}
	sum := sha256.Sum256(canonical.Bytes())
	if subtle.ConstantTimeCompare(d.chain.trailer(sum[:]), []byte(signature)) != 1 {
		return nil, refuse("SignatureDoesNotMatch", "trailer signature differs")
	}
	return fields, nil
}

// line reads up to CRLF (or LF) and returns the line without it.
func (d *chunkedDecoder) line(limit int) (string, error) {
	var long []byte
	for {
		if d.r == d.w {
			if err := d.more(); err != nil {
				return "", err
			}
		}
		if i := bytes.IndexByte(d.buf[d.r:d.w], '\n'); i >= 0 {
			long = append(long, d.buf[d.r:d.r+i]...)
			d.r += i + 1
			text, crlf := strings.CutSuffix(string(long), "\r")
			d.bare = !crlf
			return text, nil
		}
		long = append(long, d.buf[d.r:d.w]...)
		d.r = d.w
		if len(long) > limit {
			return "", refuse("InvalidRequest", "chunk framing line is too long")
		}
	}
}

// atEnd reports whether the body has ended.
func (d *chunkedDecoder) atEnd() (bool, error) {
	for range 100 {
		if d.r < d.w {
			return false, nil
		}
		d.r, d.w = 0, 0
		n, err := d.src.Read(d.buf[:])
		d.w = n
		if n == 0 && errors.Is(err, io.EOF) {
			return true, nil
		}
		if n == 0 && err != nil {
			return false, err
		}
	}
	return false, refuse("IncompleteBody", "body makes no progress")
}

// expect consumes exactly s.
func (d *chunkedDecoder) expect(s string) error {
	for i := 0; i < len(s); i++ {
		if d.r == d.w {
			if err := d.more(); err != nil {
				return err
			}
		}
		if d.buf[d.r] != s[i] {
			return refuse("InvalidRequest", "malformed chunk framing")
		}
		d.r++
	}
	return nil
}

// more fills the lookahead. It must be empty.
func (d *chunkedDecoder) more() error {
	d.r, d.w = 0, 0
	for range 100 {
		n, err := d.src.Read(d.buf[:])
		if n > 0 {
			d.w = n
			return nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return refuse("IncompleteBody", "body ended inside the chunk framing")
		}
		if err != nil {
			return err
		}
	}
	return refuse("IncompleteBody", "body makes no progress")
}
