package summary_test

import (
	"bytes"
	"flag"
	"html"
	"os"
	"path/filepath"
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
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/summary"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func TestSummaries(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, e := range c.Environments {
			got := summary.Markdown(e)
			if len(e.Records) == 0 {
				if got != nil {
					t.Errorf("%s in %s: a summary without records", c.Name, e.Name)
				}
				continue
			}
			if e.Name == "dev" || c.Name == "rolled-back" && e.Name == "stage" {
				golden(t, c.Name+"-"+e.Name+".md", string(got))
			}
			structure(t, c.Name, got)
		}
	}
}

// The same records give the same bytes, whatever was decided since.
func TestSummaryKnowsNoTimeButTheRecords(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, e := range c.Environments {
			was := summary.Markdown(e)
			then := e.Decision.State
			e.Decision = plan.Next(&e.Plan, e.Records, c.Now.Add(100*24*time.Hour))
			if then == plan.Superseded || then == plan.Missed || e.Decision.State == plan.Missed {
				continue
			}
			if d := cmp.Diff(string(was), string(summary.Markdown(e))); d != "" {
				t.Errorf("%s in %s:\n%s", c.Name, e.Name, d)
			}
		}
	}
}

var github = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(renderer.WithUnsafe()))

func render(t *testing.T, md string) string {
	t.Helper()
	var b bytes.Buffer
	if err := github.Convert([]byte(md), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tags = regexp.MustCompile(`<[^>]*>`)

// ours are the elements a summary is made of.
var ours = regexp.MustCompile(`^</?(?:p|h2|strong|code|table|thead|tbody|tr|ul|li|(?:th|td)(?: style="text-align:(?:center|right)")?|input(?: checked="")? disabled="" type="checkbox"|a(?: href="files/[A-Za-z0-9%._~/-]*")?)>$`)

// structure fails where a text became markup: an element that isn't ours, a row of another width, a heading of another name.
func structure(t *testing.T, name string, md []byte) {
	t.Helper()
	out := render(t, string(md))
	for _, tag := range tags.FindAllString(out, -1) {
		if !ours.MatchString(tag) {
			t.Errorf("%s: %s in the summary", name, tag)
		}
	}
	for _, row := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(out, -1) {
		heads := strings.Count(row, "<th ") + strings.Count(row, "<th>")
		cells := strings.Count(row, "<td ") + strings.Count(row, "<td>")
		rows := strings.Count(row, "<tr>") - 1
		if cells != heads*rows {
			t.Errorf("%s: %d cells in %d rows of %d", name, cells, rows, heads)
		}
	}
	for h := range strings.Lines(out) {
		if title, ok := strings.CutPrefix(h, "<h2"); ok && !regexp.MustCompile(`^[^>]*>(?:What went wrong|Steps|Checks: \d+ of \d+ green|Who, and on whose word|Facts|Files|Also on record|Checklist of the runbook, for ?.*|How to verify)</h2>`).MatchString(title) {
			t.Errorf("%s: heading %q", name, h)
		}
	}
}

// plain is what a reader sees of rendered text.
func plain(s string) string {
	return strings.ReplaceAll(html.UnescapeString(s), "\u200b", "")
}

var (
	mention   = regexp.MustCompile(`@[A-Za-z0-9]`)
	reference = regexp.MustCompile(`(?i)#[0-9]|\bGH-[0-9]`)
)

// Text shows just the text: alone, in a table, in a list, between tags; and nothing in it calls anybody.
func FuzzTextIsNeverMarkup(f *testing.F) {
	for _, s := range []string{reporttest.Hostile, "- a", "1. a", "1) a", "# a", "a\n# b", "+ a", "=", "---", "***", "    code", "> a", "[a]: b",
		"[^1]", "[^1]: x", "- [ ] a", "|a|b|", `a\|b`, `\`, `a\`, "``", "~~a~~", "~~~", "<!--", "</code>", "<?x?>", "&copy;", "&#64;a", "a@b.c", "@x", "#1", "GH-1",
		"org/repo#1", "www.a.b", "http://a.b", "HTTPS://a.b", "ftp://a.b", "mailto:a@b.c", "xmpp:a@b.c", "$$x$$", ":---", "![a](b)", "a  \nb", "__a__", "{{x}}", ":+1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.TrimSpace(report.Line(s))
		text := summary.Text(s)
		if strings.ContainsAny(text, "\r\n") {
			t.Fatalf("%q has a line break", text)
		}
		seen := func(where, out, before, after string) {
			t.Helper()
			in, ok := strings.CutPrefix(out, before)
			in, ok2 := strings.CutSuffix(in, after)
			if !ok || !ok2 || tags.MatchString(in) || plain(in) != want {
				t.Fatalf("%s: %q (%q) became %q", where, s, text, out)
			}
			if shown := html.UnescapeString(in); mention.MatchString(shown) || reference.MatchString(shown) {
				t.Fatalf("%s: %q calls somebody", where, shown)
			}
		}
		if want == "" {
			return
		}
		seen("alone", render(t, text), "<p>", "</p>\n")
		seen("in a list", render(t, "- x: "+text), "<ul>\n<li>x: ", "</li>\n</ul>\n")
		seen("in bold", render(t, "**x "+text+" y**"), "<p><strong>x ", " y</strong></p>\n")
		seen("in code", render(t, summary.Code(s)), "<p><code>", "</code></p>\n")
		seen("in a table", render(t, "| a | b |\n|---|---|\n| "+text+" | y |\n"),
			"<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>", "</td>\n<td>y</td>\n</tr>\n</tbody>\n</table>\n")
	})
}

// A link leads into the bundle or nowhere.
func FuzzLinkStaysInTheBundle(f *testing.F) {
	for _, s := range []string{"files/a.txt", "../x", "files/../../x", "/etc/passwd", "//evil.example", "javascript:alert(1)", "a b", "x>)[y](z", "", "."} {
		f.Add(s)
	}
	href := regexp.MustCompile(`href="([^"]*)"`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range href.FindAllStringSubmatch(render(t, summary.Link(s, s)), -1) {
			if strings.ContainsAny(m[1], `:\?#`) || !strings.HasPrefix(m[1], "files/") || strings.Contains("/"+m[1]+"/", "/../") {
				t.Errorf("%q leads to %q", s, m[1])
			}
		}
	})
}

