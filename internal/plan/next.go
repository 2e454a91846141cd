// Package plan owns the two decisions about a rotation: which steps it has (Build) and which is next (Next).
// Both are pure: no clock, no network, nothing live, so that runs, status pages and simulations always agree.
package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/rotation"
)

// A State is where one environment of a rotation stands.
type State string

const (
	Open       State = "open"        // Step is due
	Deferred   State = "deferred"    // Step is due at Until
	Waiting    State = "waiting"     // for something that isn't in the plan: the environment before, adoption, a person
	Refused    State = "refused"     // preconditions failed: nothing was changed; Step may be tried again
	Stuck      State = "stuck"       // Step failed where nothing is undone by itself; it is tried again
	Missed     State = "missed"      // over: it never began, and can't any more
	Superseded State = "superseded"  // over: a later rotation took over during the retention, and answers for what it kept
	RolledBack State = "rolled back" // over: the old credential is live; another attempt needs a person
	Finished   State = "finished"    // over: the new credential is live, the old one gone
)

// Over says whether nothing is left to do.
func (s State) Over() bool { return s == Missed || s == Superseded || s == RolledBack || s == Finished }

// A Decision is Next's answer.
type Decision struct {
	State State
	Step  rotation.Step // due, or waited for; zero when over
	Until time.Time     // of Deferred: the instant it becomes due
	Why   string        // for people; "" when Open

	Approval string // of Waiting: what people must approve first, see rotation.Approval.For; "" it waits for something else
}

// Due says whether there is something to do now.
func (d Decision) Due() bool { return d.State == Open || d.State == Refused || d.State == Stuck }

// Next decides what to do for p at now. records are those of p's attempt, oldest first; none when unclaimed.
func Next(p *rotation.Plan, records []rotation.Record, now time.Time) Decision {
	h := read(p, records)
	if at, why := h.broken(now); at >= 0 {
		return h.undo(at, why)
	}
	for i, s := range p.Steps {
		if h.done[s.Key] == nil {
			return h.forward(i, now)
		}
	}
	return Decision{State: Finished}
}

// Validated says whether everything up to the retention is done and holds: the next environment may begin.
func Validated(p *rotation.Plan, records []rotation.Record, now time.Time) bool {
	h := read(p, records)
	if at, _ := h.broken(now); at >= 0 {
		return false
	}
	return len(p.Steps) > 0 && !slices.ContainsFunc(p.Steps, func(s rotation.Step) bool {
		return s.Phase != rotation.Decommission && h.done[s.Key] == nil
	})
}

// MayHaveBegun says whether something may have been changed. A crash leaves no record of a step under way, so
// that is from the moment the preconditions are met.
func MayHaveBegun(p *rotation.Plan, records []rotation.Record) bool {
	h := read(p, records)
	return len(records) > 0 && !slices.ContainsFunc(p.Steps, func(s rotation.Step) bool {
		return s.Phase == rotation.Preconditions && h.done[s.Key] == nil
	})
}

// Since is when the step that is due became so: the last record that isn't about going on; zero when there is none.
func Since(records []rotation.Record) time.Time {
	for i := len(records) - 1; i >= 0; i-- {
		switch r := records[i]; r.Outcome {
		case rotation.Noted, rotation.Resumed, rotation.Released, rotation.Attached, rotation.Begun:
		default:
			return r.At
		}
	}
	return time.Time{}
}

// Waits is what the last run left to a later one to wait for, since when runs do, and when that was last told; "" where
// the last run didn't wait.
func Waits(records []rotation.Record) (what string, since, told time.Time) {
	for i := len(records) - 1; i >= 0; i-- {
		r := records[i]
		text, waits := r.Waited()
		switch {
		case r.Outcome == rotation.Attached:
		case waits && told.IsZero():
			what, since, told = text, r.At, r.At
		case waits:
			since = r.At
		case r.Outcome == rotation.Resumed && !told.IsZero(): // to look, and to leave again
		default:
			return what, since, told
		}
	}
	return what, since, told
}

// Lapses is when s, which looks for who still uses the old credential, is waited for no more by the policy that its plan
// was made under; zero: never, or what it counts from isn't on record.
func Lapses(s rotation.Step, records []rotation.Record) (at time.Time) {
	if !s.Looks || s.Lapse <= 0 {
		return at
	}
	if done := rotation.PastOf(records).Done(s.After); !done.IsZero() {
		at = done.Add(time.Duration(s.Delay + s.Lapse))
	}
	return at
}

// CanRollBack says whether the old credential can still be brought back, and why not.
func CanRollBack(p *rotation.Plan, records []rotation.Record, now time.Time) (bool, string) {
	h := read(p, records)
	switch {
	case !MayHaveBegun(p, records):
		return false, "nothing has been changed"
	case h.final:
		return false, "decommission has begun: the old credential may be gone; open a new request instead"
	}
	if d := Next(p, records, now); d.State.Over() {
		return false, "it is " + string(d.State) + " already"
	}
	return true, ""
}

// A history is what Next needs of the records.
type history struct {
	plan   *rotation.Plan
	done   map[string]*rotation.Record // by step key
	failed map[string]*rotation.Record // by step key: its last outcome is a definite failure
	order  []rotation.Record
	final  bool // a Final step may have begun
	asked  *rotation.Record
}

