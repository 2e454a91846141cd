package terraform

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

const (
	mostChanges = 300 // a version's ID should change a few things
	shown       = 8   // of them, in a text
)

// in is changes as text.
func in(changes []string) string {
	if len(changes) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(changes[:shown], ", "), len(changes)-shown)
	}
	return strings.Join(changes, ", ")
}

// count is how many there are.
func count(changes []string) string {
	if len(changes) == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", len(changes))
}

var instance = regexp.MustCompile(`\[("(\\.|[^"\\])*"|[0-9]+)\]`)

// address of a change.
func address(change string) string {
	_, a, _ := strings.Cut(change, " ")
	return a
}

// refused says why a plan that takes the new version up is not applied; nil where it may be.
func (c call) refused(changes []string) error {
	var destroys, replaces []string
	for _, change := range changes {
		action, addr, _ := strings.Cut(change, " ")
		switch {
		case strings.HasPrefix(addr, "output."), action == "create", action == "update":
		case action == "replace":
			if !slices.Contains(c.Replace, addr) && !slices.Contains(c.Replace, instance.ReplaceAllString(addr, "")) {
				replaces = append(replaces, addr)
			}
		default: // delete, and what later versions of terraform may come to do
			destroys = append(destroys, change)
		}
	}
	switch {
	case len(changes) > mostChanges:
		return rotation.Failf("see terraform plan with the variable changed", "the new version would change %d things in %s: more than %d are not applied", len(changes), c.Dir, mostChanges)
	case len(destroys) > 0:
		return rotation.Failf("a rotation never does that: see terraform plan with the variable changed", "the new version would have terraform do more in %s than create, update and replace: %s", c.Dir, in(destroys))
	case len(replaces) > 0:
		return rotation.Failf("where that is as it should be, list it as replace", "the new version would replace %s in %s", in(replaces), c.Dir)
	}
	return nil
}

// beyond are the changes of addresses that were not foreseen.
func beyond(changes, foreseen []string) (more []string) {
	for _, change := range changes {
		if !slices.ContainsFunc(foreseen, func(f string) bool { return address(f) == address(change) }) {
			more = append(more, change)
		}
	}
	return more
}

// further are the changes of a plan with the old version that undo nothing of what was foreseen: it destroys only what that
// made, and makes or replaces only what that replaced, or made in part.
func further(changes, foreseen []string) (more []string) {
	for _, change := range changes {
		action, addr, _ := strings.Cut(change, " ")
		was := func(actions ...string) bool {
			return slices.ContainsFunc(actions, func(a string) bool { return slices.Contains(foreseen, a+" "+addr) })
		}
		known := strings.HasPrefix(addr, "output.") && len(beyond([]string{change}, foreseen)) == 0
		switch action {
		case "update":
			known = known || was("create", "update", "replace")
		case "create":
			known = known || was("replace")
		case "replace":
			known = known || was("create", "replace")
		case "delete":
			known = known || was("create")
		}
		if !known {
			more = append(more, change)
		}
	}
	return more
}

// list and listed are changes as a fact.
func list(changes []string) string {
	b, _ := json.Marshal(changes) // plain data: can't fail
	return string(b)
}

func listed(fact string) (changes []string) {
	_ = json.Unmarshal([]byte(fact), &changes) // written by list, or not there
	return changes
}
