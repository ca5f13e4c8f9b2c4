//go:build matrix

package matrix

import (
	"path/filepath"
	"strings"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// TestSigV4AOfTheCommonRuntime: the stores of the tests do not take these signatures, so that there is nothing to compare with.
func TestSigV4AOfTheCommonRuntime(t *testing.T) {
	dir := tools(t)
	want := strings.Join([]string{"b'hello' 9000000", "[('large', 9000000), ('ü k+1', 5)]", "True", "True b'hello'", "SignatureDoesNotMatch", ""}, "\n")
	for _, tls := range []bool{false, true} {
		target := &s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: tls}).Target
		c := client{name: "boto3 with awscrt", command: []string{filepath.Join(dir, "py/bin/python"), "jobs/sigv4a_job.py"}}
		if got := do(t, dir, c, target); got.exit != "0" || got.output != want {
			t.Errorf("%s:\n%s\nwant:\n%s", got.exit, got.output, want)
		}
	}
}
