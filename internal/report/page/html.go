package page

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
)

//go:embed page.css
var style string

//go:embed page.html
var layout string

// HTML is the page as one file that needs no other, in a light and a dark dress, for wide and narrow screens.
func HTML(p Page) []byte {
	v := view{Page: p, CSS: template.CSS(style), Described: body(p.Description), Bot: strings.HasSuffix(p.Author, "[bot]")}
	for _, f := range p.Files {
		v.Changed = append(v.Changed, changed(f))
	}
	for _, e := range p.Timeline {
		v.Events = append(v.Events, event{Event: e, Rendered: body(e.Body)})
	}
	var b bytes.Buffer
	if err := page().Execute(&b, v); err != nil {
		return nil // a mistake in page.html: the goldens would show it
	}
	return b.Bytes()
}

func page() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"stamp": stamp, "line": report.Line, "iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"initial": initial, "hue": hue,
	}).Parse(layout))
}

type view struct {
	Page
	CSS       template.CSS
	Described template.HTML
	Bot       bool
	Changed   []lines
	Events    []event
}

type lines struct {
	Path  string
	Lines []string
}

type event struct {
	Event
	Rendered template.HTML
}

// Card says whether the event is a box with a text; others are a line.
func (e event) Card() bool { return e.Rendered != "" }

// Says is what the line tells after who did it.
func (e event) Says() string { return e.says() }

// Sign is the event's icon, in words of the style.
func (e event) Sign() string {
	return map[What]string{Committed: "commit", Approved: "good", Requested: "bad", Merge: "merge", Close: "bad", Deployed: "good",
		Rejected: "bad", Ran: "run"}[e.What]
}

// Glyph is what the icon shows.
func (e event) Glyph() string {
	if g := map[What]string{Committed: "○", Approved: "✓", Requested: "±", Merge: "↣", Close: "×", Deployed: "✓", Rejected: "×", Ran: "▸"}[e.What]; g != "" {
		return g
	}
	return "●"
}

func changed(f File) lines {
	l := lines{Path: f.Path}
	for text := range strings.Lines(f.Text) {
		l.Lines = append(l.Lines, report.Line(text))
	}
	return l
}

// initial stands in for the picture that GitHub would show.
func initial(login string) string {
	for _, r := range report.Line(strings.TrimPrefix(login, "@")) {
		return strings.ToUpper(string(r))
	}
	return "?"
}

// hue tells logins apart.
func hue(login string) int {
	n := 0
	for _, r := range login {
		n = (n*31 + int(r)) % 360
	}
	return n
}
