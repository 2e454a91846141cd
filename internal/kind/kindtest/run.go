package kindtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A disturbance is a mode with its argument, and how a history with it goes on.
type disturbance struct {
	mode mode
	arg  int
	with func(*lab) apply.Job // stalled: the job of the one who comes in between; nil: the same
	all  bool                 // stalled: until the other one finished everything
}

func (d disturbance) String() string {
	s := string(d.mode)
	if d.arg > 0 {
		s += fmt.Sprintf(" by %d calls", d.arg)
	}
	switch {
	case d.all:
		s += " until another finished"
	case d.with != nil:
		s += " while another request runs"
	case d.mode == stalled || d.mode == stalledIn:
		s += " while another starts"
	}
	return s
}

var disturbances = []disturbance{
	{mode: before}, {mode: after}, {mode: lost}, {mode: down}, {mode: throttled}, {mode: broken}, {mode: hangs},
	{mode: late, arg: 1}, {mode: late, arg: 2}, {mode: late, arg: 3}, {mode: late, arg: 5}, {mode: late, arg: 8}, {mode: late, arg: 13}, {mode: late, arg: 21},
	{mode: lateEnd},
	{mode: lateDead, arg: 2}, {mode: lateDead, arg: 8}, {mode: lateDead, arg: 13}, {mode: lateLong},
	{mode: storeGone, arg: 1}, {mode: storeGone, arg: 4}, {mode: storeGone, arg: 12}, {mode: storeGone, arg: 30}, {mode: storeGone},
	{mode: promoted}, {mode: begun},
	{mode: stalled, all: true}, {mode: stalledIn, all: true},
	{mode: stalled}, {mode: stalledIn},
	{mode: stalled, with: stolen}, {mode: stalledIn, with: stolen},
}

// Run holds a kind to all of it: each call of each act of each scenario, with each disturbance.
func Run(t *testing.T, w World) {
	t.Run("the instance is judged", func(t *testing.T) { checkJudges(t, w) })
	t.Run("looking changes nothing", func(t *testing.T) { looksOnly(t, w) })
	t.Run("each step twice", func(t *testing.T) { twice(t, w) })
	t.Run("the old credential is dead", func(t *testing.T) { negative(t, w) })
	sum := newTally(w)
	t.Run("every call", func(t *testing.T) {
		t.Run("all", func(t *testing.T) {
			k := 0
			for _, sc := range scenarios {
				for i, a := range sc.acts {
					for _, d := range disturbances {
						if k++; d.with != nil && !a.rival || w.Apart > 0 && !Full() && k%w.Apart != 0 {
							continue
						}
						at := k
						t.Run(fmt.Sprintf("%s/%s/%s", sc.name, a.name, d), func(t *testing.T) {
							t.Parallel()
							all, bad := w.tries(t, sc, i, d, at)
							sum.add(d.mode, all, bad)
							if bad != nil {
								t.Error(bad)
							}
						})
					}
				}
			}
		})
	})
	if err := sum.tell(t); err != nil {
		t.Error(err)
	}
}

// stride is how many calls apart the tried ones are.
func (w World) stride() int {
	if Full() {
		return 1
	}
	return cmp.Or(w.Stride, 23)
}

// tries is the calls of an act that are tried with a disturbance, the kth of all.
func (w World) tries(t *testing.T, sc scenario, i int, d disturbance, k int) (all []plan.State, bad *defect) {
	switch {
	case w.Apart == 0:
		return each(t, w, twist{}, sc, i, d, w.stride())
	case Full():
		return each(t, w, twist{}, sc, i, d, w.Apart)
	}
	for at := 1 + k*37%150; at > 0; {
		var h history
		synctest.Test(t, func(t *testing.T) { h = one(w, twist{}, sc, i, d, at) })
		switch {
		case h.bad != nil || h.acted:
			return []plan.State{h.end}, h.bad
		case h.more:
			at--
		default: // an act with fewer calls is tried at an earlier one
			at /= 2
		}
	}
	return nil, nil
}

// A defect is a history that went wrong.
type defect struct {
	what  string
	story []string
}

func (d *defect) Error() string { return d.what + "\n" + strings.Join(d.story, "\n") }

// each disturbs an act at each of its calls, and stops at the first history that goes wrong. all is where they ended.
func each(t *testing.T, w World, tw twist, sc scenario, i int, d disturbance, step int) (all []plan.State, bad *defect) {
	offset := 0
	for _, c := range sc.name + d.String() {
		offset += int(c)
	}
	for at := 1 + offset%step; ; {
		var h history
		synctest.Test(t, func(t *testing.T) { h = one(w, tw, sc, i, d, at) })
		switch {
		case !h.more || h.bad != nil:
			return all, h.bad
		case h.acted:
			all = append(all, h.end)
			at += step
		default: // the disturbance makes nothing of this call, but of a later one
			at++
		}
	}
}

// A history is what came of one.
type history struct {
	more  bool // the act has as many calls
	acted bool // there was a disturbance: a person acts between steps only
	end   plan.State
	bad   *defect
}

