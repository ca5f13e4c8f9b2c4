//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"compress/gzip"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// auditSite is a site with one client and an audit log in a file.
func auditSite(t *testing.T, audit string) (s *site, config, log string) {
	s = newSite(t)
	s.secret("one", "secret-one")
	return s, s.configure("audit: "+audit, "one"), filepath.Join(s.dir, "audit.log")
}

// lastWord returns the last word of an output.
func lastWord(out string) string {
	words := strings.Fields(out)
	return words[len(words)-1]
}

func TestAuditLogOfRotationsAndRestartsIsOneChain(t *testing.T) {
	_, config, log := auditSite(t, "{to: file, file: audit.log}")
	r := begin(t, "serve", "--config", config)
	one := r.client("one", "secret-one")
	create(t, one, "box")
	store := func(key string) {
		t.Helper()
		if err := put(t.Context(), one, "box", key, "plain"); err != nil {
			t.Fatal(err)
		}
	}
	store("a")
	store("b")
	if err := os.Rename(log, log+".2"); err != nil {
		t.Fatal(err)
	}
	store("c") // goes on into the renamed file
	r.signals <- syscall.SIGHUP
	await(t, "the file is opened anew", func() bool { _, err := os.Stat(log); return err == nil })
	await(t, "the reload is over", func() bool { return strings.Contains(r.out.String(), `"reason":"SIGHUP"`) })
	store("d")
	if code := r.end(t); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.out)
	}
	compress(t, log+".2")

	r = begin(t, "serve", "--config", config)
	one = r.client("one", "secret-one")
	store("e")
	r.end(t)

	code, out, errs := s3veil(nil, "audit-log", "verify", log+".2", log)
	if code != exitOK || !strings.Contains(out, "5 lines in 1 unbroken chain") || errs != "" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	last := lastWord(out)
	if code, out, _ := s3veil(nil, "audit-log", "verify", "--expect", last, log+".2", log); code != exitOK {
		t.Errorf("with the last hash: %d %s", code, out)
	}
	if code, out, _ := s3veil(nil, "audit-log", "verify", "--expect", last, log+".2"); code != exitFailed || !strings.Contains(out, last) {
		t.Errorf("without the last file: %d %s", code, out)
	}
	if code, out, _ := s3veil(nil, "audit-log", "verify", log, log+".2"); code != exitFailed || !strings.Contains(out, log+":1: ") {
		t.Errorf("out of order: %d %s", code, out)
	}
	_, out, _ = s3veil(nil, "audit-log", "verify", log+".2")
	if code, out, _ := s3veil(nil, "audit-log", "verify", "--after", lastWord(out), log); code != exitOK || !strings.Contains(out, "2 lines in") {
		t.Errorf("the younger file alone: %d %s", code, out)
	}
}

