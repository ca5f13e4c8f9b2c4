//go:build !nodevstore

package main

import (
	"strings"
	"testing"
)

// A full disk: the program serves on, says so everywhere, and is not ready.
func TestAuditLogOnAFullDisk(t *testing.T) {
	_, config, _ := auditSite(t, "{to: file, file: /dev/full}")
	r := begin(t, "serve", "--config", config)
	one := r.client("one", "secret-one")
	create(t, one, "box")
	for range 2 {
		if err := put(t.Context(), one, "box", "a", "plain"); err != nil {
			t.Error(err)
		}
	}
	await(t, "the lines are counted", func() bool {
		_, metrics := r.adminGet(t, "/metrics")
		return strings.Contains(metrics, `s3veil_audit_lines_total{result="lost"} 2`)
	})
	if code, body := r.adminGet(t, "/readyz"); code != 503 || !strings.Contains(body, "no space left on device") {
		t.Errorf("ready: %d %s", code, body)
	}
	if !strings.Contains(r.out.String(), "audit line is lost") {
		t.Error("the log is silent")
	}
}
