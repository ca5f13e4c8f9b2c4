//go:build integration

package monitoring

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every filter of the runbooks over the log, the audit log and the admin port of a running program ends without a complaint, and
// every block is a script that a shell can read.
func TestRunbookFiltersRun(t *testing.T) {
	c := running(t)
	helpers := `admin() { curl -sS "$ADMIN$1"; }; logs() { cat "$LOG"; }; audit() { cat "$AUDIT"; }` + "\n"
	_, document := runbooks(t)
	n := 0
	for _, m := range blockText.FindAllStringSubmatch(document, -1) {
		if out, err := exec.Command("bash", "-n", "-c", m[1]).CombinedOutput(); err != nil {
			t.Errorf("%s%s", m[1], out)
		}
		for line := range strings.Lines(m[1]) {
			verb, _, _ := strings.Cut(line, " ")
			if verb != "logs" && verb != "audit" && verb != "admin" {
				continue
			}
			n++
			cmd := exec.CommandContext(t.Context(), "bash", "-c", helpers+line)
			cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "ADMIN=" + c.Replicas[0].Admin, "LOG=" + c.Replicas[0].Log, "AUDIT=" + filepath.Join(c.Dir, "audit.log")}
			var complaint bytes.Buffer
			cmd.Stderr = &complaint
			out, err := cmd.Output()
			if complaint.Len() > 0 || err != nil && !strings.Contains(line, "grep") {
				t.Errorf("%s%v %s", line, err, complaint.String())
			}
			if strings.Contains(line, "grep s3veil_requests_total") && len(out) == 0 {
				t.Errorf("%sshows nothing", line)
			}
		}
	}
	if n < 40 {
		t.Errorf("%d lines", n)
	}
}
