// Package report owns what all reports say of a rotation: where it stands, what is next and when, where the old
// credential is, who was asked, whose move it is. The media beside it (terminal, summary) only lay it out.
//
// It is a projection of plan and records: it decides nothing that package plan doesn't say, reads no clock, calls
// nobody, and never sees a secret: texts come in redacted. What it hands out may still be hostile: every medium
// escapes what it prints.
package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// An Environment is one environment of a rotation, as apply or the journal has it.
type Environment struct {
	Name     string
	Plan     rotation.Plan
	Records  []rotation.Record // of the rotation's latest attempt, its claim first; none when it hasn't begun
	Decision plan.Decision
	Draft    *rotation.Claim // as it would be claimed, where it isn't yet; nil: unknown
	Head     rotation.Head   // of the chain
	Gate     string          // the GitHub Environment that asks for approval; "" unknown, or by hand
}

// A View is one secret's rotation across its environments. Times are UTC.
type View struct {
	Secret, Rotation string
	Kind, Reason     string
	Ticket, Owner    string // "" where neither claim nor draft is known
	Path             string // the request's file; likewise
	Now              time.Time
	Environments     []Standing
	Checklist        []Item

	times times
	envs  []Environment
}

// New makes the view of one rotation at now. envs are in the configured order.
func New(secret, name string, envs []Environment, now time.Time) View {
	return view(View{Secret: secret, Rotation: name, Now: now, times: times{now: now, year: now}, envs: envs})
}

// Lasting is v in words that stay the same while nothing changes, whatever the time of day or year: for texts that
// are compared with what stands there.
func (v View) Lasting() View {
	c := times{now: v.Now, lasting: true}
	if len(v.Rotation) >= len(time.DateOnly) {
		c.year, _ = time.Parse(time.DateOnly, v.Rotation[:len(time.DateOnly)])
	}
	return view(View{Secret: v.Secret, Rotation: v.Rotation, Now: v.Now, times: c, envs: v.envs})
}

// Stamp is an instant as v tells it.
func (v View) Stamp(t time.Time) string { return v.times.stamp(t) }

func view(v View) View {
	envs := v.envs
	for _, e := range envs {
		v.Kind, v.Reason = cmp.Or(v.Kind, e.Plan.Kind), cmp.Or(v.Reason, e.Plan.Reason)
		if c := cmp.Or(claim(e.Records), e.Draft); c != nil {
			v.Ticket, v.Owner, v.Path = cmp.Or(v.Ticket, c.Ticket), cmp.Or(v.Owner, c.Owner), cmp.Or(v.Path, c.Path)
		}
	}
	for _, e := range envs {
		v.Environments = append(v.Environments, stand(e, v))
	}
	v.Checklist = checklist(v)
	return v
}

// Over says whether nothing is left to do in any environment.
func (v View) Over() bool {
	for _, s := range v.Environments {
		if !s.Decision.State.Over() {
			return false
		}
	}
	return true
}

// Back says in which environments the rotation went back: it isn't done there, and may be started again.
func (v View) Back() (names []string) {
	for _, s := range v.Environments {
		if s.Decision.State == plan.RolledBack {
			names = append(names, s.Name)
		}
	}
	return names
}

// Urgent says whether a person must do something: the higher, the sooner. 0: nobody.
func (v View) Urgent() (n int) {
	for _, s := range v.Environments {
		n = max(n, s.urgent())
	}
	return n
}

// Asked says whether people are to approve something now.
func (v View) Asked() bool {
	return slices.ContainsFunc(v.Environments, func(s Standing) bool { return s.Decision.Approval != "" })
}

// Headline is the answer in a few words, what needs a person first: "stage rolled back, dev validated".
func (v View) Headline() string {
	var order []string
	names := map[string][]string{}
	for urgent := 3; urgent >= 0; urgent-- {
		for _, s := range v.Environments {
			if s.urgent() != urgent {
				continue
			}
			if names[s.Short] == nil {
				order = append(order, s.Short)
			}
			names[s.Short] = append(names[s.Short], s.Name)
		}
	}
	for i, short := range order {
		order[i] = And(names[short]) + " " + short
	}
	return cmp.Or(strings.Join(order, ", "), "no environments")
}

// Next is what comes next, and when: the moves of people first, then Coming.
func (v View) Next() (all []string) {
	for _, s := range v.Environments {
		if s.Move != "" {
			all = append(all, "Your move in "+s.Name+": "+s.Move)
		}
	}
	return append(all, v.Coming()...)
}

// Calm ends what comes where nobody has to do anything before that.
const Calm = "Nothing to do until then."

// Coming is what comes besides the moves of people: first what is due or asked, then what waits for a time.
func (v View) Coming() []string {
	var due, later []string
	moves := false
	for _, s := range v.soonest() {
		if d := s.Decision; d.State == plan.Waiting && d.Approval == "" && s.waitsFor == "" {
			moves = true // not for a time: somebody has to do something
		}
		switch {
		case s.Move != "":
			moves = true
		case s.Next == "":
		case s.Decision.State == plan.Open, s.Decision.Approval != "":
			due = append(due, s.Next)
		default:
			later = append(later, s.Next)
		}
	}
	all := append(due, later...)
	switch {
	case moves:
	case len(all) == 0:
		return []string{"Nothing to do: it is over."}
	case len(due) == 0:
		return append(all, Calm)
	}
	return all
}

// soonest are the environments in the order of the times they wait for; those that wait for none stay behind.
func (v View) soonest() []Standing {
	all := slices.Clone(v.Environments)
	slices.SortStableFunc(all, func(a, b Standing) int {
		if a, b := a.Decision.Until, b.Decision.Until; a.IsZero() || b.IsZero() {
			return cmp.Compare(b.Unix(), a.Unix()) // the zero time is before all others
		}
		return a.Decision.Until.Compare(b.Decision.Until)
	})
	return all
}

// NextAt is when something is due next: v.Now when it is now, zero when nothing has a time.
func (v View) NextAt() (at time.Time) {
	for _, s := range v.Environments {
		t := time.Time{}
		switch d := s.Decision; {
		case d.Due():
			t = v.Now
		case d.State == plan.Deferred:
			t = d.Until
		}
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// And joins names for people: "dev", "dev and stage", "dev, stage and prod".
func And(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

func claim(records []rotation.Record) *rotation.Claim {
	if len(records) == 0 {
		return nil
	}
	return records[0].Claim
}
