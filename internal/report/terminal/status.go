package terminal

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// Status prints where rotations stand: one in full, several as a table, those that need a person first, then by
// when they are due, what is over last.
func Status(w io.Writer, views []report.View, s Style) error {
	p := &page{Style: s}
	switch len(views) {
	case 0:
		p.para("", 0, "", "No rotations.")
	case 1:
		p.detail(views[0])
	default:
		p.table(views)
	}
	return p.flush(w)
}

func (p *page) table(views []report.View) {
	views = slices.Clone(views)
	slices.SortStableFunc(views, func(a, b report.View) int {
		return cmp.Or(-cmp.Compare(a.Urgent(), b.Urgent()), rank(a)-rank(b), a.NextAt().Compare(b.NextAt()),
			strings.Compare(a.Secret, b.Secret), strings.Compare(a.Rotation, b.Rotation))
	})
	urgent, over := 0, 0
	for _, v := range views {
		switch {
		case v.Urgent() > 0:
			urgent++
		case v.Over():
			over++
		}
	}
	answer := report.Count(len(views), "rotation") + ": "
	if urgent == 0 {
		answer += "nothing needs you"
	} else if urgent == 1 {
		answer += "1 needs you"
	} else {
		answer += fmt.Sprintf("%d need you", urgent)
	}
	p.para("", 0, bold, fmt.Sprintf("%s, %d under way, %d over", answer, len(views)-urgent-over, over))
	wide := 0
	for _, v := range views {
		wide = max(wide, report.Columns(report.Line(v.Secret)))
	}
	wide = min(wide, max(12, p.room()/3))
	for i, v := range views {
		if i == 0 || v.Urgent() > 0 || views[i-1].Urgent() > 0 {
			p.WriteString("\n")
		}
		p.row(v, wide)
	}
}

func rank(v report.View) int {
	switch {
	case !v.NextAt().IsZero():
		return 0
	case !v.Over():
		return 1
	}
	return 2
}

func (p *page) row(v report.View, wide int) {
	mark, c := "·", dim
	switch {
	case v.Urgent() > 0:
		mark, c = "✘", red
	case v.Over():
		mark, c = "✔", green
	case v.NextAt().Equal(v.Now):
		mark, c = "▸", bold
	}
	secret := wrap(v.Secret, wide)
	answer := v.Headline()
	if at := v.NextAt(); at.After(v.Now) {
		answer = "next " + report.When(at, v.Now) + " · " + answer
	}
	lines := wrap(answer, p.room()-wide-4)
	for i := range max(len(secret), len(lines)) {
		lead, name, text := "  ", "", ""
		if i == 0 {
			lead = p.paint(c, mark) + " "
		}
		if i < len(secret) {
			name = secret[i]
		}
		if i < len(lines) {
			text = lines[i]
		}
		p.WriteString(strings.TrimRight(lead+pad(name, wide)+"  "+text, " ") + "\n")
	}
	if v.Urgent() == 0 {
		return
	}
	for _, s := range v.Environments {
		if s.Move == "" {
			continue
		}
		for _, f := range s.Failures {
			p.failure(4, s.Name+" ", f)
		}
		p.para("    ", 4, "", "Your move in "+s.Name+": "+s.Move)
	}
}

// ask is what a person is to do. A command in more than one line is still one to a shell.
func (p *page) ask(a *rotation.Ask) {
	if a == nil {
		return
	}
	for i, do := range a.Do {
		p.para(fmt.Sprintf("  %d. ", i+1), 5, "", do)
	}
	lines := wrap(a.Run, p.room()-7)
	for i, l := range lines {
		if i < len(lines)-1 {
			l += " \\"
		}
		p.WriteString("     " + l + "\n")
	}
}

func (p *page) failure(indent int, where string, f report.Failure) {
	lead := strings.Repeat(" ", indent)
	what := f.Text
	if f.Step != "" {
		what = f.Step + " failed: " + f.Text
	}
	p.para(lead+p.paint(red, "✘ "), indent+2, "", where+what)
	if f.Hint != "" {
		p.para(lead+"  "+p.paint(yellow, "hint: "), indent+8, "", f.Hint)
	}
}

