package registry

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
)

// A Block is one environment in a secret's YAML block.
type Block struct {
	// Target says where the secret lives; its shape is the kind's.
	Target *problem.Node `json:"target" yaml:"target" rekey:"required"`
	// Consumers take up the new credential when it is deployed.
	Consumers []*problem.Node `json:"consumers,omitempty" yaml:"consumers"`
	// UsedBy names, in words, who else uses it and isn't found nor restarted by Rekey: "batch job nightly-export",
	// "the partner's SFTP". Before a merge and in the evidence they stand beside those that are found.
	UsedBy []problem.Text `json:"used_by,omitempty" yaml:"used_by"`
	// Checks prove that it works: one check each, and optionally its name.
	Checks []*problem.Node `json:"checks,omitempty" yaml:"checks"`
}

func names(shapes map[string]func() any) []string { return slices.Sorted(maps.Keys(shapes)) }

// blocks gives each block to the row that the innermost of its headings names.
func (r *Registry) blocks(blocks []block, shapes Shapes, l *problem.List) {
	first := map[string]problem.Pos{}
	for _, b := range blocks {
		e := r.named(b.headings)
		if e == nil {
			r.homeless(b, l)
			continue
		}
		if at, twice := first[e.Secret]; twice {
			l.Add(b.at, "duplicate-block", "put all environments into one block", "%s already has a block (line %d)", problem.Quote(e.Secret), at.Line)
			continue
		}
		first[e.Secret] = b.at
		e.Environments = map[string]*Environment{}
		var fields problem.Fields
		problem.Decode(b.src, &fields, l)
		for _, f := range fields {
			if f.Name.Value == derivedFrom {
				f.Value.Decode(&e.derived, l)
				continue
			}
			e.Environments[f.Name.Value] = e.environment(f, shapes, l)
		}
	}
}

func (r *Registry) named(headings []string) *Entry {
	for _, h := range slices.Backward(headings) {
		if e, ok := r.Find(h); ok {
			return e
		}
	}
	return nil
}

func (r *Registry) homeless(b block, l *problem.List) {
	heading := ""
	for _, h := range b.headings {
		if h != "" {
			heading = h
		}
	}
	if heading == "" {
		l.Add(b.at, "block-without-row", "put it under a heading with the secret's name; mark an example ```text", "this block stands under no heading")
		return
	}
	hint := l.Suggest(heading, r.Names())
	if hint == "" {
		hint = "add a row for it; mark an example ```text"
	}
	l.Add(b.at, "block-without-row", hint, "no row names %s, the heading above this block", problem.Quote(heading))
}

func (e *Entry) environment(f problem.Field, shapes Shapes, l *problem.List) *Environment {
	env := &Environment{Pos: f.Name.Pos}
	var b Block
	f.Value.Decode(&b, l)
	if shape := shapes.Kinds[e.Kind]; shape != nil && b.Target != nil {
		if s := shape(); b.Target.Decode(s, l) {
			var err error
			if env.Target, err = json.Marshal(s); err != nil {
				l.Add(b.Target.Pos(), "value", "", "target can't be kept: %v", err)
			}
			env.TargetShape = s
		}
	}
	for _, n := range b.Consumers {
		if u, ok := config.ReadUse(n, "consumer", shapes.Consumers, nil, l); ok {
			env.Consumers = append(env.Consumers, u)
		}
	}
	for _, n := range b.Checks {
		if u, ok := config.ReadUse(n, "check", shapes.Checks, nil, l); ok {
			env.Checks = append(env.Checks, u)
		}
	}
	config.Unique(env.Consumers, nil, l)
	env.UsedBy = usedBy(b.UsedBy, l)
	return env
}

// Bounds of used_by: each is a line in comments and in a graph.
const (
	mostUsers = 20
	mostUser  = 100 // characters
)

func usedBy(users []problem.Text, l *problem.List) (all []string) {
	seen := map[string]bool{}
	for i, u := range users {
		switch {
		case i == mostUsers:
			l.Add(u.Pos, "out-of-range", "sum some of them up", "more than %d users", mostUsers)
			return all
		case strings.TrimSpace(u.Value) == "":
			l.Add(u.Pos, "value", "say who uses the secret: batch job nightly-export", "this user is empty")
		case strings.ContainsFunc(u.Value, unicode.IsControl), utf8.RuneCountInString(u.Value) > mostUser:
			l.Add(u.Pos, "value", "say it in a few words: batch job nightly-export", "a user is one line of at most %d characters", mostUser)
		case seen[u.Value]:
			l.Add(u.Pos, "duplicate-item", "remove one of the two", "%s is listed twice", problem.Quote(u.Value))
		default:
			all = append(all, u.Value)
		}
		seen[u.Value] = true
	}
	return all
}

// Check holds the registry against the configuration and the clock: environments, names of checks, targets that
// two rows share, dates in the future.
func Check(r *Registry, c *config.Config, now time.Time, l *problem.List) {
	owner := map[string]*Entry{}
	known := c.Names()
	for i := range r.Entries {
		e := &r.Entries[i]
		if ahead := 14 * time.Hour; e.LastRotated.After(now.Add(ahead)) { // the first to see a new day are 14 hours ahead
			l.Add(e.page.pos(e.lastAt), "last-rotated", "write the day of the last rotation, or never", "%s lies in the future", e.LastRotated.Format(time.DateOnly))
		}
		for _, name := range slices.Sorted(maps.Keys(e.Environments)) {
			env := e.Environments[name]
			house, ok := c.Environment(name)
			if !ok {
				hint := l.SuggestOf(name, "there are", known)
				if l.Nearest(name, []string{derivedFrom}) != "" {
					hint = "did you mean " + derivedFrom + "?"
				}
				l.Add(env.Pos, "unknown-environment", hint, "no environment %s in %s", problem.Quote(name), c.File)
				continue
			}
			config.Unique(env.Checks, c.ChecksOf(name), l)
			shape, ok := env.TargetShape.(Identified)
			if !ok {
				continue
			}
			place := name
			if account := house.Account(); account != "" && house.Region != "" {
				place = account + "/" + house.Region
			}
			key := e.Kind + "\x00" + place + "\x00" + shape.Identity()
			if other := owner[key]; other != nil && other != e {
				l.Add(env.Pos, "shared-target", "two rotations of one target would undo each other: keep one row", "%s in %s has the same target as %s (%s)",
					problem.Quote(e.Secret), name, problem.Quote(other.Secret), other.Pos)
			} else if other == e {
				l.Add(env.Pos, "shared-target", "each environment needs a target of its own", "%s in %s has the same target as in another environment", problem.Quote(e.Secret), name)
			}
			owner[key] = e
		}
	}
}
