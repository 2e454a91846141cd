package redact

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

type writer struct {
	set    *Set
	w      io.Writer
	mu     sync.Mutex
	sc     scanner
	out    bytes.Buffer
	closed bool
	err    error // of w; sticky
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, errors.New("write to a closed redact writer")
	}
	if w.err != nil {
		return 0, w.err
	}
	w.sc.out = &w.out
	w.sc.use(w.set.automaton())
	w.sc.scan(p)
	if w.flush(); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

func (w *writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.err == nil {
		w.sc.out = &w.out
		w.sc.use(w.set.automaton())
		w.sc.finish()
		w.flush()
	}
	return w.err
}

func (w *writer) flush() {
	if w.out.Len() > 0 {
		_, w.err = w.w.Write(w.out.Bytes())
		w.out.Reset()
	}
}

// A scanner goes through text once. Bytes leave it once no value that is still to be completed can cover them.
type scanner struct {
	auto    *automaton
	out     *bytes.Buffer
	state   int32
	held    []byte // not yet passed on
	cover   []bool // which of held are part of a value
	covered bool   // whether the last byte passed on was
}

// use changes to another automaton; what is held back is looked at again, since it may begin a value that
// wasn't known before.
func (s *scanner) use(a *automaton) {
	if s.auto == a {
		return
	}
	s.auto, s.state = a, 0
	for i, c := range s.held {
		s.state = a.next(s.state, c)
		s.mark(i+1, int(a.nodes[s.state].longest))
	}
}

func (s *scanner) mark(end, length int) {
	// Backwards until a longer match has been here before: everything before that is covered already or
	// covered by none.
	for i := end - length; i < end; i++ {
		s.cover[i] = true
	}
}

func (s *scanner) scan(p []byte) {
	for len(p) > 0 {
		if s.state == 0 {
			n := s.auto.skip(p)
			s.pass(len(s.held))
			if n > 0 {
				s.out.Write(p[:n])
				s.covered = false
				p = p[n:]
				continue
			}
		}
		s.state = s.auto.next(s.state, p[0])
		s.held, s.cover = append(s.held, p[0]), append(s.cover, false)
		p = p[1:]
		node := &s.auto.nodes[s.state]
		if node.longest > 0 {
			s.mark(len(s.held), int(node.longest))
		}
		// Passing on costs a move of what stays: do it when it is worth it.
		if free := len(s.held) - int(node.depth); free > int(node.depth)+4096 {
			s.pass(free)
		}
	}
	s.pass(len(s.held) - int(s.auto.nodes[s.state].depth))
}

// pass lets the first n held bytes go.
func (s *scanner) pass(n int) {
	for i := 0; i < n; {
		j := i
		for j < n && s.cover[j] == s.cover[i] {
			j++
		}
		if !s.cover[i] {
			s.out.Write(s.held[i:j])
		} else if !s.covered {
			s.out.WriteString(Mark)
		}
		s.covered, i = s.cover[i], j
	}
	s.held = s.held[:copy(s.held, s.held[n:])]
	s.cover = s.cover[:copy(s.cover, s.cover[n:])]
}

func (s *scanner) finish() {
	// What ends the text may be a value cut short by a limit or a kill.
	if node := s.auto.nodes[s.state]; node.depth >= leastCut && 2*node.depth >= node.whole {
		s.mark(len(s.held), int(node.depth))
	}
	s.pass(len(s.held))
	s.state = 0
}

// leastCut is the least of a value, in bytes, that is removed when the end of the text cuts it off.
const leastCut = 8
