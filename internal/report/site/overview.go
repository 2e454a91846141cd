package site

import (
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report"
)

// An overview is the first page.
type overview struct {
	Answer               string // in one line
	Total                int
	States               []tally
	Urgent               []row
	More                 int // that need somebody, too
	Due                  plot
	Ages                 plot
	Owners               []ownerRow
	MoreOwners, MoreOpen int
	Open                 []rotationRow
	Differs              int
}

// A tally is how many secrets are in a state.
type tally struct {
	State overdue.State
	Count int
	Href  string // "" there are none
	Means string
}

var means = map[overdue.State]string{
	overdue.Stuck: "a rotation is open, and nothing moves", overdue.Overdue: "the date has passed, and no rotation is open",
	overdue.Unknown: "nobody can tell how old it is", overdue.DueSoon: "the date is near", overdue.InProgress: "a rotation is open",
	overdue.Current: "younger than its interval", overdue.Exempt: "needn't rotate until a day",
}

const mostUrgent = 50 // of the overview: what is more is on the pages of the states

// needs says whether somebody has to do something about a state.
func needs(s overdue.State) bool {
	return s == overdue.Stuck || s == overdue.Overdue || s == overdue.Unknown || s == overdue.DueSoon
}

func (s *site) overview() overview {
	v := overview{Answer: report.Overdue(s.Scan), Total: len(s.Scan.Standings), Due: s.timeline(), Ages: s.ages(), Differs: len(s.Scan.Findings)}
	for _, state := range overdue.States {
		t := tally{State: state, Count: s.Scan.Count(state), Means: means[state]}
		if t.Count > 0 {
			t.Href = "state/" + slug(state) + ".html"
		}
		v.States = append(v.States, t)
	}
	for i := range s.Scan.Standings {
		if one := &s.Scan.Standings[i]; needs(one.State) {
			if len(v.Urgent) < mostUrgent {
				v.Urgent = append(v.Urgent, s.row(one))
			} else {
				v.More++
			}
		}
	}
	v.Owners = s.owners()
	if n := len(v.Owners); n > mostUrgent {
		v.Owners, v.MoreOwners = v.Owners[:mostUrgent], n-mostUrgent
	}
	for _, r := range s.order() {
		switch {
		case r.View.Over():
		case len(v.Open) < mostUrgent:
			v.Open = append(v.Open, s.rotationRow(r))
		default:
			v.MoreOpen++
		}
	}
	return v
}
