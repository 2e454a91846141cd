package comment

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// Texts are cut to these many columns: a comment is read, the evidence holds all of it.
const (
	nameWidth  = 120
	lineWidth  = 300
	textWidth  = 600
	mostWrong  = 4 // failures told of an environment
	mostColumn = 12
	mostLeft   = 12 // steps of what is still to be taken back
)

// icon is how a rotation stands, at a glance.
func icon(v report.View) string {
	switch {
	case v.Urgent() > 1:
		return "🚨"
	case slices.ContainsFunc(v.Environments, func(s report.Standing) bool { return s.Move != "" && s.Ask == nil }):
		return "❌"
	case v.Asked(), v.Urgent() > 0:
		return "✋"
	case v.Over() && slices.ContainsFunc(v.Environments, func(s report.Standing) bool { return s.Decision.State == plan.Finished }):
		return "✅"
	case v.Over():
		return "⏹️"
	}
	return "🔑"
}

// card is where one rotation stands: the answer, whose move it is, the table, and behind it what proves it.
func card(d *document, v report.View, o Options) {
	d.add(0, wrong(v, o))
	for _, s := range v.Environments {
		if text := broken(s); text != "" {
			d.add(0, name(s.Name)+" · "+text)
		}
	}
	d.add(0, next(v))
	d.add(1, untold(v, o))
	d.add(1, runs(v))
	d.add(1, ahead(v))
	d.add(3, table(v))
	d.add(6, blast(v))
	done := 0
	for _, i := range v.Checklist {
		if i.Ticked {
			done++
		}
	}
	d.add(4, details(fmt.Sprintf("Checklist: %d of %d", done, len(v.Checklist)), checklist(v.Checklist)))
	d.add(5, details("Evidence", evidence(v, o)))
	d.add(2, about(v, o))
}

// wrong is what failed where a person must act, and their move.
func wrong(v report.View, o Options) string {
	var b strings.Builder
	for _, s := range v.Environments {
		if s.Move == "" && s.Stopped == "" {
			continue
		}
		for i, f := range s.Failures {
			if i == mostWrong {
				fmt.Fprintf(&b, "- %s: %d more\n", name(s.Name), len(s.Failures)-i)
				break
			}
			b.WriteString("- " + failure(name(s.Name)+" · ", f) + "\n")
		}
		if s.Stopped != "" {
			fmt.Fprintf(&b, "- %s · the last run stopped before it knew: %s\n", name(s.Name), markdown.Cut(s.Stopped, textWidth))
		}
	}
	for _, s := range v.Environments {
		if left := s.Left(); len(left) > 0 {
			fmt.Fprintf(&b, "\n**Not taken back yet in %s**, still to be done:\n", name(s.Name))
			for i, l := range left {
				if i == mostLeft {
					fmt.Fprintf(&b, "- %d more\n", len(left)-i)
					break
				}
				b.WriteString("- " + markdown.Cut(l, lineWidth) + "\n")
			}
		}
	}
	for _, s := range v.Environments {
		if s.Move != "" {
			call := ""
			if s.Ask != nil || s.Decision.State == plan.Stuck || s.Decision.State == plan.RolledBack {
				call = people([]string{owner(v)}, true)
			}
			fmt.Fprintf(&b, "\n**Your move in %s%s:** %s\n", name(s.Name), labelled(",", call), markdown.Cut(s.Move, textWidth))
			b.WriteString(markdown.Ask(s.Ask))
		}
	}
	return b.String()
}

// ahead is whom an old credential's end didn't wait for.
func ahead(v report.View) string {
	var b strings.Builder
	for _, s := range v.Environments {
		for i, st := range s.Ahead() {
			if i == mostWrong {
				fmt.Fprintf(&b, "- ⚠️ %s: %d more\n", name(s.Name), len(s.Ahead())-i)
				break
			}
			fmt.Fprintf(&b, "- ⚠️ %s · **%s %s** (%s)\n", name(s.Name), name(st.Key), markdown.Cut(st.Text, textWidth), utc(st.At))
		}
	}
	return b.String()
}

func owner(v report.View) string { return strings.TrimSpace(v.Owner) }

func failure(where string, f report.Failure) string {
	text := markdown.Cut(f.Text, textWidth)
	if f.Step != "" {
		text = "**" + name(f.Step) + " failed:** " + text
	}
	if !f.At.IsZero() {
		text += " (" + utc(f.At) + ")"
	}
	if f.Hint != "" {
		text += "<br>hint: " + markdown.Cut(f.Hint, textWidth)
	}
	return where + text
}

// next is what comes without anybody's move; what is a move stands in wrong.
func next(v report.View) string {
	var all []string
	for _, n := range v.Coming() {
		all = append(all, markdown.Cut(strings.TrimSuffix(n, "."), textWidth)) // who holds an old credential's end up is told whole
	}
	if len(all) == 0 {
		return ""
	}
	if len(all) > mostColumn {
		all = append(all[:mostColumn], "…")
	}
	calm := ""
	if n := len(all) - 1; n > 0 && all[n]+"." == report.Calm {
		all, calm = all[:n], " "+report.Calm
	}
	return "**Next:** " + strings.Join(all, "; ") + "." + calm
}

// runs leads to the workflows' runs that steps had started: their addresses stand in texts, too, but nothing there is a link.
func runs(v report.View) string {
	var all []string
	for _, s := range v.Environments {
		for _, r := range s.Runs {
			label := s.Name + " " + r.Step
			if _, run, ok := strings.Cut(r.URL, "/actions/runs/"); ok && digits.MatchString(run) {
				label += ": run " + run
			}
			all = append(all, markdown.Link(report.Cut(label, nameWidth), r.URL))
		}
	}
	if len(all) == 0 {
		return ""
	}
	if len(all) > mostColumn {
		all = append(all[:mostColumn], "…")
	}
	return "**Workflows:** " + strings.Join(all, " · ")
}

