package gcpkms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/sync/singleflight"

	"s3veil/crypto/kms"
)

// scope allows all of Cloud KMS that IAM allows, and nothing else.
const scope = "https://www.googleapis.com/auth/cloudkms"

const (
	tokenTimeout = 10 * time.Second
	maxFile      = 64 << 10
	// loginAgain is the least age of a token that a refusal (401) replaces.
	loginAgain = 10 * time.Second
)

// login obtains access tokens, once for all callers, and keeps them until shortly before they end.
type login struct {
	file   string // empty for the application default credentials
	flight singleflight.Group

	mu      sync.Mutex
	source  oauth2.TokenSource // nil: to be found
	quota   string             // project that calls are charged to
	current *grant
}

// grant is an access token in use.
type grant struct {
	token *oauth2.Token
	quota string
	got   time.Time
}

func newLogin(file string) *login { return &login{file: file} }

// apply signs a request.
func (g *grant) apply(r *http.Request) {
	g.token.SetAuthHeader(r)
	if g.quota != "" {
		r.Header.Set("X-Goog-User-Project", g.quota)
	}
}

// get returns a valid token. The errors are those of a provider.
func (l *login) get(ctx context.Context) (*grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	g := l.current
	l.mu.Unlock()
	if g != nil && g.token.Valid() {
		return g, nil
	}
	done := l.flight.DoChan("", func() (any, error) { return l.obtain() }) // does not end with a caller that leaves
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*grant), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *login) obtain() (*grant, error) {
	l.mu.Lock()
	source, quota := l.source, l.quota
	l.mu.Unlock()
	if source == nil {
		var err error
		if source, quota, err = l.find(); err != nil {
			return nil, fmt.Errorf("%w: credentials: %w", kms.ErrAccessDenied, err)
		}
	}
	token, err := source.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: access token: %w", tokenClass(err), err)
	}
	g := &grant{token, quota, time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source, l.quota, l.current = source, quota, g
	return g, nil
}

// find reads the credentials: the file, or the application default credentials (GOOGLE_APPLICATION_CREDENTIALS, the file of
// gcloud, the metadata server of Google Cloud).
func (l *login) find() (oauth2.TokenSource, string, error) {
	// The client of tokens ends by itself, since a token source knows no context of its callers.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: transport(nil), Timeout: tokenTimeout})
	var c *google.Credentials
	var err error
	if l.file == "" {
		c, err = google.FindDefaultCredentials(ctx, scope)
	} else {
		c, err = fromFile(ctx, l.file)
	}
	if err != nil {
		return nil, "", err
	}
	var more struct {
		Quota string `json:"quota_project_id"`
	}
	_ = json.Unmarshal(c.JSON, &more) // empty on Google Cloud
	return c.TokenSource, more.Quota, nil
}

// fromFile takes every kind of credentials: the operator names the file, as with GOOGLE_APPLICATION_CREDENTIALS. A file with
// a secret in it must be this process's alone; one of workload identity federation has none and may be a ConfigMap.
func fromFile(ctx context.Context, file string) (*google.Credentials, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	var kind struct {
		Type google.CredentialsType `json:"type"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, fmt.Errorf("%s is not JSON", file)
	}
	if kind.Type != google.ExternalAccount {
		secret, err := kms.ReadSecretFile(file, maxFile)
		clear(secret)
		if err != nil {
			return nil, err
		}
	}
	return google.CredentialsFromJSONWithType(ctx, bytes.Clone(b), kind.Type, scope)
}

// refused is told that the API refused a token. It reports whether another try with get is worth it.
func (l *login) refused(g *grant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != g {
		return true
	}
	if time.Since(g.got) < loginAgain {
		return false
	}
	l.source, l.current = nil, nil // the credentials are read anew as well
	return true
}

// tokenClass is the class of a failure to obtain a token. What is not a refusal may pass.
func tokenClass(err error) error {
	code := 0
	var r *oauth2.RetrieveError
	var m *metadata.Error
	switch {
	case errors.As(err, &r) && r.Response != nil:
		code = r.Response.StatusCode
	case errors.As(err, &m):
		code = m.Code
	}
	switch {
	case code == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case code >= 400 && code < 500 && code != http.StatusRequestTimeout:
		return kms.ErrAccessDenied
	}
	return kms.ErrUnavailable
}
