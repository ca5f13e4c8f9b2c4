package transit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"s3veil/crypto/kms"
)

// token is a token in use. Its life changes under the session's mu; the rest never does.
type token struct {
	value Secret
	got   time.Time
	first time.Duration // lease at login
	life  life
}

// life is what a login, a look-up or a renewal says about a token.
type life struct {
	lease     time.Duration // 0: it never ends, or nobody has asked yet
	ends      time.Time
	renewable bool
}

func (g grant) life() life {
	lease := time.Duration(g.Lease) * time.Second
	return life{lease, time.Now().Add(lease), g.Renewable}
}

// The times of a session.
const (
	loginTimeout = 10 * time.Second
	// loginAgain is the least age of a token that a refusal (403) replaces by a new login: a younger one is not invalid, it
	// lacks a right. So a policy that refuses causes six logins a minute and not one per call.
	loginAgain = 10 * time.Second
	// leastPause bounds how often a token is looked after.
	leastPause = time.Second
	lastPause  = time.Minute // after a renewal that failed for want of the server
)

// session holds the token of a provider: it logs in once for all callers, renews in time and logs in again when a token ends
// or is refused.
type session struct {
	client     *client
	src        source
	loginAgain time.Duration

	mu      sync.Mutex
	current *token
	flight  *flight // a login under way
	timer   *time.Timer
	closed  bool
}

type flight struct {
	done  chan struct{}
	token *token
	err   error
}

func newSession(c *client, src source) *session {
	return &session{client: c, src: src, loginAgain: loginAgain}
}

// get returns a token that was valid a moment ago.
func (s *session) get(ctx context.Context) (*token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.src.fixed != nil {
		return s.given()
	}
	s.mu.Lock()
	if t := s.current; t != nil && (t.life.lease == 0 || time.Now().Before(t.life.ends)) {
		s.mu.Unlock()
		return t, nil
	}
	f := s.join()
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// given returns the token that stands in the options or in a file at present.
func (s *session) given() (*token, error) {
	value, err := s.src.fixed()
	if err != nil {
		return nil, fmt.Errorf("%w: token: %w", kms.ErrAccessDenied, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.value != value {
		s.current = &token{value: value, got: time.Now()}
		s.schedule(0) // asks how long it lives
	}
	return s.current, nil
}

// join starts a login or finds the one under way; the caller holds mu. The login does not end with a caller that leaves.
func (s *session) join() *flight {
	if s.flight != nil {
		return s.flight
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
		defer cancel()
		f.token, f.err = s.obtain(ctx)
		if f.err != nil && ctx.Err() != nil {
			f.err = fmt.Errorf("%w: login: %w", kms.ErrUnavailable, f.err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		if f.err == nil {
			s.current = f.token
			s.schedule(pause(f.token.life))
		} else if s.current != nil && time.Now().Before(s.current.life.ends) {
			s.schedule(retry(s.current.life)) // it still serves
		}
		close(f.done)
	}()
	return f
}

// refused is told that the server refused t. It reports whether another try with get is worth it.
func (s *session) refused(t *token) bool {
	if s.src.fixed != nil {
		now, err := s.given()
		return err == nil && now != t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != t {
		return true // somebody has logged in meanwhile
	}
	if time.Since(t.got) < s.loginAgain {
		return false
	}
	s.current = nil
	return true
}

// pause is the time until a token is looked after: two thirds of its life. 0 stands for never.
func pause(l life) time.Duration {
	if l.lease == 0 {
		return 0
	}
	return max(l.lease*2/3, leastPause)
}

// retry is the time until a renewal that failed is tried again.
func retry(l life) time.Duration {
	return min(max(time.Until(l.ends)/3, leastPause), lastPause)
}

// schedule sets the time of the next look after the current token; the caller holds mu.
func (s *session) schedule(after time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.closed || after == 0 && s.src.fixed == nil {
		return
	}
	s.timer = time.AfterFunc(after, s.maintain)
}

// maintain keeps the current token alive, by renewal or, where that is not possible, by a new login.
func (s *session) maintain() {
	s.mu.Lock()
	if s.closed || s.current == nil {
		s.mu.Unlock()
		return
	}
	t, now := s.current, s.current.life
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	defer cancel()
	var err error
	switch {
	case now.lease == 0:
		now, err = s.lookup(ctx, t.value)
	case now.renewable:
		now, err = s.renew(ctx, t.value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != t {
		return // replaced meanwhile, with a time of its own
	}
	if err == nil {
		t.life = now
	}
	switch {
	case s.src.login != nil && (err != nil || !now.renewable || now.lease < t.first/3):
		// Not renewable, or the end of its longest life is near. The old token serves until the new one is there.
		s.join()
	case err != nil && !refused(err):
		s.schedule(retry(t.life))
	case err == nil && now.lease > 0 && now.renewable:
		s.schedule(pause(now))
	}
}

// close ends the care for the token.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
