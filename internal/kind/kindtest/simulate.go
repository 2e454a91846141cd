package kindtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// Simulate lives through random histories, from seed on: two secrets in three environments, several requests that
// are edited, withdrawn, rolled back and started again, runs that die, stall and lose answers, clocks that are
// wrong, journals that fail, and in every fifth history people who act by hand. Each seed always makes the same
// history.
func Simulate(t *testing.T, w World, seed uint64, n int) {
	calls, ends := 0, map[string]int{}
	for i := range uint64(n) {
		story, err := simulate(t, w, seed+i, ends)
		calls += len(story)
		if err != nil {
			t.Errorf("seed %d (replay it with -seed %d): %v", seed+i, seed+i, &defect{err.Error(), story})
			return
		}
	}
	t.Logf("%s: %d histories from seed %d, %d events, ends of rotations: %v", w.Kind.Name, n, seed, calls, ends)
}

// simulate is one history.
func simulate(t *testing.T, w World, seed uint64, ends map[string]int) (story []string, err error) {
	cryptotest.SetGlobalRandom(t, seed) // the SDK's back-off is random
	synctest.Test(t, func(t *testing.T) {
		var s *simulation
		if s, err = newSimulation(w, seed); err != nil {
			return
		}
		defer s.sweep()
		for range 24 {
			s.tick()
		}
		err = s.end(ends)
		s.mu.Lock()
		story = append(story, s.story...)
		s.mu.Unlock()
	})
	return story, err
}

// A wish is a request as the tree has it.
type wish struct {
	name, reason string
	secret       string
	text         string
	withdrawn    bool
	window       *rotation.Window
}

type simulation struct {
	*lab
	rnd     *rand.Rand
	chains  []rotation.Chain
	wishes  []*wish
	stopped []*process
	foreign bool // people act by hand
}

var simEnvironments = []string{"dev", "stage", "prod"}

func newSimulation(w World, seed uint64) (*simulation, error) {
	s := &simulation{rnd: rand.New(rand.NewPCG(seed, 7)), foreign: seed%5 == 0}
	for _, secret := range []string{"payments/api-key", "search/key"} {
		for _, env := range simEnvironments {
			s.chains = append(s.chains, rotation.Chain{Environment: env, Secret: secret})
		}
	}
	l, err := newLab(w, twist{}, s.chains...)
	s.lab = l
	s.wish("payments/api-key", "scheduled")
	s.wish("search/key", "scheduled")
	return s, err
}

func (s *simulation) one(n int) bool { return s.rnd.IntN(n) == 0 }

func (s *simulation) wish(secret, reason string) {
	w := &wish{name: fmt.Sprintf("2026-11-25-request-%d", len(s.wishes)+1), reason: reason, secret: secret, text: "first"}
	if reason == "scheduled" && s.one(3) {
		from := time.Now().Add(time.Duration(s.rnd.IntN(48)) * time.Hour)
		w.window = &rotation.Window{From: from, To: from.Add(time.Duration(1+s.rnd.IntN(4)) * time.Hour)}
	}
	s.wishes = append(s.wishes, w)
	s.tell("** %s wants %s, %s", w.name, secret, reason)
}

func (s *simulation) jobOf(w *wish, env string) apply.Job {
	c := rotation.Chain{Environment: env, Secret: w.secret}
	j := s.job(c, w.name, w.reason, func(in *plan.Input) {
		in.Request = []byte(w.text)
		like := in.Targets[0]
		in.Targets = nil
		for _, e := range simEnvironments {
			like.Environment, like.Window, like.With = e, w.window, s.sites[rotation.Chain{Environment: e, Secret: w.secret}].Target
			in.Targets = append(in.Targets, like)
		}
	})
	j.Withdrawn = w.withdrawn
	return j
}

// tick is one thing that happens.
func (s *simulation) tick() {
	w := s.wishes[s.rnd.IntN(len(s.wishes))]
	switch n := s.rnd.IntN(20); {
	case n < 3:
		d := time.Duration(s.rnd.IntN(20)) * time.Minute
		if s.one(3) {
			d = time.Duration(s.rnd.IntN(60)) * time.Hour
		}
		time.Sleep(d)
	case n == 3 && len(s.wishes) < 6:
		s.wish(w.secret, []string{"scheduled", "compromise"}[s.rnd.IntN(2)])
	case n == 4:
		w.withdrawn = s.one(2)
	case n == 5 && s.one(2):
		w.text = []string{"first", "edited"}[s.rnd.IntN(2)]
	case n == 6:
		c := s.chains[s.rnd.IntN(len(s.chains))]
		s.sites[c].bad, s.sites[c].old = !s.sites[c].bad, s.sites[c].Live()
	case n == 7 && len(s.stopped) > 0:
		p := s.stopped[0]
		s.stopped = s.stopped[1:]
		close(p.g.resume)
		<-p.g.ended
	case n == 8 && s.foreign:
		c := s.chains[s.rnd.IntN(len(s.chains))]
		g := s.gate([]mode{promoted, begun}[s.rnd.IntN(2)], 0, 0)
		g.site = s.sites[c]
		g.meddle()
	default:
		for _, env := range simEnvironments {
			s.go1(w, env)
		}
	}
}

