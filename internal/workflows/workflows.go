// Package workflows owns what rekey lint says of a repository's GitHub workflows: that every environment of the house
// rules has a job that rotates in it, behind the GitHub Environment the rules name for it, and that the daily look for what
// is due, where they want one, is behind none of those. It looks at no workflow that
// doesn't use the action, has no opinion on what GitHub itself would refuse, and never reaches GitHub.
package workflows

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// Folder is where GitHub looks for workflows.
const Folder = ".github/workflows"

// Environments is what the house rules say of GitHub Environments.
type Environments struct {
	File string // where the rules stand, for messages
	All  []Environment
	// Variables hold addresses and keys of places outside GitHub.
	Variables []string
	Starts    bool // some secret has a workflow of this repository for a consumer
	// Daily says that they want a daily look for what is due.
	Daily bool
}

// An Environment is one environment of the house rules.
type Environment struct {
	Name     string
	GitHub   string // GitHub Environment of its job
	Continue string // GitHub Environment for what an earlier approval covers; "" where there is none
}

func (e Environments) names() []string {
	names := make([]string, len(e.All))
	for i, one := range e.All {
		names[i] = one.Name
	}
	return names
}

func (e Environments) find(name string) (Environment, bool) {
	i := slices.IndexFunc(e.All, func(one Environment) bool { return one.Name == name })
	if i < 0 {
		return Environment{}, false
	}
	return e.All[i], true
}

// Check holds the workflows of a repository against its environments. Where no workflow uses the action to rotate
// (commands due and apply) it reports nothing: then rotations are carried on by hand.
func Check(fsys fs.FS, cfg Environments, l *problem.List) {
	entries, err := fs.ReadDir(fsys, Folder)
	if err != nil || len(cfg.All) == 0 {
		return
	}
	c := checker{fsys: fsys, cfg: cfg, list: l, rotated: map[string]bool{}, continued: map[string]bool{}}
	for _, e := range entries {
		if ext := path.Ext(e.Name()); ext == ".yml" || ext == ".yaml" {
			c.file(path.Join(Folder, e.Name()))
		}
	}
	if c.first != nil {
		c.missing()
	}
}

type checker struct {
	fsys      fs.FS
	cfg       Environments
	list      *problem.List
	first     *problem.Node // the jobs of the first workflow that rotates
	rotated   map[string]bool
	looked    bool            // a job looks for what is due
	continued map[string]bool // "" is all: a job that takes them from a matrix
}

func (c *checker) file(name string) {
	b, ok := problem.Read(c.fsys, name, &problem.List{})
	if !ok {
		return // GitHub runs none of it
	}
	src := problem.Source{File: name, What: "the workflow", Text: b}
	root := problem.Parse(src, &problem.List{})
	if root == nil {
		if mentioned.Match(b) {
			problem.Parse(src, c.list)
		}
		return
	}
	jobs, ok := get(fields(root), "jobs")
	if !ok {
		return
	}
	for _, job := range fields(jobs) {
		for _, use := range c.uses(fields(root), job) {
			if use.command == "overdue" || use.command == "dates" {
				c.looks(use)
			}
			if use.command != "due" && use.command != "apply" {
				continue
			}
			if c.first == nil {
				c.first = jobs
			}
			switch {
			case use.command == "apply":
				c.apply(use)
			case c.cfg.Starts && !use.token:
				c.starts(job)
			}
			c.variables(use)
		}
	}
}

// A use is one step that uses the action.
type use struct {
	job         problem.Text
	at          problem.Pos // of the step's environment, or the job's name
	gate        problem.Text
	command     string
	environment string
	question    bool
	env         map[string]problem.Pos // variables it is handed
	known       bool                   // these are all
	token       bool                   // it has one of its own
}

var (
	mentioned = regexp.MustCompile(`uses:\s*["']?(\./|[A-Za-z0-9-]+/rekey@)`)
	released  = regexp.MustCompile(`^[A-Za-z0-9-]+/rekey@`)
)

// uses are the steps of a job that use the action.
func (c *checker) uses(workflow problem.Fields, job problem.Field) (all []use) {
	in := fields(job.Value)
	steps, ok := get(in, "steps")
	if !ok {
		return nil
	}
	gate := gateOf(in)
	var nodes []*problem.Node
	if !steps.Decode(&nodes, &problem.List{}) {
		return nil
	}
	for _, n := range nodes {
		step := fields(n)
		action, _ := get(step, "uses")
		with, _ := get(step, "with")
		if !c.ours(text(action).Value) {
			continue
		}
		u := use{job: job.Name, at: job.Name.Pos, gate: gate, env: map[string]problem.Pos{}, known: true}
		for _, level := range []problem.Fields{workflow, in, step} {
			u.known = handed(u.env, level) && u.known
		}
		for _, f := range fields(with) {
			switch value := text(f.Value); f.Name.Value {
			case "command":
				u.command = value.Value
			case "environment":
				u.environment, u.at = value.Value, value.Pos
			case "question":
				u.question = true
			case "token":
				u.token = true
			}
		}
		all = append(all, u)
	}
	return all
}

// ours says whether a step uses this action: a released one, or one that lies in the repository itself.
func (c *checker) ours(action string) bool {
	if released.MatchString(action) {
		return true
	}
	local, ok := strings.CutPrefix(action, "./")
	if !ok || !fs.ValidPath(path.Join(local, "action.yml")) {
		return false
	}
	b, ok := problem.Read(c.fsys, path.Join(local, "action.yml"), &problem.List{})
	return ok && bytes.Contains(b, []byte("REKEY_COMMAND"))
}
