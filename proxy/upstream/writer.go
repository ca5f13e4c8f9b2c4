package upstream

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/minio/crc64nvme"

	"s3veil/sigv4"
)

// wire is how a body lies on the connection.
type wire int

const (
	wirePlain   wire = iota // as it is, under a hash or UNSIGNED-PAYLOAD
	wireTrailer             // large aws-chunks without signatures and a checksum trailer
	wireChunks              // signed aws-chunks
)

// chunkSize is the plain length of a signed chunk. Its signature stands before it, so that much is gathered first.
const chunkSize = 64 << 10

// trailerChunk is the plain length of a chunk in front of a trailer. One chunk would do for most stores, but MinIO takes none
// above 16 MiB.
const trailerChunk = 8 << 20

const (
	chunkSignature = ";chunk-signature="
	sumLength      = 12 // base64 of 8 bytes
)

// length is the Content-Length of a body of n bytes: framing is part of it, and exactly known.
func (w wire) length(n int64) int64 {
	switch w {
	case wireTrailer:
		end := int64(len("0\r\n"+checksumHeader+":\r\n\r\n") + sumLength)
		const edges = int64(len("\r\n\r\n"))
		full, rest := n/trailerChunk, n%trailerChunk
		if rest > 0 {
			end += hexLength(rest) + edges
		}
		return full*(hexLength(trailerChunk)+edges) + n + end
	case wireChunks:
		return sigv4.SignedLen(n, chunkSize)
	default:
		return n
	}
}

func hexLength(n int64) int64 { return int64(len(strconv.FormatInt(n, 16))) }

// errLength is a body that did not write what it had announced.
var errLength = errors.New("upstream: body is not as long as announced")

// bodyWriter frames a body and writes it. The end of the body (trailer, last chunk, last byte) leaves only in finish, so
// that a body which fails after its last write has not been sent whole.
type bodyWriter struct {
	bw   *bufio.Writer
	nc   net.Conn // below bw
	wire wire
	left int64
	crc  uint64
	seed sigv4.ChunkSeed
	open int64 // what is left of a chunk in front of a trailer
	// carry gathers a chunk that spans writes.
	carry []byte
	last  [1]byte
	held  bool
	err   error // sticky
}

var carries = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// send writes the whole body to its end. A failure of the connection is w.err, every other error the body's own.
func (w *bodyWriter) send(b Body) error {
	w.left = b.Len()
	if w.wire == wireChunks {
		buf := carries.Get().(*[chunkSize]byte)
		defer carries.Put(buf)
		w.carry = buf[:0]
	}
	if _, wrong := b.(wrongTrailer); wrong {
		w.crc = 1
	}
	if _, err := b.WriteTo(w); err != nil {
		return err
	}
	if w.err == nil && w.left != 0 {
		return fmt.Errorf("%w: %d bytes are missing", errLength, w.left)
	}
	if w.err == nil {
		w.err = w.finish(b.Len())
	}
	return w.err
}

// Write takes the next bytes of the body.
func (w *bodyWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("%w: %d bytes too many", errLength, int64(len(p))-w.left)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := len(p)
	w.left -= int64(n)
	switch w.wire {
	case wireTrailer:
		w.crc = crc64nvme.Update(w.crc, p)
		w.err = w.plainChunks(p)
	case wireChunks:
		w.err = w.chunks(p)
	default:
		if w.left == 0 {
			w.last[0], w.held = p[len(p)-1], true
			p = p[:len(p)-1]
		}
		w.err = w.put(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, nil
}

// put writes without copying where that pays.
func (w *bodyWriter) put(p []byte) error {
	if len(p) < bufferSize {
		_, err := w.bw.Write(p)
		return err
	}
	if err := w.bw.Flush(); err != nil {
		return err
	}
	_, err := w.nc.Write(p)
	return err
}

// plainChunks writes p as chunks whose length goes ahead of what is not there yet. left is already without p.
func (w *bodyWriter) plainChunks(p []byte) error {
	for len(p) > 0 {
		if w.open == 0 {
			w.open = min(trailerChunk, int64(len(p))+w.left)
			if _, err := fmt.Fprintf(w.bw, "%x\r\n", w.open); err != nil {
				return err
			}
		}
		n := min(int64(len(p)), w.open)
		if err := w.put(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		// The end of the last chunk is finish's.
		if w.open -= n; w.open == 0 && int64(len(p))+w.left > 0 {
			if _, err := io.WriteString(w.bw, "\r\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *bodyWriter) chunks(p []byte) error {
	for len(p) > 0 {
		if len(w.carry) == 0 && len(p) >= chunkSize {
			if err := w.chunk(p[:chunkSize]); err != nil {
				return err
			}
			p = p[chunkSize:]
			continue
		}
		n := min(len(p), chunkSize-len(w.carry))
		w.carry = append(w.carry, p[:n]...)
		p = p[n:]
		if len(w.carry) == chunkSize {
			if err := w.chunk(w.carry); err != nil {
				return err
			}
			w.carry = w.carry[:0]
		}
	}
	return nil
}

func (w *bodyWriter) chunk(p []byte) error {
	if _, err := fmt.Fprintf(w.bw, "%x%s%s\r\n", len(p), chunkSignature, w.seed.Next(p)); err != nil {
		return err
	}
	if err := w.put(p); err != nil {
		return err
	}
	_, err := io.WriteString(w.bw, "\r\n")
	return err
}

// finish writes what makes the body whole.
func (w *bodyWriter) finish(n int64) error {
	var err error
	switch w.wire {
	case wireTrailer:
		if n > 0 {
			_, _ = io.WriteString(w.bw, "\r\n")
		}
		_, err = fmt.Fprintf(w.bw, "0\r\n%s:%s\r\n\r\n", checksumHeader, checksumText(w.crc))
	case wireChunks:
		if len(w.carry) > 0 {
			err = w.chunk(w.carry)
		}
		if err == nil {
			err = w.chunk(nil)
		}
	default:
		if w.held {
			_, err = w.bw.Write(w.last[:])
		}
	}
	if err != nil {
		return err
	}
	return w.bw.Flush()
}

// checksumText is a CRC64NVME as S3 writes it: base64 of the big-endian value.
func checksumText(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}
