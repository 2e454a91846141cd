package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report"
)

// Overdue prints the state of all secrets: those that need somebody with their reasons, the others as counts, and what
// differs from the registry. With all, every secret has its line.
func Overdue(w io.Writer, s overdue.Scan, all bool, style Style) error {
	p := &page{Style: style}
	c := bold
	if s.Count(overdue.Stuck)+s.Count(overdue.Overdue) > 0 {
		c = red
	}
	p.para("", 0, c, report.Overdue(s))
	for _, state := range overdue.States {
		rest := state == overdue.Current || state == overdue.Exempt || state == overdue.InProgress
		if s.Count(state) == 0 || rest && !all {
			continue
		}
		p.WriteString("\n" + p.paint(bold, strings.ToUpper(string(state[:1]))+string(state[1:])) + "\n")
		for _, one := range s.Standings {
			if one.State == state {
				p.state(one)
			}
		}
	}
	if len(s.Findings) > 0 {
		p.WriteString("\n" + p.paint(bold, "Findings") + "\n")
	}
	for _, f := range s.Findings {
		p.para("  "+p.paint(yellow, "! "), 4, "", finding(f))
		if f.Hint != "" {
			p.para("      ", 6, dim, "hint: "+f.Hint)
		}
	}
	if text := report.Unseen(s); text != "" {
		p.WriteString("\n")
		p.para("", 0, dim, text)
	}
	return p.flush(w)
}

var stateColors = map[overdue.State]color{overdue.Stuck: red, overdue.Overdue: red, overdue.Unknown: yellow, overdue.DueSoon: yellow, overdue.InProgress: "", overdue.Current: green, overdue.Exempt: dim}

func (p *page) state(s overdue.Standing) {
	due := "no date"
	if !s.Due.IsZero() {
		due = s.Due.Format("2 Jan 2006")
	}
	where := ""
	if s.Environment != "" {
		where = " in " + s.Environment
	}
	p.para("  "+p.paint(stateColors[s.State], "● "), 4, "", fmt.Sprintf("%s%s · %s · %s", s.Secret, where, due, s.Owner))
	p.para("    ", 4, dim, s.Why)
	if s.Open != nil && s.Open.Why != "" {
		p.para("    ", 4, dim, s.Open.Why)
	}
}

func finding(f overdue.Finding) string {
	about := strings.TrimSpace(f.Secret)
	if about != "" && f.Environment != "" && !strings.Contains(f.Text, f.Environment) {
		about += " in " + f.Environment
	}
	if about != "" {
		about += ": "
	}
	return about + f.Text + " [" + f.Rule + "]"
}
