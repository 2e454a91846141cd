package demo_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/demo"
	"github.com/rastup/rekey/internal/report/terminal"
)

var update = flag.Bool("update", false, "write the golden files")

// AWS's requests are numbered in the order of their arrival, and some leave together: what depends on that differs.
// GitHub numbers runs and comments alike: one more of these isn't another story.
var (
	request = regexp.MustCompile(`\((request\s+)[0-9a-f-]{36}\)`)
	run     = regexp.MustCompile(`(runs?[ /])\d{4,}\b`)
	digest  = regexp.MustCompile(`(sha256:)[0-9a-f]{64}|("key":")[0-9a-f]{16}`)
)

// TestTheStoryOfEachTrouble holds what the demo tells against its golden, which people read: in every one, what
// the services say at the end must be what the story says.
func TestTheStoryOfEachTrouble(t *testing.T) {
	stories := map[string]string{"": "all-well", "restore@dev": "restore-dev", "preflight@prod": "preflight-prod", "validate@prod": "validate-prod"}
	for _, step := range demo.Steps() {
		stories[step+"@stage"] = step
	}
	pages := map[string]bool{"": true, "validate@stage": true, "preflight@prod": true}
	for fail, name := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "demo")
			var b bytes.Buffer
			if err := demo.Run(t.Context(), &b, demo.Options{Out: out, Fail: fail, Style: terminal.Style{Width: 100}}); err != nil {
				t.Fatalf("%v\n%s", err, b.String())
			}
			golden(t, name+".txt", strings.ReplaceAll(b.String(), filepath.ToSlash(out), "demo"))
			if pages[fail] {
				golden(t, name+".md", string(read(t, out, "pull-request-2.md")))
			}
			if fail != "" {
				golden(t, name+".issue.md", string(read(t, out, "issue-3.md")))
			}
			if !bytes.Equal(read(t, out, "transcript.txt"), b.Bytes()) {
				t.Error("the transcript isn't what was shown")
			}
			if _, err := os.Stat(filepath.Join(out, "work")); err == nil {
				t.Error("checkouts are left behind")
			}
		})
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = digest.ReplaceAllString(run.ReplaceAllString(request.ReplaceAllString(got, "($1…)"), "$1…"), "$1$2…")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func TestADemoTakesNothingOfSomebodyElseAway(t *testing.T) {
	for name, others := range map[string][]string{"a folder of one's own": {"notes.txt"}, "one that looks like ours": {"pull-request-2.md"},
		"a former demo's, and more": {"transcript.txt", "notes.txt"}} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			for _, f := range others {
				if err := os.WriteFile(filepath.Join(out, f), []byte("mine"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := demo.Run(t.Context(), &bytes.Buffer{}, demo.Options{Out: out}); err == nil {
				t.Error("accepted a folder with other things")
			}
			for _, f := range others {
				if b := read(t, out, f); string(b) != "mine" {
					t.Errorf("%s: %q", f, b)
				}
			}
		})
	}
}
