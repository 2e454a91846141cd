package workflows_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/workflows"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what came out as what is wanted")

var house = workflows.Environments{File: ".github/rekey.yml", All: []workflows.Environment{
	{Name: "dev", GitHub: "rekey-dev"},
	{Name: "stage", GitHub: "rekey-stage"},
	{Name: "prod", GitHub: "rekey-prod", Continue: "rekey-prod-continue"},
}}

// Each archive holds a repository's workflows and, under "want", what a person sees of them.
func TestProblemsAsPeopleSeeThem(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys, rules, want := fstest.MapFS{}, house, -1
			for i, f := range a.Files {
				switch f.Name {
				case "want":
					want = i
				case "daily":
					rules.Daily = true
				case "variables":
					rules.Variables = strings.Fields(string(f.Data))
				default:
					fsys[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			if want < 0 {
				t.Fatal("no want")
			}
			l := &problem.List{}
			rules.Starts = strings.HasPrefix(filepath.Base(name), "starts")
			workflows.Check(fsys, rules, l)
			if *update {
				a.Files[want].Data = []byte(l.String())
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[want].Data), l.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The workflows people copy are this repository's own: they keep the rule for its environments, and for one more
// environment they don't.
func TestOwnWorkflows(t *testing.T) {
	fsys := os.DirFS("../..")
	l := &problem.List{}
	ours := house
	ours.Starts, ours.Daily = true, true
	workflows.Check(fsys, ours, l)
	if l.Len() > 0 {
		t.Error(l)
	}
	fourth := house
	fourth.All = append(fourth.All[:3:3], workflows.Environment{Name: "dr", GitHub: "rekey-dr"})
	workflows.Check(fsys, fourth, l)
	if all := l.Sorted(); len(all) != 1 || all[0].Rule != "no-job" || !strings.Contains(all[0].Msg, `"dr"`) {
		t.Errorf("a fourth environment without a job: %s", l)
	}
}

func TestNoWorkflowsNoProblems(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"no folder": {"README.md": {}},
		"not YAML":  {".github/workflows/notes.md": {Data: []byte("uses: rastup/rekey@main")}},
		"a list":    {".github/workflows/a.yml": {Data: []byte("- jobs")}},
		"odd jobs":  {".github/workflows/a.yml": {Data: []byte("jobs: {a: 1, b: {steps: {}}, c: {steps: [1, {uses: [x]}]}}")}},
		"empty":     {".github/workflows/a.yml": {}},
	} {
		l := &problem.List{}
		workflows.Check(fsys, house, l)
		if l.Len() > 0 {
			t.Errorf("%s: %s", name, l)
		}
	}
}
