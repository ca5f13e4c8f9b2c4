package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseReadsVerdicts(t *testing.T) {
	res := parse(strings.NewReader("\x1b[36mRUN  \x1b[0mA_one\n\x1b[36mRUN  \x1b[0mD_four\n\x1b[32mPASS \x1b[0mA_one\n\x1b[32mPASS \x1b[0mA_one\n" +
		"\x1b[31mFAIL \x1b[0mB_two: expected x: got y\nnoise\n" +
		"\x1b[31mE_five: failed to delete the bucket: it is there\x1b[31mFAIL \x1b[0mC_three: test 1 failed: expected error message to be a, instead got b\n"))
	if !res.Passed["A_one"] || res.Failed["B_two"] != "expected x: got y" || len(res.Passed)+len(res.Failed) != 2 ||
		res.Reworded["C_three"] == "" || res.Verdicts != 4 || len(res.Silent) != 1 || !res.Silent["D_four"] {
		t.Errorf("%+v", res)
	}
}

func TestExpectedWantsAReasonPerLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	for text, good := range map[string]bool{"# c\nA: why\n\nB: because\n": true, "A:\n": false, "A\n": false, "A: x\nA: y\n": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Expected(path); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
