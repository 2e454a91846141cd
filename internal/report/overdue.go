package report

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/overdue"
)

// Overdue is the answer of a scan in one line: "3 overdue, 5 due soon, 1 stuck, 188 current".
func Overdue(s overdue.Scan) string {
	var parts []string
	for _, state := range []overdue.State{overdue.Overdue, overdue.Stuck, overdue.DueSoon, overdue.InProgress, overdue.Unknown, overdue.Current, overdue.Exempt} {
		if n := s.Count(state); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return "No secrets in the registry"
	}
	return strings.Join(parts, ", ")
}

// Unseen says what a scan can't see; "" nothing.
func Unseen(s overdue.Scan) string {
	if len(s.Unseen) == 0 {
		return ""
	}
	return "Not looked for, since that takes a credential which a scan doesn't have: " + strings.Join(s.Unseen, "; ") + "."
}
