package site

import (
	"slices"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// A rotationPage is one secret's rotation with its steps.
type rotationPage struct {
	report.View
	Href      string           // page of the secret; "" it has no row any more
	OwnerHref string           // likewise
	Origin    *rotation.Origin // nil: unknown
	Source    string           // the request's file; "" unknown
	Envs      []environment
}

type environment struct {
	report.Standing
	Evidence
	Kept bool // there is evidence
	All  []step
	Who  []string // in lines: who did what
}

type step struct {
	report.Step
	Word string
	Sign string
}

// stepOf is a step as it stands; over says that its environment is.
func stepOf(x report.Step, over bool) step {
	m := marks[x.Mark]
	if x.Mark == report.Ahead && over {
		m[1] = "not reached"
	}
	return step{x, m[1], m[0]}
}

var marks = map[report.Mark][2]string{report.Ahead: {"·", "to come"}, report.Due: {"▶", "due"}, report.Done: {"✔", "done"}, report.Failed: {"✖", "failed"}}

func (s *site) onRotation(r *Rotation) rotationPage {
	v := rotationPage{View: r.View, Href: s.secret[r.View.Secret], Source: s.source(r.View.Path, 1)}
	if owner := s.owner[r.View.Owner]; owner != "" {
		v.OwnerHref = owner + ".html"
	}
	for _, st := range r.View.Environments {
		e := environment{Standing: st}
		if i := slices.IndexFunc(r.Evidence, func(e Evidence) bool { return e.Environment == st.Name }); i >= 0 {
			e.Evidence, e.Kept = r.Evidence[i], true
		}
		for _, x := range slices.Concat(st.Steps, st.Undo) {
			e.All = append(e.All, stepOf(x, st.Decision.State.Over()))
		}
		if c := st.Claim; c != nil && v.Origin == nil {
			v.Origin = c.Origin
		}
		e.Who = who(st)
		v.Envs = append(v.Envs, e)
	}
	return v
}

// who are the people of an environment, as the journal has them.
func who(s report.Standing) (all []string) {
	add := func(did string, people ...string) {
		people = slices.DeleteFunc(slices.Clone(people), func(p string) bool { return p == "" })
		if len(people) > 0 {
			all = append(all, did+" by "+report.And(people))
		}
	}
	if c := s.Claim; c != nil {
		add("requested", c.Actors.Requested)
		add("reviewed", c.Actors.Reviewed...)
		add("merged", c.Actors.Merged)
	}
	add("approved", s.Approvers...)
	for _, b := range s.Broken {
		add("let go on without approval (break-glass: "+b.BreakGlass+")", b.By...)
	}
	if c := s.Claim; c != nil {
		add("operated", c.Actors.Operator)
	}
	return all
}
