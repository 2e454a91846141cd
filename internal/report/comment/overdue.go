package comment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// OverdueOptions is what the status issue says beside the scan.
type OverdueOptions struct {
	Next     time.Time         // the next scan; zero: unknown
	Report   string            // address of the report; "" none
	Requests map[string]string // by secret: its open request, as a link
	Late     time.Duration     // how much longer than planned the last scan is ago; 0: it isn't
	Told     map[string]string // by secret: who was told, and when
}

// Overdue is the text of the status issue: what is stuck first, then what is overdue and due soon by owner, then what
// differs from the registry. Its counts begin the text; of long lists the least urgent end is left out.
func Overdue(s overdue.Scan, o OverdueOptions) string {
	d := &document{marker: marker(overdueMarker, scanned{s.At.UTC().Format(time.RFC3339)})}
	d.add(0, "### Secret rotation: "+report.Overdue(s))
	line := "Last scan " + utc(s.At)
	if !o.Next.IsZero() {
		line += ", next " + utc(o.Next)
	}
	if o.Report != "" {
		line += ". " + markdown.Link("Report", o.Report)
	}
	d.add(0, line)
	if o.Late > 0 {
		d.add(0, fmt.Sprintf("⚠️ The scan before this one was %s late: GitHub may have stopped the schedule.", report.Count(int(o.Late.Hours()), "hour")))
	}
	if s.Count(overdue.Stuck) > 0 {
		d.add(1, "**Stuck**\n\n"+bullets(s, overdue.Stuck, o))
	}
	for i, state := range []overdue.State{overdue.Overdue, overdue.Unknown, overdue.DueSoon} {
		if s.Count(state) > 0 {
			d.add(2+i, "**"+upper(string(state))+"**\n\n"+byOwner(s, state, o))
		}
	}
	if len(s.Findings) > 0 {
		d.add(5, "**What differs**\n\n"+differs(s.Findings))
	}
	d.add(6, details("All by owner", perOwner(s)))
	if text := report.Unseen(s); text != "" {
		d.add(7, "<sub>"+markdown.Cut(text, lineWidth)+"</sub>")
	}
	return d.within(Most)
}

// A scanned is the marker of the status issue.
type scanned struct {
	At string `json:"at"`
}

// ParseOverdue says whether body is the status issue's, and when it was last scanned.
func ParseOverdue(body string) (at time.Time, ok bool) {
	var m scanned
	if !parse(body, overdueMarker, &m) {
		return at, false
	}
	at, err := time.Parse(time.RFC3339, m.At)
	return at, err == nil
}

