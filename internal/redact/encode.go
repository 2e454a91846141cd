package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// encodings is v as programs print it.
func encodings(v string) []string {
	out := []string{v}
	out = append(out, escapes(v)...)
	out = append(out, shell(v)...)
	out = append(out, percent(v)...)
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		out = append(out, inBase64(e, v)...)
	}
	h := hex.EncodeToString([]byte(v))
	out = append(out, h, strings.ToUpper(h))
	if len(v) <= maxExpand {
		out = append(out, bytewise(v)...)
	}
	return out
}

// escapes is v inside the quotes of JSON (of several writers, and once more inside JSON), Go, Python, SQL,
// CSV and HTML.
func escapes(v string) []string {
	var out []string
	for _, j := range []string{inJSON(v, true), inJSON(v, false), ascii(inJSON(v, true)), ascii(inJSON(v, false))} {
		out = append(out, j, strings.ReplaceAll(j, "/", `\/`), inJSON(j, true), inJSON(j, false))
	}
	inner := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	out = append(out, inner(strconv.Quote(v)), inner(strconv.QuoteToASCII(v)),
		strings.ReplaceAll(strings.ReplaceAll(inner(strconv.Quote(v)), `\"`, `"`), "'", `\'`),
		strings.ReplaceAll(v, "'", "''"), strings.ReplaceAll(v, `"`, `""`))
	h := html.EscapeString(v)
	named := strings.NewReplacer("&#34;", "&quot;")
	for _, single := range []string{"&#39;", "&apos;", "&#x27;", "&#039;"} {
		s := strings.ReplaceAll(h, "&#39;", single)
		out = append(out, s, named.Replace(s))
	}
	// XML and Markdown writers that leave quotes alone.
	return append(out, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v))
}

func inJSON(v string, forHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(forHTML)
	if e.Encode(v) != nil {
		return v
	}
	return b.String()[1 : b.Len()-2] // the quotes, and the encoder's newline
}

// ascii writes what isn't ASCII as \uXXXX.
func ascii(v string) string {
	var b strings.Builder
	for _, r := range v {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

// shell is v inside single quotes (of sh and of Python's shlex), inside double quotes, and with a backslash
// before each character that a shell minds (bash's printf %q).
func shell(v string) []string {
	var slashed strings.Builder
	for _, r := range v {
		if strings.ContainsRune(" \t!\"#$&'()*,;<=>?[\\]^`{|}~", r) {
			slashed.WriteByte('\\')
		}
		slashed.WriteRune(r)
	}
	out := []string{strings.ReplaceAll(v, "'", `'\''`), strings.ReplaceAll(v, "'", `'"'"'`),
		strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(v)}
	// bash leaves these bare, each at times.
	s := slashed.String()
	return append(out, s, strings.NewReplacer(`\=`, "=", `\~`, "~", `\#`, "#").Replace(s), strings.ReplaceAll(s, `\=`, "="))
}

// percent is v in a URL: query and path of Go, encodeURIComponent of JavaScript, the strictest rule (RFC 3986,
// as AWS signs), each in upper and lower case.
func percent(v string) []string {
	strict := strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	component := strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(strict)
	var out []string
	for _, s := range []string{url.QueryEscape(v), url.PathEscape(v), strict, component, strings.ReplaceAll(strict, "~", "%7E"),
		strings.ReplaceAll(url.QueryEscape(v), "%2A", "*"), strings.TrimPrefix(url.UserPassword("", v).String(), ":")} {
		out = append(out, s, lowerPercent(s))
	}
	return out
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' && i+2 < len(b) {
			copy(b[i:], strings.ToLower(s[i:i+3]))
		}
	}
	return string(b)
}

// inBase64 is what of v's encoding doesn't depend on what stands before and after it, for each of the three
// alignments. The character it shares with a neighbour stays: at most four bits at either end. By itself v
// goes whole, also where it is wrapped at 76 or 64 characters.
func inBase64(e *base64.Encoding, v string) []string {
	whole := e.EncodeToString([]byte(v))
	out := []string{whole, whole + strings.Repeat("=", (4-len(whole)%4)%4)}
	for before := range 3 {
		all := e.EncodeToString(append(make([]byte, before), v...))
		from, to := (before*8+5)/6, (before+len(v))*8/6
		if to-from >= Least {
			out = append(out, all[from:to])
		}
	}
	for _, width := range []int{64, 76} {
		for rest := whole; len(whole) > width && rest != ""; {
			n := min(width, len(rest))
			if n >= leastPart {
				out = append(out, rest[:n])
			}
			rest = rest[n:]
		}
	}
	return out
}

// bytewise is v as a list of its bytes: Go's %v, Python's list, a Node.js Buffer, a hex dump, \xNN.
func bytewise(v string) []string {
	var out []string
	for _, form := range []struct{ verb, between string }{{"%d", " "}, {"%d", ","}, {"%d", ", "}, {"%02x", " "}, {"%02x", ":"}, {"%02X", ":"}, {`\x%02x`, ""}, {"0x%x", ", "}} {
		each := make([]string, len(v))
		for i := range len(v) {
			each[i] = fmt.Sprintf(form.verb, v[i])
		}
		out = append(out, strings.Join(each, form.between))
	}
	return out
}
