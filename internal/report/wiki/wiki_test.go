package wiki_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/wiki"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
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

var options = wiki.Options{Evidence: func(v report.View, s report.Standing) (string, string) {
	path := "rotations/2026/11/" + rotation.PathName(v.Secret) + "/" + v.Rotation + "/" + s.Name + "/"
	return "bundle", "https://s3.console.example/buckets/evidence?prefix=" + strings.ReplaceAll(path, " ", "%20")
}}

const key = "0123456789abcdef"

func view(t *testing.T, name string) report.View {
	t.Helper()
	for _, c := range reporttest.Cases() {
		if c.Name == name {
			return c.View()
		}
	}
	t.Fatalf("no case %s", name)
	return report.View{}
}

func TestSummary(t *testing.T) {
	for _, name := range []string{"success", "rolled-back", "hostile"} {
		for suffix, left := range map[string]bool{"": false, "-left": true} {
			got := wiki.Summary(view(t, name), key, left, options)
			if !left || name == "success" {
				golden(t, name+suffix+".wiki", got)
			}
			for _, body := range []string{got, strings.ReplaceAll(got, "\n", "\r\n") + "\r\n", strings.ReplaceAll(got, `\`, ""),
				got[:strings.LastIndex(got, "\n")+1] + "{color:#999999}_" + got[strings.LastIndex(got, "\n")+1:] + "_{color}"} {
				if k, l, ok := wiki.ParseSummary(body); !ok || k != key || l != left {
					t.Errorf("%s: found %q, %v, %v at the end of\n%s", name, k, l, ok, body)
				}
			}
		}
	}
}

func TestASummaryFits(t *testing.T) {
	for _, c := range reporttest.Cases() {
		v := c.View()
		for len(v.Environments) < 400 && len(v.Environments) > 0 {
			v.Environments = append(v.Environments, v.Environments...)
		}
		for i := range v.Environments {
			v.Environments[i].Move = strings.Repeat("[~li]{", 500)
		}
		if n := utf8.RuneCountInString(wiki.Summary(v, key, false, options)); n > wiki.Most {
			t.Errorf("%s: %d characters", c.Name, n)
		}
	}
}

// What others wrote is no summary of ours, wherever it stands.
func TestOnlyTheLastLineIsAKey(t *testing.T) {
	for _, body := range []string{"", "Rekey summary " + key + "\nthanks", "Rekey summary " + key[1:], "Rekey summary " + key + "0", "Rekey summary " + strings.ToUpper(key)} {
		if k, _, ok := wiki.ParseSummary(body); ok {
			t.Errorf("%q is taken for %s", body, k)
		}
	}
}

var (
	escaped = regexp.MustCompile(`\\[-#*_+?^~|%{}\[\]()!@]`)
	marked  = regexp.MustCompile(`[-#*_+?^~|%{}\[\]()!@\\\n\r]|(?i)[a-z]+:[/⧵a-z0-9]|[:;][DPp]|&[#a-z]|^(?:h[1-6]|bq)\.`)
)

// inert holds that nothing in text means anything to Jira, and gives what it shows.
func inert(t *testing.T, text string) string {
	t.Helper()
	if m := marked.FindString(escaped.ReplaceAllString(text, "·")); m != "" {
		t.Errorf("%q is markup in %q", m, text)
	}
	shown := escaped.ReplaceAllStringFunc(text, func(s string) string { return s[1:] })
	return strings.NewReplacer("\u2060", "", "⧵", `\`).Replace(shown)
}

var hostile = []string{"app/database", "a_b-c.d", "[~li]", "[~accountid:5b10a]", "{noformat}", "{color:red}x{color}", "||a|b||", "!http://x/y.png!", "[a|http://evil]", "http://evil.example/a",
	"mailto:li@example.com", `\\`, `\[x]`, `\{`, "h1. big", "bq. said", "----", "* a", "# a", "(/) (x) :) :D ;)", "&lt;b&gt; &#64;", "SEC-1", "a\nh1. b", "^a^ ~b~ +c+ ??d?? {{e}}", "%x%", "file:///etc/passwd",
	reporttest.Hostile}

func TestTextIsOnlyText(t *testing.T) {
	for _, s := range hostile {
		if shown := inert(t, wiki.Text(s)); shown != strings.TrimSpace(report.Line(s)) {
			t.Errorf("%q is shown as %q", s, shown)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { inert(t, wiki.Text(s)) })
}

func TestLinksLeadWhereTheyMay(t *testing.T) {
	for address, want := range map[string]string{
		"https://s3.example/a?b=c/d": "[x\\-y|https://s3.example/a?b=c/d]",
		"javascript:alert(1)":        `x\-y`, "https://u:p@h/": `x\-y`, "https://h/a|b": `x\-y`, "https://h/]": `x\-y`, "https://h/a b": `x\-y`, "": `x\-y`, "//h/a": `x\-y`,
	} {
		if got := wiki.Link("x-y", address, 100); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
}
