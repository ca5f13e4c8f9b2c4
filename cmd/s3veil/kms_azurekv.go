package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/azurekv"
)

// AzureKey holds the keys of the provider `azurekv`: Azure Key Vault and Managed HSM.
type AzureKey struct {
	// File with the key that an RSA key has wrapped, made by `s3veil keys wrap`. Left out: the key is a
	// symmetric one of a Managed HSM.
	WrappedKeyFile Path `yaml:"wrapped_key_file"`
	// Tenant of the application. Left out: AZURE_TENANT_ID.
	TenantID string `yaml:"tenant_id"`
	// Client id of the application or of a user-assigned managed identity. Left out: AZURE_CLIENT_ID.
	ClientID string `yaml:"client_id"`
	// Secret of the application. Without it and `federated_token_file`, the environment counts (workload
	// identity, AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH), then the managed identity of the machine.
	ClientSecret Secret `yaml:"client_secret"`
	// File with a service account's token that the application trusts (workload identity); read at every
	// login. Left out: AZURE_FEDERATED_TOKEN_FILE.
	FederatedTokenFile Path `yaml:"federated_token_file"`
}

func (k *KMSKey) azureOptions() azurekv.Options {
	a := k.AzureKV
	id := azurekv.Identity{Tenant: a.TenantID, ClientID: a.ClientID, Secret: azurekv.Secret(a.ClientSecret.reveal()), TokenFile: string(a.FederatedTokenFile)}
	if id.Secret == "" && id.TokenFile == "" {
		id.TokenFile = os.Getenv("AZURE_FEDERATED_TOKEN_FILE")
		id.Environment = os.Getenv("AZURE_CLIENT_SECRET") != "" || os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH") != ""
	}
	if id.TokenFile == "" && !id.Environment && id.Secret == "" && id.ClientID == "" {
		id.ClientID = os.Getenv("AZURE_CLIENT_ID") // of a managed identity
	}
	return azurekv.Options{Key: k.Key, File: string(a.WrappedKeyFile), Endpoint: k.Endpoint, Identity: id}
}

func checkAzure(l *loaded, p string, k *KMSKey) {
	switch {
	case k.Key == "":
		l.wrong(p+".key", "missing: https://VAULT.vault.azure.net/keys/NAME or https://HSM.managedhsm.azure.net/keys/NAME")
	case k.AzureKV.ClientSecret != "" && k.AzureKV.FederatedTokenFile != "":
		l.wrong(p+".federated_token_file", "set beside client_secret")
	default:
		if _, err := azurekv.New(k.azureOptions()); err != nil {
			l.wrong(p, "%s", err)
		}
	}
}

func openAzure(_ context.Context, k *KMSKey, trust *tls.Config, _ *slog.Logger) (kms.Provider, error) {
	o := k.azureOptions()
	o.TLS = trust
	return azurekv.New(o)
}

func (p *program) keysWrapCommand() *cobra.Command {
	var config, id string
	c := &cobra.Command{
		Use:   "wrap --config FILE --id ID",
		Short: "Make the wrapped key file of an RSA key in Azure Key Vault",
		Long: `Make the file that wrapped_key_file of a key in the configuration names: a new key, wrapped by the RSA key in Azure
Key Vault. A file that is there already is never replaced.

Without the file nothing can be read under the key. It is no secret, but must not be changed by others. Keep a copy, and bring
it to all replicas.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if config == "" {
				config = p.variable(configVariable)
			}
			file, err := p.wrapKey(c.Context(), config, id)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s: made; keep a copy in a safe place\n", file)
			return nil
		},
	}
	c.Flags().StringVar(&config, "config", "", "configuration file of the proxy (S3VEIL_CONFIG)")
	c.Flags().StringVar(&id, "id", "", "id of the key, as in kms.keys of the configuration")
	return required(c, "id")
}

// wrapKey makes the file of a key. Only this entry of the configuration plays a part: it cannot be right without the file.
func (p *program) wrapKey(ctx context.Context, config, id string) (string, error) {
	l := load(sources{File: config, Env: p.env})
	for i := range l.KMS.Keys {
		k := &l.KMS.Keys[i]
		if k.ID != id {
			continue
		}
		if k.Provider != "azurekv" || k.AzureKV.WrappedKeyFile == "" {
			return "", fmt.Errorf("the key %s is not one of the provider azurekv with wrapped_key_file", id)
		}
		o := k.azureOptions()
		o.TLS, _ = l.trust(index("kms.keys", i), k)
		if err := l.bad.err(); err != nil {
			return "", err
		}
		return o.File, azurekv.MakeFile(ctx, o)
	}
	if err := l.bad.err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("there is no key %q under kms.keys", id)
}
