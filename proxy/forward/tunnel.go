package forward

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// tunnelIdle ends a tunnel in which nothing has moved.
const tunnelIdle = 10 * time.Minute

// tunnel copies bytes between a client and another host.
type tunnel struct {
	client, host net.Conn
	// forbids says what is wrong with a name that the client's TLS, or its plain request, asks for; nil for nothing.
	forbids func(name string, secure bool) error
	idle    time.Duration // tunnelIdle

	moved    atomic.Int64 // Unix nanoseconds of the last byte
	up, down atomic.Int64
	once     sync.Once
	refused  error
}

// newTunnel joins two connections. A client whose TLS, or whose first plain request, asks for an S3 host is cut off: it has
// asked the proxy for another host, an address for one, and objects would slip past.
func (f *Forward) newTunnel(client, host net.Conn) *tunnel {
	t := &tunnel{client: client, host: host, idle: tunnelIdle, forbids: func(name string, secure bool) error {
		if !secure {
			return f.forbidsRequest(name)
		}
		if _, err := ParseTarget(name, 443); err != nil {
			return refuse("TLS in a tunnel asks for %q, which is no host", name)
		}
		place, err := f.ClassifyName(name)
		if err == nil && place.S3 {
			err = refuse("TLS in a tunnel to another host asks for the S3 host %s", name)
		}
		return err
	}}
	t.moved.Store(time.Now().UnixNano())
	return t
}

// forbidsRequest judges a name in a plain request. What is no host at all may be somebody's own use of HTTP.
func (f *Forward) forbidsRequest(name string) error {
	target, err := ParseTarget(name, 80)
	if err != nil {
		return nil
	}
	place, err := f.Classify(target)
	if err == nil && place.S3 {
		err = refuse("a request in a tunnel to another host asks for the S3 host %s", name)
	}
	return err
}

// run copies until both sides have ended, or one of them fails. It closes both. A *Refusal tells that the client was cut off.
func (t *tunnel) run() (up, down int64, err error) {
	defer t.close()
	var both sync.WaitGroup
	both.Go(func() {
		if !t.copy(t.client, t.host, &t.down) {
			t.close()
		}
	})
	both.Go(func() {
		if !t.hello() || !t.copy(t.host, t.client, &t.up) {
			t.close()
		}
	})
	both.Wait()
	return t.up.Load(), t.down.Load(), t.refused
}

// close ends the tunnel.
func (t *tunnel) close() {
	t.once.Do(func() {
		_ = t.client.Close()
		_ = t.host.Close()
	})
}

// idleFor is the time since the last byte.
func (t *tunnel) idleFor() time.Duration { return time.Since(time.Unix(0, t.moved.Load())) }

// hello passes the first bytes of the client on, once it is known what they ask for.
func (t *tunnel) hello() bool {
	start := make([]byte, 0, 4<<10)
	var plain plainRequest
	for {
		if len(start) == cap(start) {
			start = append(start, 0)[:len(start)]
		}
		n, err := t.read(t.client, start[len(start):cap(start)])
		start = start[:len(start)+n]
		names, done, unreadable := askedNames(start, &plain)
		if unreadable != nil {
			t.refused = refuse("%v", unreadable)
		}
		for _, name := range names {
			if t.refused == nil {
				t.refused = t.forbids(name, isRecord(start[0]))
			}
		}
		if t.refused != nil {
			return false
		}
		if done || err != nil {
			werr := t.write(t.host, start, &t.up)
			if errors.Is(err, io.EOF) {
				return werr == nil && closeWrite(t.host)
			}
			return err == nil && werr == nil
		}
	}
}

// read waits for bytes as long as the tunnel is not idle: what moves in one direction keeps the other one open.
func (t *tunnel) read(c net.Conn, p []byte) (int, error) {
	for {
		_ = c.SetReadDeadline(time.Unix(0, t.moved.Load()).Add(t.idle))
		n, err := c.Read(p)
		if n > 0 {
			t.moved.Store(time.Now().UnixNano())
		}
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && t.idleFor() < t.idle {
			continue
		}
		return n, err
	}
}

// write sends bytes to a side that takes them within the time of an idle tunnel.
func (t *tunnel) write(c net.Conn, p []byte, count *atomic.Int64) error {
	_ = c.SetWriteDeadline(time.Now().Add(t.idle))
	n, err := c.Write(p)
	count.Add(int64(n))
	return err
}

// copy moves bytes until src ends, and then ends dst's incoming side. It reports whether the other direction may go on.
func (t *tunnel) copy(dst, src net.Conn, count *atomic.Int64) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := t.read(src, buf)
		if n > 0 {
			if t.write(dst, buf[:n], count) != nil {
				return false
			}
		}
		if errors.Is(err, io.EOF) {
			return closeWrite(dst)
		}
		if err != nil {
			return false
		}
	}
}

func closeWrite(c net.Conn) bool {
	h, ok := c.(interface{ CloseWrite() error })
	return ok && h.CloseWrite() == nil
}
