package report

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/usage"
)

// Users are who uses a secret in one environment: by the registry, by what was found, or both.
type Users struct {
	Environments []string // these: they are the same there
	Looked       bool     // else it is the registry alone
	Rows         []usage.Row
	More         int // that were found and aren't on record
	Gaps         []usage.Gap
}

// UsersOf is who uses the secret by plan and facts; false where neither names anybody, nor anything was looked at.
func UsersOf(p *rotation.Plan, facts []rotation.Fact) (Users, bool) {
	return users(p.Environment, p.Steps, func(key string) string {
		for _, f := range facts {
			if f.Step == plan.Discover && f.Key == key {
				return f.Value
			}
		}
		return ""
	})
}

// Users is who uses the secret by what is on record; false where nobody looked.
func (s Standing) Users() (Users, bool) {
	u, ok := users(s.Name, planned(s.Steps), func(key string) string {
		for _, st := range s.Steps {
			for _, f := range st.Facts {
				if st.Key == plan.Discover && f.Key == key {
					return f.Value
				}
			}
		}
		return ""
	})
	return u, ok && u.Looked
}

func planned(steps []Step) (all []rotation.Step) {
	for _, s := range steps {
		all = append(all, s.Step)
	}
	return all
}

func users(environment string, steps []rotation.Step, fact func(key string) string) (Users, bool) {
	var d plan.Discovery
	var listed []usage.Listed
	for _, s := range steps {
		uses, consumer := strings.CutPrefix(s.Uses, "consumer/")
		switch {
		case s.Key == plan.Discover:
			_ = json.Unmarshal(s.With, &d) // of a plan as this program makes it, or nobody is named
		case consumer && s.Phase == rotation.Preconditions:
			_, name, _ := strings.Cut(s.Key, "/")
			listed = append(listed, usage.Listed{Uses: uses, Name: name, With: s.With})
		}
	}
	found, ok := usage.Of(fact)
	u := Users{Environments: []string{environment}, Looked: ok, More: found.More, Gaps: found.Gaps}
	if !ok {
		found.Gaps = []usage.Gap{{}} // nothing was looked at
	}
	u.Rows = usage.Compare(listed, d.UsedBy, found)
	return u, ok || len(u.Rows) > 0
}

// Together are the users of environments, those told once that are the same.
func Together(all []Users) (some []Users) {
	for _, u := range all {
		i := slices.IndexFunc(some, func(o Users) bool { return same(o, u) })
		if i < 0 {
			some = append(some, u)
			continue
		}
		some[i].Environments = append(slices.Clone(some[i].Environments), u.Environments...)
	}
	return some
}

func same(a, b Users) bool {
	a.Environments, b.Environments = nil, nil
	x, _ := json.Marshal(a) // plain data: can't fail
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// Count is how many use it, as far as that is known.
func (u Users) Count() int { return len(u.Rows) + u.More }