// SameOverdue says whether two texts of the status issue differ in nothing but when they were written.
func SameOverdue(a, b string) bool {
	rest := func(s string) string {
		var kept []string
		for i, line := range strings.Split(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "\n") {
			if i > 0 && !strings.HasPrefix(line, "Last scan ") && !strings.HasPrefix(line, "⚠️ The scan before") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n")
	}
	return rest(a) == rest(b)
}

// An Escalation is a secret that is overdue or stuck for so long that somebody else is told.
type Escalation struct {
	overdue.Standing
	Level string   // primary, secondary, liaison
	Who   []string // logins and teams
	After string   // "7 days": how long after Since that is
}

// Key is that of an escalation: a secret, since when, and who is told.
func (e Escalation) Key() string {
	return e.Secret + " " + e.Since.UTC().Format(time.DateOnly) + " " + e.Level
}

type escalated struct {
	Keys []string `json:"keys"`
}

// Escalated is the comment that tells people, once.
func Escalated(all []Escalation) string {
	var m escalated
	var b strings.Builder
	for _, e := range all[:min(len(all), mostLines)] {
		m.Keys = append(m.Keys, e.Key())
		why := ""
		if e.Open != nil {
			why = ": " + markdown.Cut(e.Why, lineWidth) + labelled(" ·", pullOf(e.Standing))
		}
		fmt.Fprintf(&b, "- %s: %s has been %s since %s, for more than %s (owner %s)%s\n", people(e.Who, true), name(e.Secret), e.State, e.Since.UTC().Format(time.DateOnly), e.After, people([]string{e.Owner}, false), why)
	}
	d := &document{marker: marker(lateMarker, m)}
	d.add(0, b.String())
	return d.String()
}

// ParseEscalated says whether body is such a comment, and which escalations it told.
func ParseEscalated(body string) (keys []string, ok bool) {
	var m escalated
	ok = parse(body, lateMarker, &m)
	return m.Keys, ok
}

const mostLines = 100 // of one list: what is more is in the report

func bullets(s overdue.Scan, state overdue.State, o OverdueOptions) string {
	var b strings.Builder
	n := 0
	for _, one := range s.Standings {
		if one.State != state {
			continue
		}
		if n++; n > mostLines {
			continue
		}
		where := ""
		if one.Environment != "" {
			where = " · " + name(one.Environment)
		}
		why := ""
		if one.Open != nil && one.Open.Why != "" {
			why = ". " + markdown.Cut(upper(one.Open.Why), lineWidth)
		}
		fmt.Fprintf(&b, "- %s%s: %s%s%s\n", name(one.Secret), where, markdown.Cut(one.Why, lineWidth), labelled(" ·", cmp.Or(o.Requests[one.Secret], pullOf(one)))+labelled(" ·", o.Told[one.Secret]), why)
	}
	return b.String() + more(n)
}

func more(n int) string {
	if n <= mostLines {
		return ""
	}
	return fmt.Sprintf("\nand %d more\n", n-mostLines)
}

func pullOf(s overdue.Standing) string {
	if s.Open == nil || s.Open.Pull == 0 {
		return ""
	}
	return fmt.Sprintf("#%d", s.Open.Pull)
}

// byOwner is a table, owner after owner, those with the oldest date first.
func byOwner(s overdue.Scan, state overdue.State, o OverdueOptions) string {
	var order []string
	of := map[string][]overdue.Standing{}
	n := 0
	for _, one := range s.Standings {
		if one.State != state {
			continue
		}
		if n++; n > mostLines {
			continue
		}
		if of[one.Owner] == nil {
			order = append(order, one.Owner)
		}
		of[one.Owner] = append(of[one.Owner], one)
	}
	var b strings.Builder
	b.WriteString("| owner | secret | where | due | why we think so | request |\n|---|---|---|---|---|---|\n")
	for _, owner := range order {
		who := people([]string{owner}, false)
		for _, one := range of[owner] {
			due := "unknown"
			if !one.Due.IsZero() {
				due = one.Due.UTC().Format(time.DateOnly)
			}
			b.WriteString(row(who, name(one.Secret), name(one.Environment), due, markdown.Cut(one.Why, lineWidth), join(o.Requests[one.Secret], o.Told[one.Secret])))
			who = ""
		}
	}
	return b.String() + more(n)
}

func differs(all []overdue.Finding) string {
	var b strings.Builder
	for _, f := range all[:min(len(all), mostLines)] {
		hint := ""
		if f.Hint != "" {
			hint = "; " + markdown.Cut(f.Hint, lineWidth)
		}
		about := name(f.Secret)
		if f.Secret != "" && f.Environment != "" {
			about += " · " + name(f.Environment)
		}
		if about != "" {
			about += ": "
		}
		fmt.Fprintf(&b, "- %s%s%s\n", about, markdown.Cut(f.Text, lineWidth), hint)
	}
	return b.String() + more(len(all))
}

// perOwner counts each owner's secrets by state.
func perOwner(s overdue.Scan) string {
	counts := map[string]map[overdue.State]int{}
	for _, one := range s.Standings {
		if counts[one.Owner] == nil {
			counts[one.Owner] = map[overdue.State]int{}
		}
		counts[one.Owner][one.State]++
	}
	var owners []string
	for owner := range counts {
		owners = append(owners, owner)
	}
	slices.Sort(owners)
	var b strings.Builder
	for i, owner := range owners {
		if i == 0 {
			b.WriteString("| owner")
			for _, st := range overdue.States {
				b.WriteString(" | " + string(st))
			}
			b.WriteString(" |\n|---" + strings.Repeat("|--:", len(overdue.States)) + "|\n")
		}
		if i == mostLines {
			break
		}
		cells := []string{people([]string{owner}, false)}
		for _, st := range overdue.States {
			n := ""
			if counts[owner][st] > 0 {
				n = fmt.Sprint(counts[owner][st])
			}
			cells = append(cells, n)
		}
		b.WriteString(row(cells...))
	}
	return b.String() + more(len(owners))
}
