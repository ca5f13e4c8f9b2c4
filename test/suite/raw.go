package suite

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

func reader(b []byte) io.ReadSeeker { return bytes.NewReader(b) }

// noRetry makes an SDK call show the first answer.
func noRetry(o *s3.Options) { o.RetryMaxAttempts = 1 }

// noRefusalLost is noRetry for requests that are refused while their body is on its way. s3veil's refusal must arrive; a
// bare store may close its connection with the body unread, which loses its answer in some runs.
func (e *Env) noRefusalLost(o *s3.Options) {
	if e.Target.Encrypted {
		noRetry(o)
	}
}

// rawRequest is a request signed by hand, for what an SDK cannot send.
type rawRequest struct {
	method, path, query string
	header              map[string]string
	body                []byte
	hash                string // x-amz-content-sha256; the body's when empty
	secret              string
	accessKey           string
	at                  time.Time
	frame               func(signature string) []byte // makes the body when the request has been signed, as long as body is
	chunked             bool                          // in chunks of HTTP, without a length
}

func (e *Env) request(method, path string, body []byte) *rawRequest {
	return &rawRequest{method: method, path: path, body: body, header: map[string]string{}, at: time.Now(),
		accessKey: e.Target.AccessKey, secret: e.Target.SecretKey}
}

// rawAnswer is the answer to a rawRequest.
type rawAnswer struct {
	status int
	header http.Header
	body   []byte
	code   string // of an S3 error body
}

// do signs and sends r. path is sent as it stands: it must be percent-encoded already.
func (e *Env) do(r *rawRequest) rawAnswer {
	e.Helper()
	endpoint, err := url.Parse(e.Target.Endpoint())
	e.Ok(err)
	req, err := http.NewRequestWithContext(e.Ctx, r.method, endpoint.String(), bytes.NewReader(r.body))
	e.Ok(err)
	req.URL = &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Opaque: "//" + endpoint.Host + r.path, RawQuery: r.query}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if r.chunked {
		req.ContentLength = -1
	}
	hash := r.hash
	if hash == "" {
		sum := sha256.Sum256(r.body)
		hash = hex.EncodeToString(sum[:])
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	cred := aws.Credentials{AccessKeyID: r.accessKey, SecretAccessKey: r.secret}
	e.Ok(v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(e.Ctx, cred, req, hash, "s3", servers.Region, r.at))
	if r.frame != nil {
		_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
		req.Body = io.NopCloser(bytes.NewReader(r.frame(signature)))
		req.GetBody = nil
	}
	return e.send(req)
}

func (e *Env) send(req *http.Request) rawAnswer {
	e.Helper()
	client := e.Target.HTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	e.Ok(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	e.Ok(err)
	a := rawAnswer{status: resp.StatusCode, header: resp.Header, body: b}
	if strings.Contains(string(b), "<Error>") {
		var x struct{ Code string }
		if xml.Unmarshal(b, &x) == nil {
			a.code = x.Code
		}
	}
	return a
}

// refused sends r and checks status and code of the answer.
func (e *Env) refused(r *rawRequest, status int, code string) {
	e.Helper()
	a := e.do(r)
	if a.status != status || a.code != code {
		e.Errorf("%s %s: %d %s, want %d %s", r.method, r.path, a.status, a.code, status, code)
	}
}
