package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// Plan prints what would happen, as if nothing had begun: first when each environment can start, then the steps of
// each. Secrets that go through the same are told once. notes are lines of the caller's, after the answer.
func Plan(w io.Writer, plans []rotation.Plan, notes []string, now time.Time, s Style) error {
	p := &page{Style: s, as: map[string]string{}}
	if len(plans) == 0 {
		p.para("", 0, "", "Nothing to rotate.")
		return p.flush(w)
	}
	p.para("", 0, bold, answer(plans, now))
	for _, n := range notes {
		p.para("- ", 2, "", n)
	}
	for _, g := range alike(plans, now) {
		p.WriteString("\n")
		p.group(g, now)
	}
	p.WriteString("\n")
	p.para("", 0, dim, "Times are the earliest there can be: approvals and the work itself take their own. Nothing was changed.")
	return p.flush(w)
}

// answer is what the reader came for.
func answer(plans []rotation.Plan, now time.Time) string {
	var envs []string
	secrets := map[string]bool{}
	starts := map[string]map[string]int{}
	order := map[string][]string{}
	for i := range plans {
		p := &plans[i]
		secrets[p.Secret] = true
		if starts[p.Environment] == nil {
			envs, starts[p.Environment] = append(envs, p.Environment), map[string]int{}
		}
		what := starting(p, now)
		if starts[p.Environment][what] == 0 {
			order[p.Environment] = append(order[p.Environment], what)
		}
		starts[p.Environment][what]++
	}
	parts := make([]string, len(envs))
	for i, e := range envs {
		parts[i] = e + " " + strings.Join(order[e], ", ")
		if len(order[e]) > 1 {
			for j, what := range order[e] {
				order[e][j] = fmt.Sprintf("%d× %s", starts[e][what], what)
			}
			parts[i] = e + ": " + strings.Join(order[e], ", ")
		}
	}
	what := report.Count(len(plans), "rotation") + " in " + report.Count(len(envs), "environment")
	if len(secrets) > 1 {
		what = fmt.Sprintf("%d secrets, %s", len(secrets), what)
	}
	return what + ": " + strings.Join(parts, "; ")
}

func starting(p *rotation.Plan, now time.Time) string {
	at, ok, why := start(p, now)
	var waits []string
	if p.Needs != "" {
		waits = append(waits, p.Needs)
	}
	if at.After(now) {
		waits = append(waits, report.Stamp(at, now))
	}
	if slices.Contains(p.Approvals, rotation.ApprovesRotation) {
		waits = append(waits, "approval")
	}
	switch {
	case !ok:
		return "can't start: " + why
	case len(waits) == 0:
		return "can start now"
	}
	return "waits for " + report.And(waits)
}

type group struct {
	plan    *rotation.Plan
	secrets []string
}

// alike puts plans together that differ in the secret only, in the order given.
func alike(plans []rotation.Plan, now time.Time) (groups []group) {
	at := map[string]int{}
	for i := range plans {
		p := &plans[i]
		b := &page{}
		b.body(p, now)
		key := p.Environment + "\x00" + p.Rotation + "\x00" + p.Kind + "\x00" + p.Reason + "\x00" + b.String()
		g, ok := at[key]
		if !ok {
			g, at[key] = len(groups), len(groups)
			groups = append(groups, group{plan: p})
		}
		groups[g].secrets = append(groups[g].secrets, p.Secret)
	}
	return groups
}

func (p *page) group(g group, now time.Time) {
	if len(g.secrets) == 1 {
		p.para("", 2, bold, g.plan.Chain.String()+join(" ("+g.plan.Kind, g.plan.Reason)+")")
	} else {
		p.para("", 2, bold, fmt.Sprintf("%d secrets in %s%s)", len(g.secrets), g.plan.Environment, join(" ("+g.plan.Kind, g.plan.Reason)))
		p.para("  ", 2, "", strings.Join(g.secrets, ", "))
	}
	p.body(g.plan, now)
}

