package main

import (
	"path/filepath"
	"strings"
	"testing"

	"s3veil/crypto/kms/azurekv"
)

// TestWhoAsksAzure follows the order of docs/KMS.md: a secret, a service account's token, the environment's secret or
// certificate, the managed identity.
func TestWhoAsksAzure(t *testing.T) {
	for name, c := range map[string]struct {
		key  AzureKey
		env  map[string]string
		want azurekv.Identity
	}{
		"nothing: the machine":  {want: azurekv.Identity{}},
		"one identity of many":  {key: AzureKey{ClientID: "c"}, want: azurekv.Identity{ClientID: "c"}},
		"its id by environment": {env: map[string]string{"AZURE_CLIENT_ID": "c"}, want: azurekv.Identity{ClientID: "c"}},
		"secret": {key: AzureKey{TenantID: "t", ClientID: "c", ClientSecret: "s"}, env: map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "f", "AZURE_CLIENT_SECRET": "x"},
			want: azurekv.Identity{Tenant: "t", ClientID: "c", Secret: "s"}},
		"token file":        {key: AzureKey{FederatedTokenFile: "mine"}, env: map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "f"}, want: azurekv.Identity{TokenFile: "mine"}},
		"workload identity": {env: map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "f", "AZURE_CLIENT_ID": "c"}, want: azurekv.Identity{TokenFile: "f"}},
		"certificate":       {env: map[string]string{"AZURE_CLIENT_CERTIFICATE_PATH": "p", "AZURE_CLIENT_ID": "c"}, want: azurekv.Identity{Environment: true}},
	} {
		for _, variable := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_ID"} {
			t.Setenv(variable, c.env[variable])
		}
		k := KMSKey{AzureKV: c.key}
		if got := k.azureOptions().Identity; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestKeysWrapNeedsAKeyThatTakesIt(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), "kms:\n  keys:\n    - {id: main, provider: local, file: keys.json}\n"+
		"    - {id: hsm, provider: azurekv, key: \"https://h.managedhsm.azure.net/keys/k\"}\n    - {id: bad, provider: azurekv, wrapped_key_file: w.json, key: x}\n")
	for id, want := range map[string]string{"main": "not one of the provider azurekv", "hsm": "with wrapped_key_file", "none": "no key \"none\"", "bad": "is not https://VAULT"} {
		code, _, errs := s3veil(nil, "keys", "wrap", "--config", file, "--id", id)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %q, want %q", id, code, errs, want)
		}
	}
	if code, _, errs := s3veil(nil, "keys", "wrap", "--config", file); code != exitUsage || !strings.Contains(errs, "--id") {
		t.Errorf("without --id: exit code %d, %q", code, errs)
	}
}