func read(p *rotation.Plan, records []rotation.Record) history {
	h := history{plan: p, done: map[string]*rotation.Record{}, failed: map[string]*rotation.Record{}, order: records}
	for i := range records {
		r := &records[i]
		switch r.Outcome {
		case rotation.Done:
			h.done[r.Step] = r
			delete(h.failed, r.Step)
		case rotation.Failed:
			h.failed[r.Step] = r
		case rotation.Begun:
			h.final = true
		case rotation.Asked:
			if !h.final { // else it came too late: nothing can be brought back
				h.asked = r
			}
		}
	}
	return h
}

// broken is the index of the furthest step that may have begun when the rotation was given up, or -1, and why.
func (h history) broken(now time.Time) (int, string) {
	current := slices.IndexFunc(h.plan.Steps, func(s rotation.Step) bool { return h.done[s.Key] == nil })
	if h.asked != nil {
		if current < 0 {
			current = len(h.plan.Steps) - 1
		}
		return current, "a person asked for it: " + h.asked.Text
	}
	for i, s := range h.plan.Steps {
		if r := h.failed[s.Key]; r != nil && s.Phase.Undone() && !h.holds(s) {
			return i, fmt.Sprintf("%s failed: %s", s.Key, r.Text)
		}
	}
	// Once taking back has begun it goes on, whatever the clock of the next runner says of the window.
	for _, u := range h.plan.Undo {
		if h.done[u.Key] != nil || h.failed[u.Key] != nil {
			return max(current, 0), "it is being taken back"
		}
	}
	// A window that closed half-way, before anything depends on the new credential, never opens again.
	if current >= 0 && MayHaveBegun(h.plan, h.order) {
		s := h.plan.Steps[current]
		if _, _, ever := calendar.Opens(s.Window, s.Hours, now); s.Window != nil && !ever && s.Phase.Undone() {
			return current, "its window closed before " + s.Key
		}
	}
	return -1, ""
}

// holds: the request wants the new credential kept, whatever happens, once the old one isn't the live one.
func (h history) holds(s rotation.Step) bool {
	return h.plan.OnFailure == "hold" && s.Phase != rotation.Create
}

func (h history) undo(at int, why string) Decision {
	for _, u := range h.plan.Undo {
		if undoes := h.index(u.Undoes); undoes > at || h.done[u.Key] != nil {
			continue // never begun, or undone
		}
		if r := h.failed[u.Key]; r != nil {
			return Decision{State: Stuck, Step: u, Why: r.Text}
		}
		return Decision{State: Open, Step: u, Why: why}
	}
	return Decision{State: RolledBack, Why: why}
}

func (h history) forward(i int, now time.Time) Decision {
	s := h.plan.Steps[i]
	begun := MayHaveBegun(h.plan, h.order)
	if !begun && !h.plan.StartBy.IsZero() && now.After(h.plan.StartBy) {
		return Decision{State: Missed, Why: "not begun by " + stamp(h.plan.StartBy)}
	}
	if r := h.done[s.After]; r != nil {
		if at := r.At.Add(time.Duration(s.Delay)); now.Before(at) {
			return Decision{State: Deferred, Step: s, Until: at, Why: s.Key + " waits until " + stamp(at)}
		}
	}
	if s.Window != nil || s.Hours != nil {
		at, open, ever := calendar.Opens(s.Window, s.Hours, now)
		switch {
		case !ever && !begun:
			return Decision{State: Missed, Why: "its window has passed"}
		case !open && ever && h.failed[s.Key] == nil:
			return Decision{State: Deferred, Step: s, Until: at, Why: s.Key + " may start at " + stamp(at)}
		}
	}
	if scope := h.unapproved(s); scope != "" {
		return Decision{State: Waiting, Step: s, Why: "waits for approval", Approval: scope}
	}
	if r := h.failed[s.Key]; r != nil {
		if s.Phase == rotation.Preconditions {
			return Decision{State: Refused, Step: s, Why: r.Text}
		}
		return Decision{State: Stuck, Step: s, Why: r.Text}
	}
	return Decision{State: Open, Step: s}
}

// unapproved is what people must approve before s may begin; "" when nothing, or they have.
func (h history) unapproved(s rotation.Step) string {
	scope := rotation.ApprovesRotation
	if s.Phase == rotation.Decommission && slices.Contains(h.plan.Approvals, rotation.ApprovesDecommission) {
		scope = rotation.ApprovesDecommission
	}
	if !slices.Contains(h.plan.Approvals, scope) || Approval(h.order, scope) != nil {
		return ""
	}
	return scope
}

// Approval is the last approval of that scope among an attempt's records; nil when there is none.
func Approval(records []rotation.Record, scope string) *rotation.Approval {
	for i := len(records) - 1; i >= 0; i-- {
		if a := records[i].Grant(); a != nil && a.For == scope {
			return a
		}
	}
	return nil
}

func (h history) index(key string) int {
	return slices.IndexFunc(h.plan.Steps, func(s rotation.Step) bool { return s.Key == key })
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }
