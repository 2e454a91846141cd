package comment

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// utc is an instant to the second, with its year.
func utc(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// day is a date.
func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

var issue = regexp.MustCompile(`^(?:([A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}))?#([1-9][0-9]{0,9})$`)

var jiraKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,49}-[1-9][0-9]{0,9}$`)

// untold says that v's ticket doesn't know yet how it ended.
func untold(v report.View, o Options) string {
	if m := issue.FindStringSubmatch(v.Ticket); slices.Contains(o.Untold, v.Ticket) || m != nil && slices.Contains(o.Untold, cmp.Or(m[1], o.Tickets)+"#"+m[2]) {
		return "⚠️ The ticket " + ticket(v.Ticket, o) + " doesn't tell this yet: it couldn't be written to. The next run tells it."
	}
	return ""
}

// ticket is a ticket's name; GitHub's own ("#12", "owner/name#12") become references, Jira's keys links.
func ticket(s string, o Options) string {
	m := issue.FindStringSubmatch(s)
	if o.Jira != "" && jiraKey.MatchString(s) && !strings.Contains(o.Jira, "//api.atlassian.com/") {
		return markdown.Link(s, strings.TrimSuffix(o.Jira, "/")+"/browse/"+s)
	}
	if m == nil || o.Tickets == "" {
		return markdown.Cut(s, nameWidth)
	}
	if in := cmp.Or(m[1], o.Tickets); in != o.Repository {
		return markdown.Text(in) + "#" + m[2]
	}
	return "#" + m[2]
}
