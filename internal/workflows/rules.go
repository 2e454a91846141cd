package workflows

import (
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// apply judges one step that rotates.
func (c *checker) apply(u use) {
	const ungated = "without it the job runs unasked, and no role trusts it"
	if u.environment == "" {
		c.list.Add(u.at, "unknown-environment", c.list.SuggestOf("", "it can be", c.cfg.names()),
			"job %s rotates, but not in which environment", problem.Quote(u.job.Value))
		return
	}
	if expression(u.environment) {
		if !expression(u.gate.Value) {
			c.list.Add(c.gate(u), "wrong-environment", "take it from the same matrix: environment: ${{ matrix.to.github }}",
				"job %s rotates in environments of a matrix, behind %s", problem.Quote(u.job.Value), gated(u.gate.Value))
		}
		c.continued[""] = true
		return
	}
	env, ok := c.cfg.find(u.environment)
	switch {
	case !ok:
		c.list.Add(u.at, "unknown-environment", c.list.SuggestOf(u.environment, "it can be", c.cfg.names()),
			"no environment %s in %s", problem.Quote(u.environment), problem.Plain(c.cfg.File))
	case !u.question && env.Continue != "" && u.gate.Value == env.Continue:
		c.continued[env.Name] = true
	case u.gate.Value != env.GitHub:
		c.rotated[env.Name] = true
		hint := "write environment: " + env.GitHub
		if u.gate.Value == "" {
			hint += "; " + ungated
		}
		c.list.Add(c.gate(u), "wrong-environment", hint, "job %s rotates in %s behind %s, but %s says %s",
			problem.Quote(u.job.Value), env.Name, gated(u.gate.Value), problem.Plain(c.cfg.File), problem.Quote(env.GitHub))
	default:
		c.rotated[env.Name] = true
	}
}

// starts judges a job that has to start workflows with its own token. One that names no permissions has the workflow's, or
// the repository's: those are GitHub's to know.
func (c *checker) starts(job problem.Field) {
	rights, ok := get(fields(job.Value), "permissions")
	if !ok {
		return
	}
	at := job.Name.Pos
	right, has := get(fields(rights), "actions")
	if has {
		at = text(right).Pos
	}
	if text(right).Value != "write" && text(rights).Value != "write-all" {
		c.list.Add(at, "no-right", "write actions: write under its permissions, or give the step a token that may",
			"job %s has to start the workflows that are consumers in the registry, and may not", problem.Quote(job.Name.Value))
	}
}

// looks judges one step that looks for what is due: it writes to GitHub, and so it mustn't be trusted by what rotates.
func (c *checker) looks(u use) {
	c.looked = c.looked || u.command == "overdue"
	for _, env := range c.cfg.All {
		if u.gate.Value == env.GitHub || u.gate.Value != "" && u.gate.Value == env.Continue {
			c.list.Add(c.gate(u), "wrong-environment", "give it one of its own: environment: rekey-bot",
				"job %s writes to GitHub behind %s, whose jobs rotate in %s", problem.Quote(u.job.Value), gated(u.gate.Value), env.Name)
		}
	}
}

// missing reports environments without a job.
func (c *checker) missing() {
	if c.cfg.Daily && !c.looked {
		c.list.Add(c.first.Pos(), "no-job", "add the workflow rotation-overdue.yml, as docs/github.md shows",
			"no job looks for what is due: what %s says under overdue would never happen", problem.Plain(c.cfg.File))
	}
	for _, env := range c.cfg.All {
		if !c.rotated[env.Name] {
			c.list.Add(c.first.Pos(), "no-job", "add the jobs "+env.Name+" and after-"+env.Name+" in their place in the order, as docs/github.md shows",
				"no job rotates in environment %s of %s: its rotations would never begin", problem.Quote(env.Name), problem.Plain(c.cfg.File))
		}
		if env.Continue != "" && !c.continued[env.Name] && !c.continued[""] {
			c.list.Add(c.first.Pos(), "no-job", "add the job continue, as docs/github.md shows",
				"no job uses %s, the continue_environment of %s: every visit would ask again", problem.Quote(env.Continue), problem.Quote(env.Name))
		}
	}
}

func (c *checker) gate(u use) problem.Pos {
	if u.gate.Value == "" {
		return u.job.Pos
	}
	return u.gate.Pos
}

func gated(name string) string {
	if name == "" {
		return "no GitHub Environment"
	}
	return "GitHub Environment " + problem.Quote(name)
}

func expression(s string) bool { return strings.Contains(s, "${{") }

// gateOf is the GitHub Environment of a job, in either way of writing it.
func gateOf(job problem.Fields) problem.Text {
	n, ok := get(job, "environment")
	if !ok {
		return problem.Text{}
	}
	if inner, ok := get(fields(n), "name"); ok {
		n = inner
	}
	return text(n)
}

// What isn't written as expected is GitHub's to refuse: these three answer with nothing then.

func fields(n *problem.Node) (f problem.Fields) {
	if n == nil || !n.Decode(&f, &problem.List{}) {
		return nil
	}
	return f
}

func text(n *problem.Node) (t problem.Text) {
	if n == nil || !n.Decode(&t, &problem.List{}) {
		return problem.Text{}
	}
	return t
}

func get(f problem.Fields, name string) (*problem.Node, bool) {
	for _, one := range f {
		if one.Name.Value == name {
			return one.Value, true
		}
	}
	return nil, false
}
