//go:build integration

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"s3veil/test/servers"
)

// TestGuidesDoWhatTheySay runs the commands of each guide as they stand there, and holds what they print against what the guide says.
func TestGuidesDoWhatTheySay(t *testing.T) {
	for page, wants := range map[string][]string{
		"README.md":                     {"keep a copy"},
		"docs/INSTALL.md":               {"fips off", "main"},
		"docs/install/sidecar.md":       {"ready", "make_bucket: photos", "a picture", "42", "suite"},
		"docs/install/gateway.md":       {"ready", "make_bucket: photos", "a picture"},
		"docs/install/forward-proxy.md": {"ready", "photos", "a picture", "HTTP/1.1 403"},
	} {
		t.Run(filepath.Base(page), func(t *testing.T) {
			s, said := newStory(t), ""
			s.tell(page, "", func(b block) {
				if b.mark == markRun {
					said += s.output
				}
			})
			for _, want := range wants {
				if !strings.Contains(said, want) {
					t.Errorf("nothing said %q:\n%s", want, said)
				}
			}
		})
	}
}

// An upgrade and its rollback, on the machine that the guide of the gateway has made.
func TestUpgradeOfAGateway(t *testing.T) {
	s := newStory(t)
	s.tell("docs/install/gateway.md", "", nil)
	s.play(block{page: "the new program", lang: "sh", mark: markRun, text: "cp s3veil s3veil-new\n"})
	n := 0
	s.tell("docs/UPGRADE.md", "", func(b block) {
		if b.mark == markRun {
			n++
			if !strings.Contains(s.output, "ready") {
				t.Errorf("%s:%d: %s", b.page, b.line, s.output)
			}
		}
	})
	s.play(block{page: "afterwards", lang: "sh", mark: markRun, text: "aws s3 cp s3://photos/picture.jpg -\n"})
	if n < 2 || !strings.Contains(s.output, "a picture") {
		t.Errorf("%d blocks, then %s", n, s.output)
	}
}

// units is a machine with the units of the guides where systemd looks for them.
func units(t *testing.T) *story {
	t.Helper()
	s := newStory(t)
	for _, page := range []string{"docs/install/gateway.md", "docs/install/forward-proxy.md"} {
		for _, b := range blocks(t, page) {
			if b.lang == "ini" {
				s.play(b)
			}
		}
	}
	return s
}

func TestSystemdKnowsEverySettingOfTheUnit(t *testing.T) {
	s := units(t)
	file := filepath.Join(s.dir, "etc/systemd/system/s3veil.service")
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "s3veil.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnitIsConfined asks systemd how exposed the service is: 0 is best, 10 is a service without any option.
func TestUnitIsConfined(t *testing.T) {
	s := units(t)
	file := filepath.Join(s.dir, "etc/systemd/system/s3veil.service")
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", file).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("exposure %s", m[1])
}

// allowed expands a list of SystemCallFilter= as systemd does: groups within groups, and "~" takes away.
func allowed(t *testing.T, lists ...string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	var put func(name string, yes bool)
	put = func(name string, yes bool) {
		if !strings.HasPrefix(name, "@") {
			out[name] = yes
			return
		}
		text, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).Output()
		if err != nil {
			t.Fatal(name, err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != name && line != "" && !strings.HasPrefix(line, "#") {
				put(line, yes)
			}
		}
	}
	for _, list := range lists {
		names, minus := strings.CutPrefix(list, "~")
		for _, name := range strings.Fields(names) {
			put(name, !minus)
		}
	}
	put("@default", true) // always there
	return out
}

// TestUnitForbidsNoSystemCallInUse runs the guide of the gateway, with memory locked, under strace.
func TestUnitForbidsNoSystemCallInUse(t *testing.T) {
	var locked []string // others than root would need the unit's LimitMEMLOCK
	if os.Geteuid() == 0 {
		locked = []string{"audit: {to: file", "lock_memory: true\naudit: {to: file"}
	}
	s := newStory(t, locked...)
	s.env = append(s.env, "LAUNCH=strace -f -qq -o "+s.dir+"/calls")
	var lists []string
	s.tell("docs/install/gateway.md", "", func(b block) {
		for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(.*)$`).FindAllStringSubmatch(b.text, -1) {
			lists = append(lists, m[1])
		}
	})
	may := allowed(t, lists...)
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(servers.Tail(filepath.Join(s.dir, "calls"), 1<<30), -1) {
		seen[m[1]] = true
	}
	for name := range seen {
		if !may[name] {
			t.Errorf("%s is in use and forbidden", name)
		}
	}
	if len(seen) < 30 || seen["mlockall"] != (locked != nil) || may["mount"] || may["ptrace"] {
		t.Errorf("%d calls seen, %d allowed", len(seen), len(may))
	}
}
