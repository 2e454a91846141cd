package registry

import (
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// derivedFrom is the key beside a block's environments that names the secrets this one is made from, as a list. No
// environment can be called so.
const derivedFrom = "derived_from"

// A Derivation is a secret that is made from another one.
type Derivation struct{ Secret, From string }

// Derived are the secrets derived from those named, and from these again: each once, without those named, after the one
// it was first found by.
func (r *Registry) Derived(secrets []string) (all []Derivation) {
	seen := map[string]bool{}
	for _, s := range secrets {
		seen[s] = true
	}
	for queue := slices.Clone(secrets); len(queue) > 0; queue = queue[1:] {
		for _, child := range r.children[queue[0]] {
			if !seen[child] {
				seen[child], queue, all = true, append(queue, child), append(all, Derivation{child, queue[0]})
			}
		}
	}
	return all
}

// derivations reads what is derived from what, where it makes sense.
func (r *Registry) derivations(l *problem.List) {
	r.children = map[string][]string{}
	for i := range r.Entries {
		e := &r.Entries[i]
		for _, t := range e.derived {
			_, known := r.at[t.Value]
			switch {
			case !known:
				l.Add(t.Pos, "unknown-secret", l.Suggest(t.Value, r.Names()), "no secret %s in the registry", problem.Quote(t.Value))
				continue
			case slices.Contains(e.DerivedFrom, t.Value):
				l.Add(t.Pos, "duplicate", "remove it", "%s is named twice", problem.Quote(t.Value))
				continue
			}
			if way := r.way(e.Secret, t.Value); way != nil {
				l.Add(t.Pos, "cycle", "say which one comes first", "%s can't be derived from itself: %s", problem.Quote(e.Secret), strings.Join(append(way, e.Secret), " from "))
				continue
			}
			e.DerivedFrom = append(e.DerivedFrom, t.Value)
			r.children[t.Value] = append(r.children[t.Value], e.Secret)
		}
	}
}

// way is how from is derived from secret, so far as is known: from itself first, secret left out; nil: it isn't.
func (r *Registry) way(secret, from string) (way []string) {
	if secret == from {
		return []string{secret}
	}
	before := map[string]string{}
	for _, d := range r.Derived([]string{secret}) {
		if before[d.Secret] = d.From; d.Secret != from {
			continue
		}
		way = []string{secret}
		for at := from; at != secret; at = before[at] {
			way = append(way, at)
		}
		return way
	}
	return nil
}