// one is one history.
func one(w World, tw twist, sc scenario, i int, d disturbance, at int) history {
	l, err := newLab(w, tw, chain)
	if err != nil {
		return history{bad: &defect{what: err.Error()}}
	}
	defer l.sweep()
	wrong := func(err error) history {
		return history{more: true, acted: true, bad: &defect{fmt.Sprintf("%s: %s, call %d: %v", sc.name, sc.acts[i].name, at, err), l.story}}
	}
	for _, a := range sc.acts[:i] {
		l.begin(a)
		if err := l.settle(a); err != nil {
			return wrong(fmt.Errorf("undisturbed: %w", err))
		}
	}
	a := sc.acts[i]
	l.begin(a)
	p, at, over := l.disturbed(a, d, at)
	if p.g.count() < at {
		return history{}
	}
	name := p.g.name(at)
	l.tell("!! %s: call %d, %s", d, at, name)
	end, attempts := sc.acts[len(sc.acts)-1].until, sc.attempts
	switch {
	case d.mode == promoted || d.mode == begun:
		if s := l.sites[chain]; s.byHand == "" && s.whole == nil {
			return history{more: true}
		}
		if end, err = l.meddled(a); err != nil {
			return wrong(fmt.Errorf("%s: %w", name, err))
		}
		return history{more: true, acted: true, end: end}
	case over || d.mode != stalled && d.mode != stalledIn:
		err = l.rest(sc.acts[i:], true)
	case d.all:
		err = l.overtaken(sc.acts[i:], p)
	case d.with != nil:
		_, _ = l.run(d.with(l))
		close(p.g.resume)
		<-p.g.ended
		end, attempts = plan.Finished, attempts+1
		err = l.both(a.job, d.with)
	default:
		_, _ = l.run(a.job(l))
		close(p.g.resume)
		<-p.g.ended
		err = l.rest(sc.acts[i:], true)
	}
	if err == nil {
		err = l.judge(chain, end, attempts)
	}
	if err != nil {
		return wrong(fmt.Errorf("%s: %w", name, err))
	}
	return history{more: true, acted: true, end: end}
}

// disturbed is a process with a disturbance at its call at, or the one that goes on after a person did what it asked
// for, with what is left of at.
func (l *lab) disturbed(a act, d disturbance, at int) (p *process, left int, over bool) {
	for {
		p = l.start(context.Background(), l.gate(d.mode, at, d.arg), a.job(l), 0)
		over = p.wait()
		if n := p.g.count(); over && n < at && l.asked(p) {
			at -= n
			continue
		}
		return p, at, over
	}
}

// sweep lets what is still on its way end, so that the bubble can.
func (l *lab) sweep() { time.Sleep(time.Hour) }

// overtaken is a runner that is stopped until another one has finished: then it may change nothing.
func (l *lab) overtaken(acts []act, p *process) error {
	time.Sleep(time.Hour)
	err := l.rest(acts, true)
	was := l.sites[chain].State()
	close(p.g.resume)
	<-p.g.ended
	if err != nil {
		return fmt.Errorf("the other runner: %w", err)
	}
	if is := l.sites[chain].State(); is != was {
		return fmt.Errorf("a runner that was stopped changed something after another one had finished:\n%s\nwas\n%s", is, was)
	}
	return nil
}

// meddled lets a rotation go on for three days after a person did something by hand. It may end as it likes or be
// stuck, but what the person did stays, and the records are honest.
func (l *lab) meddled(a act) (end plan.State, err error) {
	for range 24 {
		st, _ := l.run(a.job(l))
		end = st.Decision.State
		time.Sleep(3 * time.Hour)
	}
	s := l.sites[chain]
	if s.whole != nil {
		if err := s.whole(); err != nil {
			return end, fmt.Errorf("what a person had begun: %w", err)
		}
	}
	if id := s.byHand; id != "" && s.Live() != id && !l.knows(chain, id) {
		return end, fmt.Errorf("a person had made %s the live one, now it is %s", id, s.Live())
	}
	if err := l.honest(chain); err != nil {
		return end, err
	}
	return end, l.fine()
}

// knows says whether a preflight found id as the live one: then it may be rotated.
func (l *lab) knows(c rotation.Chain, id string) bool {
	for _, r := range l.records(c) {
		if r.Step == "preflight" && r.Facts["old"] == id {
			return true
		}
	}
	return false
}

// both runs two requests until both are over.
func (l *lab) both(jobs ...func(*lab) apply.Job) error {
	for range 40 {
		over := 0
		for _, j := range jobs {
			if st, _ := l.run(j(l)); st.Decision.State.Over() {
				over++
			}
		}
		if over == len(jobs) {
			return nil
		}
		time.Sleep(5 * time.Hour)
	}
	return errors.New("the two requests never came to an end")
}

// checkJudges: an undisturbed rotation passes, and each judge fails where it should.
func checkJudges(t *testing.T, w World) {
	for _, sc := range scenarios {
		synctest.Test(t, func(t *testing.T) {
			l, err := newLab(w, twist{}, chain)
			if err != nil {
				t.Fatal(err)
			}
			defer l.sweep()
			s := l.sites[chain]
			if s.Finished(1) == nil {
				t.Errorf("%s: judged finished before it began", sc.name)
			}
			if err := s.Restored(); err != nil {
				t.Errorf("judged as not restored before it began: %v", err)
			}
			if err := l.rest(sc.acts, false); err != nil {
				t.Fatalf("%s: %v\n%s", sc.name, err, strings.Join(l.story, "\n"))
			}
			end := sc.acts[len(sc.acts)-1].until
			if err := l.judge(chain, end, sc.attempts); err != nil {
				t.Errorf("%s: %v\n%s", sc.name, err, strings.Join(l.story, "\n"))
			}
			if end == plan.Finished && s.Restored() == nil {
				t.Errorf("%s: judged restored though it finished", sc.name)
			}
		})
	}
	_ = rotation.Done
}
