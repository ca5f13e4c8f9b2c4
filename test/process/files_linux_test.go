package process

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var listening = regexp.MustCompile(`"msg":"serving","listen":"([^"]+)"`)

// crowd opens connections and says nothing on them until it is sent away.
func crowd(t *testing.T, at string, n int) (leave func()) {
	t.Helper()
	var held []net.Conn
	leave = func() {
		for _, h := range held {
			_ = h.Close()
		}
	}
	t.Cleanup(leave)
	for range n {
		h, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	return leave
}

// status asks without keeping the connection, 0 for no answer.
func status(url string) int {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// A process that may open few files keeps some for stores and probes.
func TestClientsLeaveFilesToProbes(t *testing.T) {
	uid, attr := user()
	c := start(t, attr, "ulimit -n 128; ", veil(t, uid, "")...)
	admin := c.admin(t)
	at := "http://" + listening.FindStringSubmatch(c.printed())[1]
	if want := `"msg":"fewer client connections than limits.connections`; !strings.Contains(c.printed(), want) {
		t.Errorf("no line with %s: %s", want, c.printed())
	}
	leave := crowd(t, strings.TrimPrefix(at, "http://"), 150)
	await(t, c, "a refusal", func() bool { return status(at) == http.StatusServiceUnavailable })
	if got := status("http://" + admin + "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz answers %d", got)
	}
	leave()
	await(t, c, "an answer after the crowd has gone", func() bool { return status(at) == http.StatusForbidden })
}

// Connections are easily had. They may keep others out until they end, but not bring the process down.
func TestExhaustedFilesPass(t *testing.T) {
	uid, attr := user()
	c := start(t, attr, "ulimit -n 48; ", veil(t, uid, "")...)
	admin := c.admin(t)
	at := listening.FindStringSubmatch(c.printed())[1]
	leaves := []func(){crowd(t, admin, 100), crowd(t, at, 100)}
	await(t, c, "a line that names the cause", func() bool {
		return strings.Contains(c.printed(), `"msg":"no connection can be accepted, trying again"`) && strings.Contains(c.printed(), "too many open files")
	})
	for _, leave := range leaves {
		leave()
	}
	await(t, c, "an answer after the crowd has gone", func() bool {
		return status("http://"+at) == http.StatusForbidden && status("http://"+admin+"/healthz") == http.StatusOK
	})
	for line := range strings.Lines(c.printed()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a line of the log: %s", line)
		}
	}
}

// await polls while the program runs.
func await(t *testing.T, c *child, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-c.done:
			t.Fatalf("ended while waiting for %s: %s", what, c.printed())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s: %s", what, c.printed())
		}
	}
}
