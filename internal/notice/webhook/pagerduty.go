package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/rastup/rekey/internal/report"
)

// pagerDuty is an integration of the Events API v2 (PagerDuty developer documentation, "Send an Alert Event" and
// "Events API v2 Overview"): 202 is accepted, 429 and 5xx are to be tried again, anything else isn't. It knows an event
// again by its dedup_key. Whom to call next its own escalation policy knows: it isn't told of ours.
type pagerDuty struct {
	url        string
	key        string // a secret
	problem    string
	hint       string
	repository string
}

// Integration keys have this form: PagerDuty refuses others.
var integrationKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

// PagerDuty is a service with an Events API v2 integration at base. key comes from the environment variable called from.
// repository, owner/name, is the source of its events. A key that can't be one is a channel that is never told.
func PagerDuty(name, from, base, key, repository string, tells func(severity string) bool) Channel {
	p := pagerDuty{url: base + "/v2/enqueue", key: key, repository: repository}
	switch {
	case key == "":
		p.problem, p.hint = from+" is empty in this job", "give the step env: "+from+": ${{ secrets."+from+" }}"
	case !integrationKey.MatchString(key):
		p.problem, p.hint = from+" is not an integration key", "it is the 32 letters and digits of an Events API v2 integration, not those of a REST API key"
	}
	return Channel{name, tells, p}
}

var pagerDutySeverities = map[string]string{"SEV1": "critical", "SEV2": "error", "SEV3": "warning", "SEV4": "info"}

type pagerDutyEvent struct {
	RoutingKey  string            `json:"routing_key"`
	EventAction string            `json:"event_action"`
	DedupKey    string            `json:"dedup_key"`
	Client      string            `json:"client,omitempty"`
	ClientURL   string            `json:"client_url,omitempty"`
	Payload     *pagerDutyPayload `json:"payload,omitempty"`
	Links       []pagerDutyLink   `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp,omitempty"`
	Component string            `json:"component,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func (p pagerDuty) message(e event) (string, []byte, bool) {
	if e.what == Escalated {
		return "", nil, false
	}
	if p.problem != "" {
		return "", nil, true
	}
	out := pagerDutyEvent{RoutingKey: p.key, EventAction: "resolve", DedupKey: "rekey/" + report.Cut(p.repository, 200) + "/" + e.Key}
	if e.what == Opened {
		severity, known := pagerDutySeverities[e.Severity]
		if !known {
			severity = "error"
		}
		detail := func(s string) string { return report.Cut(report.Line(s), 300) }
		out.EventAction, out.Client, out.ClientURL = "trigger", "Rekey", e.Issue.URL
		out.Payload = &pagerDutyPayload{
			Summary: report.Cut(e.Severity+": "+report.Line(e.Summary), 500), // of 1,024; a column is two characters at most
			Source:  p.repository, Severity: severity, Component: detail(e.Chain), Class: "secret rotation",
			Details: map[string]string{"severity": e.Severity, "old_credential": detail(e.Old), "owner": detail(e.Owner), "ticket": detail(e.Ticket)},
		}
		if !e.At.IsZero() {
			out.Payload.Timestamp = e.At.UTC().Format(time.RFC3339)
		}
		for _, l := range []pagerDutyLink{{e.Issue.URL, fmt.Sprintf("incident #%d", e.Issue.Number)}, {e.Evidence, "evidence"}} {
			if slackLink(l.Href, "x") != "" {
				out.Links = append(out.Links, l)
			}
		}
	}
	body, _ := json.Marshal(out) // plain strings: they always marshal
	return p.url, body, true
}

func (p pagerDuty) refusal(status int, body []byte) (problem, hint string) {
	switch {
	case p.problem != "":
		return p.problem, p.hint
	case status == http.StatusBadRequest && (bytes.Contains(body, []byte("routing_key")) || bytes.Contains(body, []byte("routing key"))):
		return "PagerDuty answered 400: it doesn't know the integration key", "put the integration key of an Events API v2 integration into the secret, and see whether region is its account's"
	}
	return fmt.Sprintf("it answered %d", status), "see whether the integration is still there, and whether region and api_base are right"
}
