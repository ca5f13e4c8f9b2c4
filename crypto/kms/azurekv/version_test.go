package azurekv

import (
	"strings"
	"testing"
)

// TestAnswersAboutAnotherKey: the id in an answer names the key that was asked for, or it is no answer.
func TestAnswersAboutAnotherKey(t *testing.T) {
	version := strings.Repeat("0a", 16)
	for kid, want := range map[string]bool{
		"https://v.vault.azure.net/keys/main/" + version:       true,
		"https://v.vault.azure.net/keys/MAIN/" + version:       true,
		"https://v.vault.azure.net/keys/other/" + version:      false,
		"https://v.vault.azure.net/secrets/main/" + version:    false,
		"https://v.vault.azure.net/keys/main/" + version[2:]:   false,
		"https://v.vault.azure.net/keys/main":                  false,
		"https://v.vault.azure.net/keys/main/x/" + version:     false,
		"https://v.vault.azure.net/keys/main/" + version + "/": false,
		"%": false,
	} {
		if _, ok := versionOf(kid, "main"); ok != want {
			t.Errorf("%s: %v", kid, ok)
		}
	}
}
