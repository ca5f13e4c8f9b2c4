package transit

import (
	"net/http"
	"time"
)

// SetTransport replaces the network, so that tests can run in a bubble of testing/synctest.
func (p *Provider) SetTransport(rt http.RoundTripper) { p.client.http.Transport = rt }

// UsesProxy reports whether a proxy of the environment could come between.
func (p *Provider) UsesProxy() bool { return p.client.http.Transport.(*http.Transport).Proxy != nil }

// SetLoginAgain sets the least age of a token that a refusal replaces.
func (p *Provider) SetLoginAgain(d time.Duration) { p.session.loginAgain = d }

// ParseBlob is parseBlob.
var ParseBlob = parseBlob
