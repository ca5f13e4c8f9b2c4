package conn

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	// acceptPause is the first wait after an accept that failed; each further one is twice as long, acceptPauseMax at most.
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = 250 * time.Millisecond
	// troubleEvery is the least time between two calls of Options.Trouble by one listener: at the limit of open files each
	// connection that ends makes room for one more, so that failures and successes take turns.
	troubleEvery = 10 * time.Second
)

// passes reports whether a failure of accept is one of the moment: no file or memory left, a connection that has gone, a network
// that is down (accept(2), "Error handling"). The engine would end with it, and the process with the engine. Others are about the
// listener itself.
func passes(err error) bool {
	var no syscall.Errno
	if errors.Is(err, net.ErrClosed) || !errors.As(err, &no) {
		return false
	}
	return no != syscall.EBADF && no != syscall.EINVAL && no != syscall.ENOTSOCK && no != syscall.EFAULT
}

// patience is how an Accept outlasts failures that pass. Each listener has its own: one goroutine accepts.
type patience struct {
	pause time.Duration
	told  time.Time
}

// wait sleeps after a failure, and tells of it now and then.
func (p *patience) wait(err error, tell func(error)) {
	if now := time.Now(); tell != nil && now.Sub(p.told) >= troubleEvery {
		p.told = now
		tell(err)
	}
	p.pause = min(max(2*p.pause, acceptPause), acceptPauseMax)
	time.Sleep(p.pause)
}
