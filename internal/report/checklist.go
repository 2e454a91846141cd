package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// An Item is a line of the runbook's checklist: ticked by records, or open with its reason.
type Item struct {
	Text   string
	Ticked bool
	Why    string // what ticked it, or why it is open
	Ticket bool   // it is about the ticket, which follows the journal: no record ticks it
}

// checklist is the runbook's six lines.
func checklist(v View) []Item {
	return []Item{
		v.phase("New secret or key created", rotation.Create),
		v.phase("Configuration deployed across environments", rotation.Deploy),
		v.phase("Smoke tests executed", rotation.Validate),
		v.phase("Previous secret revoked or scheduled for deletion", rotation.Decommission),
		v.uploaded(),
		v.ticket(),
	}
}

// phase is ticked when every environment has a record of each of its steps, and it still holds.
func (v View) phase(text string, phase rotation.Phase) Item {
	var done []string
	var open reasons
	for _, s := range v.Environments {
		if why := s.lacks(phase); why != "" {
			open.add(s.Name, why)
			continue
		}
		i := slices.IndexFunc(s.Steps, func(st Step) bool { return st.Phase == phase })
		last, n := s.Steps[i], 0
		for _, st := range s.Steps {
			if st.Phase == phase {
				n++
				if st.At.After(last.At) {
					last = st
				}
			}
		}
		what := "on " + v.Stamp(last.At)
		if phase == rotation.Validate {
			what = fmt.Sprintf("%s %s", Count(n, "check"), what)
		}
		done = append(done, s.Name+" "+what)
	}
	return item(text, open, done)
}

// item is ticked when something was done and nothing is open.
func item(text string, open reasons, done []string) Item {
	if len(open.why) > 0 || len(done) == 0 {
		return Item{Text: text, Why: cmp.Or(open.String(), "no environments")}
	}
	return Item{Text: text, Ticked: true, Why: strings.Join(done, "; ")}
}

// reasons are why lines are open, each with all its environments.
type reasons struct {
	why   []string // in order
	names map[string][]string
}

func (r *reasons) add(name, why string) {
	if r.names == nil {
		r.names = map[string][]string{}
	}
	if r.names[why] == nil {
		r.why = append(r.why, why)
	}
	r.names[why] = append(r.names[why], name)
}

func (r *reasons) String() string {
	parts := make([]string, len(r.why))
	for i, why := range r.why {
		parts[i] = And(r.names[why]) + ": " + why
	}
	return strings.Join(parts, "; ")
}

// lacks is why the steps of phase aren't done; "" when they are.
func (s Standing) lacks(phase rotation.Phase) string {
	if s.back() {
		return s.Short
	}
	have := false
	for _, st := range s.Steps {
		if st.Phase != phase {
			continue
		}
		have = true
		switch {
		case st.Mark == Done:
		case st.Mark == Failed:
			return st.Key + " failed"
		case s.Decision.State.Over():
			return s.Short
		case s.Records == 0 || !s.Begun:
			return "not begun"
		default:
			return st.Key + " is still to come"
		}
	}
	if !have {
		return "its plan has no such step"
	}
	return ""
}

func (v View) uploaded() Item {
	const text = "Audit evidence uploaded"
	var done []string
	var open reasons
	for _, s := range v.Environments {
		switch d := s.Decision; {
		case s.Records == 0 || s.Head.Seq == 0:
			open.add(s.Name, "no records")
		case !d.State.Over():
			open.add(s.Name, Count(s.Records, "record")+" so far")
		case d.State == plan.Missed:
			open.add(s.Name, s.Short)
		default:
			done = append(done, fmt.Sprintf("%s %s", s.Name, Count(s.Records, "record")))
		}
	}
	return item(text, open, done)
}

// ticket is never ticked here: the ticket follows the journal, so no record can tell that it was closed.
func (v View) ticket() Item {
	const text = "Runbook ticket closed with summary"
	why := v.Ticket + " stays open until every environment is over"
	switch {
	case v.Ticket == "":
		why = "no ticket on record"
	case v.Over():
		why = v.Ticket + ": close it with the summaries; that it is isn't on record"
	}
	return Item{Text: text, Why: why, Ticket: true}
}

// Told is v as its ticket's summary has it: the checklist's line about the ticket is answered by the summary itself. left
// says that the ticket couldn't be closed with it.
func (v View) Told(left bool) View {
	v.Checklist = slices.Clone(v.Checklist)
	for i := range v.Checklist {
		switch it := &v.Checklist[i]; {
		case it.Ticket && len(v.Back()) > 0:
			it.Why = "it stays open: rolled back in " + And(v.Back())
		case it.Ticket && left:
			it.Why = "the ticket couldn't be closed yet; the next run tries again"
		case it.Ticket:
			it.Ticked, it.Why = true, "with this summary"
		}
	}
	return v
}

// Count is a number of things: "1 check", "3 checks".
func Count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
