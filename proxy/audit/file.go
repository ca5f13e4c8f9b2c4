package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// mended is a writer of lines. What a failed write has left of a line ends with a line break before the next one.
type mended struct {
	w    io.Writer
	torn bool // the last line is not whole
}

// Write appends a line.
func (m *mended) Write(line []byte) (int, error) {
	if m.torn {
		if _, err := m.w.Write([]byte("\n")); err != nil {
			return 0, err
		}
		m.torn = false
	}
	n, err := m.w.Write(line)
	m.torn = err != nil && n > 0
	return n, err
}

// File is a log file that can be rotated: Reopen follows a rename, and the chain goes on from the last line.
type File struct {
	path string

	mu  sync.Mutex
	f   *os.File
	out mended
}

// OpenFile opens or creates the file at path with mode 0600 and returns a log that continues its chain. Where the last
// line is not whole, as after a crash or a full disk, it stays, and the chain goes on from the line before it. A file that
// another process writes to is refused: two chains in one file are none.
func OpenFile(path string, chain bool) (*Log, *File, error) {
	f := &File{path: path}
	if err := f.Reopen(); err != nil {
		return nil, nil, err
	}
	prev, err := lastHash(path)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return New(f, chain, prev), f, nil
}

// Write appends to the file.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Write(b)
}

// Reopen opens the path anew, after a rotation. With an error the old file stays in use.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if same, err := sameFile(f.f, next); err != nil || same {
		return errors.Join(err, next.Close())
	}
	if err := lock(next); err != nil {
		return errors.Join(fmt.Errorf("audit: %s: %w", f.path, err), next.Close())
	}
	tail, err := readTail(f.path)
	if err != nil {
		return errors.Join(err, next.Close())
	}
	if f.f != nil {
		err = f.f.Close()
	}
	f.f, f.out = next, mended{w: next, torn: len(tail) > 0 && tail[len(tail)-1] != '\n'}
	return err
}

// errInUse reports a log file that another process holds.
var errInUse = errors.New("another process writes to this file")

// sameFile reports whether a path still names the file that is open.
func sameFile(open, next *os.File) (bool, error) {
	if open == nil {
		return false, nil
	}
	a, err := open.Stat()
	if err != nil {
		return false, fmt.Errorf("audit: %w", err)
	}
	b, err := next.Stat()
	if err != nil {
		return false, fmt.Errorf("audit: %w", err)
	}
	return os.SameFile(a, b), nil
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}

// lastHash reads the hash of the last whole line of a log, empty for a missing or empty file and a log without a chain.
func lastHash(path string) (string, error) {
	tail, err := readTail(path)
	if err != nil {
		return "", err
	}
	for tail = bytes.TrimSuffix(tail, []byte("\n")); len(tail) > 0; {
		at := bytes.LastIndexByte(tail, '\n')
		line := tail[at+1:]
		c, err := checkLine(line)
		if err == nil {
			return c.Hash, nil
		}
		if !torn(line) {
			return "", nil // a new chain begins, and Verifier shows the place
		}
		tail = tail[:max(at, 0)]
	}
	return "", nil
}

// maxTail is more than the longest line: a key of 1,024 bytes can take 6 KiB in JSON.
const maxTail = 64 << 10

// readTail returns the end of a file; nothing where there is none, or where it is no regular file.
func readTail(path string) ([]byte, error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil // opening a pipe would wait for its other end
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	tail := make([]byte, min(info.Size(), maxTail))
	n, err := f.ReadAt(tail, info.Size()-int64(len(tail)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return tail[:n], nil
}
