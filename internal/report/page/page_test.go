package page_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/page"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

// seal is the digest of a status: another one with every change of its text.
var seal = regexp.MustCompile(`(<!-- rekey:status [^>]*),"text":"sha256:[0-9a-f]{64}"`)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got = seal.ReplaceAll(got, []byte("$1"))
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// sample is a rotation that went wrong in stage, with everything a timeline can hold.
func sample(t *testing.T) page.Page {
	t.Helper()
	o := comment.Options{Repository: "rastup/shop", Evidence: func(v report.View, s report.Standing) (string, string) {
		return "bundle", "https://s3.console.example/evidence/" + s.Name
	}}
	var c reporttest.Case
	for _, c = range reporttest.Cases() {
		if c.Name == "rolled-back" {
			break
		}
	}
	plans := reporttest.Plans(reporttest.Secret, func(in *plan.Input) { in.Targets[2].Approvals = []string{rotation.ApprovesRotation} })
	at := reporttest.Monday
	p := page.Page{Repository: "rastup/shop", Number: 7, Title: "Rotate payments/stripe-webhook", State: page.Merged, Author: "li-pay",
		Branch: "rotate/stripe", Base: "main", At: at.Add(-30 * time.Minute),
		Description: "The key is **97 days** old, interval 90 d.\n\n- [x] smoke tests exist\n- [ ] partners told\n\n```yaml\nsecret: payments/stripe-webhook\n```\nSee https://wiki.example/rotation and `rekey plan`.",
		Files:       []page.File{{Path: reporttest.Path, Text: "secret: payments/stripe-webhook\nreason: scheduled\nenvironments: [dev, stage, prod]\nticket: SEC-1423\n"}},
	}
	add := func(after time.Duration, e page.Event) {
		e.At = at.Add(after)
		p.Timeline = append(p.Timeline, e)
	}
	bot := page.Event{What: page.Commented, By: "github-actions[bot]", Bot: true}
	add(-30*time.Minute, page.Event{What: page.Committed, By: "li-pay", Title: "Rotate payments/stripe-webhook 8a5edab"})
	bot.Body = comment.Plan(comment.Preview{At: at, Requests: []comment.Request{{Path: reporttest.Path, Ticket: "SEC-1423", Owner: "@rastup/payments",
		Plans: plans, Gates: map[string]string{"prod": "rekey-prod"}}}}, o)
	add(-29*time.Minute, bot)
	add(-10*time.Minute, page.Event{What: page.Requested, By: "bo-sre", Body: "Tell the partners first, please."})
	add(-5*time.Minute, page.Event{What: page.Approved, By: "ana-sec", Body: "Looks good."})
	add(-time.Minute, page.Event{What: page.Merge, By: "ana-sec"})
	add(-50*time.Second, page.Event{What: page.Ran, By: "github-actions[bot]", Bot: true, Title: "rotate · run 8123 · failure"})
	bot.What, bot.Last = page.Edited, at.Add(8*time.Minute)
	bot.Body = comment.Status([]report.View{c.View()}, o)
	add(-40*time.Second, bot)
	bot.What = page.Commented
	for _, e := range c.Environments[:2] {
		for _, text := range comment.Audit(comment.Outcomes(e), o) {
			bot.Body = text
			add(8*time.Minute, bot)
		}
	}
	add(9*time.Minute, page.Event{What: page.Deployed, By: "bo-sre", Title: "rekey-stage"})
	add(9*time.Minute, page.Event{What: page.Rejected, By: "bo-sre", Title: "rekey-prod", Body: "not tonight"})
	add(9*time.Minute, page.Event{What: page.Close, By: "li-pay"})
	return p
}

func TestPage(t *testing.T) {
	p := sample(t)
	golden(t, "page.html", page.HTML(p))
	golden(t, "page.md", page.Markdown(p))
	alone(t, page.HTML(p))
}

// hostile is a page of which every text is s.
func hostile(s string) page.Page {
	p := page.Page{Repository: s, Number: 7, Title: s, State: page.State(s), Author: s, Branch: s, Base: s, Description: s, At: reporttest.Monday,
		Files: []page.File{{Path: s, Text: s}}}
	for _, w := range []page.What{page.Committed, page.Commented, page.Edited, page.Approved, page.Merge, page.Deployed, page.What(s)} {
		p.Timeline = append(p.Timeline, page.Event{What: w, At: reporttest.Monday, By: s, Title: s, Body: s}, page.Event{What: w, At: reporttest.Monday, By: s, Title: s})
	}
	return p
}

