package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A source is one package's files, without tests, with every name resolved that can be without its imports.
type source struct {
	fset  *token.FileSet
	files []*ast.File
	scope *types.Scope
	uses  map[*ast.Ident]types.Object
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not loaded") }

// parse reads files; text maps a name to what to read instead of the file.
func parse(t *testing.T, name string, text map[string]any) *source {
	t.Helper()
	s := &source{fset: token.NewFileSet(), uses: map[*ast.Ident]types.Object{}}
	for _, file := range slices.Sorted(maps.Keys(text)) {
		f, err := parser.ParseFile(s.fset, file, text[file], parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	p, _ := conf.Check(name, s.fset, s.files, &types.Info{Uses: s.uses})
	s.scope = p.Scope()
	return s
}

func (s *source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	name, err := filepath.Rel(root, p.Filename)
	if err != nil {
		name = p.Filename
	}
	return fmt.Sprintf("%s:%d:%d", name, p.Line, p.Column)
}

// each calls f for every node of every file.
func (s *source) each(f func(ast.Node)) {
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				f(n)
			}
			return true
		})
	}
}

// A sourceRule is about what packages say, not whom they import. Planted must break it.
type sourceRule struct {
	Rule    string
	In      string // patterns
	Except  string // patterns
	Check   func(*source) []string
	Planted string
}

const product = "./internal/... ./cmd/..."

// suites are tests that other packages run: they may look at the clock and the environment as tests do.
const suites = "./internal/kind/kindtest ./internal/evidence/evidencetest ./internal/report/reporttest ./internal/report/browsertest ./internal/sandbox/github/openapitest ./internal/kind/internal/databasetest ./internal/kind/internal/vaulttest"

var sourceRules = []sourceRule{
	{"only apply and child wait; kindtest does in a bubble of synctest, where no real time passes, databasetest for real servers", product, "./internal/apply ./internal/child ./internal/kind/kindtest ./internal/kind/internal/databasetest",
		names("time.Sleep time.After time.AfterFunc time.NewTimer time.NewTicker time.Tick"),
		`import clock "time"; func f() { clock.Sleep(1) }`},
	{"only the program reads the clock", "./internal/...", suites,
		names("time.Now time.Since time.Until"),
		`import "time"; var now = time.Now`},
	{"only the program reads the environment", "./internal/...", suites,
		names("os.Getenv os.LookupEnv os.Environ os.ExpandEnv syscall.Getenv syscall.Environ"),
		`import "os"; func f() { _, _ = os.LookupEnv("A") }`},
	{"only child starts programs, and databasetest servers", product, "./internal/child ./internal/kind/internal/databasetest",
		names("os.StartProcess syscall.Exec syscall.ForkExec syscall.StartProcess"),
		`import "syscall"; func f() { syscall.Exec("a", nil, nil) }`},
	{"no init functions", product, "", noInit, `func init() {}`},
	{"no panic for the world's faults", product, mayPanic, noPanic, `func f() { panic("a") }`},
	{"no state in package variables", product, "", noState, `var m = map[string]int{}; func Register(k string) { m[k]++ }`},
	{"a package is named for what it owns", product, "", named, `// package helpers`},
	{"functions of 60 lines at most", "ours", "", shortFuncs, "func f() {" + strings.Repeat("\n", 60) + "}"},
	{"files of 400 lines at most", "ours", "", shortFiles, strings.Repeat("\n", 400)},
}

// mayPanic are packages that check the program's own mistakes with panic.
const mayPanic = "./internal/report/reporttest ./internal/kind/internal/databasetest ./internal/sandbox ./internal/sandbox/github ./internal/sandbox/hooks ./internal/sandbox/jira ./internal/sandbox/stripe ./internal/sandbox/typesense" // the sandbox cuts connections as net/http has it

