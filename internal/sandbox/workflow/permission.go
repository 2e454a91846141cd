package workflow

import (
	"maps"
	"slices"

	"github.com/rhysd/actionlint"
)

// scopes of a job's token ("Workflow syntax", permissions).
var scopes = []string{"actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues",
	"models", "packages", "pages", "pull-requests", "repository-projects", "security-events", "statuses"}

// Read alone makes no sense for these.
var writeOnly = []string{"id-token"}

func (l *loader) permissions(p *actionlint.Permissions) {
	if p == nil {
		return
	}
	if p.All != nil && p.All.Value != "read-all" && p.All.Value != "write-all" {
		l.errorf(p.All.Pos, "permissions %q: read-all or write-all", p.All.Value)
	}
	for _, k := range slices.Sorted(maps.Keys(p.Scopes)) {
		s := p.Scopes[k]
		if !slices.Contains(scopes, k) {
			l.notModelled(s.Name.Pos, "permission "+s.Name.Value)
		}
		if !slices.Contains([]string{"read", "write", "none"}, s.Value.Value) {
			l.errorf(s.Value.Pos, "permission %s: %q", s.Name.Value, s.Value.Value)
		}
	}
}

// granted is what the job's token may do: the job's own permissions, else the workflow's, else the repository's; what
// isn't named there is none, but metadata can always be read. A pull request from a fork writes nothing.
func granted(w *Workflow, j *job, defaults map[string]string, fork bool) map[string]string {
	p := j.file.Permissions
	if p == nil {
		p = w.file.Permissions
	}
	g := map[string]string{"metadata": "read"}
	switch {
	case p == nil:
		maps.Copy(g, defaults)
	case p.All != nil:
		for _, s := range scopes {
			if p.All.Value == "write-all" {
				g[s] = "write"
			} else if !slices.Contains(writeOnly, s) {
				g[s] = "read"
			}
		}
	default:
		for k, s := range p.Scopes {
			if s.Value.Value != "none" {
				g[k] = s.Value.Value
			}
		}
	}
	for k, v := range g {
		if fork && v == "write" {
			if g[k] = "read"; slices.Contains(writeOnly, k) {
				delete(g, k)
			}
		}
	}
	return g
}
