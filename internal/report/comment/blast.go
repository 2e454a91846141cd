package comment

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/usage"
)

// What is told of an environment's users: the journal has more.
const (
	mostNodes = 12
	mostUsers = 15
	mostDrift = 5
	placeLine = 160

	mostForeseen = Most / 4 // of a request's secrets together
)

// blast is who uses the secret of a rotation, by what is on record: folded away; "" where nobody looked.
func blast(v report.View) string {
	var all []report.Users
	for _, s := range v.Environments {
		if u, ok := s.Users(); ok {
			all = append(all, u)
		}
	}
	return details(usedBy(all), radius(v.Secret, all))
}

// foreseen is who uses the secrets of a request, before a merge, those whose registry lists nobody and that nobody looked
// at left out.
func foreseen(r Request) string {
	by, order := map[string][]report.Users{}, []string(nil)
	for i := range r.Plans {
		p, facts := &r.Plans[i], []rotation.Fact(nil)
		for _, n := range r.Notes {
			if n.Chain == p.Chain {
				facts = n.Facts
			}
		}
		if u, ok := report.UsersOf(p, facts); ok {
			if by[p.Secret] == nil {
				order = append(order, p.Secret)
			}
			by[p.Secret] = append(by[p.Secret], u)
		}
	}
	var b strings.Builder
	for i, s := range order {
		summary := usedBy(by[s])
		if r.Plans[0].Secret != r.Plans[len(r.Plans)-1].Secret {
			summary = "<b>" + markdown.HTML(s, nameWidth) + "</b> · " + summary
		}
		text := details(summary, radius(s, by[s])) + "\n\n"
		if Size(b.String())+Size(text) > mostForeseen {
			fmt.Fprintf(&b, "<sub>Who uses %s doesn't fit here: %s</sub>", report.Count(len(order)-i, "more secret"), markdown.Code("rekey plan --live"))
			break
		}
		b.WriteString(text)
	}
	return b.String()
}

// usedBy is the line that the rest is folded behind.
func usedBy(all []report.Users) string {
	most, drift, gaps := 0, 0, 0
	for _, u := range all {
		most, gaps = max(most, u.Count()), gaps+len(u.Gaps)
		for _, r := range u.Rows {
			if r.Drifts() {
				drift++
			}
		}
	}
	text := "Who uses it: " + report.Count(most, "consumer")
	if most == 0 {
		text = "Who uses it: nobody was found"
	}
	if drift > 0 {
		text += ", ⚠️ not as the registry says"
	}
	if gaps > 0 {
		text += ", not everything could be looked at"
	}
	return text
}

// radius is the graph, the table and the drift of each environment, those that are the same told once.
func radius(secret string, all []report.Users) string {
	var b strings.Builder
	for _, u := range report.Together(all) {
		var names []string
		for _, e := range u.Environments {
			names = append(names, name(e))
		}
		b.WriteString("**" + report.And(names) + "**")
		if !u.Looked {
			b.WriteString(": by the registry alone, nothing was looked at")
		}
		b.WriteString("\n\n" + graph(secret, u) + usersTable(u) + drift(u) + unseen(u) + "\n")
	}
	return b.String()
}

// graph is the secret and who uses it. A dotted line is one that wasn't seen in AWS.
func graph(secret string, u report.Users) string {
	if u.Count() == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n  secret[" + markdown.Label(secret, nameWidth) + "]\n")
	for i, r := range u.Rows {
		if i == mostNodes {
			break
		}
		line := "-->"
		if len(r.Found) == 0 {
			line = "-.->"
		}
		fmt.Fprintf(&b, "  secret %s u%d[%s]\n", line, i+1, markdown.Label(r.Called(), nameWidth))
	}
	if more := u.Count() - min(len(u.Rows), mostNodes); more > 0 {
		fmt.Fprintf(&b, "  secret --> more[%s]\n", markdown.Label(fmt.Sprintf("%d more", more), nameWidth))
	}
	b.WriteString("```\n\n")
	return b.String()
}

func usersTable(u report.Users) string {
	if u.Count() == 0 {
		return "Nothing that was looked at names it. Code, schedules and other accounts aren't seen.\n"
	}
	var b strings.Builder
	b.WriteString(row("consumer", "found by", "now runs with") + row("---", "---", "---"))
	for i, r := range u.Rows {
		if i == mostUsers {
			break
		}
		b.WriteString(row(markdown.Cut(r.Called(), nameWidth), foundBy(r), markdown.Cut(r.Now, nameWidth)))
	}
	if more := u.Count() - min(len(u.Rows), mostUsers); more > 0 {
		fmt.Fprintf(&b, "\n%d more: see the evidence.\n", more)
	}
	return b.String()
}

func foundBy(r usage.Row) string {
	where := markdown.Cut(strings.Join(r.Found, ", "), placeLine)
	switch r.Standing {
	case usage.Both:
		return "registry, and " + where
	case usage.Silent:
		return "⚠️ registry alone"
	case usage.Unlooked:
		return "registry; not looked at"
	case usage.Unlisted:
		return where + "; ⚠️ not in the registry"
	case usage.Foreign:
		return where + "; nothing here restarts it"
	}
	return "named in the registry: nothing here restarts it"
}

// drift is what registry and reality don't share, and what to do about it.
func drift(u report.Users) string {
	var lines []string
	for _, r := range u.Rows {
		who := markdown.Cut(r.Called(), nameWidth)
		switch r.Standing {
		case usage.Unlisted:
			lines = append(lines, fmt.Sprintf("- ⚠️ %s names it and isn't listed: nothing here has it take the new credential up. A line for its consumers: %s", who, markdown.Code(report.Cut(r.Line(), lineWidth))))
		case usage.Silent:
			lines = append(lines, fmt.Sprintf("- ⚠️ %s is listed, and nothing of it was found to name the secret. Where its code does, that is as it should be.", who))
		case usage.Foreign:
			lines = append(lines, fmt.Sprintf("- %s names it, and no consumer can restart it: see that it reads the new credential before the old one goes.", who))
		}
	}
	if n := len(lines) - mostDrift; n > 0 {
		lines = append(lines[:mostDrift], fmt.Sprintf("- %d more like that", n))
	}
	if len(lines) == 0 {
		return ""
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// unseen is what nobody could look at: who is there isn't known.
func unseen(u report.Users) string {
	var all []string
	for i, g := range u.Gaps {
		if i == mostDrift {
			all = append(all, fmt.Sprintf("%d more", len(u.Gaps)-i))
			break
		}
		all = append(all, markdown.Cut(g.What, nameWidth)+" ("+markdown.Cut(g.Why, nameWidth)+")")
	}
	if len(all) == 0 {
		return ""
	}
	return "\nNot looked at: " + strings.Join(all, "; ") + ". Who is there isn't known.\n"
}
