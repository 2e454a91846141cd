package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rastup/rekey/internal/rotation"
)

// The faults there are. Each has a test that makes it.
const (
	RuleMarker    = "marker"    // the store's marker is missing or unreadable
	RuleGap       = "gap"       // a record between others is missing
	RuleVersions  = "versions"  // somebody wrote over an object
	RuleDeleted   = "deleted"   // somebody deleted an object
	RuleForeign   = "foreign"   // something that isn't ours lies among the records
	RuleRecord    = "record"    // a record can't be read
	RuleMisplaced = "misplaced" // a record of another place: swapped, or copied
	RuleAltered   = "altered"   // a record isn't the one its successor continues from
	RuleOrder     = "order"     // records contradict each other
	RuleDate      = "date"      // a record's time can't be true
	RuleTruncated = "truncated" // an anchor knows a record that isn't there
	RuleRewritten = "rewritten" // an anchor knows another record
	RuleBundle    = "bundle"    // a bundle's file contradicts the journal
	RuleFile      = "file"      // evidence a record refers to is missing or changed
	RuleLock      = "lock"      // an object is protected less than the marker promises
)

// A Finding is a fault in stored evidence. Nothing runs on a chain that has one.
type Finding struct {
	Chain rotation.Chain // zero: the store as a whole
	Name  string         // of the object
	Seq   int            // of the record; 0: none
	Rule  string
	Msg   string
}

// Error is one line, also where somebody gave an object a name that would draw on a terminal.
func (f Finding) Error() string {
	name := f.Name
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return fmt.Sprintf("%s: %s [%s]", name, f.Msg, f.Rule)
}

// Findings are faults in the order of their chains and records.
type Findings []Finding

func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each Finding to errors.As.
func (f Findings) Unwrap() []error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i]
	}
	return errs
}

// sorted orders f by chain, record and object; what is said twice is said once.
func (f Findings) sorted() Findings {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Chain.Path(), b.Chain.Path()), cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(f)
}

// err is f as an error: nil when there is nothing.
func (f Findings) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
