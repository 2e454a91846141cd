package comment

import (
	"cmp"
	"regexp"
	"time"

	"github.com/rastup/rekey/internal/report/markdown"
)

// utc is an instant to the second, with its year.
func utc(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// day is a date.
func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

var issue = regexp.MustCompile(`^(?:([A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}))?#([1-9][0-9]{0,9})$`)

// ticket is a ticket's name; GitHub's own ("#12", "owner/name#12") become references.
func ticket(s string, o Options) string {
	m := issue.FindStringSubmatch(s)
	if m == nil || o.Tickets == "" {
		return markdown.Cut(s, nameWidth)
	}
	if in := cmp.Or(m[1], o.Tickets); in != o.Repository {
		return markdown.Text(in) + "#" + m[2]
	}
	return "#" + m[2]
}
