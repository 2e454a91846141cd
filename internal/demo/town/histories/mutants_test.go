package histories

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is a mistake that histories must notice: what stands in a file, and what is put in its place.
type mutant struct {
	name, file, from, to string
	seed                 int // of a history that noticed; where it doesn't any more, others are played
}

var mutants = []mutant{
	{"of two that began in the same second both ask", "internal/question/asks.go",
		"{ return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Run, b.Run)) }", "{ return 2*a.Time.Compare(b.Time) + cmp.Or(1, 2) }", 17},
	{"an approval is for whatever stands there now", "internal/apply/approve.go", "\tcase changed:", "\tcase changed && false:", 0},
	{"an approval serves every attempt", "internal/apply/approve.go", "w.spent[a.Run] >= a.Count:", "w.spent[a.Run] >= a.Count && false:", 0},
	{"what nobody asked about begins", "internal/apply/work.go",
		"if w.job.OnlyBegun && len(w.records) == 0 {", "if w.job.OnlyBegun && len(w.records) == 0 && false {", 86},
	{"who asked approves", "internal/policy/approval.go", "return rules.Separation && (", "return false && rules.Separation && (", 178},
	{"nobody looks what was told", "internal/notice/comment/audit.go", "\treturn p.said(all), err", "\treturn p.said(all[:0]), err", 1},
	{"a success ends no other attempt's incident", "internal/notice/incident/write.go", "about.Claim < s.Before", "about.Claim < s.Before-99", 0},
	{"who is stopped while claiming can't be found", "internal/apply/work.go", "\tctx, cancel := w.outlast(ctx)\n\tdefer cancel()\n\terr := w.retry(ctx, func() error { return w.Bundle.Point",
		"\terr := w.retry(ctx, func() error { return w.Bundle.Point", 0},
}

// TestMutants: a mutant is built beside the tree, and played until a history notices.
func TestMutants(t *testing.T) {
	if os.Getenv("REKEY_MUTANTS") == "" {
		t.Skip("make mutants builds and plays them")
	}
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			test := build(t, root, m)
			for _, seeds := range []string{fmt.Sprintf("%[1]d-%[1]d", cmp.Or(m.seed, 1)), "1-300"} {
				play := exec.CommandContext(t.Context(), test, "-test.run=TestHistories$", "-test.timeout=20m")
				play.Env = append(os.Environ(), "REKEY_SEEDS="+seeds, "REKEY_FULL=")
				if out, err := play.CombinedOutput(); err != nil {
					_, seed, _ := strings.Cut(string(out), "seed ")
					seed, _, _ = strings.Cut(seed, "\n")
					t.Logf("caught by seed %s", seed)
					return
				}
			}
			t.Error("nothing notices")
		})
	}
}

func build(t *testing.T, root string, m mutant) (test string) {
	t.Helper()
	dir, from := t.TempDir(), filepath.Join(root, m.file)
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), m.from) != 1 {
		t.Fatalf("%s doesn't have it once any more: %s", m.file, m.from)
	}
	to := filepath.Join(dir, "mutant.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {from: to}})
	if err != nil {
		t.Fatal(err)
	}
	file, test := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
	for path, b := range map[string]string{to: strings.Replace(string(text), m.from, m.to, 1), file: string(overlay)} {
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", file, "-o", test, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return test
}
