package registry

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/problem"
)

// A Change is a later date in the column "Last rotated". Was is zero where the page said never, or nothing.
type Change struct {
	Secret  string
	Was, Is time.Time // midnight UTC
}

// Dated is the file at path with later dates in its column "Last rotated", and what that changes, in the order of its
// rows. Nothing but those cells changes, no date goes back, and secrets that aren't in the file don't matter. Where a
// cell is missing, or nobody can tell what it says, the row stays as it is and is added to l.
func (r *Registry) Dated(path string, dates map[string]time.Time, l *problem.List) (text []byte, changes []Change) {
	var rows []*Entry
	for i := range r.Entries {
		e := &r.Entries[i]
		at, named := dates[e.Secret]
		if e.page.Path != path {
			continue
		}
		text = e.page.Bytes
		if !named || !day(at).After(e.LastRotated) {
			continue
		}
		if e.lastEnd == 0 {
			l.Add(e.page.pos(e.lastAt), "last-rotated", "give it a cell with a date or never, in a column Last rotated",
				"%s was rotated on %s, and there is no place to write that", problem.Quote(e.Secret), day(at).Format(time.DateOnly))
			continue
		}
		rows = append(rows, e)
		changes = append(changes, Change{e.Secret, e.LastRotated, day(at)})
	}
	// From the end, so that the places before stay where they are.
	slices.SortFunc(rows, func(a, b *Entry) int { return cmp.Compare(b.lastAt, a.lastAt) })
	text = slices.Clone(text)
	for _, e := range rows {
		text = e.dated(text, day(dates[e.Secret]))
	}
	return text, changes
}

// dated puts a date into the entry's cell. What people wrote around the old one stays, and so does the width of the
// column while the cell has spaces left.
func (e *Entry) dated(text []byte, at time.Time) []byte {
	is, from, to := at.Format(time.DateOnly), e.lastAt, e.lastEnd
	if was := e.LastRotated.Format(time.DateOnly); !e.LastRotated.IsZero() && bytes.Count(text[from:to], []byte(was)) == 1 {
		from += bytes.Index(text[from:to], []byte(was))
		to = from + len(was)
	}
	if from == to && from > 0 && text[from-1] == ' ' && from < len(text) && text[from] == '|' {
		is += " "
	}
	wider := len(is) - (to - from)
	for wider > 0 && to+1 < len(text) && text[to] == ' ' && text[to+1] == ' ' {
		to, wider = to+1, wider-1
	}
	return slices.Replace(text, from, to, []byte(is)...)
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
