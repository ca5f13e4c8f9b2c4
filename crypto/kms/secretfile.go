package kms

import (
	"fmt"
	"io"
	"os"
)

// ReadSecretFile reads a file that holds a secret: a key, a password, a PIN, a private key in PEM. It refuses files that
// are not regular, that more than limit bytes are in, and that others than this process could read or change:
//
//   - the owner is root or the user of this process;
//   - other users have no access at all;
//   - the group has none either, but for reading where the file belongs to root and to a group of this process, or to
//     root's own. So Kubernetes mounts a Secret for a process that is not root (fsGroup), and systemd a credential; a file of
//     one's own can always do without.
//
// The caller overwrites what it gets. Where permission bits say nothing (Windows), only kind and length are checked.
func ReadSecretFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is open, not of what the name may mean by then
	if err != nil {
		return nil, err
	}
	if err := CheckSecretFile(path, info); err != nil {
		return nil, err
	}
	// One byte more than allowed tells a longer file, and room for it keeps the reader from leaving copies behind.
	b := make([]byte, 0, min(info.Size(), limit)+1)
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			clear(b)
			return nil, err
		case int64(len(b)) > limit:
			clear(b)
			return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
		case len(b) == cap(b): // it has grown meanwhile
			grown := append(make([]byte, 0, 2*cap(b)), b...)
			clear(b)
			b = grown
		}
	}
}

// CheckSecretFile applies the rules of ReadSecretFile to what a file's Stat has said.
func CheckSecretFile(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	o, ok := ownerOf(info)
	if !ok {
		return nil
	}
	return o.check(path, info.Mode().Perm(), processIdentity())
}

// owner is who a file belongs to.
type owner struct{ uid, gid int }

// identity is who this process acts as.
type identity struct {
	uid    int
	groups []int // the effective one and the supplementary ones
}

// check returns what is wrong with a secret file of this owner and mode.
func (o owner) check(path string, perm os.FileMode, me identity) error {
	const groupReads, group, others = 0o040, 0o070, 0o007
	switch {
	case o.uid != 0 && o.uid != me.uid:
		return fmt.Errorf("%s belongs to another user (uid %d)", path, o.uid)
	case perm&others != 0:
		return fmt.Errorf("%s has mode %04o, which lets every user in: chmod 600", path, perm)
	case perm&group == 0:
		return nil
	case perm&group != groupReads:
		return fmt.Errorf("%s has mode %04o, which lets its group do more than read: chmod 600", path, perm)
	case o.uid != 0:
		return fmt.Errorf("%s has mode %04o, which lets its group in: chmod 600", path, perm)
	case o.gid != 0 && !me.in(o.gid):
		return fmt.Errorf("%s has mode %04o, which lets a group in (gid %d) that this process is not in: chmod 600", path, perm, o.gid)
	}
	return nil
}

func (me identity) in(gid int) bool {
	for _, g := range me.groups {
		if g == gid {
			return true
		}
	}
	return false
}
