package local

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"s3veil/crypto/kms"
)

// maxFile bounds what is read: more than 5,000 keys.
const maxFile = 1 << 20

// New creates a key file with one active key, the first generation of a family. It never replaces a file. When it
// returns, the file is durable.
func New(path, id string, now time.Time) error {
	if _, n := generation(id); !validKID(id) || n != 1 {
		return fmt.Errorf("local: %q cannot name a family of keys: 1 to 64 characters of A-Z a-z 0-9 . _ -, not ending in a generation", id)
	}
	e := fresh(id, now)
	defer e.key.Zero()
	text := encode([]*entry{e})
	defer clear(text)
	if err := write(path, text); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Rotate adds the next generation to the family of id and retires the active ones. It returns the new kid. The file is
// replaced in one step and locked against other rotations meanwhile.
func Rotate(path, id string, now time.Time) (kid string, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	unlock, err := lock(path)
	if err != nil {
		return "", err
	}
	defer unlock()
	entries, err := read(path)
	if err != nil {
		return "", err
	}
	defer func() { zero(entries) }()
	base, _ := generation(id)
	family := members(entries, base)
	if len(family) == 0 {
		return "", fmt.Errorf("%w: %q is not in %s", kms.ErrKeyNotFound, id, path)
	}
	newest := 1
	for _, e := range family {
		_, n := generation(e.id)
		newest = max(newest, n)
		if e.state == Active {
			e.state = Retired
		}
	}
	e := fresh(base+"."+strconv.Itoa(newest+1), now)
	entries = append(entries, e)
	if !validKID(e.id) {
		return "", fmt.Errorf("local: %q is too long for a kid", e.id)
	}
	text := encode(entries)
	defer clear(text)
	return e.id, replace(path, text)
}

// List describes the keys of a file.
func List(path string) ([]Info, error) {
	entries, err := read(path)
	if err != nil {
		return nil, err
	}
	defer zero(entries)
	return list(entries), nil
}

func fresh(id string, now time.Time) *entry {
	e := &entry{id: id, created: now.UTC().Truncate(time.Second), state: Active}
	_, _ = rand.Read(e.key[:]) // never fails: a missing generator ends the program
	return e
}

// encode writes a key per object in the order of the list, so that a rotation adds lines and changes one.
func encode(entries []*entry) []byte {
	out := []byte("[")
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		created, _ := json.Marshal(e.created)
		out = fmt.Appendf(out, "\n  {\"id\": %q, \"created\": %s, \"state\": %q, \"key\": \"", e.id, created, e.state)
		out = base64.StdEncoding.AppendEncode(out, e.key[:])
		out = append(out, "\"}"...)
	}
	return append(out, "\n]\n"...)
}

// read opens, checks and parses a file.
func read(path string) ([]*entry, error) {
	text, err := kms.ReadSecretFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return parse(path, text)
}

// replace puts a new file in the place of path: written aside, made durable, renamed.
func replace(path string, text []byte) error {
	var suffix [8]byte
	_, _ = rand.Read(suffix[:])
	temp := fmt.Sprintf("%s.%x.tmp", path, suffix)
	if err := write(temp, text); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// write creates path, which must not exist, with mode 0600 and durable content. What it could not finish it removes.
func write(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}
