package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// together is how long a rotation waits at most for others that restart the same thing: as long as they may still be
	// at checks and at making their credentials, and less than a lease.
	together = 8 * time.Minute
	// togetherBack is likewise, where the old credential is live again and what runs still has the new one.
	togetherBack = time.Minute
)

// factMet is when a step had met the others: it took none of its time.
const factMet = "met"

// A Barrier has the rotations of one run that restart the same thing, by their steps' Shared, ask for that only when all of
// them have made their credential live and have on record what there was then. So the restart that the first one asks for
// is one that began after that for all of them: each finds it, and follows it.
//
// Nothing depends on it but how often something is restarted: who comes late, or in another process, asks for a restart of
// its own. Whoever ends, waits for a person or for a time, or turns back isn't waited for, nor is who waits here itself. Who
// has no overlap of old and new waits for nobody: what runs with the old one fails already.
//
// A nil *Barrier is that of a rotation which is alone.
type Barrier struct {
	mu       sync.Mutex
	expected int
	places   map[*place]bool
	moved    chan struct{}            // closed when somebody moves on
	turns    map[string]chan struct{} // by what is restarted: who holds it asks, others wait
}

// NewBarrier is one that nobody has come to.
func NewBarrier() *Barrier {
	return &Barrier{places: map[*place]bool{}, moved: make(chan struct{}), turns: map[string]chan struct{}{}}
}

// Expect says that so many jobs are about to run: until one has, it may be on its way to anything.
func (b *Barrier) Expect(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected += n
}

// A place is one job's.
type place struct {
	of      *Barrier
	unknown bool     // not even opened
	heads   []string // what it is on its way to
}

func (b *Barrier) join() *place {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &place{of: b, unknown: true}
	b.places[p], b.expected = true, max(b.expected-1, 0)
	return p
}

// head says what the job is on its way to now.
func (p *place) head(keys []string) {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.unknown, p.heads = false, keys
	p.of.move()
}

func (p *place) leave() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	delete(p.of.places, p)
	p.of.move()
}

func (b *Barrier) move() {
	close(b.moved)
	b.moved = make(chan struct{})
}

// behind is how many others are on their way to something, and what is closed when that may have changed.
func (p *place) behind(key string) (n int, moved <-chan struct{}) {
	if p == nil {
		return 0, nil
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	n = p.of.expected
	for o := range p.of.places {
		if o != p && (o.unknown || slices.Contains(o.heads, key)) {
			n++
		}
	}
	return n, p.of.moved
}

// turn lets one at a time look at something and act on what it saw.
func (p *place) turn(ctx context.Context, s rotation.Step) (done func(), err error) {
	if p == nil || s.Shared == "" {
		return func() {}, nil
	}
	key := s.Uses + "\x00" + s.Shared
	p.of.mu.Lock()
	t := p.of.turns[key]
	if t == nil {
		t = make(chan struct{}, 1)
		p.of.turns[key] = t
	}
	p.of.mu.Unlock()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// shared is what s restarts, and which way; "" nothing that others could.
func (w *work) shared(s rotation.Step) string {
	if s.Shared == "" {
		return ""
	}
	return strings.Join([]string{w.plan.Environment, s.Uses, s.Shared, s.Name}, "\x00")
}

// heading is what w is on its way to from s on, or after it.
func (w *work) heading(s rotation.Step, itself bool) (keys []string) {
	list := w.plan.Steps
	if s.Phase == rotation.Rollback {
		list = w.plan.Undo
	}
	from := slices.IndexFunc(list, func(o rotation.Step) bool { return o.Key == s.Key })
	for i, o := range list {
		if key := w.shared(o); key != "" && (i > from || i == from && itself) {
			keys = append(keys, key)
		}
	}
	return keys
}

// meet waits, once s is known to have something to do and that is on record, for others of the run that restart the same.
func (w *work) meet(ctx context.Context, s rotation.Step) error {
	limit := together
	if s.Phase == rotation.Rollback {
		limit = togetherBack
	}
	w.place.head(nil)
	defer func() { w.place.head(w.heading(s, false)) }()
	n, moved := w.place.behind(w.shared(s))
	if n == 0 || !plan.Overlaps(&w.plan) {
		return nil
	}
	enough, renew := w.Clock.After(limit), w.Clock.After(Lease/3)
	for last := 0; n > 0; {
		if n != last {
			last = n
			w.Progress(&w.plan, w.fill(rotation.Record{Step: s.Key, Outcome: rotation.Waiting, Text: others(n) + " of this run, to restart it once for all"}))
		}
		select {
		case <-moved:
		case <-renew:
			renew = w.Clock.After(Lease / 3)
			if err := w.append(ctx, rotation.Record{Step: s.Key, Outcome: rotation.Noted, Text: "still at it"}); err != nil {
				return err
			}
		case <-enough:
			return w.met(ctx, s, fmt.Sprintf("%s of this run could restart the same and took too long to be waited for", others(n)))
		case <-ctx.Done():
			return ctx.Err()
		}
		n, moved = w.place.behind(w.shared(s))
	}
	return w.met(ctx, s, "those of this run that restart the same are as far: it is restarted once for all")
}

func others(n int) string {
	if n == 1 {
		return "one other rotation"
	}
	return fmt.Sprintf("%d other rotations", n)
}

// met puts on record that s waited for others. Its deadline counts from there, in later runs too.
func (w *work) met(ctx context.Context, s rotation.Step, text string) error {
	return w.append(ctx, rotation.Record{Step: s.Key, Outcome: rotation.Noted, Text: text,
		Facts: map[string]string{factMet: w.Clock.Now().UTC().Format(time.RFC3339)}})
}

// begins is when s began to take time: when it became due, or had met the others.
func (w *work) begins(s rotation.Step) time.Time {
	since := w.since()
	if s.Window != nil || s.Hours != nil || s.Delay > 0 { // held back: that took none of its time
		since = w.Clock.Now()
	}
	if at, err := time.Parse(time.RFC3339, rotation.PastOf(w.records).Fact(s.Key, factMet)); err == nil && at.After(since) {
		return at
	}
	return since
}
