package databasetest

import (
	"fmt"
	"sync"
	"testing"
)

// A Reader is a consumer that never rests: it queries with what Secrets Manager says is current, over one session for as
// long as that stays the same.
type Reader struct {
	mu      sync.Mutex
	more    sync.Cond
	stopped bool
	ended   chan struct{}

	Queries, Sessions int
	Failed            []string
}

// Read starts one. open logs in, and answers how to query and how to leave.
func (l *Lab) Read(open func(user, password string) (query func() error, leave func(), err error)) *Reader {
	r := &Reader{ended: make(chan struct{})}
	r.more.L = &r.mu
	go func() {
		defer close(r.ended)
		var with string
		query, leave := func() error { return nil }, func() {}
		for r.goesOn() {
			user, password := l.Current()
			if with != user+" "+password {
				leave()
				q, away, err := open(user, password)
				if err != nil {
					leave = func() {}
					r.count(fmt.Errorf("log in as %q: %w", user, err), false)
					continue
				}
				query, leave, with = q, away, user+" "+password
				r.count(nil, true)
			}
			r.count(query(), false)
		}
		leave()
	}()
	return r
}

func (r *Reader) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.stopped
}

func (r *Reader) count(err error, session bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.Failed = append(r.Failed, err.Error())
	case session:
		r.Sessions++
	}
	if !session {
		r.Queries++
	}
	r.more.Broadcast()
}

// Goes waits until it has read what is current now, and queried with it: what hours of retention are for.
func (r *Reader) Goes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := r.Queries + 3; r.Queries < n; {
		r.more.Wait()
	}
}

// ReadsOn has a consumer read all through rotations, a rollback and decommissions: not one of its queries fails.
func (l *Lab) ReadsOn(t *testing.T, open func(user, password string) (query func() error, leave func(), err error)) {
	t.Helper()
	r := l.Read(open)
	r.Goes()
	step := func(steps ...string) {
		l.Run(steps...)
		r.Goes()
	}
	for range 3 {
		for _, s := range []string{"preflight", "create", "set", "test", "promote", "adopted", "decommission", "refused"} {
			step(s)
		}
		l.Again()
		for _, s := range []string{"preflight", "create", "set", "test", "promote", "restore", "discard"} {
			step(s)
		}
		l.Again()
	}
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	<-r.ended
	t.Logf("%d queries over %d sessions, %d failed", r.Queries, r.Sessions, len(r.Failed))
	if len(r.Failed) > 0 {
		t.Errorf("%d of %d queries failed, first: %s", len(r.Failed), r.Queries, r.Failed[0])
	}
	if r.Sessions != 10 || r.Queries < 100 {
		t.Errorf("%d queries over %d sessions: the reader saw too little", r.Queries, r.Sessions)
	}
}
