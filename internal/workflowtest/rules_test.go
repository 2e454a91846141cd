package workflowtest

import (
	"slices"
	"strings"
	"testing"
)

// A rule says what is wrong with a repository's workflows. Each of its mutants breaks it, and no other rule.
type rule struct {
	Name    string
	Check   func(*repo) []string
	Mutants []mutant
}

// A mutant replaces the first Old after After in File; After and Old must be there.
type mutant struct {
	File, After, Old, New string
	Also                  string // another rule that can't help finding it as well
}

func (m mutant) of(t *testing.T, f files) files {
	t.Helper()
	text := f[m.File]
	at := strings.Index(text, m.After)
	if at < 0 {
		t.Fatalf("%s: no %q", m.File, m.After)
	}
	before, rest := text[:at+len(m.After)], text[at+len(m.After):]
	if !strings.Contains(rest, m.Old) || m.Old == m.New {
		t.Fatalf("%s: no %q after %q", m.File, m.Old, m.After)
	}
	changed := files{}
	for name, text := range f {
		changed[name] = text
	}
	changed[m.File] = before + strings.Replace(rest, m.Old, m.New, 1)
	return changed
}

var rules = slices.Concat(rightsRules, jobRules, stepRules, gateRules, actionRules)

func TestOwnWorkflowsKeepTheRules(t *testing.T) {
	r, err := own(t).parse()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		for _, found := range rule.Check(r) {
			t.Errorf("%s: %s", rule.Name, found)
		}
	}
}

func TestEachRuleFindsItsMutantsAlone(t *testing.T) {
	f := own(t)
	for _, rule := range rules {
		if len(rule.Mutants) == 0 {
			t.Errorf("%s: no mutant shows that it can fail", rule.Name)
		}
		for _, m := range rule.Mutants {
			changed, err := m.of(t, f).parse()
			if err != nil {
				t.Errorf("%s: the mutant %q doesn't parse: %v", rule.Name, m.New, err)
				continue
			}
			for _, other := range rules {
				found := other.Check(changed)
				if caught := len(found) > 0; caught != (other.Name == rule.Name || other.Name == m.Also) {
					t.Errorf("mutant of %q, %q for %q after %q: caught by %q: %v %q", rule.Name, m.New, m.Old, m.After, other.Name, caught, found)
				}
			}
		}
	}
}
