package registry

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/problem"
	tables "github.com/yuin/goldmark/extension/ast"
)

// The columns that mean something, in the usual order, and how many of them a table of secrets can't do without.
var columns = []string{"Secret", "Kind", "Owner", "Interval", "Last rotated", "Tags", "Due since", "Exempt until"}

const needed = 4

const (
	secretColumn = iota
	kindColumn
	ownerColumn
	intervalColumn
	lastColumn
	tagsColumn
	dueColumn
	exemptColumn
)

// table reads a table; ours says whether it is one of secrets.
func (p *page) table(t *tables.Table) (ours bool) {
	header := t.FirstChild()
	if header == nil {
		return false
	}
	var heads []string
	at := [...]int{-1, -1, -1, -1, -1, -1, -1, -1}
	known := 0
	var twice []string
	for c := header.FirstChild(); c != nil; c = c.NextSibling() {
		name, _ := p.plain(c)
		i := slices.IndexFunc(columns, func(s string) bool { return strings.EqualFold(s, strings.Join(strings.Fields(name), " ")) })
		switch {
		case i >= 0 && at[i] >= 0:
			twice = append(twice, columns[i])
		case i >= 0:
			at[i] = len(heads)
			known++
		}
		heads = append(heads, name)
	}
	if at[secretColumn] < 0 && known < 2 {
		return false
	}
	where := p.pos(header.Pos())
	for _, name := range twice {
		p.list.Add(where, "column", "remove one of the two", "two columns are named %s", name)
	}
	missing := false
	for i, name := range columns[:needed] {
		if at[i] < 0 {
			missing = true
			p.list.Add(where, "column", p.list.Suggest(name, heads), "the table has no column %s", name)
		}
	}
	if missing {
		return true
	}
	p.entries = slices.Grow(p.entries, t.ChildCount())
	for n := header.NextSibling(); n != nil; n = n.NextSibling() {
		if row, ok := n.(*tables.TableRow); ok {
			if e, ok := p.row(row, heads, at[:]); ok {
				p.entries = append(p.entries, e)
			}
		}
	}
	return true
}

// A cell is what stands in a column, and the bytes where that begins and ends; end is 0 where the row has no such cell.
type cell struct {
	text    string
	at, end int
}

func (p *page) row(row *tables.TableRow, heads []string, at []int) (Entry, bool) {
	cells := p.cells[:0]
	begin := row.Pos()
	last := begin
	var e Entry
	for c := row.FirstChild(); c != nil; c = c.NextSibling() {
		one := cell{at: begin}
		if c.Lines().Len() > 0 {
			seg := c.Lines().At(0)
			one.at, one.end = seg.Start, seg.Stop
			last = max(last, seg.Stop)
		}
		text, why := p.plain(c)
		one.text = text
		switch column := slices.Index(at, len(cells)); {
		case column >= 0 && why != "":
			hint := "write plain text"
			if why == struck {
				hint = "remove the row when the secret is gone"
			}
			p.list.Add(p.pos(one.at), "column", hint, "there is %s in the column %s", why, columns[column])
			return e, false
		case column < 0 && text != "":
			if e.Extra == nil {
				e.Extra = map[string]string{}
			}
			e.Extra[heads[len(cells)]] = text
		}
		cells = append(cells, one)
	}
	p.cells = cells
	p.surplus(last)
	get := func(column int) cell {
		if at[column] < 0 {
			return cell{at: begin}
		}
		return cells[at[column]]
	}
	if name := get(secretColumn).text; !isSecretName(name) && name != "" && !slices.ContainsFunc(cells, func(c cell) bool { return c.text != "" && c.text != name }) {
		p.list.Add(p.pos(begin), "column", "leave an empty line below the table", "this line counts as a row of the table")
		return e, false
	}
	ok := p.secret(&e, get(secretColumn))
	p.kind(&e, get(kindColumn))
	p.owner(&e, get(ownerColumn))
	p.interval(&e, get(intervalColumn))
	p.lastRotated(&e, get(lastColumn))
	p.tags(&e, get(tagsColumn))
	e.Due, e.Exempt = p.mark(get(dueColumn), "due-since"), p.mark(get(exemptColumn), "exempt-until")
	return e, ok
}

// mark reads a date and why it stands there.
func (p *page) mark(c cell, rule string) (m Mark) {
	if slices.Contains([]string{"", "-", "–", "—"}, c.text) {
		return m
	}
	const hint = "write a date and why, like 2026-11-25 read in the clear by a contractor"
	date, why, _ := strings.Cut(c.text, " ")
	t, err := calendar.ParseDate(strings.TrimRight(date, ":,"))
	if why = strings.TrimSpace(why); err == nil && why != "" {
		return Mark{Date: t, Why: why}
	}
	if err == nil {
		p.list.Add(p.pos(c.at), rule, hint, "%s says no reason", problem.Quote(c.text))
	} else {
		p.list.Add(p.pos(c.at), rule, hint, "%v", err)
	}
	return m
}

