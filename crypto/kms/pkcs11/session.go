//go:build pkcs11 && cgo

package pkcs11

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
)

// token is a logged-in token with its sessions.
type token struct {
	opts   Options
	module *module
	room   chan struct{} // one element per session in use

	mu       sync.Mutex // guards what follows, and the login
	era      int        // counts up when everything is opened anew
	age      int        // of the library when that was
	open     bool       // slot is known
	slot     uint
	idle     []p11.SessionHandle
	sessions int // of this era, idle and in use
	keys     map[string]p11.ObjectHandle
	wraps    byte              // form of new blobs; 0 until it is known
	refused  [sha256.Size]byte // PIN that the token has refused
	reason   error             // and with which answer
	closed   bool
}

var errClosed = fmt.Errorf("%w: pkcs11: closed", kms.ErrUnavailable)

// enter waits for its turn. leave must be called.
func (t *token) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil { // select takes either where both are ready
		return nil, err
	}
	select {
	case t.room <- struct{}{}:
		return func() { <-t.room }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// background runs f, but waits for ctx at most: a library cannot be interrupted, so f goes on alone then and drop gets what
// comes of it.
func background[T any](ctx context.Context, f func() (T, error), drop func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome)
	go func() {
		v, err := f()
		select {
		case done <- outcome{v, err}:
		case <-ctx.Done():
			drop(v)
		}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// repeat runs f with a session. Where f fails for want of a valid session, login or handle, everything is opened anew and f
// called once more.
func repeat[T any](t *token, f func(*session) (T, error)) (value T, err error) {
	for range 2 {
		var again bool
		var age int
		if value, age, again, err = once(t, f); !again {
			return value, err
		}
		t.module.revive(err, age)
	}
	return value, err
}

// once is one attempt. It says at which age of the library it was made, and whether another one may have more luck.
func once[T any](t *token, f func(*session) (T, error)) (value T, age int, again bool, err error) {
	m := t.module
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, err := t.session(m.age)
	if err == nil {
		value, err = f(s)
		t.giveBack(s, err)
	}
	again = is(err, lost) || errors.Is(err, errToken)
	if again {
		t.forget(s)
	}
	return value, m.age, again, err
}

// session is one of a token's, for one caller.
type session struct {
	*module
	t      *token
	handle p11.SessionHandle
	slot   uint
	era    int
}

// session returns an idle session or opens one, at an age of the library. The first one finds the token and logs in.
func (t *token) session(age int) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed
	}
	if t.age != age {
		t.idle = nil // ended with the library of before
		t.drop()
		t.age = age
	}
	if !t.open {
		var err error
		if t.slot, err = t.module.slot(&t.opts); err != nil {
			return nil, err
		}
		t.open = true
	}
	if n := len(t.idle); n > 0 {
		h := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return &session{t.module, t, h, t.slot, t.era}, nil
	}
	h, err := t.module.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	if err := t.login(h); err != nil {
		_ = t.module.CloseSession(h)
		return nil, err
	}
	t.sessions++
	return &session{t.module, t, h, t.slot, t.era}, nil
}

// login logs the user in, which holds for all sessions of the process; the caller holds mu. A PIN that the token has refused
// is not tried again: tokens lock themselves after a few wrong ones.
func (t *token) login(h p11.SessionHandle) error {
	if info, err := t.module.GetSessionInfo(h); err == nil && info.State != p11.CKS_RO_PUBLIC_SESSION {
		return nil
	}
	pin, err := t.opts.PIN()
	if err != nil {
		return fmt.Errorf("%w: PIN: %w", kms.ErrAccessDenied, err)
	}
	defer clear(pin)
	print := sha256.Sum256(pin)
	if t.reason != nil && t.refused == print {
		return fmt.Errorf("log in: not tried again until the PIN changes: %w", t.reason)
	}
	err = t.module.Login(h, p11.CKU_USER, string(pin))
	switch {
	case err == nil || errors.Is(err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)):
		t.reason = nil
		return nil
	case is(err, denied):
		t.refused, t.reason = print, err
	}
	return fmt.Errorf("log in: %w", err)
}

