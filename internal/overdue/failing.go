package overdue

import (
	"fmt"
	"slices"
	"strings"
)

// Failing reads a list of states, with hyphens and with commas between, and of "findings": does a scan have any of them?
func Failing(list string) (func(Scan) bool, error) {
	var states []State
	findings := false
	known := []string{"findings"}
	for _, s := range States {
		known = append(known, strings.ReplaceAll(string(s), " ", "-"))
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch i := slices.Index(known, name); {
		case name == "":
		case i < 0:
			return nil, fmt.Errorf("no state %q: there are %s", name, strings.Join(known, ", "))
		case i == 0:
			findings = true
		default:
			states = append(states, States[i-1])
		}
	}
	return func(s Scan) bool {
		return findings && len(s.Findings) > 0 || slices.ContainsFunc(states, func(st State) bool { return s.Count(st) > 0 })
	}, nil
}
