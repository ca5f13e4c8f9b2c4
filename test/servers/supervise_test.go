package servers

import (
	"testing"
	"time"
)

func TestSuperviseStartsTheFrontAgain(t *testing.T) {
	s := MustStart(t, VersityPlain)
	bucket := NewBucket(t, s.Client())
	ended := make(chan struct{}, 1)
	defer s.Supervise(func() { ended <- struct{}{} })()
	s.procs[0].Kill()
	<-ended
	deadline := time.Now().Add(30 * time.Second)
	for s.probe() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("%s is not served again", bucket)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
