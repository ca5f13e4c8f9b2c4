package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/transit"
)

// TransitKey holds the keys of the provider `transit`: Vault and OpenBao.
type TransitKey struct {
	// URL of the server, https (http on the loopback interface alone).
	Address string `yaml:"address"`
	// Path of the engine.
	Mount string `yaml:"mount" default:"transit"`
	// Namespace of Vault Enterprise or OpenBao.
	Namespace string `yaml:"namespace"`
	// A token, renewed as long as the server allows. Without any of `token`, `token_file`, `approle` and
	// `kubernetes`: VAULT_TOKEN or BAO_TOKEN of the environment, else the file ~/.vault-token.
	Token Secret `yaml:"token"`
	// File with a token that an agent replaces; read anew for every call.
	TokenFile Path `yaml:"token_file"`
	// Login by AppRole.
	AppRole AppRole `yaml:"approle"`
	// Login by the service account of the pod.
	Kubernetes KubernetesLogin `yaml:"kubernetes"`
}

// AppRole is a login by AppRole.
type AppRole struct {
	// Path of the method. Left out: `approle`.
	Mount string `yaml:"mount"`
	// Role id.
	RoleID string `yaml:"role_id"`
	// Secret id.
	SecretID Secret `yaml:"secret_id"`
	// File with the secret id; read at every login.
	SecretIDFile Path `yaml:"secret_id_file"`
}

// KubernetesLogin is a login by a service account of Kubernetes.
type KubernetesLogin struct {
	// Path of the method. Left out: `kubernetes`.
	Mount string `yaml:"mount"`
	// Role at the server.
	Role string `yaml:"role"`
	// File with the token of the service account; read at every login. Left out: where Kubernetes mounts it.
	TokenFile Path `yaml:"token_file"`
}

func (k *KMSKey) transitOptions() transit.Options {
	t := &k.Transit
	o := transit.Options{Address: t.Address, Namespace: t.Namespace, Mount: t.Mount, Key: k.Key,
		Token: transit.Secret(t.Token.reveal()), TokenFile: string(t.TokenFile),
		AppRole: transit.AppRole{Mount: t.AppRole.Mount, RoleID: t.AppRole.RoleID, SecretID: transit.Secret(t.AppRole.SecretID.reveal()),
			SecretIDFile: string(t.AppRole.SecretIDFile)},
		Kubernetes: transit.Kubernetes{Mount: t.Kubernetes.Mount, Role: t.Kubernetes.Role, TokenFile: string(t.Kubernetes.TokenFile)}}
	if t.logins() == 0 {
		o.Token = transit.Secret(cmp.Or(os.Getenv("VAULT_TOKEN"), os.Getenv("BAO_TOKEN")))
		if home, err := os.UserHomeDir(); o.Token == "" && err == nil {
			o.TokenFile = filepath.Join(home, ".vault-token") // of `vault login`
		}
	}
	return o
}

// logins counts the ways to log in that are given.
func (t *TransitKey) logins() (n int) {
	for _, given := range []bool{t.Token != "", t.TokenFile != "", t.AppRole != AppRole{}, t.Kubernetes != KubernetesLogin{}} {
		if given {
			n++
		}
	}
	return n
}

func checkTransit(l *loaded, p string, k *KMSKey) {
	switch {
	case k.Transit.Address == "":
		l.wrong(p+".address", "missing")
	case k.Key == "":
		l.wrong(p+".key", "missing")
	case k.Transit.logins() > 1:
		l.wrong(p, "has more than one of token, token_file, approle and kubernetes")
	default:
		if _, err := transit.New(k.transitOptions()); err != nil {
			l.wrong(p, "%s", err)
		}
	}
}

func openTransit(_ context.Context, k *KMSKey, trust *tls.Config, _ *slog.Logger) (kms.Provider, error) {
	o := k.transitOptions()
	o.TLS = trust
	return transit.New(o)
}
