package comment

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// An Outcome is what an audit comment tells, once.
type Outcome string

const (
	Validated  Outcome = "validated"   // the new credential is live and proven; the old one is kept
	Finished   Outcome = "finished"    // the old one is out of use
	RolledBack Outcome = "rolled back" // the old one is live
	Refused    Outcome = "refused"     // a person must act; nothing was changed
	Stuck      Outcome = "stuck"       // a person must act
)

// An Entry is one outcome of one environment of a rotation.
type Entry struct {
	report.Environment           // as of the outcome: its records end with the one that made it so
	Outcome            Outcome   //
	Locked             time.Time // nobody can delete its records before; zero: not locked, or not known
}

// Key names the entry: the same outcome of the same attempt is told once.
func (e Entry) Key() string {
	return key(e.Plan.Rotation, e.Plan.Secret, e.Plan.Environment, strconv.Itoa(e.Plan.Attempt), string(e.Outcome))
}

// Outcomes are the entries that e's attempt has come to, in order: what was reached stays so, while refused and
// stuck are told only while they stand. An attempt without records has none.
func Outcomes(e report.Environment) (all []Entry) {
	told := map[Outcome]bool{}
	for n := range e.Records {
		at := e.Records[n].At
		d, what := plan.Next(&e.Plan, e.Records[:n+1], at), Outcome("")
		last := n == len(e.Records)-1
		switch {
		case d.State == plan.Finished:
			what = Finished
		case d.State == plan.RolledBack:
			what = RolledBack
		case last && e.Decision.State == plan.Refused:
			what, d = Refused, e.Decision
		case last && e.Decision.State == plan.Stuck:
			what, d = Stuck, e.Decision
		case plan.Validated(&e.Plan, e.Records[:n+1], at):
			what = Validated
		}
		if what == "" || told[what] {
			continue
		}
		told[what] = true
		was := e
		was.Records, was.Decision = e.Records[:n+1:n+1], d
		if !last {
			was.Head = rotation.Head{Chain: e.Plan.Chain, Seq: e.Records[n].Seq, Digest: e.Records[n+1].Prev}
		}
		all = append(all, Entry{Environment: was, Outcome: what})
	}
	return all
}

// at is when the outcome was on record.
func (e Entry) at() time.Time {
	if n := len(e.Records); n > 0 {
		return e.Records[n-1].At
	}
	return time.Time{}
}

func (e Entry) view() (report.View, report.Standing) {
	v := report.New(e.Plan.Secret, e.Plan.Rotation, []report.Environment{e.Environment}, e.at()).Lasting()
	return v, v.Environments[0]
}

// Audit are the audit comments that tell entries: one per environment and outcome, more where they don't fit in
// one. They are never edited. Every entry is told, with its head whole.
func Audit(entries []Entry, o Options) (comments []string) {
	type group struct {
		environment string
		outcome     Outcome
	}
	var order []group
	groups := map[group][]Entry{}
	for _, e := range entries {
		g := group{e.Plan.Environment, e.Outcome}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], e)
	}
	for _, g := range order {
		for rest := groups[g]; len(rest) > 0; {
			text, n := told(rest, o)
			comments, rest = append(comments, text), rest[n:]
		}
	}
	return comments
}

// told tells as many of entries as fit in one comment, one at least.
func told(entries []Entry, o Options) (string, int) {
	if len(entries) == 1 {
		return single(entries[0], o), 1
	}
	m := audit{}
	var lines []string
	used := 600 // the frame
	for _, e := range entries {
		line := line(e, o)
		used += Size(line) + Size(encode(anchored(e))) + 1
		if used > Most && len(lines) > 0 {
			break
		}
		lines, m.Entries = append(lines, line), append(m.Entries, anchored(e))
	}
	if len(lines) == 1 {
		return single(entries[0], o), 1
	}
	e := entries[0]
	d := &document{marker: marker(auditMarker, m)}
	d.add(0, fmt.Sprintf("%s **%s · %s · %s**", e.icon(), report.Count(len(lines), "rotation"), name(e.Plan.Environment), e.Outcome))
	d.add(0, strings.Join(lines, ""))
	return d.String(), len(lines)
}

func anchored(e Entry) anchor {
	a := anchor{Key: e.Key(), Environment: e.Plan.Environment, Secret: e.Plan.Secret}
	if e.Head.Seq > 0 && validDigest(e.Head.Digest) {
		a.Seq, a.Digest = e.Head.Seq, e.Head.Digest
	}
	return a
}

func validDigest(s string) bool {
	digest, ok := strings.CutPrefix(s, "sha256:")
	return ok && isHex(digest, 64)
}

func (e Entry) icon() string {
	switch e.Outcome {
	case Validated, Finished:
		return "✅"
	case RolledBack:
		return "⏪"
	case Refused:
		return "❌"
	}
	return "🚨"
}

