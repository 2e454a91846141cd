// Package comment owns every text Rekey writes on GitHub, as Markdown: the status and audit comments of a pull
// request, the plan before its merge, incidents, the ticket's closing summary, the pull request for dates.
//
// The same state gives the same bytes at any time of day, since texts are compared with what stands there: it reads
// no clock and tells no time that isn't absolute. It must never let a text become markup (package markdown is the
// one way in), nor cut one within markup, nor call anybody by @ whose move it isn't.
package comment

import (
	"strings"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// Most is what a comment, or the body of an issue or pull request, holds. GitHub's refusal speaks of 65,536
// characters; measured, comments held 262,144 bytes, and bodies of pull requests 65,536 characters. Size counts
// so that a text within Most fits by either.
const Most = 65536

// Size is how much of Most a text takes: its bytes, line breaks as two.
func Size(s string) int { return len(s) + strings.Count(s, "\n") }

// Options are the same for all texts of a repository.
type Options struct {
	Repository string   // owner/name that the requests are in
	Tickets    string   // owner/name that tickets like "#12" are issues of; "" there are none
	Jira       string   // site that tickets like SEC-12 are issues of; "" there is none
	Untold     []string // tickets, by their names where they are kept, that couldn't be told of what is over
	// Evidence says where an environment's bundle is: a label, and its URL where it has one. nil: it isn't told.
	Evidence func(report.View, report.Standing) (label, url string)
	// Runs is the page of the runs whose summaries tell what a comment has no room for; "" there are none.
	Runs string
	// Room is how much a status may take, by Size; 0: Most.
	Room int
}

// more is where to look for what doesn't fit.
func (o Options) more() string {
	all := markdown.Code("rekey status")
	if o.Runs != "" && o.Room == 0 {
		all = "the summary of the latest run of " + markdown.Link("rotate", o.Runs) + ", or " + all
	}
	return all
}

// A document is blocks of Markdown, some of which are left out when it gets too large.
type document struct {
	marker string
	blocks []block
}

type block struct {
	text string
	drop int // 0: never; else those with the highest number go first
}

func (d *document) add(drop int, text string) {
	if text = strings.Trim(text, "\n"); text != "" {
		d.blocks = append(d.blocks, block{text, drop})
	}
}

// within is the document in at most size: what isn't needed most goes first. What must stay is kept small by who
// adds it.
func (d *document) within(size int) string {
	for drop := d.highest(); ; drop = d.highest() {
		s := d.String()
		if Size(s) <= size || drop == 0 {
			return s
		}
		for i, b := range d.blocks {
			if b.drop == drop {
				d.blocks[i] = block{text: left}
			}
		}
		d.blocks = joined(d.blocks)
	}
}

const left = "<sub>Something was left out here: it doesn't fit. `rekey status` has it all.</sub>"

// joined tells once what is left out more than once in a row.
func joined(blocks []block) (all []block) {
	for _, b := range blocks {
		if n := len(all); n == 0 || b.text != left || all[n-1].text != left {
			all = append(all, b)
		}
	}
	return all
}

func (d *document) highest() (n int) {
	for _, b := range d.blocks {
		n = max(n, b.drop)
	}
	return n
}

func (d *document) String() string {
	var b strings.Builder
	if d.marker != "" {
		b.WriteString(d.marker + "\n\n")
	}
	for i, bl := range d.blocks {
		if i > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(bl.text)
	}
	return b.String() + "\n"
}

// details are folded away behind what summary, which is Markdown already, says.
func details(summary, text string) string {
	if text = strings.Trim(text, "\n"); text == "" {
		return ""
	}
	return "<details><summary>" + summary + "</summary>\n\n" + text + "\n\n</details>"
}

// row takes cells that are Markdown already.
func row(cells ...string) string {
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// join leaves out what is empty.
func join(parts ...string) string {
	var all []string
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	return strings.Join(all, " · ")
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + " " + text
}

// people are named, or called.
func people(logins []string, call bool) string {
	var all []string
	for i, who := range logins {
		if i == 10 {
			all = append(all, "others")
			break
		}
		if who = report.Cut(report.Line(who), 140); who == "" {
			continue
		}
		if call {
			all = append(all, markdown.Mention(who))
		} else {
			all = append(all, markdown.Name(named(who)))
		}
	}
	return report.And(all)
}

// named is a login as people write it.
func named(who string) string {
	if strings.HasPrefix(who, "@") || strings.ContainsFunc(who, func(r rune) bool { return r >= utf8.RuneSelf || r == '[' || r == ' ' }) {
		return who
	}
	return "@" + who
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// evidence says where the bundle of an environment is.
func (o Options) evidence(v report.View, s report.Standing) string {
	if o.Evidence == nil || s.Records == 0 {
		return ""
	}
	label, url := o.Evidence(v, s)
	if url == "" {
		return markdown.Code(report.Cut(report.Line(label), 300))
	}
	return markdown.Link(report.Cut(report.Line(label), 300), url)
}

// verify is the command that holds the evidence of v's request against itself.
func verify(v report.View) string {
	path := v.Path
	if path == "" {
		path = v.Rotation
	}
	return markdown.Code(report.Cut("rekey verify "+report.Word(report.Line(path)), 300))
}
