package histories

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are mistakes that histories must notice: file, what stands there, what is put in its place.
var mutants = map[string][3]string{
	"of two that began in the same second both ask": {"internal/question/asks.go",
		"{ return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Run, b.Run)) }", "{ return 2*a.Time.Compare(b.Time) + cmp.Or(1, 2) }"},
	"an approval is for whatever stands there now": {"internal/apply/approve.go",
		"\tcase changed:", "\tcase changed && false:"},
	"an approval serves every attempt": {"internal/apply/approve.go",
		"w.spent[a.Run] >= a.Count:", "w.spent[a.Run] >= a.Count && false:"},
	"what nobody asked about begins": {"internal/apply/work.go",
		"if w.job.OnlyBegun && len(w.records) == 0 {", "if w.job.OnlyBegun && len(w.records) == 0 && false {"},
	"who asked approves": {"internal/policy/approval.go",
		"return rules.Separation && (", "return false && rules.Separation && ("},
	"nobody looks what was told": {"internal/notice/comment/audit.go",
		"\treturn p.said(all), err", "\treturn p.said(all[:0]), err"},
}

// TestMutants: a mutant is built beside the tree, and played until a history notices.
func TestMutants(t *testing.T) {
	if os.Getenv("REKEY_MUTANTS") == "" {
		t.Skip("takes long: REKEY_MUTANTS=1")
	}
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for name, m := range mutants {
		if one := os.Getenv("REKEY_MUTANT"); one != "" && !strings.Contains(name, one) {
			continue
		}
		dir := t.TempDir()
		from := filepath.Join(root, m[0])
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), m[1]) {
			t.Errorf("%s: %s doesn't have it any more: %s", name, m[0], m[1])
			continue
		}
		to := filepath.Join(dir, "mutant.go")
		overlay, _ := json.Marshal(map[string]map[string]string{"Replace": {from: to}})
		file, test := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
		for path, b := range map[string]string{to: strings.Replace(string(text), m[1], m[2], 1), file: string(overlay)} {
			if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", file, "-o", test, ".").CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		play := exec.CommandContext(t.Context(), test, "-test.run=TestHistories")
		play.Env = append(os.Environ(), "REKEY_SEEDS=1-120", "REKEY_FULL=")
		out, err := play.CombinedOutput()
		if err == nil {
			t.Errorf("nothing notices: %s", name)
			continue
		}
		_, seed, _ := strings.Cut(string(out), "seed ")
		seed, _, _ = strings.Cut(seed, "\n")
		t.Logf("%s: seed %s", name, seed)
		caught++
	}
	t.Logf("%d mutants caught by histories", caught)
}
