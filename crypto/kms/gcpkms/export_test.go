package gcpkms

import "time"

// Age makes the present access token look older.
func (p *Provider) Age(d time.Duration) {
	p.login.mu.Lock()
	defer p.login.mu.Unlock()
	p.login.current.got = p.login.current.got.Add(-d)
}
