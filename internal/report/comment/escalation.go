package comment

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// Calls are who the texts of an incident call: people "@login", teams "@owner/team".
type Calls struct {
	Primary, Liaison []string      // at once
	Secondary        []string      // by IncidentEscalated; until then named, not called
	After            time.Duration // without a reaction, until that
}

// line calls who is to know at once, and says what counts as a reaction.
func (c Calls) line() string {
	var all []string
	if on := people(c.Primary, true); on != "" {
		all = append(all, "**On call:** "+on+".")
	}
	if liaison := people(c.Liaison, true); liaison != "" {
		all = append(all, "**Compliance liaison:** "+liaison+".")
	}
	if next := people(c.Secondary, false); next != "" {
		all = append(all, fmt.Sprintf("Comment here, assign somebody or change a label once somebody is on it: after %s without that, %s is called as well.", report.Span(c.After), next))
	}
	return strings.Join(all, " ")
}

// IncidentEscalated is the comment that calls who is next, where nobody has reacted to an incident. ok is false where
// there is nobody to call.
func IncidentEscalated(v report.View, environment string, calls Calls) (body string, ok bool) {
	v, s, ok := in(v, environment)
	next := people(calls.Secondary, true)
	if !ok || next == "" {
		return "", false
	}
	d := &document{marker: marker(escalatedMarker, subject{IncidentKey(v, s)})}
	first := people(calls.Primary, false)
	if first != "" {
		first = " First on call: " + first + "."
	}
	d.add(0, fmt.Sprintf("%s, nobody has reacted to this incident within %s.%s", next, report.Span(calls.After), first))
	d.add(0, fmt.Sprintf("**%s · %s · %s**. Old credential: %s. Comment here once you are on it.", name(v.Secret), name(s.Name), markdown.Cut(s.Short, nameWidth), markdown.Cut(s.Old, lineWidth)))
	return d.within(Most), true
}

// ParseIncidentEscalated says whether body is such a comment, and the incident's key.
func ParseIncidentEscalated(body string) (key string, ok bool) {
	return parseSubject(body, escalatedMarker)
}

// A Telling is one message about an incident to a place outside GitHub.
type Telling struct {
	Channel string // by its name: its address is a secret
	Event   string // "opened", "escalated", "resolved"
	Problem string // why it wasn't told; "" it was
}

type notified struct {
	Key  string    `json:"key"`
	Told []message `json:"told"`
}

type message struct {
	Channel string `json:"channel"`
	Event   string `json:"event"`
}

// Notified is the comment on an incident that says which places outside GitHub were told of it. Its marker holds those
// that were; key is the incident's.
func Notified(key string, all []Telling) string {
	m := notified{Key: key, Told: []message{}}
	var done, open []string
	for _, t := range all {
		what := markdown.Cut(t.Channel, nameWidth) + ", " + markdown.Cut(t.Event, nameWidth)
		if t.Problem == "" {
			m.Told = append(m.Told, message{t.Channel, t.Event})
			done = append(done, "- ✅ "+what)
		} else {
			open = append(open, fmt.Sprintf("- ❌ %s: **not told.** %s. The next run tries again.", what, upper(markdown.Cut(t.Problem, textWidth))))
		}
	}
	d := &document{marker: marker(notifiedMarker, m)}
	d.add(0, "Messages about this incident outside GitHub:\n\n"+strings.Join(append(open, done...), "\n"))
	return d.within(Most)
}

// ParseNotified says whether body is such a comment, of which incident, and what was told where.
func ParseNotified(body string) (key string, done []Telling, ok bool) {
	var m notified
	if !parse(body, notifiedMarker, &m) || !isHex(m.Key, 16) {
		return "", nil, false
	}
	for _, x := range m.Told {
		done = append(done, Telling{Channel: x.Channel, Event: x.Event})
	}
	return m.Key, done, true
}

// A Brief is an incident in plain text, for places outside GitHub: what stands where, and nothing that a service or a
// command said. Its texts are single lines, and may be hostile.
type Brief struct {
	Key      string // see IncidentKey
	Chain    string // "app/database in stage"
	Summary  string // "Rotation of app/database in stage: rolled back"
	Old      string // where the old credential is
	Owner    string // "" unknown
	Ticket   string // likewise
	Evidence string // URL; "" none
	At       time.Time
}

// IncidentBrief is the incident of v's environment in brief; ok as with Incident.
func IncidentBrief(v report.View, environment string, o Options) (b Brief, ok bool) {
	v, s, ok := in(v, environment)
	if !ok || s.Began == 0 {
		return Brief{}, false
	}
	b = Brief{Key: IncidentKey(v, s), Chain: report.Line(v.Secret) + " in " + report.Line(s.Name), Summary: summary(v, s), Old: report.Line(s.Old),
		Owner: report.Line(v.Owner), Ticket: report.Line(v.Ticket), At: s.At()}
	if o.Evidence != nil && s.Records > 0 {
		_, b.Evidence = o.Evidence(v, s)
	}
	return b, true
}

func summary(v report.View, s report.Standing) string {
	return fmt.Sprintf("Rotation of %s in %s: %s", report.Line(v.Secret), report.Line(s.Name), report.Line(s.Short))
}
