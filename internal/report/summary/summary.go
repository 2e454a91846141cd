// Package summary owns the readable page of an environment's evidence bundle: Markdown, first the answer, then the
// proof. It must never let a text become markup (package markdown is the one way into the page), and gives the same bytes for
// the same records: it knows no time but that of the last record.
package summary

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// Markdown is the page of one environment as of its last record; nil when there is none. What stands comes from
// plan and records; e.Decision counts only where the records can't tell: withdrawn, or superseded.
func Markdown(e report.Environment) []byte {
	if len(e.Records) == 0 {
		return nil
	}
	at := e.Records[len(e.Records)-1].At
	if d := e.Decision.State; d != plan.Superseded && d != plan.Missed {
		e.Decision = plan.Next(&e.Plan, e.Records, at)
	}
	v := report.New(e.Plan.Secret, e.Plan.Rotation, []report.Environment{e}, at)
	d := &document{view: v, s: v.Environments[0], plan: &e.Plan, records: e.Records, at: at}
	d.answer()
	d.wrong()
	d.steps()
	d.checks()
	d.people()
	d.facts()
	d.files()
	d.events()
	d.checklist()
	d.verify()
	return []byte(d.String())
}

type document struct {
	strings.Builder
	view    report.View
	s       report.Standing
	plan    *rotation.Plan
	records []rotation.Record
	at      time.Time
}

func (d *document) printf(format string, a ...any) { fmt.Fprintf(d, format, a...) }

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

func (d *document) answer() {
	d.printf("**%s · %s · %s** — ", markdown.Text(d.view.Secret), markdown.Text(d.s.Name), markdown.Text(d.s.Short))
	if f := d.s.Failures; len(f) > 0 && f[0].Step != "" {
		d.printf("%s failed · ", markdown.Text(f[0].Step))
	}
	d.printf("%s\n\n", stamp(d.at))
	d.printf("%s Old credential: %s.\n", d.sentence(), markdown.Text(d.s.Old))
	if n := d.s.Next; n != "" {
		d.printf("Next: %s.\n", markdown.Text(n))
	}
	c := d.s.Claim
	who := []string{}
	if c != nil {
		who = names(d.s, d.view.Ticket)
	}
	if len(who) > 0 {
		d.printf("\n%s\n", strings.ToUpper(who[0][:1])+strings.Join(who, " · ")[1:])
	}
	d.printf("\nEvidence: %s, head %s (record %d)", report.Count(d.s.Records, "record"), markdown.Code(d.s.Head.Digest), d.s.Head.Seq)
	if c != nil && c.Previous != nil {
		d.printf(" · previous environment %s, head %s (record %d)", markdown.Text(c.Previous.Environment), markdown.Code(c.Previous.Digest), c.Previous.Seq)
	}
	d.printf("\n")
}

// sentence says what is live.
func (d *document) sentence() string {
	switch st := d.s.Decision; {
	case st.State == plan.Finished:
		return "The new credential is live and proven; the old one is out of use."
	case st.State == plan.RolledBack:
		return "It was taken back: the new credential is not in use."
	case st.State == plan.Superseded:
		return "A later rotation took over before the old credential went."
	case st.State == plan.Missed, st.State == plan.Refused:
		return "Nothing was changed."
	case st.Step.Phase == rotation.Rollback:
		return "It is being taken back; that is not finished."
	case st.State == plan.Stuck && st.Step.Phase.Undone():
		return "The new credential is in use but not proven; the request wants a person to decide."
	case st.State == plan.Stuck:
		return "The new credential was proven; the old one is not proven gone."
	case d.s.Validated:
		return "The new credential is live and proven."
	}
	return "It is under way; nothing is proven yet."
}

// names are the people of a standing that has a claim.
func names(s report.Standing, ticket string) (parts []string) {
	a := s.Claim.Actors
	add := func(label string, people ...string) {
		var safe []string
		for _, p := range people {
			if p != "" {
				safe = append(safe, markdown.Text(p))
			}
		}
		if len(safe) > 0 {
			parts = append(parts, label+" "+report.And(safe))
		}
	}
	add("operator", a.Operator)
	add("requested by", a.Requested)
	add("reviewed by", a.Reviewed...)
	add("merged by", a.Merged)
	add("approved by", s.Approvers...)
	add("ticket", ticket)
	return parts
}