func name(s string) string { return markdown.Cut(s, nameWidth) }

// table is the rotation's phases over its environments.
func table(v report.View) string {
	envs := v.Environments
	if len(envs) > mostColumn {
		envs = envs[:mostColumn]
	}
	head, rule := []string{""}, []string{"---"}
	for _, s := range envs {
		title := name(s.Name)
		if s.Attempt > 1 {
			title += fmt.Sprintf(" (attempt %d)", s.Attempt)
		}
		head, rule = append(head, title), append(rule, ":-:")
	}
	var b strings.Builder
	b.WriteString(row(head...) + row(rule...))
	for _, phase := range append(slices.Clone(rotation.Phases), rotation.Rollback) {
		if label := label(envs, phase); label != "" {
			b.WriteString(cells(label, envs, func(s report.Standing) string { return cell(v, s, phase) }))
		}
	}
	b.WriteString(cells("approved by", envs, func(s report.Standing) string {
		if s.Approval != "" {
			return markdown.Cut(s.Approval, nameWidth)
		}
		return people(s.Approvers, false)
	}))
	b.WriteString(cells("old credential", envs, func(s report.Standing) string { return markdown.Cut(s.Old, nameWidth) }))
	if n := len(v.Environments) - len(envs); n > 0 {
		fmt.Fprintf(&b, "\n%d more environments: see the evidence.\n", n)
	}
	return b.String()
}

func cells(label string, envs []report.Standing, f func(report.Standing) string) string {
	all := []string{label}
	for _, s := range envs {
		all = append(all, f(s))
	}
	return row(all...)
}

// stepsOf are the steps of a phase.
func stepsOf(s report.Standing, phase rotation.Phase) (all []report.Step) {
	for _, st := range slices.Concat(s.Steps, s.Undo) {
		if st.Phase == phase {
			all = append(all, st)
		}
	}
	return all
}

// label is what the steps of a phase do, as their names say; "" when no environment has one.
func label(envs []report.Standing, phase rotation.Phase) string {
	var names []string
	for _, s := range envs {
		for _, st := range stepsOf(s, phase) {
			if n := name(st.Name); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return strings.Join(names, ", ")
}

func cell(v report.View, s report.Standing, phase rotation.Phase) string {
	steps, done := stepsOf(s, phase), 0
	if len(steps) == 0 {
		return ""
	}
	last := steps[0]
	for _, st := range steps {
		switch st.Mark {
		case report.Failed:
			return "❌ " + name(st.Key)
		case report.Due:
			if done > 0 || s.Begun {
				return "▶️ " + name(st.Key)
			}
		case report.Done:
			done++
			if st.At.After(last.At) {
				last = st
			}
		}
	}
	switch {
	case done == len(steps):
		return "✅ " + short(v, last)
	case done > 0:
		return fmt.Sprintf("%d of %d", done, len(steps))
	}
	return "·"
}

// short is when a step was done, in a cell: all times are UTC, as its neighbours say.
func short(v report.View, st report.Step) string { return strings.TrimSuffix(v.Stamp(st.At), " UTC") }

func checklist(items []report.Item) string {
	var b strings.Builder
	for _, i := range items {
		box := " "
		if i.Ticked {
			box = "x"
		}
		fmt.Fprintf(&b, "- [%s] %s: %s\n", box, markdown.Cut(i.Text, nameWidth), markdown.Cut(i.Why, lineWidth))
	}
	return b.String()
}

// evidence is where the proof of each environment is, and the heads that chains had.
func evidence(v report.View, o Options) string {
	var b strings.Builder
	for i, s := range v.Environments {
		if s.Records == 0 || i >= mostColumn {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("| | evidence | records | last | head of the chain |\n|---|---|--:|---|---|\n")
		}
		b.WriteString(row(name(s.Name), o.evidence(v, s), fmt.Sprint(s.Records), utc(s.At())+labelled(",", o.ran(s.Runner)), fmt.Sprintf("%s at %d", markdown.Code(s.Head.Digest), s.Head.Seq)))
	}
	return b.String()
}

var digits = regexp.MustCompile(`^[0-9]{1,20}$`)

// ran is the run that left the last record, linked when it is one of the repository's.
func (o Options) ran(id string) string {
	_, run, ok := strings.Cut(id, "/"+o.Repository+"/actions/runs/")
	run, attempt, _ := strings.Cut(run, "/attempts/")
	if ok && o.Repository != "" && digits.MatchString(run) && (attempt == "" || digits.MatchString(attempt)) {
		label := "run " + run
		if attempt != "" && attempt != "1" {
			label += ", attempt " + attempt
		}
		return markdown.Link(label, id)
	}
	return markdown.Cut(id, nameWidth)
}

// about is who and what, and how to hold it against itself.
func about(v report.View, o Options) string {
	var c *rotation.Claim
	for _, s := range v.Environments {
		if s.Claim != nil {
			c = s.Claim
			break
		}
	}
	who := ""
	if c != nil {
		a := c.Actors
		who = join(labelled("operator", people([]string{a.Operator}, false)), labelled("requested by", people([]string{a.Requested}, false)),
			labelled("reviewed by", people(a.Reviewed, false)), labelled("merged by", people([]string{a.Merged}, false)))
	}
	return "<sub>" + join(labelled("ticket", ticket(v.Ticket, o)), labelled("owner", people([]string{owner(v)}, false)), who, verify(v)) + "</sub>"
}
