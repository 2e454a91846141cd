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
	total := 0
	t.Run("every call", func(t *testing.T) {
		counts := make(chan int, 10000)
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
							n, bad := w.tries(t, sc, i, d, at)
							counts <- n
							if bad != nil {
								t.Error(bad)
							}
						})
					}
				}
			}
		})
		close(counts)
		for n := range counts {
			total += n
		}
	})
	t.Logf("%s: %d cases", w.Kind.Name, total)
	fmt.Printf("kindtest: %s: %d cases\n", w.Kind.Name, total)
}

// stride is how many calls apart the tried ones are.
func (w World) stride() int {
	if Full() {
		return 1
	}
	return cmp.Or(w.Stride, 23)
}

// tries is the calls of an act that are tried with a disturbance, the kth of all.
func (w World) tries(t *testing.T, sc scenario, i int, d disturbance, k int) (cases int, bad *defect) {
	switch {
	case w.Apart == 0:
		return each(t, w, twist{}, sc, i, d, w.stride())
	case Full():
		return each(t, w, twist{}, sc, i, d, w.Apart)
	}
	for at := 1 + k*37%150; ; at = at / 2 { // an act with fewer calls is tried at an earlier one
		more := false
		synctest.Test(t, func(t *testing.T) { more, bad = one(w, twist{}, sc, i, d, at) })
		if more || bad != nil {
			return 1, bad
		}
	}
}

// A defect is a history that went wrong.
type defect struct {
	what  string
	story []string
}

func (d *defect) Error() string { return d.what + "\n" + strings.Join(d.story, "\n") }

// each disturbs an act at each of its calls, and stops at the first history that goes wrong.
func each(t *testing.T, w World, tw twist, sc scenario, i int, d disturbance, step int) (cases int, bad *defect) {
	offset := 0
	for _, c := range sc.name + d.String() {
		offset += int(c)
	}
	for at := 1 + offset%step; ; at += step {
		more := false
		synctest.Test(t, func(t *testing.T) { more, bad = one(w, tw, sc, i, d, at) })
		if !more || bad != nil {
			return cases, bad
		}
		cases++
	}
}

// one is one history. more is false when the act has fewer calls than at.
func one(w World, tw twist, sc scenario, i int, d disturbance, at int) (more bool, bad *defect) {
	l, err := newLab(w, tw, chain)
	if err != nil {
		return false, &defect{what: err.Error()}
	}
	defer l.sweep()
	wrong := func(err error) *defect {
		return &defect{fmt.Sprintf("%s: %s, call %d: %v", sc.name, sc.acts[i].name, at, err), l.story}
	}
	for _, a := range sc.acts[:i] {
		l.begin(a)
		if err := l.settle(a); err != nil {
			return true, wrong(fmt.Errorf("undisturbed: %w", err))
		}
	}
	a := sc.acts[i]
	l.begin(a)
	p, at, over := l.disturbed(a, d, at)
	g, name := p.g, p.g.name(at)
	l.tell("!! %s: call %d, %s", d, at, name)
	if g.count() < at {
		return false, nil
	}
	var err2 error
	end, attempts := sc.acts[len(sc.acts)-1].until, sc.attempts
	switch {
	case d.mode == promoted || d.mode == begun:
		if err := l.meddled(a); err != nil {
			return true, wrong(fmt.Errorf("%s: %w", name, err))
		}
		return true, nil
	case over || d.mode != stalled && d.mode != stalledIn:
		err2 = l.rest(sc.acts[i:], true)
	case d.all:
		err2 = l.overtaken(sc.acts[i:], p)
	case d.with != nil:
		_, _ = l.run(d.with(l))
		close(p.g.resume)
		<-p.g.ended
		end, attempts = plan.Finished, attempts+1
		err2 = l.both(a.job, d.with)
	default:
		_, _ = l.run(a.job(l))
		close(p.g.resume)
		<-p.g.ended
		err2 = l.rest(sc.acts[i:], true)
	}
	if err2 != nil {
		return true, wrong(fmt.Errorf("%s: %w", name, err2))
	}
	if err := l.judge(chain, end, attempts); err != nil {
		return true, wrong(fmt.Errorf("%s: %w", name, err))
	}
	return true, nil
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
func (l *lab) meddled(a act) error {
	for range 24 {
		_, _ = l.run(a.job(l))
		time.Sleep(3 * time.Hour)
	}
	s := l.sites[chain]
	if s.whole != nil {
		if err := s.whole(); err != nil {
			return fmt.Errorf("what a person had begun: %w", err)
		}
	}
	if id := s.byHand; id != "" && s.Live() != id && !l.knows(chain, id) {
		return fmt.Errorf("a person had made %s the live one, now it is %s", id, s.Live())
	}
	if err := l.honest(chain); err != nil {
		return err
	}
	return l.fine()
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