func names(list string) func(*source) []string {
	forbidden := strings.Fields(list)
	return func(s *source) (found []string) {
		s.each(func(n ast.Node) {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok {
				return
			}
			of, ok := s.uses[id].(*types.PkgName)
			if !ok {
				return
			}
			if name := of.Imported().Path() + "." + sel.Sel.Name; slices.Contains(forbidden, name) {
				found = append(found, s.at(n)+": "+name)
			}
		})
		return found
	}
}

func noInit(s *source) (found []string) {
	s.each(func(n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			found = append(found, s.at(n)+": init")
		}
	})
	return found
}

func noPanic(s *source) (found []string) {
	s.each(func(n ast.Node) {
		if id, ok := n.(*ast.Ident); ok && s.uses[id] == types.Universe.Lookup("panic") {
			found = append(found, s.at(n)+": panic")
		}
	})
	return found
}

// noState finds functions that change a variable of their package.
func noState(s *source) (found []string) {
	changed := func(e ast.Expr) {
		id := base(e)
		if id == nil {
			return
		}
		if v, ok := s.uses[id].(*types.Var); ok && v.Parent() == s.scope {
			found = append(found, s.at(id)+": changes "+id.Name)
		}
	}
	s.each(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				changed(e)
			}
		case *ast.IncDecStmt:
			changed(n.X)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
				changed(n.Args[0])
			}
		}
	})
	return found
}

// base is the variable that a.b[c] is a part of.
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func named(s *source) (found []string) {
	for _, f := range s.files {
		if slices.Contains([]string{"manager", "helper", "util", "common"}, strings.TrimSuffix(f.Name.Name, "s")) {
			found = append(found, s.at(f)+": package "+f.Name.Name)
		}
	}
	return found
}

func shortFuncs(s *source) (found []string) {
	s.each(func(n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok {
			if lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; lines > 60 {
				found = append(found, fmt.Sprintf("%s: %s has %d lines: look for the second idea", s.at(n), f.Name.Name, lines))
			}
		}
	})
	return found
}

func shortFiles(s *source) (found []string) {
	for _, f := range s.files {
		if lines := s.fset.File(f.Pos()).LineCount(); lines > 400 {
			found = append(found, fmt.Sprintf("%s: %d lines: look for the second idea", s.at(f), lines))
		}
	}
	return found
}

func TestSources(t *testing.T) {
	g := load(t)
	parsed := map[string]*source{}
	for _, p := range g.ours() {
		files := map[string]any{}
		for _, name := range slices.Concat(g[p].GoFiles, g[p].IgnoredGoFiles) {
			if !strings.HasSuffix(name, "_test.go") {
				files[filepath.Join(root, strings.TrimPrefix(p, module), name)] = nil
			}
		}
		parsed[p] = parse(t, p, files)
	}
	for _, r := range sourceRules {
		t.Run(r.Rule, func(t *testing.T) {
			for pattern := range strings.FieldsSeq(r.In + " " + r.Except) {
				if len(g.matching(pattern)) == 0 {
					t.Errorf("%q matches no package", pattern)
				}
			}
			for _, p := range g.ours() {
				if g.inAny(p, r.In) && !g.inAny(p, r.Except) {
					for _, v := range r.Check(parsed[p]) {
						t.Error(v)
					}
				}
			}
		})
	}
}

func TestSourceRulesCatchAPlantedViolation(t *testing.T) {
	for _, r := range sourceRules {
		t.Run(r.Rule, func(t *testing.T) {
			if found := r.Check(parse(t, "p", map[string]any{"p.go": "package helpers; " + r.Planted + "\n"})); len(found) != 1 {
				t.Errorf("got %q, want one violation", found)
			}
		})
	}
	clean := parse(t, "p", map[string]any{"p.go": `package p
import "time"
func f(time struct{ Now int }) int { return time.Now }
func g(panic func()) { panic() }
var m = map[string]int{}
func h() int { m := map[string]int{}; m["a"] = 1; return m["a"] + int(time.Second) }
`})
	for _, r := range sourceRules {
		if found := r.Check(clean); len(found) != 0 {
			t.Errorf("%s: got %q for a clean file", r.Rule, found)
		}
	}
}
