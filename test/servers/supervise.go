package servers

import (
	"sync"
	"time"
)

// Supervise starts the store's front process again whenever it ends by itself, as an init system would, and tells ended of
// it. Objects lie with the other processes, or in Dir. end stops the watch, and waits until it has stopped.
func (s *Store) Supervise(ended func()) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			front := s.procs[len(s.procs)-1]
			select {
			case <-stop:
				return
			case <-front.Exited():
			}
			ended()
			again, err := StartProcess(front.spec)
			if err != nil {
				return
			}
			s.procs[len(s.procs)-1] = again
			_ = again.Await(20*time.Second, s.probe) // its requests tell
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}
