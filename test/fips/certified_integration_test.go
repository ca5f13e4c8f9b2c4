//go:build integration

package fips

import (
	"strings"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// TestCertifiedBuild builds with the validated module, as `make fips` does. FIPS mode is on by itself. It compiles the standard
// library anew, hence the build tag.
func TestCertifiedBuild(t *testing.T) {
	program := s3veil.BuildAs(t, "nodevstore", "GOFIPS140=certified")
	if out, code := run(t, program, "", "version"); code != 0 || !strings.Contains(out, "\nfips on (Go cryptographic module v1.") {
		t.Errorf("version: %d, %s", code, out)
	}
	refusals(t, program, "")
	meetsTheSuite(t, s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true, Program: program}))
}
