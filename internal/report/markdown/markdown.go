// Package markdown owns the way of any text into Markdown: what GitHub shows of it is that text, whoever wrote it.
// It must never let through markup, HTML, a link, a mention, a reference or an emoji; links and mentions are made
// by the functions named after them, of what has the right form, and of nothing else.
package markdown

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/report"
)

// Text is any text as one line of Markdown that shows just that text, in a paragraph, a table cell, a list or an
// inline HTML element: no markup, HTML, link, mention, reference, formula, emoji, cell or diagram comes of it,
// neither in CommonMark nor in what GitHub makes of it. Line breaks become " ⏎ ".
//
// GitHub looks for mentions, references and emoji after it has decoded character references, so that escapes
// don't help: a character that isn't seen does, behind the sign.
func Text(s string) string {
	return text(s, gap)
}

// Cut is Text of at most width columns, "…" included: it never ends within an escape.
func Cut(s string, width int) string {
	return Text(report.Cut(strings.TrimSpace(report.Line(s)), width))
}

// Code is Text in the type of a program's, and fit to be copied: GitHub looks for nothing in there, so that nothing
// is put between.
func Code(s string) string {
	if s = text(s, ""); s == "" {
		return ""
	}
	return "<code>" + s + "</code>"
}

const gap = "&#8288;" // word joiner: takes no room, and no line is broken there

var (
	escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, "&#92;", "|", "&#124;", "$", "&#36;",
		"`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`, "#", `\#`)
	links      = regexp.MustCompile(`(?i)(?:www\.|(?:https?|ftp|mailto|xmpp):)`)
	references = regexp.MustCompile(`(?i)(\\#|\bGH-)([0-9])`)
	bare       = regexp.MustCompile(`(?i)(#|\bGH-)([0-9])`)
	unfinished = regexp.MustCompile(`:[A-Za-z0-9+_-]+$`)
	escaped    = regexp.MustCompile(`\\.`) // Text has no other backslash
	emoji      = regexp.MustCompile(`:[A-Za-z0-9+_-]+:`)
	blocks     = regexp.MustCompile(`^(?:[-+=:]|[0-9]{1,9}[.)])`) // lists, headings, table rules
)

func text(s, gap string) string {
	s = apart(strings.TrimSpace(report.Line(s)), gap)
	s = escapes.Replace(s)
	s = strings.ReplaceAll(s, "\x00", gap)
	if gap == "" {
		s = strings.ReplaceAll(s, "@", "&#64;") // no address: those are looked for before references are decoded
	} else {
		s = strings.ReplaceAll(s, "@", "@"+gap)
	}
	s = links.ReplaceAllStringFunc(s, func(m string) string {
		return m[:len(m)-1] + map[byte]string{'.': "&#46;", ':': "&#58;"}[m[len(m)-1]]
	})
	s = references.ReplaceAllString(s, "${1}"+gap+"$2")
	return blocks.ReplaceAllStringFunc(s, func(m string) string {
		last := m[len(m)-1]
		return m[:len(m)-1] + map[byte]string{'-': "&#45;", '+': "&#43;", '=': "&#61;", '.': "&#46;", ')': "&#41;", ':': "&#58;"}[last]
	})
}

// apart marks with a NUL where a gap keeps an emoji's name from being one; a Line has no NUL. Names may share a
// colon.
func apart(s, gap string) string {
	if gap == "" {
		return s
	}
	var b strings.Builder
	for {
		m := emoji.FindStringIndex(s)
		if m == nil {
			if unfinished.MatchString(s) {
				s += "\x00" // a colon may come behind the text
			}
			return b.String() + s
		}
		b.WriteString(s[:m[0]+1] + "\x00")
		s = s[m[0]+1:]
	}
}

// HTML is Text, cut to width columns, for places where GitHub reads no Markdown: on a line that begins with a tag.
func HTML(s string, width int) string {
	return escaped.ReplaceAllStringFunc(Cut(s, width), func(m string) string { return fmt.Sprintf("&#%d;", m[1]) })
}

// Title is any text as the title of an issue or pull request: no Markdown is read there but code and emoji, and a
// merge puts it into a commit's message, where mentions and references count. Cut to width columns.
func Title(s string, width int) string {
	s = report.Cut(strings.ReplaceAll(strings.TrimSpace(report.Line(s)), "`", "'"), width)
	s = strings.ReplaceAll(apart(s, gap), "\x00", "\u2060")
	s = strings.ReplaceAll(s, "@", "@\u2060")
	return bare.ReplaceAllString(s, "$1\u2060$2")
}

// Names of GitHub: letters and digits with single hyphens, 39 at most; an enterprise's managed users carry its
// short code behind an underscore (GitHub Enterprise Cloud documentation, "Username considerations for external
// authentication"). Teams are named by their slug.
var (
	login = regexp.MustCompile(`^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}(?:_[A-Za-z0-9]{1,16})?$`)
	team  = regexp.MustCompile(`^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?$`)
)

// Mention calls a person or a team ("li-pay", "@rastup/payments"), who get a message of it. What is no such name
// (a bot, anything else) is Name.
func Mention(who string) string {
	bare := strings.TrimPrefix(who, "@")
	if login.MatchString(bare) || team.MatchString(bare) {
		return "@" + strings.ReplaceAll(bare, "_", `\_`)
	}
	return Name(who)
}

// Name shows who it is, and calls nobody.
func Name(who string) string {
	if bare := strings.TrimPrefix(who, "@"); login.MatchString(bare) || team.MatchString(bare) {
		return Text("@" + bare)
	}
	return Text(who)
}

// Link shows label and leads to address, which must be an absolute http(s) URL without credentials: any other is
// left out.
func Link(label, address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsFunc(address, unfit) {
		return Text(label)
	}
	if label = Text(label); label == "" {
		return ""
	}
	return "[" + label + "](<" + strings.NewReplacer(`\`, "%5C", "`", "%60", "&", "&amp;", "|", "%7C").Replace(address) + ">)"
}

func unfit(r rune) bool { return r <= ' ' || r == '<' || r == '>' || r == '"' || r >= 0x7f }

// File shows label and leads to path within the bundle. A path that isn't under files/ is shown, not linked.
func File(label, path string) string {
	var b strings.Builder
	if !strings.HasPrefix(path, "files/") {
		return Text(label)
	}
	for i, seg := range strings.Split(path, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return Text(label)
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
	return "[" + Text(label) + "](<" + b.String() + ">)"
}
