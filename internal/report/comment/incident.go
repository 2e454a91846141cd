package comment

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// IncidentKey names the incident of one environment of v: one for each attempt that needs a person.
func IncidentKey(v report.View, s report.Standing) string {
	return key("incident", v.Rotation, v.Secret, s.Name, strconv.Itoa(s.Attempt))
}

// TicketKey names v's closing summary in its ticket: what is started again has another one.
func TicketKey(v report.View) string {
	parts := []string{"ticket", v.Rotation, v.Secret}
	for _, s := range v.Environments {
		if s.Attempt > 1 {
			parts = append(parts, s.Name, strconv.Itoa(s.Attempt))
		}
	}
	return key(parts...)
}

// Incident is the issue about an environment that needs a person. ok is false when v has no such environment, or no
// attempt there. The body begins with its marker, see ParseIncident. pull is the URL of the request's pull request; "" unknown.
func Incident(v report.View, environment, pull string, calls Calls, o Options) (title, body string, ok bool) {
	v, s, ok := in(v, environment)
	if !ok || s.Began == 0 {
		return "", "", false
	}
	d := &document{marker: marker(incidentMarker, About{IncidentKey(v, s), s.Name, v.Secret, s.Began})}
	d.add(0, fmt.Sprintf("**%s · %s · %s**", name(v.Secret), name(s.Name), markdown.Cut(s.Short, nameWidth)))
	d.add(0, "Old credential: "+markdown.Cut(s.Old, lineWidth)+". "+others(v, environment))
	d.add(0, calls.line())
	d.add(0, wrong(only(v, s), o))
	request := labelled("request", markdown.Cut(v.Path, lineWidth))
	if pull != "" {
		request = join(markdown.Link("the pull request", pull), request)
	}
	d.add(1, request)
	d.add(3, details("Steps", "| | "+name(s.Name)+" |\n|---|:-:|\n"+steps(v, s)))
	d.add(2, "Evidence: "+orElse(join(o.evidence(v, s), report.Count(s.Records, "record"), head(s.Head)), "none"))
	d.add(2, about(v, o))
	d.add(0, "<sub>This issue is closed by itself when this secret has rotated here after all. Closing it by hand changes nothing in the rotation.</sub>")
	return markdown.Title(summary(v, s), 200), d.within(Most), true
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// steps are rows of what was done, and what wasn't.
func steps(v report.View, s report.Standing) string {
	var b strings.Builder
	for i, st := range append(append([]report.Step(nil), s.Steps...), s.Undo...) {
		if i == 60 {
			break
		}
		what := map[report.Mark]string{report.Done: "✅", report.Failed: "❌", report.Due: "▶️", report.Ahead: "·"}[st.Mark]
		if !st.At.IsZero() {
			what += " " + short(v, st)
		}
		b.WriteString(row(name(st.Key), what))
	}
	return b.String()
}

// others says how the rotation's other environments stand.
func others(v report.View, environment string) string {
	var all []string
	for _, s := range v.Environments {
		if s.Name != environment {
			all = append(all, name(s.Name)+" "+markdown.Cut(s.Short, nameWidth))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "Elsewhere: " + strings.Join(all, ", ") + "."
}

// in is v in lasting words, and its environment of that name.
func in(v report.View, environment string) (report.View, report.Standing, bool) {
	v = v.Lasting()
	for _, s := range v.Environments {
		if s.Name == environment {
			return v, s, true
		}
	}
	return v, report.Standing{}, false
}

func only(v report.View, s report.Standing) report.View {
	v.Environments = []report.Standing{s}
	return v
}

// IncidentClosed is the comment with which an incident is closed; see Incident. ok is false while the environment
// still needs a person, too.
func IncidentClosed(v report.View, environment string, o Options) (body string, ok bool) {
	v, s, ok := in(v, environment)
	if d := s.Decision; !ok || d.State == plan.Stuck || d.State == plan.Refused || !d.State.Over() && d.Step.Phase == rotation.Rollback {
		return "", false
	}
	d := &document{marker: marker(closedMarker, subject{IncidentKey(v, s)})}
	d.add(0, fmt.Sprintf("**%s · %s · %s**: nothing is left for anybody to do here. Old credential: %s.",
		name(v.Secret), name(s.Name), markdown.Cut(s.Short, nameWidth), markdown.Cut(s.Old, lineWidth)))
	if s.Decision.State == plan.RolledBack && s.Move != "" {
		d.add(0, "The rotation itself is still to be done: "+markdown.Cut(s.Move, textWidth))
	}
	d.add(0, "Evidence: "+orElse(join(o.evidence(v, s), report.Count(s.Records, "record"), head(s.Head)), "none"))
	return d.within(Most), true
}

// Ticket is the closing summary in the runbook's ticket: what became of each environment, the checklist, and where
// the proof is. left says that the ticket couldn't be closed with it.
func Ticket(v report.View, left bool, o Options) string {
	v = v.Lasting().Told(left)
	d := &document{marker: marker(ticketMarker, closing{TicketKey(v), left})}
	d.add(0, fmt.Sprintf("%s **%s · %s**", icon(v), name(v.Secret), markdown.Cut(v.Headline(), lineWidth)))
	d.add(2, wrong(v, o))
	d.add(0, checklist(v.Checklist))
	d.add(3, table(v))
	d.add(1, evidence(v, o))
	d.add(0, about(v, o))
	return d.within(Most)
}
