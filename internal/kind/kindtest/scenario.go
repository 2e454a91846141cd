package kindtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

var chain = rotation.Chain{Environment: "prod", Secret: "payments/api-key"}

const first, second = "2026-11-25-api-key", "2026-11-25-api-key-stolen"

// An act is a part of a history: what is started again until it is where it is to come to.
type act struct {
	name  string
	pause time.Duration // before it
	does  func(*lab)    // before it; nil: nothing
	job   func(*lab) apply.Job
	until plan.State
	rival bool // another request may come in between
}

// A scenario is a whole history of one chain. The last act's end is judged.
type scenario struct {
	name     string
	acts     []act
	attempts int
}

func plainly(l *lab) apply.Job { return l.job(chain, first, "scheduled", nil) }

func asked(l *lab) apply.Job {
	j := plainly(l)
	j.RollBack = "kim: customers complain"
	return j
}

func again2(l *lab) apply.Job {
	j := plainly(l)
	j.Again = true
	return j
}

func stolen(l *lab) apply.Job { return l.job(chain, second, "compromise", nil) }

func spoil(l *lab) { l.sites[chain].bad = true }
func mend(l *lab)  { l.sites[chain].bad = false }

var scenarios = []scenario{
	{"rotation", []act{
		{"first run", 0, nil, plainly, plan.Deferred, true},
		{"retention", time.Hour, nil, plainly, plan.Deferred, true},
		{"decommission", retain, nil, plainly, plan.Finished, true},
	}, 1},
	{"refused by validation", []act{{"first run", 0, spoil, plainly, plan.RolledBack, false}}, 1},
	{"rolled back by a person", []act{
		{"first run", 0, nil, plainly, plan.Deferred, false},
		{"rollback", time.Minute, nil, asked, plan.RolledBack, true},
	}, 1},
	{"again", []act{
		{"first run", 0, spoil, plainly, plan.RolledBack, false},
		{"second attempt", time.Minute, mend, again2, plan.Deferred, true},
		{"decommission", retain + time.Hour, nil, plainly, plan.Finished, false},
	}, 2},
	{"stolen during the retention", []act{
		{"first run", 0, nil, plainly, plan.Deferred, false},
		{"the other request", time.Minute, nil, stolen, plan.Deferred, false},
		{"decommission", retain + time.Hour, nil, stolen, plan.Finished, false},
	}, 2},
}

// begin prepares an act.
func (l *lab) begin(a act) {
	time.Sleep(a.pause)
	if a.does != nil {
		a.does(l)
	}
	l.tell("-- %s", a.name)
}

// settle runs an act until it is where it is to come to.
func (l *lab) settle(a act) error {
	var last error
	for range 12 {
		st, err := l.run(a.job(l))
		if err == nil && st.Decision.State == a.until {
			return nil
		}
		if err == nil && st.Decision.State.Over() {
			return fmt.Errorf("%s ended %s (%s), not %s", a.name, st.Decision.State, st.Decision.Why, a.until)
		}
		last = err
		if err == nil {
			last = errors.New(string(st.Decision.State) + ": " + st.Decision.Why)
		}
		time.Sleep(4 * time.Minute)
	}
	return fmt.Errorf("%s never came to be %s, last: %w", a.name, a.until, last)
}

// rest settles what is left of a scenario.
func (l *lab) rest(acts []act, begun bool) error {
	for i, a := range acts {
		if i > 0 || !begun {
			l.begin(a)
		}
		if err := l.settle(a); err != nil {
			return err
		}
	}
	return nil
}

// judge holds the end against the world and the records, now and after everything on its way has arrived.
func (l *lab) judge(c rotation.Chain, end plan.State, attempts int) error {
	s := l.sites[c]
	for _, when := range []string{"at the end", "after the last call arrived"} {
		var err error
		if end == plan.Finished {
			err = s.Finished(attempts)
		} else if err = s.Restored(); err == nil && end != plan.RolledBack && s.State() != s.before {
			err = errors.New("something was changed")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		time.Sleep(tooOld + time.Minute)
	}
	if err := l.honest(c); err != nil {
		return err
	}
	return l.fine()
}

// fine: nothing was seen to go wrong at any instant, and no evidence holds a value.
func (l *lab) fine() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) > 0 {
		return errors.New(l.faults[0])
	}
	var all strings.Builder
	for name, data := range l.mem.all() {
		fmt.Fprintf(&all, "%s\n%s\n", name, data)
	}
	text := all.String()
	for _, v := range l.values {
		if strings.Contains(text, v) {
			return errors.New("the evidence holds a secret value")
		}
	}
	return nil
}
