package options

import (
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// TestSuiteWithEverythingHidden: what any S3 client may expect holds where lengths and metadata are hidden from the store, answers
// are verified whole and listings are exact.
func TestSuiteWithEverythingHidden(t *testing.T) {
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(config map[string]any) {
		config["buckets"] = []any{map[string]any{"name": "*", "padding": true, "verify": "full", "listing": "exact",
			"metadata": map[string]any{"sealed": true}}}
	}})
	suite.Run(t, &cluster.Target, map[string]string{
		"Keys_behave_as_at_the_bare_store": "this store cleans names: what it lists under a cleaned one does not open there, and padding hides its length",
	})
}
