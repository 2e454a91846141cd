package terminal

import (
	"io"
	"strings"
	"sync"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// Progress prints one line for each record as it happens, and a second one for a hint. A wait is printed when its
// text changes. The function it gives is safe for concurrent use; what can't be written is lost.
func Progress(w io.Writer, s Style) func(*rotation.Plan, rotation.Record) {
	var mu sync.Mutex
	waits := map[rotation.Chain]string{}
	return func(p *rotation.Plan, r rotation.Record) {
		mu.Lock()
		defer mu.Unlock()
		if r.Outcome == rotation.Waiting {
			said := r.Step + "\x00" + r.Text
			if waits[p.Chain] == said {
				return
			}
			waits[p.Chain] = said
		} else if r.Outcome != rotation.Noted {
			delete(waits, p.Chain)
		}
		_, _ = io.WriteString(w, s.progress(p, r))
	}
}

func (s Style) progress(p *rotation.Plan, r rotation.Record) string {
	mark, c, text := event(p, r)
	place := pad(report.Line(p.Environment), 6)
	if s.Several {
		place += "  " + pad(report.Line(p.Secret), min(28, s.room()/4))
	}
	lead := r.At.UTC().Format("15:04:05") + "  " + place + "  "
	step := pad(report.Line(r.Step), 20)
	if r.Step == "" {
		step = ""
	}
	body := strings.TrimRight(step+"  "+report.Line(text), " ")
	body = strings.TrimPrefix(body, "  ")
	if room := s.room() - report.Columns(lead) - 2; c == green || c == dim { // what went wrong is never cut
		body = report.Cut(body, max(room, 10))
	}
	line := s.paint(dim, r.At.UTC().Format("15:04:05")) + "  " + place + "  " + s.paint(c, mark) + " " + body + "\n"
	if r.Hint != "" {
		line += strings.Repeat(" ", report.Columns(lead)+2) + s.paint(yellow, "hint: ") + report.Line(r.Hint) + "\n"
	}
	return line
}

// event is what a record says in a line.
func event(p *rotation.Plan, r rotation.Record) (mark string, c color, text string) {
	switch r.Outcome {
	case rotation.Claimed:
		text = "claimed " + p.Rotation
		if p.Attempt > 1 {
			text += ", again"
		}
		if k := r.Claim; k != nil && k.Actors.Operator != "" {
			text += " by " + k.Actors.Operator
		}
		if a := r.Grant(); a != nil && a.BreakGlass != "" {
			return "!", red, text + ", " + breaks(*a)
		}
		return "▸", bold, text
	case rotation.Resumed:
		return "▸", bold, and("resumed by "+r.Runner.ID, r.Text)
	case rotation.Released:
		if _, waits := r.Waited(); waits {
			return "‖", yellow, "left here, " + r.Text
		}
		return "‖", yellow, and("stopped here, the next run looks again", r.Text)
	case rotation.Begun:
		return "!", yellow, and("begins; from here nothing can be undone", r.Text)
	case rotation.Done:
		return "✔", green, r.Text
	case rotation.Failed:
		return "✘", red, r.Text
	case rotation.Approved:
		if a := r.Grant(); a != nil && a.BreakGlass != "" {
			return "!", red, breaks(*a)
		}
		return "✔", green, and("approved", by(r))
	case rotation.Asked:
		return "↩", yellow, and("rollback asked", r.Text)
	case rotation.Attached:
		return "+", dim, and("attached", r.Text)
	case rotation.Waiting:
		return "…", dim, and("waits", r.Text)
	case rotation.Noted:
		return "·", dim, r.Text
	}
	return "?", yellow, and(string(r.Outcome), r.Text)
}

func and(what, text string) string {
	if text == "" {
		return what
	}
	return what + ": " + text
}

// by is the people of an approval.
func by(r rotation.Record) string {
	if a := r.Grant(); a != nil && len(a.By) > 0 {
		return "by " + report.And(a.By)
	}
	return ""
}
