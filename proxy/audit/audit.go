// Package audit writes one JSON line per object access, each with the hash of the one before it, so that removed or changed
// lines are evident. It never writes signatures, tokens or presigned queries: a Record has no field for them.
//
// A line that cannot be written is lost: Write says so, Check goes on saying so until the log can be written to again, and
// the first line then tells how many are missing.
//
// The hashes need no key, so whoever can rewrite the whole log can make a new chain: keep the hash of the last line, or the
// lines themselves, where the proxy cannot reach them.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"
)

// Record is one line.
type Record struct {
	Time              time.Time `json:"time"`
	RequestID         string    `json:"request_id"`
	UpstreamRequestID string    `json:"upstream_request_id,omitempty"`
	Client            string    `json:"client,omitempty"`      // access key
	ClaimedKey        string    `json:"claimed_key,omitempty"` // access key whose signature was taken unchecked, as Client's
	Source            string    `json:"source,omitempty"`      // address
	Action            string    `json:"action"`                // S3 name
	Bucket            string    `json:"bucket,omitempty"`
	Key               string    `json:"key,omitempty"`
	VersionID         string    `json:"version_id,omitempty"`
	Status            int       `json:"status"`
	Code              string    `json:"code,omitempty"`  // S3 error code
	Class             string    `json:"class,omitempty"` // integrity class (crypto/FORMAT.md 12)
	SSE               string    `json:"sse,omitempty"`
	KID               string    `json:"kid,omitempty"`
	IKEK              string    `json:"ikek,omitempty"` // fingerprint of the intermediate key, 16 hex digits
	BytesIn           int64     `json:"bytes_in"`
	BytesOut          int64     `json:"bytes_out"`
	Milliseconds      float64   `json:"ms"`
	TraceID           string    `json:"trace_id,omitempty"` // of a request that is traced, 32 hex digits
	Side              string    `json:"side,omitempty"`     // "source" in the line for what a copy has read
	Lost              int64     `json:"lost,omitempty"`     // lines that could not be written before this one, with the action LinesLost
}

// LinesLost is the action of the line that a log writes about itself after it could not be written to: the lines it counts
// are missing, and nobody has removed them.
const LinesLost = "AuditLinesLost"

// SourceSide marks the line for the object that a copy has read.
const SourceSide = "source"

// Sink takes records. A nil *Log is the sink "off".
type Sink interface{ Write(Record) error }

// Checker is implemented by sinks that know whether they can be written to.
type Checker interface {
	// Check returns nil where the last write has succeeded. Otherwise it tries anew, and returns the error of that.
	Check() error
}

// Log is a sink with a hash chain over any writer. It is safe for concurrent use; a line is written before Write returns.
type Log struct {
	chain bool

	mu   sync.Mutex
	w    io.Writer
	prev []byte // hash of the last line, reused
	lost int64  // lines since the last successful write
}

var (
	_ Sink    = (*Log)(nil)
	_ Checker = (*Log)(nil)
)

// New returns a log over w, which gets one whole line per Write. With chain, prev is the hash of the last line there,
// empty for a new log.
func New(w io.Writer, chain bool, prev string) *Log {
	if _, ok := w.(*File); !ok {
		w = &mended{w: w}
	}
	return &Log{w: w, chain: chain, prev: []byte(prev)}
}

// lines are buffers for lines: most are shorter.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Write appends a record. After an error the line is not there, or in part; the next one that can be written follows a line
// that counts what was lost.
func (l *Log) Write(r Record) error {
	if l == nil {
		return nil
	}
	buf := lines.Get().(*[]byte)
	defer lines.Put(buf)
	line := appendRecord((*buf)[:0], &r)
	l.mu.Lock() // what follows depends on the line before
	defer l.mu.Unlock()
	err := l.tellLost()
	if err == nil {
		line, err = l.append(line)
	}
	*buf = line
	if err != nil {
		l.lost++
	}
	return err
}

// Check implements Checker.
func (l *Log) Check() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tellLost()
}

// tellLost writes the line about lost lines, if there are any.
func (l *Log) tellLost() error {
	if l.lost == 0 {
		return nil
	}
	_, err := l.append(appendRecord(nil, &Record{Time: time.Now().UTC(), Action: LinesLost, Lost: l.lost}))
	if err == nil {
		l.lost = 0
	}
	return err
}

// append chains a line and writes it. It returns the line's buffer.
func (l *Log) append(line []byte) ([]byte, error) {
	var hash [2 * sha256.Size]byte
	if l.chain {
		line, hash = appendChain(line, l.prev)
	}
	line = append(line, '\n')
	if n, err := l.w.Write(line); err != nil && n < len(line)-1 { // without its line break a line is whole
		return line, fmt.Errorf("audit: %w", err)
	}
	if l.chain {
		l.prev = append(l.prev[:0], hash[:]...)
	}
	return line, nil
}

// The fields that a chain adds at the end of a line.
const (
	prevField = `,"prev":"`
	hashField = `,"hash":"`
)

// appendChain adds prev and hash to a line: hash is the SHA-256 of the line as it would stand without it.
func appendChain(line, prev []byte) (chained []byte, hash [2 * sha256.Size]byte) {
	line = append(line[:len(line)-1], prevField...)
	line = append(line, prev...)
	line = append(line, `"}`...)
	sum := sha256.Sum256(line)
	hex.Encode(hash[:], sum[:])
	line = append(line[:len(line)-1], hashField...)
	line = append(line, hash[:]...)
	return append(line, `"}`...), hash
}
