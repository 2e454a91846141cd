package comment_test

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
)

var github = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(renderer.WithUnsafe()))

var (
	tags = regexp.MustCompile(`(?s)<!--.*?-->|<[^>]*>`)
	// ours are the elements our texts are made of, with the links that the tests' options make.
	ours = regexp.MustCompile(`^(?:<!-- rekey:[a-z-]+ \{[ -~]*\} -->|</?(?:p|h3|b|sub|strong|pre|code|code class="language-mermaid"|table|thead|tbody|tr|ul|ol|li|details|summary|(?:th|td)(?: style="text-align:(?:center|right)")?|` +
		`br|br /|input(?: checked="")? disabled="" type="checkbox"|a(?: href="https://(?:s3\.console|github|jira)\.example/[^"]*")?)>)$`)
	code      = regexp.MustCompile(`(?s)<code(?: class="language-mermaid")?>.*?</code>`)
	mention   = regexp.MustCompile(`@[A-Za-z0-9]`)
	reference = regexp.MustCompile(`(?i)#[0-9]|\bGH-[0-9]`)
	emoji     = regexp.MustCompile(`:[A-Za-z0-9+_-]*[A-Za-z+_-][A-Za-z0-9+_-]*:`)
)

// whole fails where a text isn't made of our elements, closed in order, or a table's row is of another width.
func whole(t *testing.T, what, md string) string {
	t.Helper()
	if size := comment.Size(md); size > comment.Most {
		t.Errorf("%s: size %d", what, size)
	}
	var b bytes.Buffer
	if err := github.Convert([]byte(md), &b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	var open []string
	for i, tag := range tags.FindAllString(out, -1) {
		if !ours.MatchString(tag) || (i == 0) != strings.HasPrefix(tag, "<!--") {
			t.Fatalf("%s: %s in\n%s", what, tag, out)
		}
		name := strings.Fields(strings.Trim(tag, "</>"))[0]
		switch {
		case strings.HasPrefix(tag, "<!--"), name == "br", name == "input":
		case !strings.HasPrefix(tag, "</"):
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			t.Fatalf("%s: %s closes %v in\n%s", what, tag, open, out)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: %v stay open", what, open)
	}
	for _, table := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(out, -1) {
		heads, cells := strings.Count(table, "<th>")+strings.Count(table, "<th "), strings.Count(table, "<td>")+strings.Count(table, "<td ")
		if rows := strings.Count(table, "<tr>") - 1; cells != heads*rows {
			t.Errorf("%s: %d cells in %d rows of %d", what, cells, rows, heads)
		}
	}
	return out
}

// calls fails where somebody or something is called outside of code.
func calls(t *testing.T, what, out string) {
	t.Helper()
	out = regexp.MustCompile(`^<!--.*?-->`).ReplaceAllString(out, "")
	shown := html.UnescapeString(tags.ReplaceAllString(code.ReplaceAllString(out, ""), "\n"))
	for _, re := range []*regexp.Regexp{mention, reference, emoji} {
		if m := re.FindString(shown); m != "" {
			t.Errorf("%s: %q in %q", what, m, shown)
		}
	}
}

// everywhere is s in each place that holds text, in an environment that was rolled back.
func everywhere(s string) report.Environment {
	in := func(i *plan.Input) {
		i.Rotation, i.Kind, i.Reason = s, s, s
		for j := range i.Targets {
			i.Targets[j].Environment = s
			i.Targets[j].Checks = []plan.Use{{Name: s, Uses: s}}
			i.Targets[j].Hours = nil
		}
	}
	p := reporttest.NewPlayer(reporttest.Plans(s, in)[0], reporttest.Monday)
	p.Gate = s
	p.Claim = rotation.Claim{Path: s, Ticket: s, Owner: s + " !", Tags: []string{s}, Identity: s, Commit: s, Program: s, Request: s,
		Actors:   rotation.Actors{Operator: s + " !", Requested: s + " !", Merged: s + " !", Reviewed: []string{s + " !"}, Approved: []string{s + " !"}},
		Approval: &rotation.Approval{For: s, Environment: s, Run: s, By: []string{s + " !"}, Comment: s},
		Origin:   &rotation.Origin{Repository: s, URL: s, Head: s, Merge: s}, Previous: &rotation.Head{Chain: p.Plan.Chain, Seq: 1, Digest: s}}
	a := reporttest.Answer{Text: s, Hint: s, Facts: map[string]string{s: s}, Files: []rotation.FileRef{{Name: s, Digest: s}}}
	for k := range p.Answers {
		p.Answers[k] = a
	}
	a.Fail = s + "!"
	p.Answers["validate/"+s] = a
	p.Play(reporttest.Monday.Add(time.Hour))
	p.Append(rotation.Record{Outcome: rotation.Released, Text: s, Runner: rotation.Runner{ID: s}})
	e := p.Environment(p.Now, s)
	e.Name = s
	return e
}

// Whatever the texts hold: no markup, HTML, link, cell or heading comes of it, nobody is called, and markers hold.
func FuzzNoTextBecomesMarkup(f *testing.F) {
	for _, s := range []string{"", "x", reporttest.Hostile, "-->", "--!>", "</details>", "</summary>\n\n# x", "|", "\n\n", "<sub>", "@x", "#1", ":+1:", "*", "_a_", "`", "[x](y)",
		"https://a.example", "</code>", "\u202e", `\`, `"`, "\x00", "\xff", "😀", "rastup/shop#1", "a@b.c", "- x", "1. x", "~~~", "$x$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 5000 || strings.TrimSpace(report.Line(s)) == "" {
			return // a plan's names are never empty
		}
		o := comment.Options{Repository: s, Evidence: func(report.View, report.Standing) (string, string) { return s, "" }}
		e := everywhere(s)
		v := report.New(s, s, []report.Environment{e}, reporttest.Monday.Add(2*time.Hour))
		status := comment.Status([]report.View{v}, o)
		calls(t, "status", whole(t, "status", status))
		calls(t, "overview", whole(t, "overview", comment.Status([]report.View{v, v}, o)))
		if n, ok := comment.ParseStatus(status); !ok || n != e.Records[len(e.Records)-1].Seq {
			t.Errorf("%q: a status of %d, %t", s, n, ok)
		}
		entries := append(comment.Outcomes(e), comment.Entry{Environment: e, Outcome: comment.RolledBack})
		for i := range 2 {
			for _, text := range comment.Audit(entries[i:], o) {
				calls(t, "audit", whole(t, "audit", text))
				if keys, ok := comment.ParseAudit(text); !ok || len(keys) == 0 || len(comment.Anchors(text)) != len(keys) {
					t.Errorf("%q: keys %v, %t", s, keys, ok)
				}
			}
		}
		all := comment.Calls{Primary: []string{s + " !"}, Liaison: []string{s + " !"}, Secondary: []string{s + " !"}, After: time.Hour}
		_, body, _ := comment.Incident(v, s, "https://github.example/"+s, all, o)
		calls(t, "incident", whole(t, "incident", body))
		if closed, ok := comment.IncidentClosed(v, s, o); ok {
			calls(t, "closed", whole(t, "closed", closed))
		}
		if escalated, ok := comment.IncidentEscalated(v, s, all); ok {
			calls(t, "escalated", whole(t, "escalated", escalated))
		}
		notified := comment.Notified(keyOf(t, body), []comment.Telling{{Channel: s, Event: s}, {Channel: s, Event: s, Problem: s + "!"}})
		calls(t, "notified", whole(t, "notified", notified))
		if _, done, ok := comment.ParseNotified(notified); !ok || len(done) != 1 {
			t.Errorf("%q: told %v, %t", s, done, ok)
		}
		calls(t, "ticket", whole(t, "ticket", comment.Ticket(v, false, o)))
		_, body = comment.Dates([]comment.Change{{Secret: s, File: s, Rotation: s}})
		calls(t, "dates", whole(t, "dates", body))
		note := comment.Note{Chain: e.Plan.Chain, Text: s, Hint: s}
		r := comment.Request{Path: s, Nothing: s, Ticket: s, Owner: s + " !", Gates: map[string]string{s: s}, Notes: []comment.Note{note}}
		calls(t, "plan of nothing", whole(t, "plan of nothing", comment.Plan(comment.Preview{Requests: []comment.Request{r}}, o)))
		r.Nothing, r.Plans = "", []rotation.Plan{e.Plan, e.Plan}
		calls(t, "plan", whole(t, "plan", comment.Plan(comment.Preview{Requests: []comment.Request{r}, Live: true}, o)))
	})
}

