package terminal

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// A Timeline tells a day: events as they happen, and each environment's run as one line once it is finished. It is
// safe for concurrent use.
type Timeline struct {
	w     io.Writer
	style Style
	mu    sync.Mutex
	day   string
	runs  map[rotation.Chain][]rotation.Record
	err   error
}

// NewTimeline prints to w.
func NewTimeline(w io.Writer, s Style) *Timeline {
	return &Timeline{w: w, style: s, runs: map[rotation.Chain][]rotation.Record{}}
}

// Err is the first error of the writer.
func (t *Timeline) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Event prints something that isn't a step: "09:20  review      @ana-sec approves, #7 merged".
func (t *Timeline) Event(at time.Time, what, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(at, what, text, "", "")
}

// Pass prints that time goes by until at: "… 48 hours pass: Wed 25 Nov …".
func (t *Timeline) Pass(at time.Time, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.day = at.UTC().Format("Mon 2 Jan")
	t.write("       " + t.style.paint(dim, "… "+report.Line(text)+": "+t.day+" …") + "\n")
}

// Note prints what has no time of its own: "  old     keys deleted: 2". wide is the columns of what.
func (t *Timeline) Note(what string, wide int, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lead, s := "  "+t.style.paint(bold, pad(report.Line(what), wide)), t.style
	for _, l := range wrap(text, min(s.room(), 100)-wide-4) {
		t.write(lead + "  " + l + "\n")
		lead = strings.Repeat(" ", wide+2)
	}
}

// Record keeps a record for its environment's line; it is what an apply.Runner's Progress wants.
func (t *Timeline) Record(p *rotation.Plan, r rotation.Record) {
	if r.Outcome == rotation.Waiting {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs[p.Chain] = append(t.runs[p.Chain], r)
}

// Finish prints what was recorded for c since the last time, with note behind how it ended. Nothing when nothing was.
func (t *Timeline) Finish(c rotation.Chain, note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	run := t.runs[c]
	if len(run) == 0 {
		return
	}
	delete(t.runs, c)
	text, end, col := walk(run)
	if note = report.Line(note); note != "" {
		end += " · " + note
	}
	t.line(run[0].At, c.Environment, text, end, col)
}

// walk is a run's steps in order, checks of one name as one, and how it ended.
func walk(run []rotation.Record) (text, end string, c color) {
	var b strings.Builder
	last, failed, back, gone := "", false, false, false
	for _, r := range run {
		name, check, _ := strings.Cut(r.Step, "/")
		what, waits := r.Waited()
		switch r.Outcome {
		case rotation.Claimed:
			name, check = "claim", ""
		case rotation.Resumed:
			name, check = "resume", ""
		case rotation.Asked:
			name, check = "rollback asked", ""
		case rotation.Done, rotation.Failed:
		case rotation.Released:
			if name, check = "stopped", ""; waits {
				name = "waits"
			}
		default:
			continue
		}
		if name != last {
			b.WriteString(" ▸ " + name)
			last = name
		} else if waits { // of another secret
			b.WriteString(", and")
		}
		switch r.Outcome {
		case rotation.Failed:
			failed = true
			b.WriteString(" ✘ " + strings.TrimPrefix(check+": "+r.Text, ": "))
			last = ""
		case rotation.Done:
			back, gone = back || strings.HasPrefix(name, "restore") || name == "discard", name == "discard" // with which every way back ends
			failed = false
		case rotation.Released:
			if waits {
				b.WriteString(" for " + what)
				break
			}
			failed = true
			b.WriteString(": " + r.Text)
		}
	}
	text = strings.TrimPrefix(b.String(), " ")
	switch {
	case failed:
		return text, "✘ " + report.Count(len(run), "record"), red
	case back && !gone:
		return text, "↩ not taken back yet", red
	case back:
		return text, "↩ rolled back", yellow
	}
	return text, "✔ " + report.Count(len(run), "record"), green
}

const (
	clock = 7 // "09:21  "
	label = 8 // "stage   "
	ends  = 76
)

// line prints a day's line; end stands at a column of its own, or on a line of its own where the text is long.
func (t *Timeline) line(at time.Time, what, text, end string, c color) {
	if day := at.UTC().Format("Mon 2 Jan"); day != t.day {
		if t.day != "" {
			t.write(strings.Repeat(" ", clock) + t.style.paint(dim, "… "+day+" …") + "\n")
		}
		t.day = day
	}
	s := t.style
	what = pad(report.Line(what), label)
	indent := clock + report.Columns(what) + 1
	lines := wrap(text, min(s.room(), 100)-indent)
	for i, l := range lines {
		lead := strings.Repeat(" ", indent)
		if i == 0 {
			lead = at.UTC().Format("15:04") + "  " + s.paint(bold, what) + " "
		}
		if i == len(lines)-1 && end != "" {
			if fill := max(ends-indent, report.Columns(l)+2); indent+fill+report.Columns(end) <= max(s.room(), 0) {
				t.write(lead + pad(l, fill) + s.paint(c, end) + "\n")
				return
			}
			t.write(lead + l + "\n")
			for _, e := range wrap(end, s.room()-indent) {
				t.write(strings.Repeat(" ", indent) + s.paint(c, e) + "\n")
			}
			return
		}
		t.write(strings.TrimRight(lead+l, " ") + "\n")
	}
}

func (t *Timeline) write(s string) {
	if _, err := io.WriteString(t.w, s); err != nil && t.err == nil {
		t.err = err
	}
}
