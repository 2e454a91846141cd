package workflowtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"gopkg.in/yaml.v3"
)

const (
	root      = "../.."
	folder    = ".github/workflows/"
	house     = ".github/rekey.yml"
	actionYML = "action.yml"
	program   = "internal/actions/actions.go"
	rotate    = folder + "rotate.yml"
	planning  = folder + "rotation-plan.yml"
	daily     = folder + "rotation-overdue.yml"
	ci        = folder + "ci.yml"
)

// files are the texts the rules are about, by path.
type files map[string]string

func own(t *testing.T) files {
	t.Helper()
	all := files{}
	names, err := filepath.Glob(filepath.Join(root, folder, "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, name := range append(names, filepath.Join(root, house), filepath.Join(root, actionYML), filepath.Join(root, program)) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.ToSlash(rel)] = string(b)
	}
	return all
}

// A repo is the files, parsed.
type repo struct {
	files
	workflows map[string]*actionlint.Workflow
	action    action
	gates     []gate
}

// A gate is one environment of the house rules.
type gate struct {
	Name     string `yaml:"name"`
	GitHub   string `yaml:"github_environment"`
	Continue string `yaml:"continue_environment"`
}

type action struct {
	Inputs  map[string]struct{ Default string } `yaml:"inputs"`
	Outputs map[string]struct{ Value string }   `yaml:"outputs"`
	Runs    struct {
		Using string
		Steps []map[string]yaml.Node
	} `yaml:"runs"`
}

func (f files) parse() (*repo, error) {
	r := &repo{files: f, workflows: map[string]*actionlint.Workflow{}}
	for name, text := range f {
		if !strings.HasPrefix(name, folder) {
			continue
		}
		w, errs := actionlint.Parse([]byte(text))
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %v", name, errs[0])
		}
		r.workflows[name] = w
	}
	var rules struct{ Environments []gate }
	if err := yaml.Unmarshal([]byte(f[house]), &rules); err != nil {
		return nil, err
	}
	for _, g := range rules.Environments {
		if g.GitHub == "" {
			g.GitHub = "rekey-" + g.Name
		}
		r.gates = append(r.gates, g)
	}
	return r, yaml.Unmarshal([]byte(f[actionYML]), &r.action)
}

// A job, and where it stands.
type job struct {
	File string
	*actionlint.Job
}

func (j job) at(format string, a ...any) string {
	return fmt.Sprintf("%s:%d: job %s: ", j.File, j.Pos.Line, j.ID.Value) + fmt.Sprintf(format, a...)
}

// jobs are those of every workflow, or of one, in an order that stays.
func (r *repo) jobs(of ...string) (all []job) {
	if len(of) == 0 {
		of = slices.Sorted(maps.Keys(r.workflows))
	}
	for _, file := range of {
		w := r.workflows[file]
		for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
			all = append(all, job{file, w.Jobs[id]})
		}
	}
	return all
}

// condition is what a job's if says, without the line breaks; "" for none.
func (j job) condition() string {
	if j.If == nil {
		return ""
	}
	return strings.Join(strings.Fields(j.If.Value), " ")
}

func (j job) needs() (names []string) {
	for _, n := range j.Needs {
		names = append(names, n.Value)
	}
	return names
}

func (j job) gate() string {
	if j.Environment == nil || j.Environment.Name == nil {
		return ""
	}
	return j.Environment.Name.Value
}

// uses are the steps of a job that use an action of that name, without its version.
func (j job) uses(name string) (all []*actionlint.ExecAction) {
	for _, s := range j.Steps {
		if e, ok := s.Exec.(*actionlint.ExecAction); ok {
			if used, _, _ := strings.Cut(e.Uses.Value, "@"); used == name {
				all = append(all, e)
			}
		}
	}
	return all
}

func input(e *actionlint.ExecAction, name string) string {
	if i := e.Inputs[name]; i != nil && i.Value != nil {
		return i.Value.Value
	}
	return ""
}

// rotates are the steps of a job in which the action rotates.
func (j job) rotates() (all []*actionlint.ExecAction) {
	return slices.DeleteFunc(j.uses("./"), func(e *actionlint.ExecAction) bool { return input(e, "command") != "apply" })
}

// expression parses the inside of ${{ }}.
func expression(s string) (actionlint.ExprNode, error) {
	s = strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(s, "${{"); ok {
		s = strings.TrimSuffix(inner, "}}")
	}
	n, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(s + "}}"))
	if err != nil {
		return nil, err
	}
	return n, nil
}

// visit calls f for n and what it is made of, but for what chooses an index.
func visit(n actionlint.ExprNode, f func(actionlint.ExprNode)) {
	f(n)
	switch n := n.(type) {
	case *actionlint.ObjectDerefNode:
		visit(n.Receiver, f)
	case *actionlint.ArrayDerefNode:
		visit(n.Receiver, f)
	case *actionlint.IndexAccessNode:
		visit(n.Operand, f)
	case *actionlint.NotOpNode:
		visit(n.Operand, f)
	case *actionlint.CompareOpNode:
		visit(n.Left, f)
		visit(n.Right, f)
	case *actionlint.LogicalOpNode:
		visit(n.Left, f)
		visit(n.Right, f)
	case *actionlint.FuncCallNode:
		for _, a := range n.Args {
			visit(a, f)
		}
	}
}