// giveBack keeps a session for the next caller, or closes it where its state is unknown.
func (t *token) giveBack(s *session, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var answer p11.Error
	if s.era == t.era && !t.closed && (err == nil || !errors.As(err, &answer)) {
		t.idle = append(t.idle, s.handle)
		return
	}
	_ = t.module.CloseSession(s.handle)
	if s.era != t.era {
		return
	}
	if t.sessions--; t.sessions == 0 { // with the last session the login ends, and the meaning of handles
		t.keys = map[string]p11.ObjectHandle{}
	}
}

// forget drops everything that was opened together with s, unless another caller has done so already; s is nil where not
// even a session was to be had.
func (t *token) forget(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == nil || s.era == t.era {
		t.drop()
	}
}

// drop closes the idle sessions and forgets what is known of the token; the caller holds mu.
func (t *token) drop() {
	for _, h := range t.idle {
		_ = t.module.CloseSession(h)
	}
	t.era++
	t.sessions = 0
	t.idle, t.keys, t.wraps, t.open = nil, map[string]p11.ObjectHandle{}, 0, false
}

// lastWait is how long close waits for calls that are under way.
const lastWait = 5 * time.Second

// close waits for the sessions in use and unloads the library. A library in which a call hangs stays loaded.
func (t *token) close() {
	t.mu.Lock()
	before := t.closed
	t.closed = true
	t.mu.Unlock()
	if before {
		return
	}
	expired := time.NewTimer(lastWait)
	defer expired.Stop()
	for range cap(t.room) {
		select {
		case t.room <- struct{}{}:
			defer func() { <-t.room }() // for callers to be told that it is closed
		case <-expired.C:
			return
		}
	}
	t.module.mu.RLock()
	t.mu.Lock()
	if t.age == t.module.age {
		t.drop()
	}
	t.mu.Unlock()
	t.module.mu.RUnlock()
	t.module.unload()
}

// key finds a key of the token by its name, which must be one of AES-256.
func (s *session) key(name string) (p11.ObjectHandle, error) {
	t := s.t
	t.mu.Lock()
	h, known := t.keys[name]
	t.mu.Unlock()
	if known {
		return h, nil
	}
	label, id := parseKeyName(name)
	want := []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_TOKEN, true)}
	if label != "" {
		want = append(want, p11.NewAttribute(p11.CKA_LABEL, label))
	}
	if id != nil {
		want = append(want, p11.NewAttribute(p11.CKA_ID, id))
	}
	if err := s.FindObjectsInit(s.handle, want); err != nil {
		return 0, fmt.Errorf("find key %q: %w", name, err)
	}
	found, _, err := s.FindObjects(s.handle, 2)
	if err = errors.Join(err, s.FindObjectsFinal(s.handle)); err != nil {
		return 0, fmt.Errorf("find key %q: %w", name, err)
	}
	switch len(found) {
	case 0:
		if info, err := s.GetSessionInfo(s.handle); err == nil && info.State == p11.CKS_RO_PUBLIC_SESSION {
			return 0, p11.Error(p11.CKR_USER_NOT_LOGGED_IN) // somebody has logged the process out, which hides keys
		}
		return 0, fmt.Errorf("%w: pkcs11: the token has no secret key %q", kms.ErrKeyNotFound, name)
	case 1:
	default:
		return 0, fmt.Errorf("%w: pkcs11: the token has several secret keys %q; name one by label and id", kms.ErrKeyNotFound, name)
	}
	attrs, err := s.GetAttributeValue(s.handle, found[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_KEY_TYPE, nil), p11.NewAttribute(p11.CKA_VALUE_LEN, nil)})
	if err != nil {
		return 0, fmt.Errorf("look at key %q: %w", name, err)
	}
	if kind, n := number(attrs[0].Value), number(attrs[1].Value); kind != p11.CKK_AES || n != keyLen {
		return 0, fmt.Errorf("%w: pkcs11: %q is no AES key of 256 bits (key type %d, %d bytes)", kms.ErrKeyNotFound, name, kind, n)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.era == t.era {
		t.keys[name] = found[0]
	}
	return found[0], nil
}