var (
	tags  = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^>"]|"[^"]*")*)>`)
	attrs = regexp.MustCompile(`\s([a-zA-Z-]+)(?:="([^"]*)")?`)
	// what a page is made of, and the attributes that each element may have
	known = map[string]string{"html": "lang", "head": "", "meta": "charset name content http-equiv", "title": "", "style": "", "body": "", "main": "", "p": "class",
		"h1": "", "h2": "", "h3": "", "h4": "", "h5": "", "h6": "", "span": "class style aria-hidden", "b": "", "strong": "", "em": "", "del": "", "code": "class", "pre": "",
		"div": "class", "article": "class", "header": "", "time": "datetime", "details": "class", "summary": "", "sub": "", "br": "", "hr": "", "ul": "", "ol": "start",
		"li": "", "input": "checked disabled type", "table": "", "thead": "", "tbody": "", "tr": "", "th": "style", "td": "style", "blockquote": "", "a": "href rel"}
	void = map[string]bool{"meta": true, "br": true, "hr": true, "input": true}
)

// alone fails where a page holds an element or attribute it isn't made of, asks for anything outside, or isn't
// closed in order.
func alone(t *testing.T, html []byte) {
	t.Helper()
	if len(html) == 0 {
		t.Fatal("no page")
	}
	text := string(html)
	i, j := strings.Index(text, "<style>"), strings.Index(text, "</style>")
	if css := text[i:j]; strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Errorf("the style loads something")
	}
	text = strings.TrimPrefix(text[:i+7]+text[j:], "<!DOCTYPE html>")
	var open []string
	for _, m := range tags.FindAllStringSubmatch(text, -1) {
		allowed, ok := known[m[2]]
		if !ok {
			t.Fatalf("element %s", m[0])
		}
		for _, a := range attrs.FindAllStringSubmatch(m[3], -1) {
			if !strings.Contains(" "+allowed+" ", " "+a[1]+" ") {
				t.Fatalf("attribute %s of %s", a[1], m[0])
			}
			if a[1] == "href" && !regexp.MustCompile(`^(?i:https?://|mailto:|#)`).MatchString(a[2]) {
				t.Errorf("%s leads to %q", m[0], a[2])
			}
			if a[1] == "style" && !regexp.MustCompile(`^(?:--hue:[0-9]+|text-align:(?:left|right|center))$`).MatchString(a[2]) {
				t.Errorf("style %q", a[2])
			}
		}
		switch {
		case void[m[2]]:
		case m[1] == "":
			open = append(open, m[2])
		case len(open) == 0 || open[len(open)-1] != m[2]:
			t.Fatalf("%s closes %v", m[0], open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v stay open", open)
	}
	if rest := tags.ReplaceAllString(text, ""); strings.ContainsAny(rest, "<>") {
		at := strings.IndexAny(rest, "<>")
		t.Errorf("%q outside of elements", rest[max(0, at-20):min(len(rest), at+40)])
	}
}

// Whatever people write, a page loads nothing, runs nothing, and what they wrote stays in its box.
func FuzzPageStandsAlone(f *testing.F) {
	for _, s := range []string{"", reporttest.Hostile, "<script>alert(1)</script>", "</div></main>", "<details>", "</summary>", "<b><sub></b></sub>", "<img src=x onerror=alert(1)>",
		"![x](http://evil.example/a.png)", "[x](javascript:alert(1))", "<javascript:alert(1)>", "<details open ontoggle=alert(1)>", "<!-- a", "<!-- --> <script>", "<!--> <b>",
		"[a]: javascript:x\n[a]", "<a@b.c>", "www.evil.example", "```html\n<script>\n```", "> <b>\n\nx</b>", "<style>*{}</style>", "<br/>", "<br>", "<b\n>", "&lt;script&gt;", "<![CDATA[ x ]]>", "<?x?>", "a | b\n--|--\n<b> | </b>", "[x](<https://a.example/\"onclick=x>)", "<https://a.example/\"onclick=x>", "<x", "< b>", "`<b>`", "# <b>", "- [ ] <details>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4000 {
			return
		}
		alone(t, page.HTML(hostile(s)))
		page.Markdown(hostile(s))
	})
}
