// Package local is the key provider for key files: KEKs of 32 bytes in a JSON file that only this program may read.
//
// The file is a list of {id, created, state, key}; blobs have the form of FORMAT.md B.3. Every key has a kid of its own.
// Keys come in families: `main` is the first generation, `main.2` the second, and so on by Rotate. A configuration that
// says `main` means the whole family, the newest active generation of which wraps. To be distributed without a moment in
// which one replica writes what another cannot read yet, a new generation is first brought to all as `retired`.
//
// Whoever can read the file can read everything under its keys. Production systems use a KMS.
package local

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"s3veil/crypto/kms"
)

// State says what a key may do.
type State string

// The states of a key.
const (
	Active   State = "active"   // wraps and unwraps
	Retired  State = "retired"  // unwraps only
	Disabled State = "disabled" // does nothing
)

// Info describes a key without the key itself.
type Info struct {
	ID      string // kid
	Created time.Time
	State   State
	Wraps   bool // the generation of its family that wraps now
}

// entry is one key of a file.
type entry struct {
	id      string
	created time.Time
	state   State
	key     kms.Key32
}

// File is a parsed key file. It does not change: to reload, Open the path again and Close the old one when nothing
// uses it any more.
type File struct {
	provider Provider
}

// Open reads and checks a key file, which must be this process's alone (kms.ReadSecretFile). What is wrong with its content
// is reported at once, as *ParseError.
func Open(path string) (*File, error) {
	entries, err := read(path)
	if err != nil {
		return nil, err
	}
	return &File{provider: Provider{entries: entries}}, nil
}

// Provider returns the provider over the keys of this file; kek is a kid.
func (f *File) Provider() *Provider { return &f.provider }

// Close overwrites the keys. Calls of the provider that come later fail with kms.ErrUnavailable.
func (f *File) Close() { f.provider.close() }

// List describes every key, in the order of the file.
func (f *File) List() []Info { return list(f.provider.entries) }

// Resolve returns the kid that wraps for a configured id: the newest active generation of the family, or id itself where
// it names a later generation. Errors are kms.ErrKeyNotFound, and kms.ErrKeyDisabled where none is active.
func (f *File) Resolve(id string) (string, error) {
	family := members(f.provider.entries, id)
	if len(family) == 0 {
		return "", fmt.Errorf("%w: %q is not in the key file", kms.ErrKeyNotFound, id)
	}
	if family[0].state != Active {
		return "", fmt.Errorf("%w: no active key of %q in the key file", kms.ErrKeyDisabled, id)
	}
	return family[0].id, nil
}

// Family returns the kids that a configured id stands for. The first one wraps, unless none is active; nil means that
// the file has no such key.
func (f *File) Family(id string) []string {
	var kids []string
	for _, e := range members(f.provider.entries, id) {
		kids = append(kids, e.id)
	}
	return kids
}

// members returns the keys an id stands for, active ones first, newer generations first.
func members(entries []*entry, id string) []*entry {
	var family []*entry
	for _, e := range entries {
		if base, _ := generation(e.id); e.id == id || base == id {
			family = append(family, e)
		}
	}
	slices.SortFunc(family, func(a, b *entry) int {
		if (a.state == Active) != (b.state == Active) {
			if a.state == Active {
				return -1
			}
			return 1
		}
		_, m := generation(a.id)
		_, n := generation(b.id)
		return cmp.Compare(n, m)
	})
	return family
}

// generation splits a kid into its family and number: main is generation 1 of main, main.2 generation 2. A suffix that
// is not a plain number above 1 belongs to the name.
func generation(id string) (base string, n int) {
	dot := strings.LastIndexByte(id, '.')
	if dot <= 0 {
		return id, 1
	}
	n, err := strconv.Atoi(id[dot+1:])
	if err != nil || n < 2 || strconv.Itoa(n) != id[dot+1:] {
		return id, 1
	}
	return id[:dot], n
}

func list(entries []*entry) []Info {
	wraps := map[string]bool{}
	for _, e := range entries {
		base, _ := generation(e.id)
		if family := members(entries, base); family[0].state == Active {
			wraps[family[0].id] = true
		}
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		infos = append(infos, Info{ID: e.id, Created: e.created, State: e.state, Wraps: wraps[e.id]})
	}
	return infos
}