func (d *document) wrong() {
	if len(d.s.Failures) == 0 && d.s.Move == "" && d.s.Stopped == "" {
		return
	}
	if d.s.Ask == nil || len(d.s.Failures) > 0 {
		d.printf("\n## What went wrong\n\n")
	} else {
		d.printf("\n## What a person is asked to do\n\n")
	}
	for _, f := range d.s.Failures {
		if f.Step != "" {
			d.printf("- **%s failed**: %s", markdown.Text(f.Step), markdown.Text(f.Text))
		} else {
			d.printf("- %s", markdown.Text(f.Text))
		}
		if !f.At.IsZero() {
			d.printf(" (%s)", stamp(f.At))
		}
		if len(f.Files) > 0 {
			d.printf(" · %s", files(f.Files))
		}
		d.printf("\n")
		if f.Hint != "" {
			d.printf("  - hint: %s\n", markdown.Text(f.Hint))
		}
	}
	if d.s.Stopped != "" {
		d.printf("- The last run stopped before it knew: %s\n", markdown.Text(d.s.Stopped))
	}
	for i, left := range d.s.Left() {
		if i == 0 {
			d.printf("\nIt is not taken back yet. Still to be done:\n\n")
		}
		d.printf("- %s\n", markdown.Text(left))
	}
	if d.s.Move != "" {
		d.printf("\n**Your move:** %s\n", markdown.Text(d.s.Move))
	}
	d.printf("%s", markdown.Ask(d.s.Ask))
}

var marks = map[report.Mark]string{report.Done: "✅", report.Failed: "❌", report.Due: "▸", report.Ahead: "·"}

func (d *document) steps() {
	d.printf("\n## Steps\n\n| | step | phase | recorded | took | result | files |\n|:-:|---|---|---|--:|---|---|\n")
	for _, list := range [][]report.Step{d.s.Steps, d.s.Undo} {
		for _, st := range list {
			when, took := "", ""
			if !st.At.IsZero() {
				when = stamp(st.At)
			}
			if st.Took > 0 {
				took = report.Span(st.Took)
			}
			text := markdown.Text(st.Text)
			if st.Hint != "" {
				text += " (hint: " + markdown.Text(st.Hint) + ")"
			}
			d.row(marks[st.Mark], markdown.Text(st.Key), markdown.Text(string(st.Phase)), when, took, text, files(st.Files))
		}
	}
}

// row takes cells that are Markdown already.
func (d *document) row(cells ...string) {
	for _, c := range cells {
		if c == "" {
			d.printf("| ")
		} else {
			d.printf("| %s ", c)
		}
	}
	d.printf("|\n")
}

func files(refs []rotation.FileRef) string {
	all := make([]string, len(refs))
	for i, f := range refs {
		all[i] = markdown.File(f.Name[strings.LastIndexByte(f.Name, '/')+1:], f.Name)
	}
	return strings.Join(all, ", ")
}

// checks are the checks that ran, as evidence of validation.
func (d *document) checks() {
	green, ran := 0, 0
	var list strings.Builder
	for _, l := range [][]report.Step{d.s.Steps, d.s.Undo} {
		for _, st := range l {
			if !strings.HasPrefix(st.Uses, "check/") || st.Mark != report.Done && st.Mark != report.Failed {
				continue
			}
			ran++
			word := "failed"
			if st.Mark == report.Done {
				word = "green"
				green++
			}
			fmt.Fprintf(&list, "- %s %s (%s)", markdown.Text(st.Key), word, markdown.Text(st.Uses))
			if st.Text != "" {
				fmt.Fprintf(&list, ": %s", markdown.Text(st.Text))
			}
			if len(st.Files) > 0 {
				fmt.Fprintf(&list, " · %s", files(st.Files))
			}
			list.WriteString("\n")
		}
	}
	if ran == 0 {
		return
	}
	d.printf("\n## Checks: %d of %d green\n\n%s", green, ran, list.String())
}

