package markdown_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/report/reporttest"
)

// label is a quoted text of letters, digits, a few signs and escapes, which is all that a diagram may get to see.
var label = regexp.MustCompile(`^"(?:[\p{L}\p{N} ./_-]|#[0-9]+;)*"$`)

func FuzzALabelNeverEndsTheDiagram(f *testing.F) {
	for _, s := range []string{reporttest.Hostile, `"]`, "x\n```", "%%{init: {}}%%", "#34;", "a --> b", "`**x**`", "<br/>", ";", "end", "", "ß/ü_1-2.3", "&quot;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := markdown.Label(s, 60)
		if !label.MatchString(got) || strings.ContainsAny(got, "\r\n") {
			t.Fatalf("%q", got)
		}
		if out := render(t, "```mermaid\nflowchart LR\n  a["+got+"]\n```\n"); strings.Count(out, "<") != 4 || !strings.HasSuffix(out, "</code></pre>\n") {
			t.Fatalf("%q becomes %s", s, out)
		}
		if report.Columns(got) > 10*60 {
			t.Fatalf("%q", got)
		}
	})
}

func TestLabel(t *testing.T) {
	for s, want := range map[string]string{
		"payments/stripe-webhook": `"payments/stripe-webhook"`,
		`a"b#1`:                   `"a#34;b#35;1"`,
		"x\n```":                  `"x #9166; #96;#96;#96;"`,
	} {
		if got := markdown.Label(s, 60); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
