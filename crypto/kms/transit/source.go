package transit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"s3veil/crypto/kms"
)

// source is where tokens come from: exactly one of its functions is set.
type source struct {
	fixed func() (Secret, error) // a token that somebody else has made
	login func() (path string, body map[string]any, err error)
}

// serviceAccountToken is where Kubernetes mounts the token of a pod's service account.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func (o *Options) source() (source, error) {
	var found []source
	if token := o.Token; token != "" {
		found = append(found, source{fixed: func() (Secret, error) { return token, nil }})
	}
	if file := o.TokenFile; file != "" {
		found = append(found, source{fixed: func() (Secret, error) { return readSecret(file) }})
	}
	if a := o.AppRole; a != (AppRole{}) {
		a.Mount = cmp.Or(a.Mount, "approle")
		if a.RoleID == "" || a.SecretID != "" && a.SecretIDFile != "" {
			return source{}, errors.New("transit: AppRole needs a role id and at most one of secret id and its file")
		}
		if !mountPath.MatchString(a.Mount) {
			return source{}, fmt.Errorf("transit: %q is not the path of a method", a.Mount)
		}
		found = append(found, source{login: a.login})
	}
	if k := o.Kubernetes; k != (Kubernetes{}) {
		k.Mount, k.TokenFile = cmp.Or(k.Mount, "kubernetes"), cmp.Or(k.TokenFile, serviceAccountToken)
		if k.Role == "" {
			return source{}, errors.New("transit: Kubernetes needs a role")
		}
		if !mountPath.MatchString(k.Mount) {
			return source{}, fmt.Errorf("transit: %q is not the path of a method", k.Mount)
		}
		found = append(found, source{login: k.login})
	}
	if len(found) != 1 {
		return source{}, errors.New("transit: exactly one of a token, a token file, AppRole and Kubernetes is needed")
	}
	return found[0], nil
}

func (a AppRole) login() (string, map[string]any, error) {
	body := map[string]any{"role_id": a.RoleID}
	secret := a.SecretID
	if a.SecretIDFile != "" {
		var err error
		if secret, err = readSecret(a.SecretIDFile); err != nil {
			return "", nil, err
		}
	}
	if secret != "" {
		body["secret_id"] = string(secret)
	}
	return "auth/" + a.Mount + "/login", body, nil
}

func (k Kubernetes) login() (string, map[string]any, error) {
	// Kubernetes decides on owner and mode of this file, and mounts it for all to read where the pod names no user.
	b, err := os.ReadFile(k.TokenFile)
	if err != nil {
		return "", nil, err
	}
	defer clear(b)
	jwt := bytes.TrimSpace(b)
	if len(jwt) == 0 || len(jwt) > maxSecret {
		return "", nil, errors.New("the service account's token is empty or too long")
	}
	return "auth/" + k.Mount + "/login", map[string]any{"role": k.Role, "jwt": string(jwt)}, nil
}

// grant is the part of an answer that gives a token; a lease of 0 never ends.
type grant struct {
	Token     string `json:"client_token"`
	Lease     int64  `json:"lease_duration"` // seconds
	Renewable bool   `json:"renewable"`
}

// obtain logs in.
func (s *session) obtain(ctx context.Context) (*token, error) {
	path, body, err := s.src.login()
	if err != nil {
		return nil, fmt.Errorf("%w: login: %w", kms.ErrAccessDenied, err)
	}
	var g grant
	if err := s.client.do(ctx, http.MethodPost, path, "", body, answer{Auth: &g}); err != nil {
		return nil, ofLogin(path, err)
	}
	if g.Token == "" {
		return nil, fmt.Errorf("login at %s: %w: no token in the answer", path, kms.ErrUnavailable)
	}
	l := g.life()
	return &token{value: Secret(g.Token), got: time.Now(), first: l.lease, life: l}, nil
}

// lookup asks for the life of a token that somebody else has made.
func (s *session) lookup(ctx context.Context, token Secret) (life, error) {
	var out struct {
		TTL       int64 `json:"ttl"`
		Renewable bool  `json:"renewable"`
	}
	err := s.client.do(ctx, http.MethodGet, "auth/token/lookup-self", token, nil, answer{Data: &out})
	return grant{Lease: out.TTL, Renewable: out.Renewable}.life(), err
}

// renew prolongs the life of a token.
func (s *session) renew(ctx context.Context, token Secret) (life, error) {
	var g grant
	err := s.client.do(ctx, http.MethodPost, "auth/token/renew-self", token, map[string]any{}, answer{Auth: &g})
	return g.life(), err
}
