package comment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// A Preview is what merging a pull request would do.
type Preview struct {
	Requests []Request
	Problems int  // mistakes in the files of the pull request; they stand at their lines
	Live     bool // targets were looked at
	At       time.Time
}

// A Request is one request file of the pull request.
type Request struct {
	Path    string
	Removed bool   // the pull request withdraws it
	Nothing string // why nothing will happen, where that isn't because of problems
	Ticket  string
	Owner   string
	Derived map[string]string // by secret: the one that it is derived from, and here because of
	Plans   []rotation.Plan   // in the configured order, of one secret each or of several
	Gates   map[string]string // by environment: the GitHub Environment that asks for approval
	Notes   []Note
	Sight   *Sight // nil: its ticket wasn't looked up
}

// A Sight is what looking up a request's ticket said. Status and Title are other people's texts.
type Sight struct {
	Status, Title string // "": not known
	Finding, Hint string // "": all is well
	Refused       bool   // nobody is asked about the request for that
}

// A Note is what looking at a target said, before anything was changed.
type Note struct {
	rotation.Chain
	OK         bool
	Text, Hint string
	Facts      []rotation.Fact // what was found
}

// Plan is the comment before a merge: what the merge would do, and what keeps it from it.
func Plan(p Preview, o Options) string {
	d := &document{marker: marker(planMarker, struct{}{})}
	d.add(0, answer(p))
	used := Size(d.String()) + 300
	for i, r := range p.Requests {
		text := request(r, p, o)
		if used += Size(text) + 4; used > Most {
			d.add(0, fmt.Sprintf("and %s: %s", report.Count(len(p.Requests)-i, "more request"), markdown.Code("rekey plan")))
			break
		}
		d.add(0, text)
	}
	if slices.ContainsFunc(p.Requests, func(r Request) bool { return len(r.Plans) > 0 }) {
		looked := "Targets weren't looked at: that is done before anything is changed."
		if p.Live {
			looked = "Targets were looked at; nothing was changed."
		}
		d.add(0, "<sub>"+looked+" Dates are the earliest there can be.</sub>")
	}
	return d.within(Most)
}

func answer(p Preview) string {
	secrets, envs, bad, late := map[string]bool{}, []string(nil), 0, 0
	for _, r := range p.Requests {
		for _, pl := range r.Plans {
			if plan.Next(&pl, nil, p.At).State == plan.Missed {
				late++
				continue
			}
			secrets[pl.Secret] = true
			if !slices.Contains(envs, pl.Environment) {
				envs = append(envs, pl.Environment)
			}
		}
		for _, n := range r.Notes {
			if !n.OK {
				bad++
			}
		}
	}
	switch {
	case p.Problems > 0:
		return fmt.Sprintf("### ❌ %s to mend before this can be merged\n\nThey stand at their lines in the files changed, and `rekey lint` says them too.", report.Count(p.Problems, "mistake"))
	case len(p.Requests) == 0:
		return "### 🔑 Merging this rotates nothing\n\nNo request is added or changed."
	case len(secrets) == 0 && late > 0:
		return "### ⚠️ Merging this rotates nothing: it is too late"
	case len(secrets) == 0 && slices.ContainsFunc(p.Requests, func(r Request) bool { return r.Removed }):
		return "### 🔑 Merging this withdraws what is asked for"
	case len(secrets) == 0:
		return "### 🔑 Merging this rotates nothing"
	}
	names := make([]string, len(envs))
	for i, e := range envs {
		names[i] = name(e)
	}
	what := report.Count(len(secrets), "secret")
	if len(secrets) == 1 {
		what = name(p.Requests[slices.IndexFunc(p.Requests, func(r Request) bool { return len(r.Plans) > 0 })].Plans[0].Secret)
	}
	if slices.ContainsFunc(p.Requests, func(r Request) bool { return r.Sight != nil && r.Sight.Refused }) {
		return fmt.Sprintf("### ⚠️ Merging this begins nothing yet: its ticket is missing\n\nIt asks for a rotation of %s in %s.", what, report.And(names))
	}
	if bad > 0 {
		return fmt.Sprintf("### ⚠️ Merging this would be refused: %s not as needed\n\nIt asks for a rotation of %s in %s.", count2(bad, "target is", "targets are"), what, report.And(names))
	}
	if late > 0 {
		return fmt.Sprintf("### ⚠️ Merging this rotates %s in %s; %s too late to begin", what, report.And(names), count2(late, "environment is", "environments are"))
	}
	return fmt.Sprintf("### 🔑 Merging this rotates %s in %s", what, report.And(names))
}

