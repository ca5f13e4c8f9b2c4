// Package audit writes one JSON line per object access, each with the hash of the one before it, so that removed or changed
// lines are evident. It never writes signatures, tokens or presigned queries: a Record has no field for them.
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
	Client            string    `json:"client,omitempty"` // access key
	Source            string    `json:"source,omitempty"` // address
	Action            string    `json:"action"`           // S3 name
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
}

// Sink takes records. A nil *Log is the sink "off".
type Sink interface{ Write(Record) error }

// Log is a sink with a hash chain over any writer. It is safe for concurrent use; a line is written before Write returns.
type Log struct {
	chain bool

	mu   sync.Mutex
	w    io.Writer
	prev string
}

var _ Sink = (*Log)(nil)

// New returns a log over w, which gets one whole line per Write. With chain, prev is the hash of the last line there,
// empty for a new log.
func New(w io.Writer, chain bool, prev string) *Log { return &Log{w: w, chain: chain, prev: prev} }

// lines are buffers for lines: most are shorter.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Write appends a record. After an error the line may be there in part, or not at all.
func (l *Log) Write(r Record) error {
	if l == nil {
		return nil
	}
	buf := lines.Get().(*[]byte)
	defer lines.Put(buf)
	line := appendRecord((*buf)[:0], &r)
	l.mu.Lock() // what follows depends on the line before
	defer l.mu.Unlock()
	hash := l.prev
	if l.chain {
		line, hash = appendChain(line, l.prev)
	}
	line = append(line, '\n')
	*buf = line
	if _, err := l.w.Write(line); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.prev = hash
	return nil
}

// The fields that a chain adds at the end of a line.
const (
	prevField = `,"prev":"`
	hashField = `,"hash":"`
)

// appendChain adds prev and hash to a line: hash is the SHA-256 of the line as it would stand without it.
func appendChain(line []byte, prev string) (chained []byte, hash string) {
	line = append(line[:len(line)-1], prevField...)
	line = append(line, prev...)
	line = append(line, `"}`...)
	sum := sha256.Sum256(line)
	hash = hex.EncodeToString(sum[:])
	line = append(line[:len(line)-1], hashField...)
	line = append(line, hash...)
	return append(line, `"}`...), hash
}
