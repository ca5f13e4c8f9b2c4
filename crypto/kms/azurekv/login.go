package azurekv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/singleflight"

	"s3veil/crypto/kms"
)

// Secret is a client secret. It does not print itself.
type Secret string

// String returns a placeholder.
func (Secret) String() string { return "[secret]" }

// GoString returns a placeholder.
func (Secret) GoString() string { return "[secret]" }

// Identity says who asks. The first that is given counts: Secret, TokenFile, Environment; else the machine's managed identity,
// of ClientID where there are several.
type Identity struct {
	Tenant, ClientID string
	Secret           Secret // of an application
	TokenFile        string // token of a service account that the application trusts (workload identity), read at every login
	Environment      bool   // AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, as azidentity reads them

	authority string                 // URL in place of that of AZURE_AUTHORITY_HOST
	client    *http.Client           // for logins
	source    azcore.TokenCredential // in place of all others
}

const (
	loginTimeout = 10 * time.Second
	// renewBefore is how long before its end a token is replaced.
	renewBefore = 5 * time.Minute
	// loginAgain is the least age of a token that a refusal (401) replaces.
	loginAgain = 10 * time.Second
)

// login obtains access tokens, once for all callers, and keeps them until shortly before they end.
type login struct {
	identity Identity
	http     *http.Client
	flight   singleflight.Group

	mu      sync.Mutex
	source  azcore.TokenCredential // nil: to be made
	current *grant
}

// grant is an access token in use.
type grant struct {
	token azcore.AccessToken
	got   time.Time
}

func newLogin(id Identity) (*login, error) {
	if id.Secret != "" && (id.Tenant == "" || id.ClientID == "") {
		return nil, errors.New("azurekv: a client secret needs tenant and client id")
	}
	client := id.client
	if client == nil {
		client = &http.Client{Transport: transport(nil)}
	}
	return &login{identity: id, http: client}, nil
}

func (l *login) close() { l.http.CloseIdleConnections() }

// get returns a valid token. The errors are those of a provider.
func (l *login) get(ctx context.Context, scope string) (*grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	g := l.current
	l.mu.Unlock()
	if g != nil && time.Until(g.token.ExpiresOn) > renewBefore {
		return g, nil
	}
	done := l.flight.DoChan(scope, func() (any, error) { return l.obtain(scope) }) // does not end with a caller that leaves
	select {
	case r := <-done:
		switch {
		case r.Err == nil:
			return r.Val.(*grant), nil
		case g != nil && time.Until(g.token.ExpiresOn) > 0:
			return g, nil // it is still good, and the next call tries again
		}
		return nil, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *login) obtain(scope string) (*grant, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	defer cancel()
	l.mu.Lock()
	source := l.source
	l.mu.Unlock()
	if source == nil {
		var err error
		if source, err = l.credential(); err != nil {
			return nil, fmt.Errorf("%w: credentials: %w", kms.ErrAccessDenied, err)
		}
	}
	token, err := source.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return nil, fmt.Errorf("%w: access token: %w", tokenClass(err), err)
	}
	g := &grant{token, time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source, l.current = source, g
	return g, nil
}

// credential makes the source of tokens that the identity asks for.
func (l *login) credential() (azcore.TokenCredential, error) {
	id := l.identity
	if id.source != nil {
		return id.source, nil
	}
	options := policy.ClientOptions{Transport: l.http, Retry: policy.RetryOptions{MaxRetries: -1}} // keycache tries again
	if id.authority != "" {
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: id.authority}
	}
	own := id.authority != ""
	switch {
	case id.Secret != "":
		return azidentity.NewClientSecretCredential(id.Tenant, id.ClientID, string(id.Secret),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	case id.TokenFile != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: options,
			ClientID: id.ClientID, TenantID: id.Tenant, TokenFilePath: id.TokenFile, DisableInstanceDiscovery: own})
	case id.Environment:
		return azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if id.ClientID != "" {
		managed.ID = azidentity.ClientID(id.ClientID)
	}
	return azidentity.NewManagedIdentityCredential(managed)
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
	l.source, l.current = nil, nil // azidentity would give the same token again
	return true
}

// tokenClass is the class of a failure to obtain a token. What is not a refusal may pass.
func tokenClass(err error) error {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return kms.ErrUnavailable
	}
	switch code := failed.RawResponse.StatusCode; {
	case code == http.StatusTooManyRequests:
		return kms.ErrThrottled
	case code >= 400 && code < 500 && code != http.StatusRequestTimeout:
		return kms.ErrAccessDenied
	}
	return kms.ErrUnavailable
}
