package report

import (
	"slices"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// old says where the old credential is.
func old(s Standing, e Environment, c times) string {
	d, end := s.Decision, ending(e.Plan.Steps)
	switch {
	case s.Records == 0 || !s.Begun:
		return "live"
	case d.State == plan.Superseded:
		return "kept by the rotation that took over"
	}
	for _, u := range s.Undo {
		if u.Name == "restore" && u.Mark == Done {
			return "live again since " + c.stamp(u.At)
		}
	}
	if s.back() {
		switch {
		case !s.replaced():
			return "live, was never replaced"
		case d.State == plan.RolledBack:
			return "live again"
		}
		return "not live: being brought back"
	}
	if slices.ContainsFunc(s.Steps, func(st Step) bool { return st.Phase == rotation.Deploy && st.Mark != Done }) {
		if p := d.Step.Phase; p == rotation.Preconditions || p == rotation.Create {
			return "live"
		}
		return "safe, live or kept: " + d.Step.Key + " is under way"
	}
	if end < 0 {
		return "kept: the plan has no decommission"
	}
	last := s.Steps[end]
	begun := slices.ContainsFunc(e.Records, func(r rotation.Record) bool { return r.Outcome == rotation.Begun })
	switch {
	case last.Mark == Done && s.Ask != nil:
		return "out of use since " + c.stamp(last.At) + ", to be revoked by a person"
	case last.Mark == Done:
		return "gone since " + c.stamp(last.At)
	case begun && d.State == plan.Stuck:
		return "not proven gone: its removal has begun, and " + d.Step.Key + " failed"
	case begun:
		return "going: its removal has begun"
	case d.State == plan.Stuck && d.Step.Phase.Undone():
		return "kept until a person decides"
	case d.Approval == rotation.ApprovesDecommission:
		return "kept until " + d.Step.Key + " is approved"
	case d.State == plan.Stuck || d.State == plan.Waiting || s.waits != "":
		return "kept until " + d.Step.Key + " is done"
	}
	if d.State == plan.Open && last.After == d.Step.Key && last.Delay > 0 {
		return "goes " + Span(time.Duration(last.Delay)) + " after " + d.Step.Key
	}
	for _, f := range Forecast(&e.Plan, e.Records, c.now) {
		if f.Step.Key == last.Key {
			return goes(f.At, c)
		}
	}
	return "kept"
}

func goes(at time.Time, c times) string {
	if !at.After(c.now) {
		return "goes now"
	}
	return "goes " + c.stamp(at)
}

// Ending is the step with which the old credential goes; false when the plan has none.
func Ending(p *rotation.Plan) (rotation.Step, bool) {
	if i := ending(p.Steps); i >= 0 {
		return p.Steps[i], true
	}
	return rotation.Step{}, false
}

func ending(steps []rotation.Step) (at int) {
	at = -1
	for i, s := range steps {
		if s.Phase != rotation.Decommission {
			continue
		}
		if s.Final || s.Name == "decommission" {
			at = i
		}
	}
	if at < 0 {
		at = slices.IndexFunc(steps, func(s rotation.Step) bool { return s.Phase == rotation.Decommission })
	}
	return at
}
