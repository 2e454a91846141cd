package request

import (
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

func itoa(n int) string { return strconv.Itoa(n) }

// unique reports items that a list has twice.
func unique(list []problem.Text, l *problem.List) {
	seen := map[string]bool{}
	for _, t := range list {
		if seen[t.Value] {
			l.Add(t.Pos, "duplicate-item", "remove one of the two", "%s is listed twice", problem.Quote(t.Value))
		}
		seen[t.Value] = true
	}
}

// hours is 48h0m0s as people write it: 48h.
func hours(d rotation.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if t := strings.TrimSuffix(s, "0m"); t != s && strings.HasSuffix(t, "h") {
		s = t
	}
	return s
}

func days(d rotation.Duration) string {
	if n := time.Duration(d); n%(24*time.Hour) == 0 {
		return strconv.Itoa(int(n/(24*time.Hour))) + " days"
	}
	return hours(d)
}
