// Package wiki owns every text Rekey writes in Jira, as its wiki markup, and the way of any text into that: what Jira shows
// of it is that text, whoever wrote it.
//
// It must never let through markup, a macro, a link, a mention, an attachment or an emoticon; links are made by the
// function named after them, of what has the right form, and of nothing else. It reads no clock.
package wiki

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/report"
)

// Most is what a comment holds, in characters: Jira refuses more ("The entered text is too long. It exceeds the allowed
// limit of 32,767 characters."; Data Center's default, jira.text.field.character.limit).
const Most = 32767

// gap is a word joiner: it takes no room, and no line is broken there.
const gap = "\u2060"

// escapes are the characters that a backslash makes plain, in Data Center (atlassian-renderer, BackslashEscapeRendererComponent)
// and in Cloud (Atlaskit's wikimarkup-transformer, escape) alike. A backslash itself isn't among them, and two are a line
// break: what looks like one stands in its place.
var escapes = strings.NewReplacer(`\`, "⧵", "-", `\-`, "#", `\#`, "*", `\*`, "_", `\_`, "+", `\+`, "?", `\?`, "^", `\^`, "~", `\~`,
	"|", `\|`, "%", `\%`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, "!", `\!`, "@", `\@`)

var (
	// What no backslash helps against: addresses that are linked where they stand, emoticons of two signs, character
	// references, and what makes a heading or a quotation of a line that begins with it.
	addresses = regexp.MustCompile(`(?i)([a-z]:)([/⧵]|[a-z0-9])`)
	emoticons = regexp.MustCompile(`([:;])([DPp])`)
	reference = regexp.MustCompile(`&([#A-Za-z])`)
	leading   = regexp.MustCompile(`(?i)^(h[1-6]|bq)\.`)
)

// Text is any text as one line of wiki markup that shows just that text, in a paragraph, a list or a table's cell.
func Text(s string) string {
	s = escapes.Replace(strings.TrimSpace(report.Line(s)))
	for range 2 { // what a match ends with may begin the next
		s = addresses.ReplaceAllString(s, "${1}"+gap+"$2")
	}
	s = emoticons.ReplaceAllString(s, "${1}"+gap+"$2")
	s = reference.ReplaceAllString(s, "&"+gap+"$1")
	return leading.ReplaceAllString(s, "${1}"+gap+".")
}

// Cut is Text of at most width columns, "…" included: it never ends within an escape.
func Cut(s string, width int) string {
	return Text(report.Cut(strings.TrimSpace(report.Line(s)), width))
}

// Code is Text in the type of a program's.
func Code(s string, width int) string {
	if s = Cut(s, width); s == "" {
		return ""
	}
	return "{{" + s + "}}"
}

// Link shows label and leads to address, which must be an absolute http(s) URL without credentials or characters that
// markup knows: of any other only the label is left.
func Link(label, address string, width int) string {
	label = Cut(label, width)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || label == "" || strings.ContainsFunc(address, unfit) {
		return label
	}
	return "[" + label + "|" + address + "]"
}

func unfit(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\"<>[]{}|^!*`, r) }
