package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// A Workflow is one file, parsed and found to be within what is modelled. It never changes.
type Workflow struct {
	Path string // in the repository, like .github/workflows/rotate.yml
	Name string // as github.workflow has it: the file's name:, or its path

	file       *actionlint.Workflow
	lines      []string
	jobs       []*job
	templates  map[string]template
	conditions map[string]template
}

// A job of the file, in the file's order.
type job struct {
	key       string // as it is written
	file      *actionlint.Job
	needs     []*job
	ancestors []*job // needs, and what they need
}

// Load parses a workflow file. All that is wrong with it, or isn't modelled, is in the error, a line each:
// path:line:col: message [workflow].
func Load(path string, src []byte) (*Workflow, error) {
	file, problems := actionlint.Parse(src)
	l := loader{path: path}
	for _, p := range problems {
		l.errs = append(l.errs, fmt.Errorf("%s:%d:%d: %s [%s]", path, p.Line, p.Column, p.Message, "workflow"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(l.errs...)
	}
	w := &Workflow{
		Path: path, Name: path, file: file, lines: strings.Split(string(src), "\n"),
		templates: map[string]template{}, conditions: map[string]template{},
	}
	if file.Name != nil && file.Name.Value != "" {
		w.Name = file.Name.Value
	}
	l.w = w
	l.order()
	l.events()
	l.workflow()
	for _, j := range w.jobs {
		l.job(j.file)
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return w, nil
}

type loader struct {
	path string
	w    *Workflow
	errs []error
}

func (l *loader) errorf(at *actionlint.Pos, format string, args ...any) {
	if at == nil {
		at = &actionlint.Pos{Line: 1, Col: 1}
	}
	l.errs = append(l.errs, fmt.Errorf("%s:%d:%d: %w [workflow]", l.path, at.Line, at.Col, fmt.Errorf(format, args...)))
}

func (l *loader) notModelled(at *actionlint.Pos, what string) {
	l.errorf(at, "%s: %w", what, ErrNotModelled)
}

// order puts the jobs into the file's order and ties them by needs.
func (l *loader) order() {
	byKey := map[string]*job{}
	for _, f := range l.w.file.Jobs {
		j := &job{key: f.ID.Value, file: f}
		byKey[strings.ToLower(j.key)] = j
		l.w.jobs = append(l.w.jobs, j)
	}
	slices.SortFunc(l.w.jobs, func(a, b *job) int {
		return cmp.Or(cmp.Compare(a.file.Pos.Line, b.file.Pos.Line), cmp.Compare(a.file.Pos.Col, b.file.Pos.Col))
	})
	for _, j := range l.w.jobs {
		for _, n := range j.file.Needs {
			need, ok := byKey[strings.ToLower(n.Value)]
			if !ok {
				l.errorf(n.Pos, "job %q needs %q, which isn't there", j.key, n.Value)
				continue
			}
			j.needs = append(j.needs, need)
		}
	}
	for _, j := range l.w.jobs {
		j.ancestors = ancestors(j)
		if slices.Contains(j.ancestors, j) {
			l.errorf(j.file.Pos, "job %q needs itself", j.key)
		}
	}
}

func ancestors(of *job) (all []*job) {
	for todo := slices.Clone(of.needs); len(todo) > 0; {
		j := todo[0]
		todo = todo[1:]
		if !slices.Contains(all, j) {
			all = append(all, j)
			todo = append(todo, j.needs...)
		}
	}
	return all
}

func (l *loader) workflow() {
	f := l.w.file
	l.text("run-name", f.RunName)
	l.env("env", f.Env)
	l.concurrency("concurrency", f.Concurrency)
	l.permissions(f.Permissions)
}

func (l *loader) job(f *actionlint.Job) {
	switch {
	case f.WorkflowCall != nil:
		l.notModelled(f.Pos, "a job that calls a workflow")
	case f.Container != nil, f.Services != nil:
		l.notModelled(f.Pos, "containers and services")
	case f.Snapshot != nil:
		l.notModelled(f.Pos, "snapshot")
	case f.ContinueOnError != nil:
		l.notModelled(f.Pos, "continue-on-error of a job")
	}
	const at = "jobs.<job_id>."
	l.text(at+"name", f.Name)
	l.condition(at+"if", f.If)
	l.env(at+"env", f.Env)
	l.concurrency(at+"concurrency", f.Concurrency)
	l.permissions(f.Permissions)
	if f.Environment != nil {
		l.text(at+"environment", f.Environment.Name)
	}
	for _, k := range slices.Sorted(maps.Keys(f.Outputs)) {
		l.text(at+"outputs.<output_id>", f.Outputs[k].Value)
	}
	if f.TimeoutMinutes != nil {
		l.text(at+"timeout-minutes", f.TimeoutMinutes.Expression)
	}
	l.strategy(f.Strategy)
	for _, s := range f.Steps {
		l.step(s)
	}
}

func (l *loader) step(s *actionlint.Step) {
	const at = "jobs.<job_id>.steps."
	l.condition(at+"if", s.If)
	l.text(at+"name", s.Name)
	l.env(at+"env", s.Env)
	if s.TimeoutMinutes != nil {
		l.text(at+"timeout-minutes", s.TimeoutMinutes.Expression)
	}
	if s.ContinueOnError != nil {
		l.text(at+"continue-on-error", s.ContinueOnError.Expression)
	}
	switch e := s.Exec.(type) {
	case *actionlint.ExecRun:
		l.text(at+"run", e.Run)
		l.text(at+"working-directory", e.WorkingDirectory)
	case *actionlint.ExecAction:
		for _, k := range slices.Sorted(maps.Keys(e.Inputs)) {
			l.text(at+"with", e.Inputs[k].Value)
		}
		l.text(at+"with", e.Entrypoint)
		l.text(at+"with", e.Args)
	}
}

func (l *loader) env(key string, e *actionlint.Env) {
	if e == nil {
		return
	}
	if e.Expression != nil {
		l.notModelled(e.Expression.Pos, "env as one expression")
	}
	for _, k := range slices.Sorted(maps.Keys(e.Vars)) {
		l.text(key, e.Vars[k].Value)
	}
}

func (l *loader) concurrency(key string, c *actionlint.Concurrency) {
	if c == nil {
		return
	}
	l.text(key, c.Group)
	if c.CancelInProgress != nil {
		l.text(key, c.CancelInProgress.Expression)
	}
}

func (l *loader) strategy(s *actionlint.Strategy) {
	if s == nil {
		return
	}
	if s.MaxParallel != nil {
		l.notModelled(s.Pos, "max-parallel")
	}
	const key = "jobs.<job_id>.strategy"
	if s.FailFast != nil {
		l.text(key, s.FailFast.Expression)
	}
	m := s.Matrix
	if m == nil {
		return
	}
	l.text(key, m.Expression)
	for _, k := range slices.Sorted(maps.Keys(m.Rows)) {
		l.text(key, m.Rows[k].Expression)
		for _, v := range m.Rows[k].Values {
			l.raw(key, v)
		}
	}
	for _, c := range []*actionlint.MatrixCombinations{m.Include, m.Exclude} {
		if c == nil {
			continue
		}
		l.text(key, c.Expression)
		for _, one := range c.Combinations {
			l.text(key, one.Expression)
			for _, k := range slices.Sorted(maps.Keys(one.Assigns)) {
				l.raw(key, one.Assigns[k].Value)
			}
		}
	}
}

func (l *loader) raw(key string, v actionlint.RawYAMLValue) {
	switch v := v.(type) {
	case *actionlint.RawYAMLString:
		l.text(key, &actionlint.String{Value: v.Value, Pos: v.Pos()})
	case *actionlint.RawYAMLArray:
		for _, e := range v.Elems {
			l.raw(key, e)
		}
	case *actionlint.RawYAMLObject:
		for _, k := range slices.Sorted(maps.Keys(v.Props)) {
			l.raw(key, v.Props[k])
		}
	}
}

func (l *loader) text(key string, s *actionlint.String) {
	if s == nil || !strings.Contains(s.Value, "${{") {
		return
	}
	t, err := parseTemplate(s.Value)
	l.check(key, s.Pos, t, err)
	l.w.templates[s.Value] = t
}

func (l *loader) condition(key string, s *actionlint.String) {
	if s == nil {
		return
	}
	t, err := parseCondition(s.Value)
	l.check(key, s.Pos, t, err)
	l.w.conditions[s.Value] = t
}

// check holds an expression against what its place allows ("Contexts": context availability) and what is modelled.
func (l *loader) check(key string, at *actionlint.Pos, t template, err error) {
	if err != nil {
		l.errorf(at, "expression of %s: %w", key, err)
		return
	}
	contexts, special := actionlint.WorkflowKeyAvailability(key)
	t.visit(func(n actionlint.ExprNode, _ part) {
		switch n := n.(type) {
		case *actionlint.VariableNode:
			if !slices.Contains(contexts, n.Name) {
				l.errorf(at, "%s can't be used in %s", n.Name, key)
			}
		case *actionlint.ArrayDerefNode:
			l.notModelled(at, "the filter *")
		case *actionlint.FuncCallNode:
			name := strings.ToLower(n.Callee)
			f, ok := functions[name]
			switch {
			case slices.Contains(statusFunctions, name):
				if !slices.Contains(special, name) {
					l.errorf(at, "%s() can't be used in %s", n.Callee, key)
				} else if len(n.Args) > 0 {
					l.notModelled(at, "arguments of "+n.Callee)
				}
			case !ok:
				l.notModelled(at, "function "+n.Callee)
			case len(n.Args) < f.from || f.to >= 0 && len(n.Args) > f.to:
				l.errorf(at, "function %s: wrong number of arguments", n.Callee)
			}
		}
	})
}

// template of a text of the file; a text without ${{ }} is itself.
func (w *Workflow) template(s string) template {
	if t, ok := w.templates[s]; ok {
		return t
	}
	return template{[]part{{literal: s}}}
}

func (w *Workflow) condition(s *actionlint.String) *template {
	if s == nil {
		return nil
	}
	t := w.conditions[s.Value]
	return &t
}
