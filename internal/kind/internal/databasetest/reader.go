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

// What a consumer reads through, with its steps: the second account's first time and both directions come of three rounds.
var reading = []struct {
	part  string
	steps []string
}{
	{"rotation", []string{"preflight", "create", "set", "test", "promote"}},
	{"decommission", []string{"adopted", "decommission", "refused"}},
	{"again", nil},
	{"rotation", []string{"preflight", "create", "set", "test", "promote"}},
	{"rollback", []string{"restore", "discard"}},
	{"again", nil},
	{"rotation", []string{"preflight", "create", "set", "test"}},
	{"rollback", []string{"discard"}}, // of what was never promoted
	{"again", nil},
}

// ReadsOn has a consumer read all through rotations, rollbacks and decommissions: not one of its queries fails, and it
// queries with what is current after every step.
func (l *Lab) ReadsOn(t *testing.T, open func(user, password string) (query func() error, leave func(), err error)) {
	t.Helper()
	r := l.Read(open)
	r.Goes()
	parts, steps := map[string]int{}, 0
	for range 3 {
		for _, p := range reading {
			if p.part == "again" {
				l.Again()
			}
			before := r.queries()
			for _, s := range p.steps {
				l.Run(s)
				r.Goes()
				steps++
			}
			parts[p.part] += r.queries() - before
		}
	}
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	<-r.ended
	t.Logf("%d queries over %d sessions, %d failed: %v", r.Queries, r.Sessions, len(r.Failed), parts)
	if len(r.Failed) > 0 {
		t.Errorf("%d of %d queries failed, first: %s", len(r.Failed), r.Queries, r.Failed[0])
	}
	if wants := 1 + 3*3; r.Sessions != wants || r.Queries < 3*steps { // each time that another login is current
		t.Errorf("%d queries over %d sessions, at least %d and %d are wanted: the reader saw too little", r.Queries, r.Sessions, 3*steps, wants)
	}
	for _, part := range []string{"rotation", "rollback", "decommission"} {
		if parts[part] < 9 {
			t.Errorf("%d queries were made during each %s", parts[part], part)
		}
	}
}

func (r *Reader) queries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Queries
}
