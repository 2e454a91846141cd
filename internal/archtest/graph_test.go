package archtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rastup/rekey"

// A pkg is what go list says of one package.
type pkg struct {
	ImportPath     string
	Dir            string
	Name           string
	Standard       bool
	GoFiles        []string
	IgnoredGoFiles []string // for other systems
	Imports        []string
}

// A graph is every package of the module and all that they import, without tests.
type graph map[string]pkg

func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps",
		"-json=ImportPath,Dir,Name,Standard,GoFiles,IgnoredGoFiles,Imports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		g[p.ImportPath] = p
	}
}

// ours are the module's own packages, sorted.
func (g graph) ours() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g)), func(p string) bool { return !isOurs(p) })
}

func isOurs(p string) bool { return p == module || strings.HasPrefix(p, module+"/") }

// in says whether package p is meant by a pattern: "std", "ours", "third-party", "./kind/..." and "./kind/*" for
// packages of the module, "net/http" or "github.com/aws/..." for others.
func (g graph) in(p, pattern string) bool {
	switch pattern {
	case "std":
		return g[p].Standard
	case "ours":
		return isOurs(p)
	case "third-party":
		return !isOurs(p) && !g[p].Standard
	}
	if rest, ok := strings.CutPrefix(pattern, "./"); ok {
		pattern = module + "/" + rest
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	}
	ok, _ := path.Match(pattern, p)
	return ok
}

// inAny is in for patterns separated by spaces.
func (g graph) inAny(p, patterns string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(pattern string) bool { return g.in(p, pattern) })
}

// matching are the packages a single pattern means, sorted.
func (g graph) matching(pattern string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g)), func(p string) bool { return !g.in(p, pattern) })
}

// An importRule says what packages must not reach: neither themselves nor, unless Direct, through others.
type importRule struct {
	Rule   string
	From   string // patterns
	Except string // patterns: not held to the rule
	Not    string // patterns
	But    string // patterns: may be reached all the same
	Direct bool
}

// check lists violations, each with the way the import takes, and patterns that match nothing.
func (r importRule) check(g graph) []string {
	var found []string
	for _, patterns := range []string{r.From, r.Except, r.Not, r.But} {
		for pattern := range strings.FieldsSeq(patterns) {
			if len(g.matching(pattern)) == 0 {
				found = append(found, fmt.Sprintf("%q matches no package: a rule must match something", pattern))
			}
		}
	}
	for _, from := range g.ours() {
		if g.inAny(from, r.From) && !g.inAny(from, r.Except) {
			found = append(found, r.violations(g, from)...)
		}
	}
	return found
}

// violations searches breadth first, so that the shortest way is shown. What lies behind a violation isn't looked at.
func (r importRule) violations(g graph, from string) []string {
	var found []string
	ways := map[string]string{from: short(from)}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range g[queue[0]].Imports {
			if _, seen := ways[to]; seen {
				continue
			}
			ways[to] = ways[queue[0]] + " → " + short(to)
			switch {
			case g.inAny(to, r.But):
			case g.inAny(to, r.Not):
				found = append(found, ways[to])
				continue
			}
			if !r.Direct {
				queue = append(queue, to)
			}
		}
	}
	return found
}

func short(p string) string { return strings.TrimPrefix(p, module+"/") }

// with is the graph and one more import.
func (g graph) with(from, to string) graph {
	g = maps.Clone(g)
	p := g[from]
	p.Imports = append(slices.Clone(p.Imports), to)
	g[from] = p
	return g
}

// without is the graph with one package importing nothing, and another that is new and imports nothing.
func (g graph) without(from, added string) graph {
	g = maps.Clone(g)
	p := g[from]
	p.Imports = nil
	g[from] = p
	g[added] = pkg{ImportPath: added}
	return g
}
