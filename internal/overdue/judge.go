package overdue

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Judge says what state a secret is in at now.
func Judge(s Secret, r Rules, now time.Time) Standing {
	v := Standing{Secret: s.Name, Kind: s.Kind, Owner: s.Owner, Tags: s.Tags, Interval: s.Interval, File: s.File, Line: s.Line}
	v.Here = Here{State: Unknown, Why: "the registry names no environment of it"}
	for i, p := range s.Places {
		h := judge(s, p, r, now)
		v.Places = append(v.Places, h)
		if i == 0 || h.before(v.Here) {
			v.Here = h
		}
	}
	return v
}

// before says whether h is more urgent than o: by state, then by date.
func (h Here) before(o Here) bool {
	switch c := cmp.Compare(h.State.rank(), o.State.rank()); {
	case c != 0:
		return c < 0
	case h.Due.IsZero() != o.Due.IsZero():
		return !h.Due.IsZero()
	}
	return h.Due.Before(o.Due)
}

func (s State) rank() int { return slices.Index(States, s) }

func judge(s Secret, p Place, r Rules, now time.Time) Here {
	h := Here{Environment: p.Environment, Open: p.Open}
	h.Age = believed(p.Ages)
	why := "nothing tells how old it is"
	if p.Trouble != "" {
		why = p.Trouble
	}
	if h.Age != nil {
		h.Due, why = s.Interval.After(h.Age.Since), h.Age.text(s, now)
		if m := s.Due; !m.Date.IsZero() && h.Age.Since.Before(m.Date.AddDate(0, 0, 1)) && m.Date.Before(h.Due) {
			h.Due, why = m.Date, "marked due since "+day(m.Date)+": "+m.Why
		}
	} else if m := s.Due; !m.Date.IsZero() {
		h.Due, why = m.Date, "marked due since "+day(m.Date)+": "+m.Why
	}
	h.Why = why
	passed := !h.Due.IsZero() && !now.Before(h.Due)
	switch {
	case p.Open != nil:
		h.State, h.Why = InProgress, p.Open.Short
		if since := p.Open.stuck(h.Due, r); p.Open.Failed || !now.Before(since) {
			h.State, h.Why, h.Since = Stuck, p.Open.still(r, now), since
		}
	case !s.Exempt.Date.IsZero() && now.Before(s.Exempt.Date.AddDate(0, 0, 1)):
		h.State, h.Why = Exempt, "until "+day(s.Exempt.Date)+": "+s.Exempt.Why
	case passed:
		h.State, h.Since = Overdue, h.Due
	case h.Due.IsZero(), h.Age != nil && h.Age.Before:
		h.State = Unknown
	case !now.Before(h.Due.Add(-r.Soon)):
		h.State = DueSoon
	default:
		h.State = Current
	}
	return h
}

// believed is the age to go by: nil without any. The service's word counts; where it only says "since then, or before",
// another's that is before that counts, and one that is after it is wrong.
func believed(ages []Age) *Age {
	var best *Age
	for _, source := range []Source{Live, Evidence, Registry} {
		for i := range ages {
			a := &ages[i]
			if a.Source != source || a.Since.IsZero() {
				continue
			}
			if best == nil || best.Before && !a.Since.After(best.Since) {
				best = a
			}
		}
		if best != nil && !best.Before {
			return best
		}
	}
	return best
}

func (a *Age) text(s Secret, now time.Time) string {
	days := int(now.Sub(a.Since).Hours() / 24)
	more := ""
	if a.Before {
		more = " or more"
	}
	by := map[Source]string{Live: a.Text, Evidence: "the journal says so", Registry: "the registry says so"}[a.Source]
	if by != "" {
		by = ": " + by
	}
	return fmt.Sprintf("%s%s old, interval %s%s", count(days, "day"), more, s.Interval, by)
}

// stuck is from when on an open rotation counts as stuck. due is the secret's date; zero: unknown.
func (o *Open) stuck(due time.Time, r Rules) time.Time {
	stood := o.Moved.Add(r.Still)
	switch {
	case o.Failed:
		return o.Moved
	case o.Until.IsZero():
		return stood
	}
	since := latest(stood, o.Until.Add(r.Still))
	if deferred := latest(stood, due); !o.Retained && !due.IsZero() && deferred.Before(since) { // again and again
		since = deferred
	}
	return since
}

// still says what a rotation that is stuck stands at.
func (o *Open) still(r Rules, now time.Time) string {
	if o.Failed {
		return o.Short
	}
	text := fmt.Sprintf("%s, for %s", o.Short, count(int(now.Sub(o.Moved).Hours()/24), "day"))
	if !o.Until.IsZero() && now.Before(o.Until.Add(r.Still)) {
		text += ", and its date has passed"
	}
	return text
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Enough says whether it is known, without a second call, that something that was last changed at changed is due: it can
// only be older.
func (s Secret) Enough(changed, now time.Time) bool {
	return !changed.IsZero() && !now.Before(s.Interval.After(changed))
}