// compress packs a file in place, as a rotation does.
func compress(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestAuditVerifyNamesTheFirstBreak(t *testing.T) {
	_, config, log := auditSite(t, "{to: file, file: audit.log}")
	r := begin(t, "serve", "--config", config)
	one := r.client("one", "secret-one")
	create(t, one, "box")
	for range 4 {
		if err := put(t.Context(), one, "box", "a", "plain"); err != nil {
			t.Fatal(err)
		}
	}
	r.end(t)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	write(t, log, strings.Join(append(lines[:2:2], lines[3:]...), ""))
	code, out, _ := s3veil(nil, "audit-log", "verify", log)
	if code != exitFailed || !strings.HasPrefix(out, log+":3: does not follow") || !strings.Contains(out, "2 lines hold") {
		t.Errorf("a line removed: %d %s", code, out)
	}
	code, out, _ = s3veil(nil, "audit-log", "verify", "--json", log)
	var report struct {
		OK    bool
		Lines int
		Break struct {
			File   string
			Line   int
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed || report.OK || report.Lines != 2 || report.Break.File != log || report.Break.Line != 3 || report.Break.Reason == "" {
		t.Errorf("%d %s: %v", code, out, err)
	}
	write(t, log, string(text[:len(text)-30]))
	code, out, _ = s3veil(nil, "audit-log", "verify", log)
	if code != exitOK || !strings.Contains(out, log+":4: never finished") || !strings.Contains(out, "3 lines in 1") {
		t.Errorf("a torn line: %d %s", code, out)
	}
	if code, _, errs := s3veil(nil, "audit-log", "verify", log+".none"); code != exitFailed || !strings.Contains(errs, "no such file") {
		t.Errorf("no file: %d %s", code, errs)
	}
}

// collector is a system log daemon that keeps what it gets.
func collector(t *testing.T, path string, got *lockedBuffer) {
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = got.Write(append(buf[:n:n], '\n'))
		}
	}()
}

func TestAuditLinesReachTheSyslogDaemon(t *testing.T) {
	dir, err := os.MkdirTemp("", "s3veil") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, got := filepath.Join(dir, "log"), &lockedBuffer{}
	collector(t, socket, got)
	_, config, _ := auditSite(t, "{to: syslog, syslog: {address: '"+socket+"'}}")
	for run := range 2 { // two runs: two chains
		r := begin(t, "serve", "--config", config)
		one := r.client("one", "secret-one")
		if run == 0 {
			create(t, one, "box")
		}
		for range 3 {
			if err := put(t.Context(), one, "box", "a", "plain"); err != nil {
				t.Fatal(err)
			}
		}
		r.end(t)
	}
	await(t, "all lines arrive", func() bool { return strings.Count(got.String(), `"PutObject"`) == 6 })
	text := "Nov 21 08:00:00 host cron[1]: something else\n" + got.String()
	file := write(t, filepath.Join(t.TempDir(), "messages"), text)
	if code, out, _ := s3veil(nil, "audit-log", "verify", "--syslog", "--chains", file); code != exitOK || !strings.Contains(out, "6 lines in 2 unbroken chains") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := s3veil(nil, "audit-log", "verify", "--syslog", file); code != exitFailed || !strings.Contains(out, "a chain begins here") {
		t.Errorf("one chain only: %d %s", code, out)
	}
}

func TestSyslogThatIsGone(t *testing.T) {
	dir, err := os.MkdirTemp("", "s3veil")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, got := filepath.Join(dir, "log"), &lockedBuffer{}
	_, config, _ := auditSite(t, "{to: syslog, on_failure: refuse, syslog: {address: '"+socket+"'}}")
	if code, _, errs := s3veil(nil, "serve", "--config", config); code != exitFailed || !strings.Contains(errs, "audit.syslog") {
		t.Fatalf("without a daemon: %d %s", code, errs)
	}
	gone, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, "serve", "--config", config)
	one := r.client("one", "secret-one")
	create(t, one, "box")
	gone.Close()
	os.Remove(socket)
	if err := put(t.Context(), one, "box", "a", "plain"); err != nil {
		t.Fatal(err) // whose line is the first one lost
	}
	await(t, "the lost line is counted", func() bool {
		_, metrics := r.adminGet(t, "/metrics")
		return strings.Contains(metrics, `s3veil_audit_lines_total{result="lost"} 1`)
	})
	if err := put(t.Context(), one, "box", "a", "plain"); err == nil || !strings.Contains(err.Error(), "ServiceUnavailable") {
		t.Errorf("a request that leaves no line: %v", err)
	}
	if code, body := r.adminGet(t, "/readyz"); code != 503 || !strings.Contains(body, "audit") {
		t.Errorf("ready: %d %s", code, body)
	}
	collector(t, socket, got)
	await(t, "requests are served again", func() bool {
		time.Sleep(50 * time.Millisecond)
		return put(t.Context(), one, "box", "a", "plain") == nil
	})
	await(t, "the gap is in the log", func() bool { return strings.Contains(got.String(), `"action":"AuditLinesLost"`) })
}
