package transit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"s3veil/crypto/kms"
)

// maxAnswer bounds what is read of an answer; the longest that counts holds a data key and its blob.
const maxAnswer = 64 << 10

// client speaks the HTTP API of one server.
type client struct {
	base      string // address without a slash at its end
	namespace string
	http      *http.Client
}

// transport ignores HTTP_PROXY and HTTPS_PROXY, which may name s3veil itself.
func transport(cfg *tls.Config) http.RoundTripper {
	return &http.Transport{
		TLSClientConfig:     cfg.Clone(),
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
	}
}

// redirect follows a standby node to the active one, but never to http beyond this machine: the token goes along.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) > 1 {
		return errors.New("more than one redirect")
	}
	if req.URL.Scheme != "https" && (via[0].URL.Scheme == "https" || !loopback(req.URL.Hostname())) {
		return errors.New("redirected to http")
	}
	return nil
}

// rawText is text that stands in JSON as it is; it has nothing to be escaped.
type rawText []byte

// MarshalJSON puts quotes around the text.
func (t rawText) MarshalJSON() ([]byte, error) {
	return append(append(append(make([]byte, 0, len(t)+2), '"'), t...), '"'), nil
}

// answer is where the parts of an answer go that the caller wants: pointers, or nil.
type answer struct {
	Data any `json:"data"`
	Auth any `json:"auth"`
}

// do sends a request and decodes its answer into out. A refusal is an *answerError; a server that cannot be
// reached or understood is kms.ErrUnavailable.
func (c *client) do(ctx context.Context, method, path string, token Secret, body map[string]any, out answer) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/v1/"+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Request", "true") // agents and proxies of Vault can demand it
	if token != "" {
		req.Header.Set("X-Vault-Token", string(token))
	}
	if c.namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.namespace)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	defer clear(text)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
	}
	if resp.StatusCode != http.StatusOK {
		return newAnswerError(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return fmt.Errorf("%w: the answer is not what the API promises: %w", kms.ErrUnavailable, err)
	}
	return nil
}
