package inputs_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rogpeppe/go-internal/txtar"
)

const (
	registryFile = "ops/config/registry.md"
	requestFile  = "rotations/2026/11/2026-11-23-app-database.yaml"
)

func FuzzRegistry(f *testing.F) { fuzz(f, registryFile, ".md") }
func FuzzRequest(f *testing.F)  { fuzz(f, requestFile, ".yaml") }
func FuzzConfig(f *testing.F)   { fuzz(f, config.DefaultPath, ".yml") }

// fuzz puts hostile bytes in the place of one file. Whatever they are: no panic, an answer soon, every problem
// inside its file, and the same answer again.
func fuzz(f *testing.F, place, ext string) {
	archives, _ := filepath.Glob("testdata/problems/*.txtar")
	for _, name := range append(archives, "testdata/base.txtar") {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(b).Files {
			if filepath.Ext(file.Name) == ext {
				f.Add(unescape(file.Data))
			}
		}
	}
	around := base(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fstest.MapFS{}
		for name, file := range around {
			fsys[name] = file
		}
		fsys[place] = &fstest.MapFile{Data: b}
		begin := time.Now()
		in, problems := inputs.Load(fsys, config.DefaultPath, shapes(), now)
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("took %s for %d bytes", took, len(b))
		}
		again, same := inputs.Load(fsys, config.DefaultPath, shapes(), now)
		if problems.String() != same.String() || !reflect.DeepEqual(in.Registry.Names(), again.Registry.Names()) {
			t.Errorf("read twice:\n%s\n%s", problems, same)
		}
		if problem.IsText("x", b, &problem.List{}) {
			inside(t, fsys, problems)
		}
		for _, p := range problems.Sorted() {
			if s := p.String(); problem.Plain(p.Msg) == "" || len(s) > 4000 {
				t.Errorf("not for people: %.200s (%d bytes)", s, len(s))
			}
		}
	})
}
