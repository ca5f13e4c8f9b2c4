package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

// held is what the budget has lent.
func (f *fixture) held() int64 {
	used, _, _, _ := f.s.memory.State()
	return used
}

// Documents that clients announce and never send take memory within the budget only, and give it back with their connections.
func TestAnnouncedDocumentsStayWithinTheBudget(t *testing.T) {
	for what, c := range map[string]struct {
		method, target string
		size           int64
	}{
		"Delete":   {"POST", "/data?delete", 2 << 20},
		"Complete": {"POST", "/data/key?uploadId=0.VVA", 4 << 20},
		"setting":  {"PUT", "/data?policy", 1 << 20},
	} {
		f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.Memory, o.Limits.AdmissionWait = 4<<20, 20*time.Millisecond })
		head := strings.TrimSuffix(f.head(c.method, c.target, unsigned, "content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "\r\n") +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", c.size)
		var idle []net.Conn
		for n := int64(0); n+c.size <= 4<<20; n += c.size {
			conn := f.dial()
			idle = append(idle, conn)
			fmt.Fprint(conn, head, strings.Repeat(" ", 10_000))
			f.eventually(what+": the document is charged", func() bool { return f.held() >= n+c.size })
		}
		conn := f.dial()
		fmt.Fprint(conn, head, strings.Repeat(" ", 10_000))
		status := make([]byte, 64)
		if _, err := io.ReadFull(conn, status); err != nil || !strings.HasPrefix(string(status), "HTTP/1.1 503") {
			t.Errorf("%s beside a full budget: %q, %v", what, status, err)
		}
		for _, c := range idle {
			c.Close()
		}
		f.eventually(what+": everything has been given back", func() bool { return f.held() == 0 })
	}
}

// An answer of the store that a client does not take is charged as long as it waits, whether the store tells its length or not.
func TestAnswersThatNobodyReadsStayWithinTheBudget(t *testing.T) {
	for _, open := range []bool{false, true} {
		f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.Memory, o.Limits.AdmissionWait = 20<<20, 20*time.Millisecond })
		page := `<ListBucketResult><Name>data</Name><IsTruncated>false</IsTruncated>` +
			strings.Repeat(" ", 7<<20) + `</ListBucketResult>`
		f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
			switch c.Op {
			case "ListObjects":
				a.Body, a.NoLength = []byte(page), open
			case "GetBucketPolicy":
				*a = proxytest.Answer{Status: 200, Header: http.Header{}, Body: []byte(page), Cut: -1, NoLength: open}
			}
		}})
		for _, target := range []string{"/data", "/data?policy"} {
			var idle []net.Conn
			for i := range 2 {
				conn := f.dial()
				if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // so that the kernel does not take all of it
					t.Fatal(err)
				}
				idle = append(idle, conn)
				fmt.Fprint(conn, f.head("GET", target, unsigned))
				f.eventually(fmt.Sprintf("answer %d to %s is charged", i, target), func() bool { return f.held() >= int64(i+1)*(7<<20-smallDocument) })
			}
			if resp, doc := f.do("GET", target, nil); resp.StatusCode != 503 {
				t.Errorf("GET %s beside a full budget: %d, %d bytes", target, resp.StatusCode, len(doc))
			}
			for _, c := range idle {
				c.Close()
			}
			f.eventually("the budget is free again", func() bool { return f.held() == 0 })
			if resp, doc := f.must("GET", target, nil); len(doc) < 7<<20 || int64(len(doc)) != resp.ContentLength {
				t.Errorf("GET %s: %d of %d bytes", target, len(doc), resp.ContentLength)
			}
			f.eventually("everything has been given back", func() bool { return f.held() == 0 })
			f.idle()
		}
	}
}
