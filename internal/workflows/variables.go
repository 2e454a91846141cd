package workflows

import (
	"github.com/rastup/rekey/internal/problem"
)

// handed are the variables that an `env` hands over, with where; ok is false where it is an expression, and nobody knows.
func handed(into map[string]problem.Pos, in problem.Fields) (ok bool) {
	n, there := get(in, "env")
	if !there {
		return true
	}
	var all problem.Fields
	if !n.Decode(&all, &problem.List{}) {
		return false
	}
	for _, f := range all {
		into[f.Name.Value] = f.Name.Pos
	}
	return true
}

// variables holds what a step is handed against what it is for: places outside GitHub are told by due, and no job in
// which commands of the repository run is given the means to.
func (c *checker) variables(u use) {
	for _, name := range c.cfg.Variables {
		at, has := u.env[name]
		switch {
		case u.command == "due" && !has && u.known:
			c.list.Add(u.job.Pos, "missing-variable", "add to its step env: {"+name+": \"${{ secrets."+name+" }}\"}",
				"job %s isn't handed %s: it couldn't tell the places that %s names", problem.Quote(u.job.Value), name, problem.Plain(c.cfg.File))
		case u.command == "apply" && has:
			c.list.Add(at, "secret-elsewhere", "hand it to the steps of command due alone",
				"job %s is handed %s: it tells nobody, and its checks' commands could read it", problem.Quote(u.job.Value), name)
		}
	}
}