func (d *document) people() {
	c := d.s.Claim
	if c == nil {
		return
	}
	d.printf("\n## Who, and on whose word\n\n| | |\n|---|---|\n")
	tags := make([]string, len(c.Tags))
	for i, t := range c.Tags {
		tags[i] = markdown.Text(t)
	}
	for _, n := range names(d.s, c.Ticket) {
		label, who, _ := strings.Cut(n, " ")
		if rest, ok := strings.CutPrefix(who, "by "); ok {
			label, who = label+" by", rest
		}
		d.row(label, who)
	}
	for _, a := range d.s.Approvals {
		label := "approval"
		if a.BreakGlass != "" {
			label = "BREAK-GLASS"
		}
		d.row(label, approval(a))
	}
	if o := c.Origin; o != nil {
		d.row("pull request", fmt.Sprintf("%s, merged %s", markdown.Link(fmt.Sprintf("%s, number %d", o.Repository, o.PullRequest), o.URL), stamp(o.MergedAt)))
		d.row("reviewed commit", markdown.Code(o.Head))
		d.row("merge commit", markdown.Code(o.Merge))
	}
	for _, r := range [][2]string{
		{"reason", markdown.Text(d.plan.Reason)}, {"owner", markdown.Text(c.Owner)}, {"tags", strings.Join(tags, ", ")},
		{"request", markdown.Text(c.Path)}, {"request's digest", markdown.Code(rotation.Digest([]byte(c.Request)))}, {"commit", markdown.Code(c.Commit)},
		{"rotation", markdown.Text(d.plan.Rotation)}, {"attempt", fmt.Sprint(d.plan.Attempt)}, {"kind", markdown.Text(d.plan.Kind)},
		{"cloud identity", markdown.Code(c.Identity)}, {"runner", markdown.Text(d.records[0].Runner.ID)}, {"program", markdown.Text(c.Program)},
		{"supersedes", markdown.Text(c.Supersedes)},
	} {
		if r[1] != "" {
			d.row(r[0], r[1])
		}
	}
}

// approval is what people let happen, where, and in which words.
func approval(a rotation.Approval) string {
	by := make([]string, len(a.By))
	for i, who := range a.By {
		by[i] = markdown.Text(who)
	}
	text := markdown.Text(a.For) + " by " + report.And(by)
	if a.Environment != "" {
		text += " in " + markdown.Text(a.Environment)
	}
	if a.BreakGlass != "" {
		text += ", approved by nobody: “" + markdown.Text(a.BreakGlass) + "”"
	}
	if a.Comment != "" {
		text += ": “" + markdown.Text(a.Comment) + "”"
	}
	if a.Run != "" {
		text += ", run " + markdown.Text(a.Run)
	}
	if !a.SeenAt.IsZero() {
		text += ", seen " + stamp(a.SeenAt)
	}
	return text
}

func (d *document) facts() {
	begun := false
	for _, list := range [][]report.Step{d.s.Steps, d.s.Undo} {
		for _, st := range list {
			for _, f := range st.Facts {
				if !begun {
					d.printf("\n## Facts\n\n| step | fact | value |\n|---|---|---|\n")
					begun = true
				}
				d.row(markdown.Text(f.Step), markdown.Text(f.Key), markdown.Code(f.Value))
			}
		}
	}
}

// files are all pieces of evidence that the records refer to.
func (d *document) files() {
	begun := false
	for _, r := range d.records {
		for _, f := range r.Files {
			if !begun {
				d.printf("\n## Files\n\n| record | file | bytes | digest |\n|--:|---|--:|---|\n")
				begun = true
			}
			d.row(fmt.Sprint(r.Seq), markdown.File(f.Name, f.Name), fmt.Sprint(f.Size), markdown.Code(f.Digest))
		}
	}
}

// events are the records that aren't the outcome of a step.
func (d *document) events() {
	d.printf("\n## Also on record\n\n")
	for _, r := range d.records {
		switch r.Outcome {
		case rotation.Done, rotation.Failed, rotation.Noted:
			continue
		}
		d.printf("- %s: %s", stamp(r.At), markdown.Text(string(r.Outcome)))
		for _, s := range []string{r.Step, r.Text} {
			if s != "" {
				d.printf(" · %s", markdown.Text(s))
			}
		}
		d.printf(" (record %d, runner %s)", r.Seq, markdown.Text(r.Runner.ID))
		if len(r.Files) > 0 {
			d.printf(" · %s", files(r.Files))
		}
		d.printf("\n")
	}
}

func (d *document) checklist() {
	d.printf("\n## Checklist of the runbook, for %s\n\n", markdown.Text(d.s.Name))
	for _, i := range d.view.Checklist {
		box := " "
		if i.Ticked {
			box = "x"
		}
		d.printf("- [%s] %s: %s\n", box, markdown.Text(i.Text), markdown.Text(i.Why))
	}
}

func (d *document) verify() {
	path := d.view.Path
	if path == "" {
		path = d.plan.Rotation
	}
	d.printf("\n## How to verify\n\n")
	d.printf("Run %s: it reads the chain from its first record on, and must end at or pass through record %d with the digest %s.\n",
		markdown.Code("rekey verify "+report.Word(path)), d.s.Head.Seq, markdown.Code(d.s.Head.Digest))
	d.printf("By hand: the SHA-256 of each record's bytes in %s is the %s of the next one. This page is a reading of those records, and proves nothing by itself.\n",
		markdown.Code("journal/"+d.plan.Path()), markdown.Code("prev"))
}