// surplus reports cells beyond the header's: Markdown drops them, and with them what the writer meant.
func (p *page) surplus(last int) {
	rest := p.Bytes[last:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	rest = bytes.TrimSpace(rest)
	rest = bytes.TrimSpace(bytes.TrimPrefix(rest, []byte("|")))
	if len(rest) > 0 {
		p.list.Add(p.pos(last), "column", `a | inside a cell is written \|`, "the row has more cells than the table has columns")
	}
}

var (
	ownerName = regexp.MustCompile(`^@[A-Za-z0-9](-?[A-Za-z0-9]){0,38}(/[A-Za-z0-9_.-]{1,100})?$`)
	tagName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
)

// isSecretName says whether s is names with a slash between: each begins and ends with a letter or digit.
func isSecretName(s string) bool {
	edge := true // the next character must be a letter or digit
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			edge = false
		case edge, c != '-' && c != '_' && c != '.' && c != '/':
			return false
		case c == '/' && !isAlnum(s[i-1]), c == '.' && s[i-1] == '.':
			return false
		default:
			edge = c == '/'
		}
	}
	return s != "" && isAlnum(s[len(s)-1])
}

func isAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

const mostName = 120 // characters: the name is part of paths, keys and session names

func (p *page) secret(e *Entry, c cell) bool {
	e.Secret, e.Pos = c.text, p.pos(c.at)
	switch {
	case c.text == "":
		p.list.Add(p.pos(c.at), "secret-name", "", "the row names no secret")
		return false
	case len(c.text) > mostName:
		p.list.Add(p.pos(c.at), "secret-name", "", "the name is longer than %d characters", mostName)
		return false
	case !isSecretName(c.text):
		p.list.Add(p.pos(c.at), "secret-name", "use a-z, 0-9, hyphens, dots and underscores between slashes, like payments/stripe-webhook",
			"%s can't be a secret's name", problem.Quote(c.text))
		return false
	}
	return true
}

func (p *page) kind(e *Entry, c cell) {
	if e.Kind, e.kindAt = c.text, c.at; c.text == "" {
		p.list.Add(p.pos(c.at), "missing-kind", "", "%s has no kind", said(e))
	}
}

func (p *page) owner(e *Entry, c cell) {
	e.Owner = c.text
	const hint = "write @user or @org/team"
	if c.text == "" {
		p.list.Add(p.pos(c.at), "missing-owner", hint, "%s has no owner", said(e))
	} else if !p.owners[c.text] && !ownerName.MatchString(c.text) {
		p.list.Add(p.pos(c.at), "owner", hint, "%s isn't an owner", problem.Quote(c.text))
	} else {
		p.owners[c.text] = true
	}
}

func (p *page) interval(e *Entry, c cell) {
	if known, ok := p.intervals[c.text]; ok {
		e.Interval = known
		return
	}
	i, err := calendar.ParseInterval(c.text)
	if e.Interval = i; err == nil {
		p.intervals[c.text] = i
	} else if c.text == "" {
		p.list.Add(p.pos(c.at), "missing-interval", calendar.HintOf(err), "%s has no interval", said(e))
	} else {
		p.list.Add(p.pos(c.at), "interval", calendar.HintOf(err), "%v", err)
	}
}

func (p *page) lastRotated(e *Entry, c cell) {
	switch e.lastAt, e.lastEnd = c.at, c.end; strings.ToLower(c.text) {
	case "", "never", "-", "–", "—":
		return
	}
	t, err := calendar.ParseDate(c.text)
	if err != nil {
		p.list.Add(p.pos(c.at), "last-rotated", calendar.HintOf(err)+", or never", "%v", err)
		e.lastEnd = 0
	}
	e.LastRotated = t
}

func (p *page) tags(e *Entry, c cell) {
	if known, ok := p.tagLists[c.text]; ok {
		e.Tags = slices.Clip(known)
		return
	}
	before := p.list.Len()
	for _, tag := range strings.FieldsFunc(c.text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		switch {
		case !tagName.MatchString(tag):
			p.list.Add(p.pos(c.at), "tag", "use a-z, 0-9 and hyphens, with commas between tags", "%s can't be a tag", problem.Quote(tag))
		case slices.Contains(e.Tags, tag):
			p.list.Add(p.pos(c.at), "duplicate-item", "remove one of the two", "the tag %s is there twice", tag)
		default:
			e.Tags = append(e.Tags, tag)
		}
	}
	if p.list.Len() == before {
		p.tagLists[c.text] = e.Tags
	}
}

// said names an entry in a message.
func said(e *Entry) string {
	if e.Secret == "" {
		return "the row"
	}
	return problem.Quote(e.Secret)
}
