package forward

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Users are the names and passwords of a forward proxy. Only digests under a key of this process are kept.
type Users struct {
	key  [32]byte
	sums map[string][sha256.Size]byte
}

// ParseUsers reads lines of name:password; empty ones and those that start with # do not count.
func ParseUsers(text string) (*Users, error) {
	u := &Users{sums: map[string][sha256.Size]byte{}}
	rand.Read(u.key[:])
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, password, ok := strings.Cut(line, ":")
		if !ok || name == "" || password == "" {
			return nil, fmt.Errorf("line %d: not name:password", n)
		}
		if _, twice := u.sums[name]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", n, name)
		}
		u.sums[name] = u.sum(password)
	}
	if len(u.sums) == 0 {
		return nil, errors.New("no user")
	}
	return u, nil
}

func (u *Users) sum(password string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, u.key[:])
	h.Write([]byte(password))
	h.Sum(sum[:0])
	return sum
}

// Verify checks a Proxy-Authorization of the scheme Basic (RFC 7617) and returns the name in it.
func (u *Users) Verify(authorization string) (name string, ok bool) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "basic") {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", false
	}
	name, password, found := strings.Cut(string(raw), ":")
	want, known := u.sums[name]
	got := u.sum(password)
	same := hmac.Equal(got[:], want[:])
	if !found || !known || !same {
		return "", false
	}
	return name, true
}
