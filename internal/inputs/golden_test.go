package inputs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what came out as what is wanted")

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// A small repository without a mistake: the golden archives replace its files.
func base(t testing.TB) fstest.MapFS {
	t.Helper()
	b, err := os.ReadFile("testdata/base.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return files(txtar.Parse(b))
}

func files(a *txtar.Archive) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, f := range a.Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return fsys
}

// Each archive holds the files with mistakes and, under "want", what a person sees of them.
func TestProblemsAsPeopleSeeThem(t *testing.T) {
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys := base(t)
			want, at := "", -1
			for i, f := range a.Files {
				switch data := f.Data; {
				case f.Name == "want":
					want, at = string(f.Data), i
				case string(data) == "removed\n":
					delete(fsys, f.Name)
				default:
					fsys[f.Name] = &fstest.MapFile{Data: unescape(data)}
				}
			}
			in, problems := inputs.Load(fsys, config.DefaultPath, shapes(), now)
			problems.Append(in.Late(now))
			got := problems.String()
			if *update {
				if at < 0 {
					a.Files, at = append(a.Files, txtar.File{Name: "want"}), len(a.Files)
				}
				a.Files[at].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			inside(t, fsys, problems)
		})
	}
}

// unescape lets an archive hold what its own format can't: \e[1m as {ESC}, and so on.
func unescape(b []byte) []byte {
	return []byte(strings.NewReplacer("{CR}", "\r", "{NUL}", "\x00", "{ESC}", "\x1b", "{BOM}", "\ufeff", "{RLO}", "\u202e",
		"{BAD}", "\xff", "{LS}", "\u2028", "{TAB}", "\t", "{UTF16}", "\xff\xfe").Replace(string(b)))
}

// inside checks that every position lies in its file: the line is there, and the column at most one past its end.
func inside(t testing.TB, fsys fs.FS, l *problem.List) {
	t.Helper()
	for _, p := range l.Sorted() {
		b, err := fs.ReadFile(fsys, p.File)
		if p.Line == 0 {
			continue
		}
		lines := strings.Split(string(b), "\n")
		if err != nil || p.Line > len(lines) || p.Col < 1 || p.Col > len([]rune(lines[p.Line-1]))+1 {
			t.Errorf("not inside its file: %s", p)
		}
	}
}

func TestBaseHasNoMistake(t *testing.T) {
	if _, problems := inputs.Load(base(t), config.DefaultPath, shapes(), now); problems.Len() > 0 {
		t.Error(problems)
	}
}
