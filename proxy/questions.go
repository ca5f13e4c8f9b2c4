package proxy

import "sync"

// questions go to the store beside a request, about each of many things: so many at once for one request, so many for all.
type questions struct {
	x    *exchange
	gate chan struct{}
	wait sync.WaitGroup
}

func (x *exchange) questions() *questions {
	return &questions{x: x, gate: make(chan struct{}, x.s.limits.ListHeads)}
}

// ask runs f when its turn comes, with an exchange whose notes and ids are of this question alone. failed hears of an error of
// f's, or of a panic, at the same time as of others.
func (q *questions) ask(f func(one *exchange) error, failed func(error)) {
	q.gate <- struct{}{}
	q.x.s.heads <- struct{}{}
	q.wait.Go(func() {
		defer func() { <-q.gate; <-q.x.s.heads }()
		err := q.x.guard(func() error {
			one := *q.x
			one.note = note{}
			return f(&one)
		})
		if err != nil {
			failed(err)
		}
	})
}

// answered waits for all of them.
func (q *questions) answered() { q.wait.Wait() }
