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
	held    []byte  // not yet passed on
	ends    []int32 // for each held byte, the length of the longest form that ends with it
	cover   []bool  // scratch of pass
	covered bool    // whether the last byte passed on was part of a value
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
		s.ends[i] = max(s.ends[i], a.nodes[s.state].longest)
	}
}

func (s *scanner) scan(p []byte) {
	for len(p) > 0 {
		if s.state == 0 {
			s.pass(len(s.held))
			if n := s.auto.skip(p); n > 0 {
				s.out.Write(p[:n])
				s.covered, p = false, p[n:]
				continue
			}
		}
		s.state = s.auto.next(s.state, p[0])
		node := &s.auto.nodes[s.state]
		s.held, s.ends = append(s.held, p[0]), append(s.ends, node.longest)
		p = p[1:]
		// Passing on costs a move of what stays: do it when it is worth it.
		if free := len(s.held) - int(node.depth); free > int(node.depth)+4096 {
			s.pass(free)
		}
	}
	s.pass(len(s.held) - int(s.auto.nodes[s.state].depth))
}

// pass lets the first n held bytes go.
func (s *scanner) pass(n int) {
	if n <= 0 {
		return
	}
	s.cover = append(s.cover[:0], make([]bool, n)...)
	for i, from := len(s.held)-1, len(s.held); i >= 0; i-- {
		from = min(from, i+1-int(s.ends[i]))
		if i < n {
			s.cover[i] = i >= from
		}
	}
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
	s.ends = s.ends[:copy(s.ends, s.ends[n:])]
}

// leastCut is the least of a value, in bytes, that is removed when the end of the text cuts it off.
const leastCut = 8

func (s *scanner) finish() {
	// What ends the text may be a value cut short by a limit or a kill.
	for at := s.state; at != 0; at = s.auto.nodes[at].fail {
		if n := s.auto.nodes[at]; n.depth >= leastCut && 2*n.depth >= n.whole {
			last := len(s.ends) - 1
			s.ends[last] = max(s.ends[last], n.depth)
			break
		}
	}
	s.pass(len(s.held))
	s.state = 0
}
