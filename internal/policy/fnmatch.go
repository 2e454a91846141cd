package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// match says whether a branch pattern lets a branch deploy. GitHub matches like Ruby's File.fnmatch with FNM_PATHNAME
// (GitHub documentation, "Deployment branches and tags"): * and ? stop at a slash, **/ is any folders. Whether a
// leading dot needs one in the pattern it doesn't say; here it doesn't.
func match(pattern, name string) bool {
	if !utf8.ValidString(pattern) || !utf8.ValidString(name) {
		return pattern == name
	}
	runes := []rune(name)
	// Which prefixes of the name are matched by the pattern so far: no backtracking, so that no pattern takes long.
	reach := make([]bool, len(runes)+1)
	reach[0] = true
	for p := pattern; p != ""; {
		t, rest := token(p, pattern[:len(pattern)-len(p)])
		reach, p = t.step(reach, runes), rest
	}
	return reach[len(runes)]
}

// A glob is one character of a pattern.
type glob struct {
	kind   byte // 'c' a character, '?', '*', '[' one of a set, '/' any folders
	char   rune
	set    []span
	negate bool
}

type span struct{ from, to rune }

// token reads the next character of a pattern; before is what comes before it.
func token(p, before string) (t glob, rest string) {
	folders := before == "" || strings.HasSuffix(before, "/")
	switch {
	case folders && strings.HasPrefix(p, "**/"):
		return glob{kind: '/'}, p[3:]
	case p[0] == '*':
		return glob{kind: '*'}, strings.TrimLeft(p, "*")
	case p[0] == '?':
		return glob{kind: '?'}, p[1:]
	case p[0] == '[':
		if t, rest, ok := bracket(p[1:]); ok {
			return t, rest
		}
	case p[0] == '\\' && len(p) > 1:
		p = p[1:]
	}
	r, n := utf8.DecodeRuneInString(p)
	return glob{kind: 'c', char: r}, p[n:]
}

// bracket reads a set after its opening bracket; ok is false when it has no end.
func bracket(p string) (t glob, rest string, ok bool) {
	t.kind = '['
	if p != "" && (p[0] == '!' || p[0] == '^') {
		t.negate, p = true, p[1:]
	}
	one := func() (r rune, ok bool) {
		p = strings.TrimPrefix(p, "\\")
		r, n := utf8.DecodeRuneInString(p)
		p = p[n:]
		return r, n > 0
	}
	for first := true; p != ""; first = false {
		if p[0] == ']' && !first {
			return t, p[1:], true
		}
		from, ok := one()
		if !ok {
			break
		}
		to := from
		if len(p) > 1 && p[0] == '-' && p[1] != ']' {
			p = p[1:]
			if to, ok = one(); !ok {
				break
			}
		}
		t.set = append(t.set, span{from, to})
	}
	return t, "", false
}

func (t glob) matches(r rune) bool {
	switch t.kind {
	case 'c':
		return r == t.char
	case '[':
		in := slices.ContainsFunc(t.set, func(s span) bool { return s.from <= r && r <= s.to })
		return r != '/' && in != t.negate
	}
	return r != '/'
}

// step is which prefixes of the name are matched with t besides what came before.
func (t glob) step(reach []bool, name []rune) []bool {
	next := make([]bool, len(reach))
	inside := false
	for i := range reach {
		switch t.kind {
		case '*':
			next[i] = reach[i] || i > 0 && next[i-1] && name[i-1] != '/'
		case '/':
			next[i] = reach[i] || inside && name[i-1] == '/'
			inside = inside || reach[i]
		default:
			next[i] = i > 0 && reach[i-1] && t.matches(name[i-1])
		}
	}
	return next
}

// literal is the only branch that a pattern can mean; ok is false when it can mean several, also in dialects of
// fnmatch that GitHub may or may not use (braces).
func literal(pattern string) (branch string, ok bool) {
	if strings.ContainsAny(pattern, "{}") || !utf8.ValidString(pattern) {
		return "", false
	}
	var b strings.Builder
	for p := pattern; p != ""; {
		t, rest := token(p, pattern[:len(pattern)-len(p)])
		switch {
		case t.kind == 'c':
			b.WriteRune(t.char)
		case t.kind == '[' && !t.negate && len(t.set) == 1 && t.set[0].from == t.set[0].to && t.set[0].from != '/':
			b.WriteRune(t.set[0].from)
		default:
			return "", false
		}
		p = rest
	}
	return b.String(), true
}
