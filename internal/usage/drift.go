package usage

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How a user stands to the registry.
type Standing string

const (
	Both     Standing = "listed and found"
	Silent   Standing = "listed, not found" // drift, where what deploys it must name the secret to take it up
	Unlooked Standing = "listed, not looked at"
	Unlisted Standing = "found, not listed"         // drift
	Foreign  Standing = "found, nothing deploys it" // no consumer is of its kind
	Named    Standing = "named by people"
)

// A Listed is a consumer of the registry.
type Listed struct {
	Uses string // "ecs"
	Name string // as its steps are called
	With json.RawMessage
}

// A Row is one who uses a secret, by the registry or by what was found.
type Row struct {
	User
	Standing Standing
}

// Drifts says whether registry and reality differ in it.
func (r Row) Drifts() bool { return r.Standing == Silent || r.Standing == Unlisted }

// Compare holds what was found against what the registry lists, and the users that people name because nothing finds them.
func Compare(listed []Listed, named []string, f Found) (rows []Row) {
	f = f.sorted()
	used := make([]bool, len(f.Users))
	for _, l := range listed {
		row := Row{User: User{Uses: l.Uses, What: "consumer " + l.Uses, Name: l.Name}, Standing: Silent}
		for i, u := range f.Users {
			if !used[i] && l.is(u) {
				row, used[i] = Row{u, Both}, true
				break
			}
		}
		blind := slices.ContainsFunc(f.Gaps, func(g Gap) bool { return g.Uses == l.Uses || g.Uses == "" })
		if row.Standing == Silent && (blind || f.More > 0) {
			row.Standing = Unlooked
		}
		rows = append(rows, row)
	}
	for i, u := range f.Users {
		switch {
		case used[i]:
		case u.Uses == "":
			rows = append(rows, Row{u, Foreign})
		default:
			rows = append(rows, Row{u, Unlisted})
		}
	}
	for _, n := range named {
		rows = append(rows, Row{User{Name: n}, Named})
	}
	return rows
}

// is says whether the consumer is u: all that tells u apart is what the registry says, by name or by ARN.
func (l Listed) is(u User) bool {
	var with map[string]any
	if l.Uses != u.Uses || len(u.With) == 0 || json.Unmarshal(l.With, &with) != nil {
		return false
	}
	for k, v := range u.With {
		if s, ok := with[k].(string); !ok || bare(s) != bare(v) {
			return false
		}
	}
	return true
}

var resource = regexp.MustCompile(`^arn:[^:]*:[^:]*:[^:]*:[^:]*:[a-z-]+[:/]`)

// bare is a name without what an ARN, or a path, has before it.
func bare(s string) string { return strings.TrimPrefix(resource.ReplaceAllString(s, ""), "/") }

var plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

// Line is what the registry would say of u, to copy: "- ecs: {cluster: shop, service: web}"; "" where nothing deploys it.
func (u User) Line() string {
	if u.Uses == "" || len(u.With) == 0 {
		return ""
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(u.With)) {
		v := u.With[k]
		if !plain.MatchString(v) || slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}, strings.ToLower(v)) {
			v = strconv.Quote(v)
		}
		parts = append(parts, k+": "+v)
	}
	return "- " + u.Uses + ": {" + strings.Join(parts, ", ") + "}"
}
