// Package audit writes one JSON line per object access, each with the hash of the one before it, so that removed or changed
// lines are evident. It never writes signatures, tokens or presigned queries: a Record has no field for them.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
	mu    sync.Mutex
	w     io.Writer
	chain bool
	prev  string
	buf   bytes.Buffer
}

var _ Sink = (*Log)(nil)

// New returns a log over w. With chain, prev is the hash of the last line there, empty for a new log.
func New(w io.Writer, chain bool, prev string) *Log { return &Log{w: w, chain: chain, prev: prev} }

// chained adds the chain to a line: hash is the SHA-256 of the line as it would stand without it.
type chained struct {
	Record
	Prev string `json:"prev"`
	Hash string `json:"hash,omitempty"`
}

// Write appends a record.
func (l *Log) Write(r Record) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	line, hash, err := l.encode(r)
	if err != nil {
		return err
	}
	if _, err := l.w.Write(line); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.prev = hash
	return nil
}

func (l *Log) encode(r Record) (line []byte, hash string, err error) {
	l.buf.Reset()
	if !l.chain {
		err := json.NewEncoder(&l.buf).Encode(r)
		return l.buf.Bytes(), "", err
	}
	c := chained{Record: r, Prev: l.prev}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(plain)
	hash = hex.EncodeToString(sum[:])
	l.buf.Write(plain[:len(plain)-1])
	l.buf.WriteString(`,"hash":"` + hash + "\"}\n")
	return l.buf.Bytes(), hash, nil
}

// ErrChain reports a log whose lines were changed, removed or put in another order.
var ErrChain = errors.New("audit: broken chain")

// hashField is the end of a chained line.
const hashField = `,"hash":"`

// Verify reads a chained log from its first line. It returns the number of lines and the hash of the last one, by which
// the removal of lines at the end can be noticed.
func Verify(r io.Reader) (lines int, last string, err error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines++
		prev, hash, err := checkLine(s.Bytes())
		if err != nil {
			return lines, last, fmt.Errorf("%w: line %d: %v", ErrChain, lines, err)
		}
		if prev != last {
			return lines, last, fmt.Errorf("%w: line %d does not follow the one before it", ErrChain, lines)
		}
		last = hash
	}
	return lines, last, s.Err()
}

func checkLine(line []byte) (prev, hash string, err error) {
	var c chained
	if err := json.Unmarshal(line, &c); err != nil {
		return "", "", errors.New("not a JSON object")
	}
	at := bytes.LastIndex(line, []byte(hashField))
	if at < 0 || string(line[at:]) != hashField+c.Hash+`"}` {
		return "", "", errors.New("no hash at its end")
	}
	sum := sha256.Sum256(append(bytes.Clone(line[:at]), '}'))
	if hex.EncodeToString(sum[:]) != c.Hash {
		return "", "", errors.New("hash differs")
	}
	return c.Prev, c.Hash, nil
}

// File is a log file that can be rotated: Reopen follows a rename, and the chain goes on from the last line.
type File struct {
	mu   sync.Mutex
	path string
	f    *os.File
}

// OpenFile opens or creates the file at path with mode 0600 and returns a log that continues its chain.
func OpenFile(path string, chain bool) (*Log, *File, error) {
	prev, err := lastHash(path)
	if err != nil {
		return nil, nil, err
	}
	f := &File{path: path}
	if err := f.Reopen(); err != nil {
		return nil, nil, err
	}
	return New(f, chain, prev), f, nil
}

// Write appends to the file.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Write(b)
}

// Reopen opens the path anew, after a rotation.
func (f *File) Reopen() error {
	next, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f != nil {
		f.f.Close()
	}
	f.f = next
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}

// lastHash reads the hash of the last line of a log, empty for a missing or empty file.
func lastHash(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	tail := make([]byte, min(info.Size(), 64<<10))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("audit: %w", err)
	}
	tail = bytes.TrimRight(tail, "\n")
	if i := bytes.LastIndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	}
	if len(tail) == 0 {
		return "", nil
	}
	_, hash, err := checkLine(tail)
	if err != nil {
		return "", nil // a log without chain, or a line cut by a crash: a new chain begins and Verify shows the break
	}
	return hash, nil
}