var simModes = []mode{before, after, lost, down, throttled, broken, hangs, late, lateEnd, lateDead, lateLong, stalled, stalledIn, storeGone}

// go1 is one run, disturbed or not.
func (s *simulation) go1(w *wish, env string) {
	j := s.jobOf(w, env)
	if s.one(12) {
		j.RollBack = "kim: seed"
	}
	j.Again = s.one(6)
	g := s.gate(none, 0, 0)
	if s.one(3) {
		m := simModes[s.rnd.IntN(len(simModes))]
		if (m == stalled || m == stalledIn) && len(s.stopped) > 2 {
			m = lost
		}
		g = s.gate(m, 1+s.rnd.IntN(50), s.rnd.IntN(25))
	}
	p := s.start(context.Background(), g, j, time.Duration(s.rnd.IntN(9)-4)*time.Minute)
	if over := p.wait(); !over && (g.mode == stalled || g.mode == stalledIn) {
		s.stopped = append(s.stopped, p)
	} else {
		<-g.ended // what a dead process still tries goes nowhere
	}
	if g.count() >= g.at && g.at > 0 {
		s.tell("!! %s at call %d, %s", g.mode, g.at, g.name(g.at))
	}
}

// end lets the history come to rest, and judges it.
func (s *simulation) end(ends map[string]int) error {
	s.tell("** no more disturbances")
	for _, p := range s.stopped {
		close(p.g.resume)
		<-p.g.ended
	}
	for _, x := range s.sites {
		x.bad = false
	}
	for _, w := range s.wishes {
		w.text = "first"
	}
	var restless error
	at := map[string]plan.State{}
	for range 40 {
		restless = nil
		for _, w := range s.wishes {
			for _, env := range simEnvironments {
				if at[w.name+env].Over() {
					continue
				}
				st, err := s.run(s.jobOf(w, env))
				at[w.name+env] = st.Decision.State
				if d := st.Decision.State; err != nil && !errors.Is(err, apply.ErrChanged) || !d.Over() && d != plan.Waiting {
					restless = fmt.Errorf("%s in %s is still %s (%s): %v", w.name, env, d, st.Decision.Why, err)
				}
			}
		}
		if restless == nil {
			break
		}
		time.Sleep(20 * time.Hour)
	}
	for _, state := range at {
		ends[string(state)]++
	}
	if restless != nil && !s.foreign {
		return restless
	}
	for _, c := range s.chains {
		if err := s.rest1(c); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return s.fine()
}

// rest1 holds a chain at rest against the world: what its last attempt came to is so.
func (s *simulation) rest1(c rotation.Chain) error {
	if err := s.honest(c); err != nil {
		return err
	}
	x := s.sites[c]
	if err := x.Always(); err != nil {
		return err
	}
	if x.whole != nil {
		if err := x.whole(); err != nil && x.byHand == "" {
			return fmt.Errorf("what a person had begun: %w", err)
		}
	}
	if x.byHand != "" || x.whole != nil {
		return nil
	}
	var attempt []rotation.Record // the last one that got to do anything
	var last []rotation.Record
	for _, r := range s.records(c) {
		if r.Claim != nil {
			last = nil
		}
		last = append(last, r)
		if p := last[0].Claim.Plan; plan.MayHaveBegun(&p, last) {
			attempt = last
		}
	}
	if attempt == nil {
		return x.Restored()
	}
	p := attempt[0].Claim.Plan
	steps := map[plan.State][]string{plan.Finished: {"validate/health", "decommission"}, plan.RolledBack: {"restore", "discard"}}
	for _, step := range steps[plan.Next(&p, attempt, time.Now()).State] {
		if err := x.Happened(step, rotation.PastOf(attempt)); err != nil {
			return fmt.Errorf("in the end, %s: %w", step, err)
		}
	}
	return nil
}