// line is an entry of a list.
func line(e Entry, o Options) string {
	v, s := e.view()
	what := join("**"+name(v.Secret)+"** "+utc(e.at()), "old credential "+markdown.Cut(s.Old, nameWidth), o.evidence(v, s))
	if len(s.Failures) > 0 && e.Outcome != Validated && e.Outcome != Finished {
		f := s.Failures[0]
		what += "<br>" + markdown.Cut(strings.TrimPrefix(f.Step+" failed: ", " failed: ")+f.Text, lineWidth)
	}
	if text := broken(s); text != "" {
		what += "<br>" + strings.ReplaceAll(text, "\n", "<br>")
	}
	if n := len(s.Ahead()); n > 0 {
		what += "<br>⚠️ went ahead by policy: " + report.Count(n, "step") + " still waited for those who used the old one"
	}
	return "- " + what + "<br>" + head(s.Head) + "\n"
}

func head(h rotation.Head) string {
	if h.Seq == 0 {
		return "nothing on record"
	}
	return fmt.Sprintf("record %d, head %s", h.Seq, markdown.Code(report.Cut(h.Digest, nameWidth)))
}

func single(e Entry, o Options) string {
	v, s := e.view()
	d := &document{marker: marker(auditMarker, audit{[]anchor{anchored(e)}})}
	d.add(0, fmt.Sprintf("%s **%s · %s · %s** — %s", e.icon(), name(v.Secret), name(s.Name), e.Outcome, utc(e.at())))
	d.add(0, e.sentence(s))
	d.add(0, broken(s))
	d.add(1, ahead(v))
	if e.Outcome != Validated && e.Outcome != Finished {
		d.add(0, wrong(v, o))
	}
	d.add(2, results(s))
	d.add(1, answered(v, s, o))
	d.add(0, proof(e, v, s, o))
	return d.within(Most)
}

// sentence is what is live now, and what became of the old one.
func (e Entry) sentence(s report.Standing) string {
	text := map[Outcome]string{
		Validated:  "The new credential is live and proven.",
		Finished:   "The rotation is complete: the new credential is live and proven, the old one out of use.",
		RolledBack: "It was taken back: the new credential is not in use.",
		Refused:    "It was not begun: nothing was changed.",
		Stuck:      "It can't go on by itself.",
	}[e.Outcome]
	return text + " Old credential: " + markdown.Cut(s.Old, lineWidth) + "."
}

// broken is who went on without an approval, and why.
func broken(s report.Standing) string {
	var all []string
	for _, a := range s.Broken {
		what := ""
		if a.For != rotation.ApprovesRotation {
			what = " (" + name(a.For) + ")"
		}
		all = append(all, fmt.Sprintf("🔓 **BREAK-GLASS by %s**%s, approved by nobody: %s", people(a.By, false), what, markdown.Cut(a.BreakGlass, textWidth)))
	}
	return strings.Join(all, "\n")
}

// results are what the steps found, told where they tell something.
func results(s report.Standing) string {
	var b strings.Builder
	for _, st := range append(append([]report.Step(nil), s.Steps...), s.Undo...) {
		if st.Mark != report.Done || st.Text == "" || st.Phase == rotation.Preconditions {
			continue
		}
		took := ""
		if st.Took > 0 {
			took = " (" + report.Span(st.Took) + ")"
		}
		fmt.Fprintf(&b, "- %s%s: %s\n", name(st.Key), took, markdown.Cut(st.Text, lineWidth))
	}
	return b.String()
}

// answered is who answers for it, in their words.
func answered(v report.View, s report.Standing, o Options) string {
	if s.Claim == nil {
		return join(labelled("ticket", ticket(v.Ticket, o)), labelled("owner", people([]string{owner(v)}, false)))
	}
	a := s.Claim.Actors
	var said []string
	for i, ap := range s.Approvals {
		if ap.Comment != "" && i < mostWrong {
			said = append(said, "“"+markdown.Cut(ap.Comment, lineWidth)+"”")
		}
	}
	approved := labelled("approved by", people(s.Approvers, false))
	if approved == "" {
		approved = labelled("approval", markdown.Cut(s.Approval, nameWidth))
	} else if len(said) > 0 {
		approved += " (" + strings.Join(said, ", ") + ")"
	}
	return upper(join(labelled("operator", people([]string{a.Operator}, false)), labelled("requested by", people([]string{a.Requested}, false)),
		labelled("reviewed by", people(a.Reviewed, false)), labelled("merged by", people([]string{a.Merged}, false)), approved,
		labelled("ticket", ticket(v.Ticket, o)), o.ran(s.Runner)))
}

// proof is where the evidence is, and the heads that rekey verify holds it against.
func proof(e Entry, v report.View, s report.Standing, o Options) string {
	if s.Head.Seq == 0 {
		return "Evidence: nothing on record"
	}
	locked := ""
	if !e.Locked.IsZero() {
		locked = "locked until " + day(e.Locked)
	}
	text := "Evidence: " + join(cmp.Or(o.evidence(v, s), "kept"), report.Count(s.Records, "record"), locked, head(s.Head))
	if c := s.Claim; c != nil && c.Previous != nil && c.Previous.Seq > 0 {
		text += "<br>Environment before: " + join(name(c.Previous.Environment), head(*c.Previous))
	}
	return text + "<br>" + verify(v)
}
