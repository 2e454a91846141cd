package comment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// Status is the one status comment of a pull request: where its rotations stand, what needs a person first.
func Status(views []report.View, o Options) string {
	views = ordered(views)
	d := &document{}
	switch len(views) {
	case 0:
		d.add(0, "### 🔑 No rotations\n\nThis pull request asks for none.")
	case 1:
		d.add(0, "### "+icon(views[0])+" "+headline(views[0]))
		card(d, views[0], o)
	default:
		several(d, views, o)
	}
	return sealed(records(views), d, cmp.Or(o.Room, Most))
}

// headline is which secret, and the answer.
func headline(v report.View) string {
	return name(v.Secret) + " · " + markdown.Cut(v.Headline(), lineWidth)
}

// records is how many a comment is made of. They only ever become more.
func records(views []report.View) (n int) {
	for _, v := range views {
		for _, s := range v.Environments {
			n += s.Seq
		}
	}
	return n
}

// ordered are the views in lasting words: those that need a person first, then those that people are asked about,
// then by when they are due, what is over last.
func ordered(views []report.View) (all []report.View) {
	for _, v := range views {
		all = append(all, v.Lasting())
	}
	slices.SortStableFunc(all, func(a, b report.View) int {
		return cmp.Or(cmp.Compare(b.Urgent(), a.Urgent()), cmp.Compare(rank(a), rank(b)),
			strings.Compare(a.Secret, b.Secret), strings.Compare(a.Rotation, b.Rotation))
	})
	return all
}

func rank(v report.View) int {
	switch {
	case v.Asked():
		return 0
	case !v.NextAt().IsZero():
		return 1
	case !v.Over():
		return 2
	}
	return 3
}

// several is a table, and below it the cards of as many as fit, in the same order. Where even the table would leave no
// room for the cards of the most urgent, it is cut.
func several(d *document, views []report.View, o Options) {
	most := cmp.Or(o.Room, Most)
	var head strings.Builder
	head.WriteString("### " + icon(views[0]) + " " + count(views) + "\n\n| | secret | where it stands | what comes |\n|---|---|---|---|\n")
	const end = 1000 // room for what tells of those left out
	used, n := Size(head.String())+end, 0
	var lines []string
	rows := 0
	for _, v := range views {
		line := overview(v)
		lines, rows = append(lines, line), rows+Size(line)
	}
	room := most
	if used+rows > most*9/10 {
		room = most * 6 / 10
	}
	for n < len(lines) && used+Size(lines[n]) <= room {
		head.WriteString(lines[n])
		used += Size(lines[n])
		n++
	}
	if n < len(views) {
		fmt.Fprintf(&head, "\nand %s more, less urgent: %s: %s\n", report.Count(len(views)-n, "rotation"), states(views[n:]), o.more())
	}
	d.add(0, head.String())
	for i, v := range views {
		c := &document{}
		card(c, v, o)
		text := details(icon(v)+" <b>"+markdown.HTML(v.Secret, nameWidth)+"</b> · "+markdown.HTML(v.Headline(), lineWidth), c.within(Most/4))
		if used += Size(text) + 4; used > most {
			d.add(0, fmt.Sprintf("<sub>Details of %s don't fit here: %s</sub>", report.Count(len(views)-i, "more rotation"), o.more()))
			break
		}
		d.add(0, text)
	}
}

// count is the answer over all views.
func count(views []report.View) string {
	return report.Count(len(views), "rotation") + ": " + states(views)
}

// states is how many of views stand how.
func states(views []report.View) string {
	urgent, asked, over := 0, 0, 0
	for _, v := range views {
		switch {
		case v.Urgent() > 0:
			urgent++
		case v.Asked():
			asked++
		case v.Over():
			over++
		}
	}
	var parts []string
	add := func(n int, one, many string) {
		if n == 1 {
			parts = append(parts, "1 "+one)
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(urgent, "needs you", "need you")
	add(asked, "waits for approval", "wait for approval")
	add(len(views)-urgent-asked-over, "under way", "under way")
	add(over, "over", "over")
	return strings.Join(parts, ", ")
}

// overview is a rotation's line.
func overview(v report.View) string {
	what := ""
	for _, s := range v.Environments {
		if s.Move != "" && what == "" {
			what = "**Your move in " + name(s.Name) + "**"
			if len(s.Failures) > 0 {
				f := s.Failures[0]
				text := f.Text
				if f.Step != "" {
					text = f.Step + " failed: " + text
				}
				what += ": " + markdown.Cut(text, nameWidth)
			}
		}
	}
	if coming := v.Coming(); what == "" && len(coming) > 0 && !v.Over() {
		what = markdown.Cut(coming[0], nameWidth)
	}
	return row(icon(v), name(v.Secret), markdown.Cut(v.Headline(), nameWidth), what)
}
