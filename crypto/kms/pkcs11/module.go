//go:build pkcs11 && cgo

package pkcs11

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// module is a loaded library. A process loads and initialises each library once, however many providers use it.
type module struct {
	*p11.Ctx
	path string
	refs int // guarded by modules.mu

	// mu is held for reading around every use of a handle. After the library was initialised anew, handles of before can
	// mean other sessions and other keys, so nobody may hold any: age tells.
	mu      sync.RWMutex
	age     int
	revived time.Time
}

var modules = struct {
	mu   sync.Mutex
	open map[string]*module
}{open: map[string]*module{}}

// load returns the library at path, with a reference for the caller.
func load(path string) (*module, error) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m := modules.open[path]; m != nil {
		m.refs++
		return m, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	ctx := p11.New(path)
	if ctx == nil {
		return nil, fmt.Errorf("%s cannot be loaded as a PKCS #11 library of this machine", path)
	}
	if err := initialise(ctx); err != nil {
		ctx.Destroy()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &module{Ctx: ctx, path: path, refs: 1}
	modules.open[path] = m
	return m, nil
}

// initialise is done by whoever is first in a process.
func initialise(ctx *p11.Ctx) error {
	err := ctx.Initialize()
	if errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return nil
	}
	return err
}

// patience is the least time between two initialisations for the sake of a token that is not there.
var patience = 10 * time.Second

// revive initialises the library anew where that can help against err, which was seen at an age: a library that somebody has
// finalised, and one that looks for tokens only then.
func (m *module) revive(err error, age int) {
	switch {
	case errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_NOT_INITIALIZED)):
		m.mu.Lock()
	case !errors.Is(err, errToken):
		return
	case !m.mu.TryLock(): // in use, so others do well, or hang
		return
	}
	defer m.mu.Unlock()
	if m.age != age || errors.Is(err, errToken) && time.Since(m.revived) < patience {
		return
	}
	m.age, m.revived = m.age+1, time.Now()
	_ = m.Finalize()
	_ = initialise(m.Ctx) // what is wrong shows at the next call
}

// unload gives a reference back.
func (m *module) unload() {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m.refs--; m.refs > 0 {
		return
	}
	delete(modules.open, m.path)
	_ = m.Finalize()
	m.Destroy()
}

// slot finds the slot with the token that the options name.
func (m *module) slot(o *Options) (uint, error) {
	slots, err := m.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("slots: %w", err)
	}
	var found []uint
	var others []string
	for _, s := range slots {
		info, err := m.GetTokenInfo(s)
		if err != nil || info.Flags&p11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		if (o.Token == "" || o.Token == info.Label) && (o.Serial == "" || o.Serial == info.SerialNumber) {
			found = append(found, s)
			continue
		}
		others = append(others, fmt.Sprintf("%q (serial %s)", info.Label, info.SerialNumber))
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("%w: %d tokens fit; name one by its label or serial number", errToken, len(found))
	}
	return 0, fmt.Errorf("%w: no token %q, serial %q; there are: %v", errToken, o.Token, o.Serial, others)
}

// errToken: the token is not there, or not the only one. It may come back.
var errToken = errors.New("token")
