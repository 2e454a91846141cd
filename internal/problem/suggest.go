package problem

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const mostAsked = 100 // suggestions a list looks for: it keeps a long list of mistakes linear

// Suggest is a hint naming the candidate nearest to name ("did you mean "prod"?"), or "" when none is near.
func (l *List) Suggest(name string, candidates []string) string {
	if best := l.Nearest(name, candidates); best != "" {
		return fmt.Sprintf("did you mean %s?", Quote(best))
	}
	return ""
}

// SuggestOf is Suggest, and where nothing is near the candidates themselves, as long as they are few.
func (l *List) SuggestOf(name, what string, candidates []string) string {
	if hint := l.Suggest(name, candidates); hint != "" || len(candidates) == 0 || len(candidates) > 24 {
		return hint
	}
	return what + ": " + strings.Join(candidates, ", ")
}

// Nearest is the candidate nearest to name: by edit distance, else one that begins or ends with it. After many
// calls it answers "" without looking.
func (l *List) Nearest(name string, candidates []string) string {
	if l != nil {
		if l.asked++; l.asked > mostAsked {
			return ""
		}
	}
	return Nearest(name, candidates)
}

// Nearest is the candidate nearest to name, "" when none is near; the first of equals.
func Nearest(name string, candidates []string) string {
	const long = 120
	if name == "" || len(name) > long {
		return ""
	}
	lower := strings.ToLower(name)
	best, least := "", utf8.RuneCountInString(name)/3+1
	for _, c := range candidates {
		if len(c) > long || c == name {
			continue
		}
		if d := distance(lower, strings.ToLower(c), least); d < least || d == least && best == "" {
			best, least = c, d
		}
	}
	if best != "" || len(lower) < 3 {
		return best
	}
	for _, c := range candidates {
		l := strings.ToLower(c)
		if (strings.HasPrefix(l, lower) || strings.HasSuffix(l, lower)) && (best == "" || len(c) < len(best)) {
			best = c
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours between a and b; more than most
// is most+1.
func distance(a, b string, most int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > most || len(y)-len(x) > most {
		return most + 1
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(y)], most+1)
}
