package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// File is a log file that can be rotated: Reopen follows a rename, and the chain goes on from the last line.
type File struct {
	path string

	mu   sync.Mutex
	f    *os.File
	torn bool // the file ends within a line
}

// OpenFile opens or creates the file at path with mode 0600 and returns a log that continues its chain. Where the last
// line is not whole, as after a crash or a full disk, it stays, the log goes on in a line of its own, and with another
// chain: Verify shows the place.
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
	if f.torn {
		if _, err := f.f.Write([]byte("\n")); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.f.Write(b)
	if err != nil && n > 0 {
		f.torn = true
	}
	return n, err
}

// Reopen opens the path anew, after a rotation. With an error the old file stays in use.
func (f *File) Reopen() error {
	next, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	tail, err := readTail(f.path)
	if err != nil {
		return errors.Join(err, next.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f != nil {
		err = f.f.Close()
	}
	f.f, f.torn = next, len(tail) > 0 && tail[len(tail)-1] != '\n'
	return err
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}

// lastHash reads the hash of the last line of a log, empty for a missing or empty file, a log without a chain, and a last
// line that is not whole.
func lastHash(path string) (string, error) {
	tail, err := readTail(path)
	if err != nil || len(tail) == 0 || tail[len(tail)-1] != '\n' {
		return "", err
	}
	tail = tail[:len(tail)-1]
	_, hash, err := checkLine(tail[bytes.LastIndexByte(tail, '\n')+1:])
	if err != nil {
		return "", nil // a new chain begins, and Verify shows the place
	}
	return hash, nil
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
