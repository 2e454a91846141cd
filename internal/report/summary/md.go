package summary

import (
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/report"
)

// Text is any text as one line of Markdown that shows just that text, in a paragraph, a table cell, a list or an
// inline HTML element: no markup, HTML, link, mention, reference, formula, cell or diagram comes of it, neither
// in CommonMark nor in what GitHub makes of it. Line breaks become " ⏎ ".
//
// GitHub looks for mentions and references after it has decoded character references, so that escapes don't
// help: a zero-width space does, behind the sign.
func Text(s string) string {
	s = strings.TrimSpace(report.Line(s))
	s = escapes.Replace(s)
	s = links.ReplaceAllStringFunc(s, func(m string) string {
		return m[:len(m)-1] + map[byte]string{'.': "&#46;", ':': "&#58;"}[m[len(m)-1]]
	})
	s = references.ReplaceAllString(s, "$1"+gap+"$2")
	return blocks.ReplaceAllStringFunc(s, func(m string) string {
		last := m[len(m)-1]
		return m[:len(m)-1] + map[byte]string{'-': "&#45;", '+': "&#43;", '=': "&#61;", '.': "&#46;", ')': "&#41;", ':': "&#58;"}[last]
	})
}

const gap = "&#8203;" // zero-width space

var (
	escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, "&#92;", "|", "&#124;", "$", "&#36;",
		"`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`, "#", `\#`, "@", "@"+gap)
	links      = regexp.MustCompile(`(?i)(?:www\.|(?:https?|ftp|mailto|xmpp):)`)
	references = regexp.MustCompile(`(?i)(\\#|\bGH-)([0-9])`)
	blocks     = regexp.MustCompile(`^(?:[-+=:]|[0-9]{1,9}[.)])`) // lists, headings, table rules
)

// Code is Text in the type of a program's.
func Code(s string) string {
	if s = Text(s); s == "" {
		return ""
	}
	return "<code>" + s + "</code>"
}

// Link shows text and leads to path within the bundle. A path that isn't under files/ is shown, not linked.
func Link(text, path string) string {
	var b strings.Builder
	if !strings.HasPrefix(path, "files/") {
		return Text(text)
	}
	for i, seg := range strings.Split(path, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return Text(text)
		}
		if i > 0 {
			b.WriteByte('/')
		}
		for _, c := range []byte(seg) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
				b.WriteByte(c)
			} else {
				const hex = "0123456789ABCDEF"
				b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
			}
		}
	}
	return "[" + Text(text) + "](<" + b.String() + ">)"
}
