package demo_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/demo"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
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
			if fail == "" {
				golden(t, "others.md", string(read(t, out, "pull-request-4.md")))
				everyKind(t, out, b.String())
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

// everyKind: each kind that there is has a secret in the registry that was rotated to its end, and is told of.
func everyKind(t *testing.T, out, told string) {
	t.Helper()
	at := "ops/config/registry.md"
	found := &problem.List{}
	entries := registry.Parse([]registry.File{{Path: at, Bytes: read(t, out, "repository/"+at)}}, app.Shapes(), found).Entries
	if found.Len() > 0 {
		t.Fatal(found)
	}
	for _, k := range app.Kinds() {
		i := slices.IndexFunc(entries, func(e registry.Entry) bool { return e.Kind == k.Name })
		if i < 0 {
			t.Errorf("the demo shows no secret of kind %s: give it a function, and a line in theOthers", k.Name)
			continue
		}
		name := entries[i].Secret
		last := rotation.Record{Outcome: "no record"}
		var steps []rotation.Step
		for n := 1; ; n++ {
			b, err := os.ReadFile(filepath.Join(out, "evidence", "journal", "dev", rotation.PathName(name), fmt.Sprintf("%06d.json", n)))
			if err != nil {
				break
			}
			last = rotation.Record{}
			if err := json.Unmarshal(b, &last); err != nil {
				t.Fatal(err)
			}
			if last.Claim != nil {
				steps = last.Claim.Plan.Steps
			}
		}
		if len(steps) == 0 || last.Step != steps[len(steps)-1].Key || last.Outcome != rotation.Done {
			t.Errorf("%s of kind %s isn't rotated to its end: %s of %q", name, k.Name, last.Outcome, last.Step)
		}
		if page := read(t, out, "report/secret/"+registry.Slug(name)+".html"); !bytes.Contains(page, []byte("finished")) || !bytes.Contains(page, []byte("records and summary")) {
			t.Errorf("the report doesn't tell of the rotation of %s and its evidence:\n%s", name, page)
		}
		if !strings.Contains(told, name) {
			t.Errorf("%s of kind %s isn't told of", name, k.Name)
		}
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
