package problem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Pos is a place in a file. Line and Col count from 1; Col counts characters, as editors and GitHub do.
// Line 0 means the file as a whole.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return Plain(p.File)
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", Plain(p.File), p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", Plain(p.File), p.Line, p.Col)
}

// A Problem is one mistake: what is wrong, and what to do about it.
type Problem struct {
	Pos
	Rule string `json:"rule"`           // its name, for looking it up: "unknown-secret"
	Msg  string `json:"message"`        // one line
	Hint string `json:"hint,omitempty"` // one line; "" where there is nothing to add
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s: %s [%s]", p.Pos, p.Msg, p.Rule)
	if p.Hint != "" {
		s += "\n    hint: " + p.Hint
	}
	return s
}

// A List collects problems. The zero List is empty and ready; a nil *List swallows what is added.
type List struct {
	all   []Problem
	asked int // suggestions looked for
}

// Add adds a problem. hint may be "". Both texts are made Plain, and cut where nobody would read on.
func (l *List) Add(at Pos, rule, hint, format string, a ...any) {
	if l == nil {
		return
	}
	l.all = append(l.all, Problem{at, rule, cut(fmt.Sprintf(format, a...)), cut(hint)})
}

func cut(s string) string {
	const most = 600 // bytes
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return Plain(s)
}

// Append takes over other's problems.
func (l *List) Append(other *List) {
	if l != nil && other != nil {
		l.all = append(l.all, other.all...)
	}
}

// Len is how many problems were added.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.all)
}

// Sorted is the problems by file, line, column, rule and message, each once.
func (l *List) Sorted() []Problem {
	if l == nil {
		return nil
	}
	all := slices.Clone(l.all)
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.CompactFunc(all, func(a, b Problem) bool { return a == b })
}

// String is what the terminal shows: a line for each problem, and its hint below. "" when there is none.
func (l *List) String() string {
	var b strings.Builder
	for _, p := range l.Sorted() {
		b.WriteString(p.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Plain makes s safe to print on one line: control, invisible and bidirectional characters are escaped, so that
// a hostile name can't forge a line, an annotation or a terminal command.
func Plain(s string) string {
	if !strings.ContainsFunc(s, unsafe) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unsafe(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unsafe(r rune) bool {
	return r != ' ' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.In(r, unicode.Zl, unicode.Zp))
}

// Quote is s in quotation marks for a message, cut to a readable length.
func Quote(s string) string {
	const most = 60
	if n := 0; len(s) > most {
		for i := range s {
			if n++; n > most {
				s = s[:i] + "…"
				break
			}
		}
	}
	return fmt.Sprintf("%q", s)
}
