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
)

// ErrChain reports a log whose lines were changed, removed or put in another order.
var ErrChain = errors.New("audit: broken chain")

// chained is a line as it is read.
type chained struct {
	Record
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Verify reads a chained log from its first line. It returns the number of lines and the hash of the last one, by which
// the removal of lines at the end can be noticed.
func Verify(r io.Reader) (lines int, last string, err error) { return VerifyFrom(r, "") }

// VerifyFrom is Verify for a log that continues another, as after a rotation: prev is the hash of the last line there.
func VerifyFrom(r io.Reader, prev string) (lines int, last string, err error) {
	last = prev
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines++
		prev, hash, err := checkLine(s.Bytes())
		if err != nil {
			return lines, last, fmt.Errorf("%w: line %d: %w", ErrChain, lines, err)
		}
		if prev != last {
			return lines, last, fmt.Errorf("%w: line %d does not follow the one before it", ErrChain, lines)
		}
		last = hash
	}
	if err := s.Err(); err != nil {
		return lines, last, fmt.Errorf("audit: line %d: %w", lines+1, err)
	}
	return lines, last, nil
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
