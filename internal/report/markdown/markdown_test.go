package markdown_test

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/report/reporttest"
)

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

// plain is what a reader sees of rendered text.
func plain(s string) string {
	return strings.ReplaceAll(html.UnescapeString(s), "\u2060", "")
}

var (
	mention   = regexp.MustCompile(`@[A-Za-z0-9]`)
	reference = regexp.MustCompile(`(?i)#[0-9]|\bGH-[0-9]`)
	emoji     = regexp.MustCompile(`:[A-Za-z0-9+_-]+:`)
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
		text := markdown.Text(s)
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
			// GitHub looks for nothing in code.
			if shown := html.UnescapeString(in); where != "in code" && (mention.MatchString(shown) || reference.MatchString(shown) || emoji.MatchString(shown)) {
				t.Fatalf("%s: %q calls somebody", where, shown)
			}
		}
		if want == "" {
			return
		}
		seen("alone", render(t, text), "<p>", "</p>\n")
		seen("in a list", render(t, "- x: "+text), "<ul>\n<li>x: ", "</li>\n</ul>\n")
		seen("in bold", render(t, "**x "+text+" y**"), "<p><strong>x ", " y</strong></p>\n")
		seen("in code", render(t, markdown.Code(s)), "<p><code>", "</code></p>\n")
		seen("in a table", render(t, "| a | b |\n|---|---|\n| "+text+" | y |\n"),
			"<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>", "</td>\n<td>y</td>\n</tr>\n</tbody>\n</table>\n")
	})
}

// A link leads into the bundle or nowhere.
func FuzzFileStaysInTheBundle(f *testing.F) {
	for _, s := range []string{"files/a.txt", "../x", "files/../../x", "/etc/passwd", "//evil.example", "javascript:alert(1)", "a b", "x>)[y](z", "", "."} {
		f.Add(s)
	}
	href := regexp.MustCompile(`href="([^"]*)"`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range href.FindAllStringSubmatch(render(t, markdown.File(s, s)), -1) {
			if strings.ContainsAny(m[1], `:\?#`) || !strings.HasPrefix(m[1], "files/") || strings.Contains("/"+m[1]+"/", "/../") {
				t.Errorf("%q leads to %q", s, m[1])
			}
		}
	})
}

// Only GitHub's names are called.
func FuzzMentionCallsNamesOnly(f *testing.F) {
	for _, s := range []string{"li-pay", "@rastup/payments", "li-pay_acme", "dependabot[bot]", "a--b", "-a", "a-", "a/b/c", "@@x", "a b", "x @y", "@", "", "a/..", "ä"} {
		f.Add(s)
	}
	name := regexp.MustCompile(`^@?[A-Za-z0-9-]{1,77}(?:_[A-Za-z0-9]{1,16}|/[A-Za-z0-9_-]{1,100})?$`)
	f.Fuzz(func(t *testing.T, s string) {
		shown := html.UnescapeString(render(t, markdown.Mention(s)))
		if mention.MatchString(shown) && !name.MatchString(s) {
			t.Errorf("%q calls somebody: %q", s, shown)
		}
		if shown := html.UnescapeString(render(t, markdown.Name(s))); mention.MatchString(shown) {
			t.Errorf("the name of %q calls somebody: %q", s, shown)
		}
	})
}

func TestMention(t *testing.T) {
	for who, want := range map[string]string{
		"li-pay": "@li-pay", "@li-pay": "@li-pay", "@rastup/payments": "@rastup/payments", "li_acme": `@li\_acme`,
		"dependabot[bot]": `dependabot\[bot\]`, "a--b": "a--b", "@all @x": "@&#8288;all @&#8288;x", "": "",
	} {
		if got := markdown.Mention(who); got != want {
			t.Errorf("%q: %q, want %q", who, got, want)
		}
	}
	if got := markdown.Name("@li-pay"); got != "@&#8288;li-pay" {
		t.Errorf("a name is %q", got)
	}
}

// A link leads to the web, where it says, or nowhere.
func FuzzLinkLeadsWhereItSays(f *testing.F) {
	for _, s := range []string{"https://a.example/x?a=1&b=2", "https://a.example/x>)[y](z", "javascript:alert(1)", "https://u:p@a.example", "//a", "https://a.example/|a|", "https://a.example/\\x", "https://a.example/&copy;", "https://a.example/a`b", "http://a\"onclick="} {
		f.Add(s, "x")
	}
	f.Add("https://a.example", reporttest.Hostile)
	out := regexp.MustCompile(`^<p>(?:<a href="https?://[^"]*">)?[^<>]*(?:</a>)?</p>\n$`)
	f.Fuzz(func(t *testing.T, url, label string) {
		if got := render(t, markdown.Link(label, url)); got != "" && !out.MatchString(got) {
			t.Errorf("%q, %q became %q", label, url, got)
		}
	})
}

func FuzzTitle(f *testing.F) {
	for _, s := range []string{reporttest.Hostile, "fixes #1", "`a`", ":+1: @all", "GH-1", ""} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = width & 255
		got := markdown.Title(s, width)
		if mention.MatchString(got) || reference.MatchString(got) || emoji.MatchString(got) || strings.ContainsAny(got, "`\n") {
			t.Errorf("%q became %q", s, got)
		}
		if report.Columns(report.Line(strings.ReplaceAll(got, "\u2060", ""))) > width {
			t.Errorf("%q is wider than %d", got, width)
		}
	})
}
