package usage

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What is recorded of one look is bounded: a record is read by people, too.
const (
	MostUsers  = 40
	MostGaps   = 10
	mostPlaces = 3
	mostText   = 160 // characters
)

// Names of facts.
const (
	factUsers = "users" // how many were found
	factUser  = "user_"
	factGap   = "not_looked_"
)

// Facts are f as a step records it: as much of it as is kept, in an order of its own.
func (f Found) Facts() map[string]string {
	f = f.sorted()
	facts := map[string]string{factUsers: fmt.Sprint(len(f.Users) + f.More)}
	for i, u := range f.Users[:min(len(f.Users), MostUsers)] {
		facts[fmt.Sprintf("%s%02d", factUser, i+1)] = text(u.cut())
	}
	gaps := f.Gaps
	if len(gaps) > MostGaps {
		gaps = append(slices.Clone(gaps[:MostGaps-1]), Gap{What: fmt.Sprintf("%d more", len(gaps)-MostGaps+1), Why: "likewise"})
	}
	for i, g := range gaps {
		g.What, g.Why = cut(g.What), cut(g.Why)
		facts[fmt.Sprintf("%s%02d", factGap, i+1)] = text(g)
	}
	return facts
}

// Of reads what Facts wrote; false when no step did.
func Of(fact func(key string) string) (f Found, ok bool) {
	total := 0
	if _, err := fmt.Sscan(fact(factUsers), &total); err != nil {
		return f, false
	}
	for i := 1; i <= MostUsers; i++ {
		var u User
		if json.Unmarshal([]byte(fact(fmt.Sprintf("%s%02d", factUser, i))), &u) == nil {
			f.Users = append(f.Users, u)
		}
	}
	for i := 1; i <= MostGaps; i++ {
		var g Gap
		if json.Unmarshal([]byte(fact(fmt.Sprintf("%s%02d", factGap, i))), &g) == nil {
			f.Gaps = append(f.Gaps, g)
		}
	}
	f.More = max(0, total-len(f.Users))
	return f, true
}

// And is f with what another look found.
func (f Found) And(g Found) Found {
	return Found{Users: slices.Concat(f.Users, g.Users), More: f.More + g.More, Gaps: slices.Concat(f.Gaps, g.Gaps)}
}

// String is f in a sentence.
func (f Found) String() string {
	f = f.sorted()
	var names []string
	for i, u := range f.Users {
		if i == 5 && len(f.Users)+f.More > 6 {
			names = append(names, fmt.Sprintf("%d more", len(f.Users)+f.More-i))
			break
		}
		u = u.cut()
		names = append(names, u.Called())
	}
	s := "found to name it: " + strings.Join(names, ", ")
	if len(names) == 0 {
		s = "nobody was found to name it"
	}
	var gaps []string
	for i, g := range f.Gaps {
		if i == 4 && len(f.Gaps) > 5 {
			gaps = append(gaps, fmt.Sprintf("%d more", len(f.Gaps)-i))
			break
		}
		gaps = append(gaps, cut(g.What)+" ("+cut(g.Why)+")")
	}
	if len(gaps) > 0 {
		s += "; not looked at: " + strings.Join(gaps, ", ")
	}
	return s
}

func (f Found) sorted() Found {
	f.Users, f.Gaps = slices.Clone(f.Users), slices.Clone(f.Gaps)
	slices.SortStableFunc(f.Users, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name), slices.Compare(a.Found, b.Found))
	})
	slices.SortStableFunc(f.Gaps, func(a, b Gap) int { return cmp.Or(cmp.Compare(a.Uses, b.Uses), cmp.Compare(a.What, b.What)) })
	return f
}

func (u User) cut() User {
	if n := len(u.Found); n > mostPlaces {
		u.Found = append(slices.Clone(u.Found[:mostPlaces]), fmt.Sprintf("%d more", n-mostPlaces))
	}
	for i, p := range u.Found {
		u.Found = slices.Clone(u.Found)
		u.Found[i] = cut(p)
	}
	u.What, u.Name, u.Now = cut(u.What), cut(u.Name), cut(u.Now)
	return u
}

func cut(s string) string {
	if r := []rune(s); len(r) > mostText {
		return string(r[:mostText-1]) + "…"
	}
	return s
}

func text(v any) string {
	b, _ := json.Marshal(v) // strings: can't fail
	return string(b)
}
