package main

import (
	"context"
	"crypto/tls"
	"log/slog"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/transit"
)

// TransitKey holds the keys of the provider `transit`: Vault and OpenBao.
type TransitKey struct {
	// Provider `transit`: URL of the server, https (http on the loopback interface alone).
	Address string `yaml:"address"`
	// Provider `transit`: path of the engine.
	Mount string `yaml:"mount" default:"transit"`
	// Provider `transit`: namespace of Vault Enterprise or OpenBao.
	Namespace string `yaml:"namespace"`
	// Provider `transit`: a token, renewed as long as the server allows. One of `token`, `token_file`, `approle` and
	// `kubernetes` is needed.
	Token Secret `yaml:"token"`
	// Provider `transit`: file with a token that an agent replaces; read anew for every call.
	TokenFile Path `yaml:"token_file"`
	// Provider `transit`: login by AppRole.
	AppRole AppRole `yaml:"approle"`
	// Provider `transit`: login by the service account of the pod.
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
	return transit.Options{
		Address:    k.Transit.Address,
		Namespace:  k.Transit.Namespace,
		Mount:      k.Transit.Mount,
		Key:        k.Key,
		Token:      transit.Secret(k.Transit.Token.reveal()),
		TokenFile:  string(k.Transit.TokenFile),
		AppRole:    transit.AppRole{Mount: k.Transit.AppRole.Mount, RoleID: k.Transit.AppRole.RoleID, SecretID: transit.Secret(k.Transit.AppRole.SecretID.reveal()), SecretIDFile: string(k.Transit.AppRole.SecretIDFile)},
		Kubernetes: transit.Kubernetes{Mount: k.Transit.Kubernetes.Mount, Role: k.Transit.Kubernetes.Role, TokenFile: string(k.Transit.Kubernetes.TokenFile)},
	}
}

func checkTransit(l *loaded, p string, k *KMSKey) {
	logins := 0
	for _, given := range []bool{k.Transit.Token != "", k.Transit.TokenFile != "", k.Transit.AppRole != AppRole{}, k.Transit.Kubernetes != KubernetesLogin{}} {
		if given {
			logins++
		}
	}
	switch {
	case k.Transit.Address == "":
		l.wrong(p+".address", "missing")
	case k.Key == "":
		l.wrong(p+".key", "missing")
	case logins != 1:
		l.wrong(p, "needs exactly one of token, token_file, approle and kubernetes")
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
