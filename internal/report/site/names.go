package site

import (
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/report"
)

// names are those taken in one folder. File systems that don't tell capitals apart mustn't lose a page.
type names map[string]bool

var plain = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,150}$`)

// take makes a file name, without its ending, of any text. What lint lets pass stays readable; anything else, and what
// would be there twice, ends in a digest of it.
func (n *names) take(text string) string {
	if *n == nil {
		*n = names{}
	}
	name := registry.Slug(strings.TrimPrefix(text, "@"))
	name = strings.ReplaceAll(name, " ", "-")
	if !plain.MatchString(name) || (*n)[name] {
		sum := sha256.Sum256([]byte(text))
		name = strings.Trim(odd.ReplaceAllString(strings.ToLower(name), "-"), "-")
		name = strings.TrimPrefix(name[:min(len(name), 100)]+"-"+hex.EncodeToString(sum[:6]), "-")
	}
	(*n)[name] = true
	return name
}

var odd = regexp.MustCompile(`[^a-z0-9]+`)

// words are what templates say.
var words = template.FuncMap{
	"line":  report.Line,
	"day":   day,
	"stamp": func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"date":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"span":  report.Span,
	"count": report.Count,
	"upper": upper,
	"sign":  func(s overdue.State) string { return signs[s] },
	"class": func(s overdue.State) string { return strings.ReplaceAll(string(s), " ", "-") },
	"web":   web,
	"at":    func(root string, p any) part { return part{Root: root, P: p} },
	"table": func(root, caption string, rows any) part {
		return part{Root: root, Caption: caption, Rows: rows, States: overdue.States}
	},
}

// A part is what a template that pages share is given.
type part struct {
	Root, Caption string
	P, Rows       any
	States        []overdue.State
}

// signs say a state by shape, beside its word.
var signs = map[overdue.State]string{overdue.Stuck: "✖", overdue.Overdue: "▲", overdue.Unknown: "?", overdue.DueSoon: "◆", overdue.InProgress: "▶",
	overdue.Current: "✔", overdue.Exempt: "–"}

func day(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2 Jan 2006")
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// web is link where a browser may be led there, else "".
func web(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
