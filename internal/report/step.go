package report

import (
	"maps"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A Mark is where one step stands.
type Mark string

const (
	Ahead  Mark = "ahead"  // not begun
	Due    Mark = "due"    // next, or under way
	Done   Mark = "done"   //
	Failed Mark = "failed" // definitely
)

// A Step is one step of a plan and what is on record about it.
type Step struct {
	rotation.Step
	Mark  Mark
	At    time.Time     // of the record that settled it, or of the latest one; zero: no record
	Took  time.Duration // from when it became due, as far as the records tell; 0: unknown
	Text  string
	Hint  string
	Facts []rotation.Fact // by key
	Files []rotation.FileRef
}

// steps are all forward steps, and the undo steps that ran or are going to.
func steps(p *rotation.Plan, records []rotation.Record, d plan.Decision, now time.Time) (forward, undo []Step) {
	for _, s := range p.Steps {
		forward = append(forward, look(s, p, records, d))
	}
	coming := map[string]bool{}
	if d.Step.Phase == rotation.Rollback {
		for _, f := range Forecast(p, records, now) {
			coming[f.Step.Key] = true
		}
	}
	for _, s := range p.Undo {
		if u := look(s, p, records, d); u.Mark != Ahead || coming[s.Key] {
			undo = append(undo, u)
		}
	}
	return forward, undo
}

func look(s rotation.Step, p *rotation.Plan, records []rotation.Record, d plan.Decision) Step {
	v := Step{Step: s, Mark: Ahead}
	facts := map[string]string{}
	for i, r := range records {
		if r.Step != s.Key {
			continue
		}
		maps.Copy(facts, r.Facts)
		v.Files = append(v.Files, r.Files...)
		if r.Outcome == rotation.Attached {
			continue
		}
		v.At = r.At
		switch r.Outcome {
		case rotation.Done, rotation.Failed:
			v.Mark, v.Text, v.Hint, v.Took = Done, r.Text, r.Hint, took(s, p, records, i)
			if r.Outcome == rotation.Failed {
				v.Mark = Failed
			}
		}
	}
	if v.Mark == Ahead && d.Step.Key == s.Key && d.Due() {
		v.Mark = Due
	}
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		v.Facts = append(v.Facts, rotation.Fact{Step: s.Key, Key: k, Value: facts[k]})
	}
	return v
}

// took is from the record before it by the same runner that isn't about this step, or from when the plan let the
// step begin if that is later.
func took(s rotation.Step, p *rotation.Plan, records []rotation.Record, i int) time.Duration {
	for j := i - 1; j >= 0; j-- {
		r := records[j]
		if r.Runner != records[i].Runner {
			return 0
		}
		if r.Step == s.Key && (r.Outcome == rotation.Noted || r.Outcome == rotation.Begun) || r.Outcome == rotation.Attached {
			continue
		}
		from := r.At
		for _, e := range records[:i] {
			if e.Step == s.After && e.Outcome == rotation.Done && s.After != "" {
				from = latest(from, e.At.Add(time.Duration(s.Delay)))
			}
		}
		if at, _, ever := calendar.Opens(s.Window, s.Hours, from); ever && at.Before(records[i].At) {
			from = latest(from, at)
		}
		return max(0, records[i].At.Sub(from))
	}
	return 0
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A Foreseen step is due at At if all goes well and nothing takes any time.
type Foreseen struct {
	Step rotation.Step
	At   time.Time
}

// Forecast plays a plan on from now. It ends early where the plan can't go on.
func Forecast(p *rotation.Plan, records []rotation.Record, now time.Time) (all []Foreseen) {
	records = slices.Clone(records)
	for range 2 * (len(p.Steps) + len(p.Undo) + 1) {
		switch d := plan.Next(p, records, now); {
		case d.State == plan.Deferred:
			now = d.Until
		case d.Approval != "":
			records = append(records, rotation.Record{Chain: p.Chain, At: now, Outcome: rotation.Approved,
				Approval: &rotation.Approval{For: d.Approval}})
		case d.Due():
			all = append(all, Foreseen{d.Step, now})
			records = append(records, rotation.Record{Chain: p.Chain, At: now, Step: d.Step.Key, Outcome: rotation.Done})
		default:
			return all
		}
	}
	return all
}
