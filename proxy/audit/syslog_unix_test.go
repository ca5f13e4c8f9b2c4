//go:build !windows && !plan9

package audit

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestSyslogGetsALinePerRecord(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l, err := Syslog("udp", conn.LocalAddr().String(), true)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for i := range 3 {
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		head, line, _ := strings.Cut(string(buf[:n]), "{")
		if !strings.HasPrefix(head, "<86>") || !strings.Contains(head, "s3veil[") {
			t.Errorf("head %q", head)
		}
		all.WriteString("{" + line)
	}
	if n, _, err := Verify(strings.NewReader(all.String())); n != 3 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}
