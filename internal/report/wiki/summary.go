package wiki

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// Texts are cut to these many columns: a comment is read, the evidence holds all of it.
const (
	nameWidth = 120
	lineWidth = 300
	textWidth = 600
	mostRows  = 20
)

// Options are the same for all texts of a repository.
type Options struct {
	// Evidence says where an environment's bundle is: a label, and its URL where it has one. nil: it isn't told.
	Evidence func(report.View, report.Standing) (label, url string)
}

// Summary is the closing summary in the runbook's ticket: what became of each environment, the checklist, and where the
// proof is. It ends with key, by which it is found again: Jira keeps no text that isn't shown. left says that the ticket
// couldn't be closed with it.
func Summary(v report.View, key string, left bool, o Options) string {
	v = v.Lasting().Told(left)
	end := mark(key, left)
	head := fmt.Sprintf("%s *%s*: %s", icon(v), Cut(v.Secret, nameWidth), Cut(v.Headline(), lineWidth))
	blocks := []string{head, wrong(v), checklist(v), environments(v, o), about(v)}
	for _, drop := range []int{-1, 1, 3, 2} { // what isn't needed most goes first
		if drop >= 0 {
			blocks[drop] = "Something was left out here: it doesn't fit. The evidence has it all."
		}
		text := strings.Join(slices.DeleteFunc(slices.Clone(append(blocks, end)), func(s string) bool { return s == "" }), "\n\n")
		if utf8.RuneCountInString(text) <= Most {
			return text
		}
	}
	return head + "\n\n" + end // 400 columns and a key: it fits
}

const (
	found     = "Rekey summary "
	leftThere = " left open"
)

func mark(key string, left bool) string {
	if left {
		return found + key + leftThere
	}
	return found + key
}

var marks = regexp.MustCompile(found + `([0-9a-f]{16})(` + leftThere + `)?(?:[^0-9A-Za-z]|$)`)

// ParseSummary says whether body is a summary, its key, and whether it says that the ticket was left open. Only its last
// line counts, which nothing that others wrote can be. Cloud keeps a document and makes markup of that: what it puts around
// these words doesn't matter, and none of their characters means anything to either.
func ParseSummary(body string) (key string, left, ok bool) {
	body = strings.TrimSpace(body)
	m := marks.FindStringSubmatch(body[strings.LastIndexByte(body, '\n')+1:])
	if m == nil {
		return "", false, false
	}
	return m[1], m[2] != "", true
}

// icon is how a rotation ended, at a glance.
func icon(v report.View) string {
	if v.Over() && v.Urgent() == 0 && len(v.Back()) == 0 {
		return "(/)"
	}
	return "(!)"
}

// wrong is what failed, and whose move it is.
func wrong(v report.View) string {
	var b strings.Builder
	for _, s := range v.Environments {
		if s.Move == "" {
			continue
		}
		for i, f := range s.Failures {
			if i == 3 {
				break
			}
			text := Cut(f.Text, textWidth)
			if f.Step != "" {
				text = Cut(f.Step, nameWidth) + " failed: " + text
			}
			fmt.Fprintf(&b, "* %s: %s\n", Cut(s.Name, nameWidth), text)
		}
		fmt.Fprintf(&b, "* %s: still to be done: %s\n", Cut(s.Name, nameWidth), Cut(s.Move, textWidth))
	}
	return strings.TrimSpace(b.String())
}

func checklist(v report.View) string {
	var b strings.Builder
	for _, i := range v.Checklist {
		box := "(x)"
		if i.Ticked {
			box = "(/)"
		}
		fmt.Fprintf(&b, "* %s %s: %s\n", box, Cut(i.Text, nameWidth), Cut(i.Why, lineWidth))
	}
	return strings.TrimSpace(b.String())
}

// environments are how each ended, and where the proof of it is.
func environments(v report.View, o Options) string {
	var b strings.Builder
	b.WriteString("||environment||outcome||approved by||old credential||evidence||records||head of the chain||\n")
	for i, s := range v.Environments {
		if i == mostRows {
			fmt.Fprintf(&b, "%d more environments: see the evidence.\n", len(v.Environments)-i)
			break
		}
		approved := s.Approval
		if approved == "" {
			approved = strings.Join(s.Approvers, ", ")
		}
		cells := []string{Cut(s.Name, nameWidth), Cut(s.Short, nameWidth), Cut(approved, nameWidth), Cut(s.Old, nameWidth), evidence(v, s, o), "0", ""}
		if s.Records > 0 {
			cells[5], cells[6] = fmt.Sprint(s.Records), fmt.Sprintf("%s at %d", Code(s.Head.Digest, nameWidth), s.Head.Seq)
		}
		for i, c := range cells {
			if c == "" {
				cells[i] = " " // an empty cell would be a heading's sign
			}
		}
		b.WriteString("|" + strings.Join(cells, "|") + "|\n")
	}
	return strings.TrimSpace(b.String())
}

func evidence(v report.View, s report.Standing, o Options) string {
	if o.Evidence == nil || s.Records == 0 {
		return ""
	}
	label, url := o.Evidence(v, s)
	return Link(label, url, lineWidth)
}

// about is who and what, and how to hold it against itself.
func about(v report.View) string {
	var parts []string
	add := func(label, text string) {
		if text != "" {
			parts = append(parts, label+" "+text)
		}
	}
	add("rotation", Cut(v.Rotation, nameWidth))
	add("owner", Cut(v.Owner, nameWidth))
	if c := claim(v); c != nil {
		a := c.Actors
		add("operator", Cut(a.Operator, nameWidth))
		add("requested by", Cut(a.Requested, nameWidth))
		add("reviewed by", Cut(strings.Join(a.Reviewed, ", "), lineWidth))
		if c.Origin != nil {
			add("request", Link(fmt.Sprintf("%s #%d", c.Origin.Repository, c.Origin.PullRequest), c.Origin.URL, nameWidth))
		}
	}
	path := v.Path
	if path == "" {
		path = v.Rotation
	}
	add("check it with", Code("rekey verify "+report.Word(report.Line(path)), lineWidth))
	return strings.Join(parts, ", ")
}

func claim(v report.View) *rotation.Claim {
	for _, s := range v.Environments {
		if s.Claim != nil {
			return s.Claim
		}
	}
	return nil
}
