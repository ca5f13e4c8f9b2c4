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