// A whole summary of hostile texts has only our elements.
func FuzzSummaryKeepsItsStructure(f *testing.F) {
	f.Add(reporttest.Hostile)
	f.Add("|")
	f.Add("# x\n\n<b>")
	f.Fuzz(func(t *testing.T, s string) {
		p := reporttest.NewPlayer(reporttest.Plans(s, func(in *plan.Input) {
			in.Rotation, in.Kind, in.Reason = s, s, s
			in.Targets[0].Checks = []plan.Use{{Name: s, Uses: "check/" + s}}
		})[0], reporttest.Monday)
		p.Claim = rotation.Claim{Path: s, Ticket: s, Owner: s, Tags: []string{s, s}, Identity: s, Commit: s, Program: s, Supersedes: s,
			Actors: rotation.Actors{Operator: s, Requested: s, Reviewed: []string{s}, Approved: []string{s, s}}, Previous: &rotation.Head{Digest: s}}
		a := reporttest.Answer{Text: s, Hint: s, Facts: map[string]string{s: s}, Files: []rotation.FileRef{{Name: "files/" + s, Digest: s}}}
		p.Answers = map[string]reporttest.Answer{"preflight": a, "create": a, "validate/" + s: {Fail: s + "!", Hint: s, Files: a.Files}, "restore": a}
		p.Play(reporttest.Monday.Add(time.Hour))
		p.Append(rotation.Record{Outcome: rotation.Attached, Step: s, Text: s, Files: a.Files, Runner: rotation.Runner{ID: s}})
		e := p.Environment(p.Now, "")
		e.Name, e.Head.Digest = s, s
		structure(t, "fuzz", summary.Markdown(e))
	})
}
