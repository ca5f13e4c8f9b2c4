package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"s3veil/keycache"
)

// TestProvidersSurviveAReload reloads a configuration of keys in Vault and Google Cloud: sessions and what is known about
// keys must not be lost for nothing.
func TestProvidersSurviveAReload(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	var old *kept
	reload := func(file string) map[string]keycache.KEK {
		t.Helper()
		l := load(sources{File: filepath.Join(dir, file)})
		validate(l)
		w := wire(context.Background(), l, old, slog.New(slog.DiscardHandler))
		if err := l.bad.err(); err != nil {
			t.Fatal(err)
		}
		old = w.kept
		keks := map[string]keycache.KEK{}
		for _, k := range w.settings.KEKs {
			keks[k.KID] = k
		}
		return keks
	}
	for _, file := range []string{"good-kms-transit.yaml", "good-kms-gcpkms.yaml"} {
		before := reload(file)
		after := reload(file)
		for kid, k := range before {
			if after[kid].Provider != k.Provider {
				t.Errorf("%s: %s has a new provider for nothing", file, kid)
			}
		}
		if k := before["b"]; k.Name != "s3veil" && k.Name != "projects/p/locations/global/keyRings/r/cryptoKeys/l" {
			t.Errorf("%s: b is called %q", file, k.Name)
		}
		ca := filepath.Join(dir, "server.pem")
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(ca, append([]byte("# renewed\n"), pem...), 0o600); err != nil {
			t.Fatal(err)
		}
		renewed := reload(file)
		if renewed["b"].Provider == before["b"].Provider {
			t.Errorf("%s: new authorities do not count", file)
		}
		if renewed["a"].Provider != before["a"].Provider {
			t.Errorf("%s: another key's authorities gave a new provider", file)
		}
	}
}

// TestVaultTokenOfTheEnvironment: without a login of its own a key of Vault uses what the vault program would use.
func TestVaultTokenOfTheEnvironment(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("BAO_TOKEN", "")
	k := &KMSKey{Key: "s3veil", Transit: TransitKey{Address: "https://vault:8200", Mount: "transit"}}
	if o := k.transitOptions(); o.Token != "" || filepath.Base(o.TokenFile) != ".vault-token" {
		t.Errorf("token file %q", o.TokenFile)
	}
	t.Setenv("BAO_TOKEN", "bao")
	if o := k.transitOptions(); o.Token != "bao" || o.TokenFile != "" {
		t.Error("BAO_TOKEN does not count")
	}
	t.Setenv("VAULT_TOKEN", "vault")
	if o := k.transitOptions(); o.Token != "vault" {
		t.Error("VAULT_TOKEN does not count")
	}
	k.Transit.AppRole.RoleID = "r"
	if o := k.transitOptions(); o.Token != "" || o.TokenFile != "" {
		t.Error("the environment counts beside a login of the configuration")
	}
}
