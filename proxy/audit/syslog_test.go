package audit

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// message reads the next datagram and cuts its header off.
func message(t *testing.T, conn net.PacketConn) (head, line string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := conn.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return cutHead(string(buf[:n]))
}

func cutHead(text string) (head, line string) {
	head, line, _ = strings.Cut(text, "{")
	return head, "{" + strings.TrimSuffix(line, "\n") + "\n"
}

func TestSyslogGetsALinePerRecord(t *testing.T) {
	for network, address := range map[string]string{"udp": "127.0.0.1:0", "unixgram": filepath.Join(t.TempDir(), "u"), "local": filepath.Join(t.TempDir(), "l")} {
		listen := network
		if listen == "local" {
			listen = "unixgram"
		}
		conn, err := net.ListenPacket(listen, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		l, w, err := Syslog(SyslogOptions{Network: network, Address: conn.LocalAddr().String()}, true)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var all strings.Builder
		for i := range 3 {
			if err := l.Write(record(i)); err != nil {
				t.Fatal(err)
			}
			head, line := message(t, conn)
			if !strings.HasPrefix(head, "<86>") || !strings.Contains(head, " s3veil[") {
				t.Errorf("%s: head %q", network, head)
			}
			all.WriteString(line)
		}
		if n, _, err := Verify(strings.NewReader(all.String())); n != 3 || err != nil {
			t.Errorf("%s: %d lines, %v", network, n, err)
		}
	}
}

func TestSyslogConnectsAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accept := func() net.Conn {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	l, w, err := Syslog(SyslogOptions{Network: "tcp", Address: ln.Addr().String()}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all strings.Builder
	for i := range 3 { // a daemon that closes after each line
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
		c := accept()
		text, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, line := cutHead(text)
		all.WriteString(line)
		c.Close()
		for gone := false; !gone; time.Sleep(time.Millisecond) { // until the end has been noticed
			w.mu.Lock()
			gone = w.conn == nil
			w.mu.Unlock()
		}
	}
	if n, _, err := Verify(strings.NewReader(all.String())); n != 3 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestSyslogThatIsGoneLosesLinesAndSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	l, w, err := Syslog(SyslogOptions{Network: "unixgram", Address: path}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	conn.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := l.Write(record(i)); err == nil {
			t.Error("a line that nobody has taken counts as written")
		}
	}
	if conn, err = net.ListenPacket("unixgram", path); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w.mu.Lock()
	w.again = time.Time{} // the pause is over
	w.mu.Unlock()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	if _, line := message(t, conn); !strings.Contains(line, `"lost":3`) {
		t.Errorf("the first line after the failure: %s", line)
	}
}

func TestSyslogNobodyListens(t *testing.T) {
	if _, _, err := Syslog(SyslogOptions{Address: filepath.Join(t.TempDir(), "none")}, true); err == nil {
		t.Error("connected")
	}
}