func keyOf(t *testing.T, body string) string {
	t.Helper()
	about, ok := comment.ParseIncident(body)
	if !ok {
		t.Fatalf("no incident: %q", body)
	}
	return about.Key
}

// Nothing but what we write is taken for a marker.
func TestMarkersAreReadStrictly(t *testing.T) {
	e := comment.Outcomes(find(t, "retention").Environments[0])
	good := comment.Audit(e, options)[0]
	keys, ok := comment.ParseAudit(strings.ReplaceAll(good, "\n", "\r\n"))
	if !ok || len(keys) != 1 || keys[0] != e[0].Key() {
		t.Fatalf("as GitHub gives it back: %v %t", keys, ok)
	}
	if d := cmp.Diff([]rotation.Head{e[0].Head}, comment.Anchors(good)); d != "" {
		t.Fatal(d)
	}
	line, _, _ := strings.Cut(good, "\n")
	for what, body := range map[string]string{
		"quoted":          "> " + good,
		"later":           "x\n" + good,
		"indented":        " " + good,
		"status":          comment.Status([]report.View{find(t, "retention").View()}, options),
		"empty":           "",
		"no entries":      `<!-- rekey:audit {"entries":[]} -->`,
		"null":            `<!-- rekey:audit null -->`,
		"cut":             line[:len(line)-4],
		"more after it":   line + " x",
		"two values":      strings.Replace(line, " -->", " {} -->", 1),
		"unknown field":   strings.Replace(line, `{"key"`, `{"x":1,"key"`, 1),
		"space":           strings.Replace(line, `{"key"`, `{ "key"`, 1),
		"other case":      strings.Replace(line, `"key"`, `"Key"`, 1),
		"short digest":    strings.Replace(line, "sha256:", "sha256:a", 1),
		"no digest":       regexp.MustCompile(`"digest":"[^"]*"`).ReplaceAllString(line, `"digest":""`),
		"negative":        strings.Replace(line, `"seq":`, `"seq":-`, 1),
		"upper-case key":  strings.Replace(line, keys[0], strings.ToUpper(keys[0])[:15]+"A", 1),
		"other delimiter": strings.Replace(line, "-->", "--!>", 1),
	} {
		if keys, ok := comment.ParseAudit(body); ok {
			t.Errorf("%s: taken, with %v", what, keys)
		}
		if heads := comment.Anchors(body); heads != nil {
			t.Errorf("%s: heads %v", what, heads)
		}
	}
	for _, body := range []string{`<!-- rekey:status {"records":-1} -->`, `<!-- rekey:status {"records":1.0} -->`, `<!-- rekey:status {} -->`, good} {
		if n, ok := comment.ParseStatus(body); ok {
			t.Errorf("%s: taken, %d", body, n)
		}
	}
}

// A comment calls people where it is their move, and nobody else.
func TestOnlyWhoMustMoveIsCalled(t *testing.T) {
	for _, c := range reporttest.Cases() {
		out := whole(t, c.Name, comment.Status([]report.View{c.View()}, options))
		shown := html.UnescapeString(tags.ReplaceAllString(code.ReplaceAllString(out, ""), "\n"))
		got := mention.MatchString(shown)
		if want := c.View().Urgent() > 0 && c.Name != "refused" && c.Name != "hostile" && c.Name != "missed"; got != want {
			t.Errorf("%s: calls somebody: %t, want %t", c.Name, got, want)
		}
		if got && !strings.Contains(shown, "@rastup/payments") {
			t.Errorf("%s: doesn't call the owner", c.Name)
		}
	}
}