func count2(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func request(r Request, p Preview, o Options) string {
	d := &document{}
	switch {
	case r.Removed:
		d.add(0, file(r)+"\n\nThis request is withdrawn: what hasn't begun won't begin. What has begun is brought to its end.")
		return strings.TrimRight(d.String(), "\n")
	case r.Nothing != "" || len(r.Plans) == 0:
		d.add(0, file(r)+"\n\nNothing will happen: "+markdown.Cut(orElse(r.Nothing, "it names no environment"), textWidth))
		return strings.TrimRight(d.String(), "\n")
	}
	first := r.Plans[0]
	d.add(0, join(file(r), name(first.Kind), name(first.Reason), labelled("ticket", ticket(r.Ticket, o)+r.Sight.shown()), labelled("owner", people([]string{r.Owner}, false))))
	if len(r.Derived) > 0 {
		d.add(0, fmt.Sprintf("%s derived from what is named, and part of this: whoever stole that may have got them by it. They rotate beside each other, in no order. `derived: false` leaves them out.", count2(len(r.Derived), "secret is", "secrets are")))
	}
	var told []string
	for i := 0; i < len(r.Plans); {
		n := i + 1
		for n < len(r.Plans) && r.Plans[n].Secret == r.Plans[i].Secret {
			n++
		}
		d.add(0, secret(r, r.Plans[i:n], p.At, len(r.Plans) > n-i, p.Live))
		i = n
	}
	d.add(2, foreseen(r))
	for _, n := range r.Notes {
		if !n.OK {
			told = append(told, fmt.Sprintf("- ❌ %s in %s: %s%s", name(n.Secret), name(n.Environment), markdown.Cut(n.Text, textWidth), labelled("<br>hint:", markdown.Cut(n.Hint, textWidth))))
		}
	}
	d.add(0, strings.Join(told, "\n"))
	d.add(0, r.Sight.told())
	d.add(1, details("What is done, step by step", walk(r.Plans)))
	return strings.TrimRight(d.within(Most/2), "\n")
}

// shown is how the ticket stands, behind its name.
func (s *Sight) shown() string {
	if s == nil || s.Status == "" {
		return ""
	}
	return " (" + join(markdown.Cut(s.Status, nameWidth), markdown.Cut(s.Title, nameWidth)) + ")"
}

// told is what a person must hear of it.
func (s *Sight) told() string {
	if s == nil || s.Finding == "" {
		return ""
	}
	mark, more := "⚠️", ""
	if s.Refused {
		mark, more = "❌", ". Nobody is asked about this before it is there"
	}
	return fmt.Sprintf("- %s %s%s%s", mark, markdown.Cut(s.Finding, textWidth), more, labelled("<br>hint:", markdown.Cut(s.Hint, textWidth)))
}

func file(r Request) string { return markdown.Code(report.Cut(report.Line(r.Path), lineWidth)) }

// secret is one secret's environments, in order.
func secret(r Request, plans []rotation.Plan, at time.Time, several, live bool) string {
	var b strings.Builder
	if several {
		b.WriteString("**" + name(plans[0].Secret) + "**")
		if from := r.Derived[plans[0].Secret]; from != "" {
			b.WriteString(", derived from " + name(from))
		}
		b.WriteString("\n\n")
	}
	head, rule := row("", "begins", "approval", "old credential"), row("---", "---", "---", "---")
	if live {
		head, rule = row("", "begins", "approval", "old credential", "looked at"), row("---", "---", "---", "---", "---")
	}
	b.WriteString(head + rule)
	for i := range plans {
		p := &plans[i]
		cells := []string{name(p.Environment), markdown.Cut(begins(p, at), lineWidth), approval(r, p), markdown.Cut(goes(p), lineWidth)}
		if live {
			cells = append(cells, looked(r, p))
		}
		b.WriteString(row(cells...))
	}
	return b.String()
}

// begins is when an environment can begin, told by what it depends on.
func begins(p *rotation.Plan, at time.Time) string {
	d := plan.Next(p, nil, at)
	if d.State == plan.Missed {
		return "can't begin: " + d.Why
	}
	var parts []string
	if p.Needs != "" {
		parts = append(parts, "after "+p.Needs)
	}
	for _, s := range p.Steps {
		if w := s.Window; w != nil {
			parts = append(parts, fmt.Sprintf("from %s to %s", utcMinute(w.From), utcMinute(w.To)))
		}
		if h := s.Hours; h != nil {
			parts = append(parts, fmt.Sprintf("%s %s–%s %s", strings.Join(h.Days, " "), h.From, h.To, h.Zone))
		}
		if s.Window != nil || s.Hours != nil {
			break
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "at once")
	}
	text := strings.Join(parts, ", ")
	if !p.StartBy.IsZero() {
		text += "; not after " + utcMinute(p.StartBy)
	}
	return text
}

func utcMinute(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

func approval(r Request, p *rotation.Plan) string {
	if len(p.Approvals) == 0 {
		return "none"
	}
	text := "asked"
	if g := r.Gates[p.Environment]; g != "" {
		text += " in " + markdown.Code(report.Cut(report.Line(g), nameWidth))
	}
	if slices.Contains(p.Approvals, rotation.ApprovesDecommission) {
		text += ", and again before the old credential goes"
	}
	return text
}

// goes is what becomes of the old credential, by the plan alone.
func goes(p *rotation.Plan) string {
	end, ok := report.Ending(p)
	if !ok {
		return "stays: the plan has no decommission"
	}
	kept, text := report.Kept(p, end), "goes as soon as the new one is adopted: no retention"
	if kept > 0 {
		text = "kept " + report.Span(kept) + " after the new one is live"
		for _, s := range p.Steps {
			if s.Window != nil {
				text += ": goes " + utcMinute(s.Window.From.Add(kept))
				break
			}
		}
	}
	if p.OnFailure == "hold" {
		text += "; a failure is held for a person, not undone"
	}
	return text
}

func looked(r Request, p *rotation.Plan) string {
	for _, n := range r.Notes {
		if n.Chain == p.Chain {
			if n.OK {
				return "✅ " + markdown.Cut(n.Text, lineWidth)
			}
			return "❌ see below"
		}
	}
	return "not looked at"
}

// walk is what is done, environments that do the same told once.
func walk(plans []rotation.Plan) string {
	var order []string
	same := map[string][]string{}
	for i := range plans {
		text := list(&plans[i])
		if same[text] == nil {
			order = append(order, text)
		}
		if e := name(plans[i].Environment); !slices.Contains(same[text], e) {
			same[text] = append(same[text], e)
		}
	}
	var b strings.Builder
	for _, text := range order {
		b.WriteString("**" + report.And(same[text]) + "**\n\n" + text + "\n")
	}
	return b.String()
}

func list(p *rotation.Plan) string {
	var b strings.Builder
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, planned(s))
	}
	if len(p.Undo) > 0 {
		b.WriteString("\nIf a step fails after create began and before decommission, what was done is undone:\n\n")
		for _, s := range p.Undo {
			b.WriteString("- " + planned(s) + "\n")
		}
	}
	return b.String()
}

func planned(s rotation.Step) string {
	text := name(s.Key) + ": " + markdown.Cut(report.Does(s), lineWidth)
	if s.Final {
		text += "; from here nothing can be undone"
	}
	if s.Within > 0 {
		text += ", within " + report.Span(time.Duration(s.Within))
	}
	return text
}