func (p *page) body(pl *rotation.Plan, now time.Time) {
	at, ok, _ := start(pl, now)
	p.para("  ", 2, "", "start: "+conditions(pl, now))
	foreseen := map[string]time.Time{}
	for _, f := range report.Forecast(pl, nil, now) {
		foreseen[f.Step.Key] = f.At
	}
	if end, has := report.Ending(pl); ok && has {
		switch kept, ends := report.Kept(pl, end), foreseen[end.Key]; {
		case kept == 0:
			p.para("  ", 2, "", "old credential: goes as soon as the new one is adopted: no retention")
		case !ends.IsZero():
			p.para("  ", 2, "", "old credential: kept "+report.Span(kept)+", goes "+report.When(ends, now)+" at the earliest")
		}
	} else if !has {
		p.para("  ", 2, "", "old credential: stays, the plan has no decommission")
	}
	if told := told(pl); p.as[told] != "" {
		p.para("  ", 2, "", "steps: as in "+p.as[told]+later(pl, foreseen, at, now))
		return
	} else if p.as != nil {
		p.as[told] = pl.Environment
	}
	p.steps(pl, foreseen, at, now)
}

// told is what is printed of a plan's steps besides their times.
func told(pl *rotation.Plan) string {
	b := &page{}
	b.steps(pl, nil, time.Time{}, time.Time{})
	return b.String()
}

// later are the steps that wait for a time of their own.
func later(pl *rotation.Plan, foreseen map[string]time.Time, at, now time.Time) (text string) {
	for _, s := range pl.Steps {
		if t := foreseen[s.Key]; t.After(at) {
			text, at = text+"; "+s.Key+" from "+report.Stamp(t, now), t
		}
	}
	return text
}

func (p *page) steps(pl *rotation.Plan, foreseen map[string]time.Time, at, now time.Time) {
	wide := 0
	for _, s := range slices.Concat(pl.Steps, pl.Undo) {
		wide = max(wide, report.Columns(report.Line(s.Key)))
	}
	wide = min(wide, max(10, p.room()/3))
	for i, s := range pl.Steps {
		when := ""
		if t := foreseen[s.Key]; t.After(at) {
			when, at = "from "+report.Stamp(t, now), t
		}
		p.planned(fmt.Sprintf("%4d  ", i+1), s, wide, when)
	}
	if len(pl.Undo) > 0 {
		p.para("  ", 2, "", "If a step fails after create began and before decommission, what was done is undone:")
	}
	if pl.OnFailure == "hold" {
		p.para("  ", 2, yellow, "(on_failure: hold: from promote on only when a person asks for it)")
	}
	for _, s := range pl.Undo {
		p.planned("   ↩  ", s, wide, "")
	}
}

func conditions(pl *rotation.Plan, now time.Time) string {
	what := starting(pl, now)
	first := rotation.Step{}
	for _, s := range pl.Steps {
		if s.Window != nil || s.Hours != nil {
			first = s
			break
		}
	}
	window, hours := "", ""
	if w := first.Window; w != nil {
		window = "window " + report.Stamp(w.From, now) + " to " + report.Stamp(w.To, now)
	}
	if h := first.Hours; h != nil {
		hours = "hours " + strings.Join(h.Days, " ") + " " + h.From + "-" + h.To + " " + h.Zone
	}
	by := ""
	if !pl.StartBy.IsZero() {
		by = "not after " + report.Stamp(pl.StartBy, now)
	}
	return join(what, window, hours, by)
}

func (p *page) planned(lead string, s rotation.Step, wide int, when string) {
	text := report.Does(s)
	if s.Final {
		text += "; from here nothing can be undone"
	}
	if s.Within > 0 {
		text += ", within " + report.Span(time.Duration(s.Within))
	}
	key := wrap(s.Key, wide)
	p.para(lead+pad(key[0], wide)+"  ", wide+8, "", join(when, text))
	for _, l := range key[1:] {
		p.WriteString("      " + l + "\n")
	}
}
