package ledger

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's costs anew")

const readme = "../../../../README.md"

// What the README publishes is a whole report: each kind has its row, and nothing failed.
func TestTheREADMEReportsEveryKind(t *testing.T) {
	doc := read(t, readme)
	block := between(t, doc, Rollback)
	dirs, err := filepath.Glob("../../*/kind.go")
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	names := map[string]string{"stripewebhook": "stripe-webhook", "rdsmaster": "rds-master"}
	for _, file := range dirs {
		name := filepath.Base(filepath.Dir(file))
		if n := names[name]; n != "" {
			name = n
		}
		if !strings.Contains(block, "\n| `"+name+"`") {
			t.Errorf("the README's rollback report has no row of %s: make report", name)
		}
	}
	for line := range strings.Lines(block) {
		if strings.HasPrefix(line, "| `") && !strings.HasSuffix(line, "| 0 |\n") {
			t.Errorf("failures are published: %s", line)
		}
	}
}

// What the README says of costs is what the kinds are held to.
func TestTheREADMETellsCosts(t *testing.T) {
	files, err := filepath.Glob("../../*/testdata/costs.txt")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	var texts []string
	for _, file := range files {
		texts = append(texts, read(t, file))
	}
	doc := read(t, readme)
	want, err := Put(doc, Costs, CostTable(texts))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if doc != want {
		t.Errorf("the README's costs aren't those of the kinds' goldens: go test ./internal/kind/kindtest/ledger -update")
	}
}

func TestTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows")
	for _, r := range []Row{
		{Kind: "b", Of: "x", All: true, Cases: map[string]int{Classes[0]: 1200, Classes[5]: 34}, Ends: map[string]int{"finished": 1234}},
		{Kind: "b", Of: "x", Cases: map[string]int{Classes[0]: 1}, Ends: map[string]int{"finished": 1}}, // less than the one before
		{Kind: "a", Cases: map[string]int{Classes[6]: 2}, Ends: map[string]int{"left to people": 2}},
	} {
		if err := Leave(file, r); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	const want = "| kind | cases | stopped before a call | stopped after it | answer lost or late | throttled or down | evidence store gone | two runners | a person in between | finished | rolled back | refused | left to people | failed |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n" +
		"| `a` | 2 | 0 | 0 | 0 | 0 | 0 | 0 | 2 | 0 | 0 | 0 | 2 | 0 |\n" +
		"| `b`, x | 1,234, all | 1,200 | 0 | 0 | 0 | 0 | 34 | 0 | 1,234 | 0 | 0 | 0 | 0 |\n"
	if got := Table(rows); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if err := Sound(rows); err != nil {
		t.Error(err)
	}
	rows[0].Failed = 1
	if Sound(rows) == nil || Sound(nil) == nil {
		t.Error("a failure is fit to be published")
	}
}

func TestPut(t *testing.T) {
	const doc = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
	got, err := Put(doc, "x", "new\n")
	if want := "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if again, err := Put(got, "x", "new\n"); err != nil || again != got {
		t.Errorf("the second time it is %q, %v", again, err)
	}
	if _, err := Put(doc, "y", ""); err == nil {
		t.Error("a document without the block was taken")
	}
}

func between(t *testing.T, doc, block string) string {
	t.Helper()
	_, rest, ok1 := strings.Cut(doc, "<!-- "+block+": begin -->\n")
	text, _, ok2 := strings.Cut(rest, "<!-- "+block+": end -->\n")
	if !ok1 || !ok2 {
		t.Fatalf("the README has no block %q", block)
	}
	return text
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
