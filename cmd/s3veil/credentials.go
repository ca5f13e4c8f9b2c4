package main

import (
	"context"
	"fmt"
	"go.yaml.in/yaml/v3"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// staticCredentials are those of the configuration.
type staticCredentials struct{ credential sigv4.Credential }

// Retrieve returns the configured credential.
func (s *staticCredentials) Retrieve(context.Context) (sigv4.Credential, error) {
	return s.credential, nil
}

// Expired has nothing to renew.
func (s *staticCredentials) Expired() {}

// chainCredentials are those of the AWS default chain: environment, shared files, web identity, container, instance
// metadata, and a role on top. They are cached until shortly before they expire.
type chainCredentials struct {
	options []func(*config.LoadOptions) error
	role    string
	now     func() time.Time

	mu      sync.Mutex
	chain   aws.CredentialsProvider // nil: to be built
	renewed time.Time               // when Expired last dropped a chain
}

var (
	_ upstream.Credentials = (*staticCredentials)(nil)
	_ upstream.Credentials = (*chainCredentials)(nil)
)

// renewAtMost bounds how often refusals can make the chain start over: many requests fail at once when a token expires.
const renewAtMost = time.Second

// sessionName is what the log of an assumed role shows.
const sessionName = "s3veil"

// newCredentials returns what a store's requests are signed with. It opens no connection, but reads the shared AWS files.
func newCredentials(ctx context.Context, c *Credentials, region string) (upstream.Credentials, error) {
	if c.AccessKey != "" && c.RoleARN == "" {
		return &staticCredentials{sigv4.Credential{AccessKey: c.AccessKey, Secret: sigv4.Secret(c.SecretKey.reveal()),
			SessionToken: c.SessionToken.reveal()}}, nil
	}
	chain := &chainCredentials{role: c.RoleARN, now: time.Now}
	if c.AccessKey != "" {
		base := credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey.reveal(), c.SessionToken.reveal())
		chain.options = append(chain.options, config.WithCredentialsProvider(base))
	}
	if c.Profile != "" {
		chain.options = append(chain.options, config.WithSharedConfigProfile(c.Profile))
	}
	if region != "auto" { // of the token service; the environment's region would rule otherwise
		chain.options = append(chain.options, config.WithDefaultRegion(region))
	}
	var err error
	chain.chain, err = chain.build(ctx)
	return chain, err
}

// build sets the chain up anew, so that files that have changed are read again.
func (c *chainCredentials) build(ctx context.Context) (aws.CredentialsProvider, error) {
	cfg, err := config.LoadDefaultConfig(ctx, c.options...)
	if err != nil {
		return nil, fmt.Errorf("AWS default chain: %w", err)
	}
	chain := cfg.Credentials
	if c.role != "" {
		chain = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), c.role,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = sessionName })
	}
	return aws.NewCredentialsCache(chain, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = time.Minute
		o.ExpiryWindowJitterFrac = 0.5
	}), nil
}

// Retrieve returns the current credential, renewed where it is about to expire.
func (c *chainCredentials) Retrieve(ctx context.Context) (sigv4.Credential, error) {
	chain, err := c.current(ctx)
	if err != nil {
		return sigv4.Credential{}, err
	}
	v, err := chain.Retrieve(ctx)
	if err != nil {
		return sigv4.Credential{}, fmt.Errorf("AWS default chain: %w", err)
	}
	return sigv4.Credential{AccessKey: v.AccessKeyID, Secret: sigv4.Secret(v.SecretAccessKey), SessionToken: v.SessionToken}, nil
}

func (c *chainCredentials) current(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.chain == nil {
		chain, err := c.build(ctx)
		if err != nil {
			return nil, err
		}
		c.chain = chain
	}
	return c.chain, nil
}

// Expired makes the next Retrieve start over: the store has refused the present credential.
func (c *chainCredentials) Expired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.renewed) >= renewAtMost {
		c.chain, c.renewed = nil, now
	}
}

// readNode takes the word "client" in place of keys: requests go up under the client's own credentials.
func (*Credentials) readNode(l *loader, n *yaml.Node, at position, path string) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	if n.Value != "client" {
		l.fail(at, path, "%q is neither a group of keys nor the word client", n.Value)
		return true
	}
	if l.clientSigns == nil {
		l.clientSigns = map[string]bool{}
	}
	l.clientSigns[path] = true
	return true
}
