package config

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/rastup/rekey/internal/problem"
)

// A Use is one check or consumer as registry and configuration name it: which one, and its parameters.
type Use struct {
	Name string          // unique among the checks of one environment
	Uses string          // which one: "http"
	With json.RawMessage // its shape as JSON; the same text for the same meaning
	Pos  problem.Pos     //
}

// A written Use is {NAME: shape} with optional further keys.
type written struct {
	use    Use
	fields problem.Fields
}

var useName = lazy(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// ReadUse reads `http: {...}` with an optional `name`, and into more what the keys in more name. what is "check" or
// "consumer". shapes makes fresh shapes to decode into.
func ReadUse(n *problem.Node, what string, shapes map[string]func() any, more map[string]any, l *problem.List) (Use, bool) {
	before := l.Len()
	w := written{use: Use{Pos: n.Pos()}}
	if !n.Decode(&w.fields, l) {
		return w.use, false
	}
	known := slices.Sorted(maps.Keys(shapes))
	keys := append(slices.Sorted(maps.Keys(more)), "name")
	for _, f := range w.fields {
		switch _, isShape := shapes[f.Name.Value]; {
		case f.Name.Value == "name":
			w.name(f, l)
		case more[f.Name.Value] != nil:
			f.Value.Decode(more[f.Name.Value], l)
		case !isShape:
			hint := l.SuggestOf(f.Name.Value, "it can be", append(known, keys...))
			if len(known) == 0 {
				hint = "this version has no " + what + "s"
			}
			l.Add(f.Name.Pos, "unknown-"+what, hint, "no %s %s", what, problem.Quote(f.Name.Value))
		case w.use.Uses != "":
			l.Add(f.Name.Pos, "value", "begin a new item with a hyphen", "%s: a second %s in the same item", f.Name.Value, what)
		default:
			w.read(f, shapes[f.Name.Value](), l)
		}
	}
	if w.use.Uses == "" && l.Len() == before {
		l.Add(w.use.Pos, "missing-key", l.SuggestOf("", "it can be", known), "this item names no %s", what)
	}
	if w.use.Name == "" {
		w.use.Name = w.use.Uses
	}
	return w.use, l.Len() == before
}

func (w *written) name(f problem.Field, l *problem.List) {
	var name problem.Text
	if f.Value.Decode(&name, l) && !useName().MatchString(name.Value) {
		l.Add(name.Pos, "name", "use a-z, 0-9 and hyphens, at most 40", "%s can't be a name", problem.Quote(name.Value))
	}
	w.use.Name = name.Value
}

func (w *written) read(f problem.Field, shape any, l *problem.List) {
	w.use.Uses = f.Name.Value
	if !f.Value.Decode(shape, l) {
		return
	}
	b, err := json.Marshal(shape)
	if err != nil {
		l.Add(f.Name.Pos, "value", "", "%s can't be kept: %v", f.Name.Value, err)
	}
	w.use.With = b
}

// Unique reports uses that share a name, those in taken included.
func Unique(uses []Use, taken []Use, l *problem.List) {
	at := map[string]problem.Pos{}
	for _, u := range taken {
		at[u.Name] = u.Pos
	}
	for _, u := range uses {
		if first, twice := at[u.Name]; twice && u.Name != "" {
			l.Add(u.Pos, "duplicate-name", "give it another name: with `name: smoke-2` beside it", "there is already a check named %s (%s)", u.Name, first)
			continue
		}
		at[u.Name] = u.Pos
	}
}
