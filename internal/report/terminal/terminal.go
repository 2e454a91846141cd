// Package terminal owns what a person reads in a terminal or a job's log: progress, status, plan, verification,
// and the demo's timeline. First the answer, then the proof.
//
// It must never print a control character but line breaks and its own colours, whatever the texts hold: each goes
// through report.Line. It reads no clock and asks the terminal nothing: width and colour are given.
package terminal

import (
	"io"
	"strings"

	"github.com/rastup/rekey/internal/report"
)

// A Style says how to print.
type Style struct {
	Color   bool
	Width   int  // columns; 0: unlimited
	Several bool // progress lines name their secret
}

type color string

const (
	red    color = "\x1b[31m"
	green  color = "\x1b[32m"
	yellow color = "\x1b[33m"
	bold   color = "\x1b[1m"
	dim    color = "\x1b[2m"
	reset        = "\x1b[0m"
)

func (s Style) paint(c color, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return string(c) + text + reset
}

// room is the width to lay out in.
func (s Style) room() int {
	if s.Width <= 0 {
		return 1 << 30
	}
	return max(s.Width, 20)
}

// pad fills s, a line without colours, up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-report.Columns(s)))
}

// wrap breaks text into lines of at most width columns at spaces, or inside a word that is longer: nothing is lost.
func wrap(text string, width int) (lines []string) {
	width = max(width, 1)
	line := ""
	for word := range strings.FieldsSeq(report.Line(text)) {
		if line != "" && report.Columns(line)+1+report.Columns(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for report.Columns(word) > width {
			n := fits(word, width)
			lines, word = append(lines, word[:n]), word[n:]
		}
		line = word
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// fits is how many bytes of s fit into width columns, at least one character.
func fits(s string, width int) (n int) {
	for i, r := range s {
		if width -= report.Columns(string(r)); width < 0 && i > 0 {
			return i
		}
	}
	return len(s)
}

// page collects lines and writes them at once.
type page struct {
	strings.Builder
	Style
	as map[string]string // plan: which environment's steps were told, by their text
}

// para prints text in the room left after indent; lead takes the place of the first line's indent.
func (p *page) para(lead string, indent int, c color, text string) {
	for i, l := range wrap(text, p.room()-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		p.WriteString(strings.TrimRight(lead+p.paint(c, l), " ") + "\n")
	}
}

func (p *page) flush(w io.Writer) error {
	_, err := io.WriteString(w, p.String())
	return err
}