func (p *page) detail(v report.View) {
	p.para("", 0, bold, v.Secret+": "+v.Headline())
	p.WriteString("\n")
	for _, s := range v.Environments {
		if s.Move != "" {
			for _, f := range s.Failures {
				p.failure(0, s.Name+" ", f)
			}
		}
	}
	for _, n := range v.Next() {
		p.para("", 0, "", n)
	}
	for _, s := range v.Environments {
		p.ask(s.Ask)
	}
	for _, s := range v.Environments {
		p.WriteString("\n")
		p.standing(v, s)
	}
	p.WriteString("\nChecklist\n")
	for _, i := range v.Checklist {
		if i.Ticked {
			p.para("  "+p.paint(green, "[x] "), 6, "", i.Text+": "+i.Why)
		} else {
			p.para("  [ ] ", 6, "", i.Text+": "+i.Why)
		}
	}
	p.WriteString("\n")
	p.para("", 0, dim, join(v.Rotation, v.Kind, v.Reason, labelled("ticket ", v.Ticket), labelled("owner ", v.Owner)))
}

func (p *page) standing(v report.View, s report.Standing) {
	name := s.Name
	if s.Attempt > 1 {
		name += fmt.Sprintf(" (attempt %d)", s.Attempt)
	}
	p.para("", 2, bold, name+": "+s.Short+" · old credential: "+s.Old)
	if s.Stopped != "" {
		p.para("  ", 4, yellow, "the last run stopped before it knew: "+s.Stopped)
	}
	wide := 0
	for _, st := range slices.Concat(s.Steps, s.Undo) {
		wide = max(wide, report.Columns(report.Line(st.Key)))
	}
	wide = min(wide, max(10, p.room()/3))
	if s.Records == 0 {
		p.para("  ", 2, dim, report.Count(len(s.Steps), "step")+", none begun")
		return
	}
	for _, st := range s.Steps {
		p.step(st, wide, v.Now)
	}
	switch {
	case len(s.Left()) > 0:
		p.WriteString("  ↩ to be taken back, not done yet\n")
	case len(s.Undo) > 0:
		p.WriteString("  ↩ taken back\n")
	}
	for _, st := range s.Undo {
		p.step(st, wide, v.Now)
	}
	for _, a := range s.Broken {
		p.para("  ", 2, red, breaks(a))
	}
	if c := s.Claim; c != nil {
		p.para("  ", 2, dim, people(c.Actors, s.Approvers))
		p.para("  ", 2, dim, fmt.Sprintf("%s, head %s at %d", report.Count(s.Records, "record"), s.Head.Digest, s.Head.Seq))
	}
}

func (p *page) step(st report.Step, wide int, now time.Time) {
	mark, c := "·", dim
	switch st.Mark {
	case report.Done:
		mark, c = "✔", green
	case report.Failed:
		mark, c = "✘", red
	case report.Due:
		mark, c = "▸", bold
	}
	text := ""
	if !st.At.IsZero() {
		text = report.Stamp(st.At, now)
		if st.Took > 0 {
			text += ", " + report.Span(st.Took)
		}
	}
	text = join(text, st.Text)
	for i, l := range wrap(st.Key, wide) {
		if i == 0 {
			p.para("  "+p.paint(c, mark)+" "+pad(l, wide)+"  ", wide+6, "", text)
		} else {
			p.WriteString("    " + l + "\n")
		}
	}
	if st.Hint != "" {
		p.para(strings.Repeat(" ", wide+6)+p.paint(yellow, "hint: "), wide+12, "", st.Hint)
	}
}

// breaks is who went on without an approval, and why.
func breaks(a rotation.Approval) string {
	return "BREAK-GLASS by " + report.And(a.By) + ": " + a.BreakGlass
}

func people(a rotation.Actors, approvers []string) string {
	return join(labelled("operator ", a.Operator), labelled("requested by ", a.Requested),
		labelled("reviewed by ", report.And(a.Reviewed)), labelled("merged by ", a.Merged), labelled("approved by ", report.And(approvers)))
}

func labelled(label, s string) string {
	if s == "" {
		return ""
	}
	return label + s
}

// join leaves out what is empty.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

// start is when a plan that hasn't begun could, and in words.
func start(p *rotation.Plan, now time.Time) (at time.Time, ok bool, why string) {
	d := plan.Next(p, nil, now)
	switch {
	case d.State == plan.Deferred:
		return d.Until, true, ""
	case d.State == plan.Open, d.Approval != "":
		return now, true, ""
	}
	return time.Time{}, false, d.Why
}
