package actions

import (
	"path"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/notice/webhook"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
)

func (s *survey) incidents(shown []app.Shown) (open []incident.Issue, done []incident.Success) {
	o := s.texts()
	for _, v := range shown {
		url := s.pullURL(v)
		for i, e := range v.Environments {
			wrong, success := incident.Judge(e, v.View.Environments[i])
			if wrong {
				if i, ok := s.incident(v.View, e, url, o); ok {
					open = append(open, i)
				}
			}
			if success {
				if text, ok := comment.IncidentClosed(v.View, e.Name, o); ok {
					done = append(done, incident.Success{Chain: e.Plan.Chain, Before: incident.Ends(e), Closed: text})
				}
			}
		}
	}
	return open, done
}

// incident is that of an environment of v, with all who are called about it.
func (s *survey) incident(v report.View, e report.Environment, pull string, o comment.Options) (i incident.Issue, ok bool) {
	calls := s.calls(e)
	i = incident.Issue{Chain: e.Plan.Chain, Labels: []string{s.severity(e.Name)}, Assignees: append(individuals(calls.Primary), individuals(calls.Liaison)...)}
	if len(individuals(calls.Primary)) == 0 {
		i.Assignees = append(individuals([]string{v.Owner}), i.Assignees...)
	}
	i.Title, i.Body, ok = comment.Incident(v, e.Name, pull, calls, o)
	i.Brief, _ = comment.IncidentBrief(v, e.Name, o)
	if escalated, is := comment.IncidentEscalated(v, e.Name, calls); is {
		i.Escalation = incident.Escalation{Body: escalated, Assignees: calls.Secondary, After: calls.After}
	}
	return i, ok
}

// calls are who the house rules call about an environment of a secret.
func (s *survey) calls(e report.Environment) comment.Calls {
	var tags []string
	if len(e.Records) > 0 && e.Records[0].Claim != nil {
		tags = e.Records[0].Claim.Tags
	}
	return comment.Calls(s.app.Inputs.Config.OnCall(s.severity(e.Name), tags))
}

func (s *survey) severity(environment string) string {
	if e, ok := s.app.Inputs.Config.Environment(environment); ok {
		return e.Severity
	}
	return config.DefaultSeverity
}

// individuals are those who are one person: teams can't be assigned.
func individuals(all []string) (logins []string) {
	for _, who := range all {
		if login, ok := strings.CutPrefix(who, "@"); ok && !strings.Contains(login, "/") && !slices.Contains(logins, login) {
			logins = append(logins, login)
		}
	}
	return logins
}

// channels are the places outside GitHub that are told. Their addresses and keys are in this job's environment alone, and
// hidden before they are used.
func (s *survey) channels() (all []webhook.Channel) {
	hidden := func(name string) string {
		value := strings.TrimSpace(s.Getenv(name))
		for _, part := range []string{value, path.Base(value)} { // a webhook's address ends in its token
			if len(part) >= 16 { // what is shorter may be any word
				s.app.Hide(part)
			}
		}
		return value
	}
	for _, n := range s.app.Inputs.Config.Notifications {
		switch {
		case n.Slack != nil:
			all = append(all, webhook.Slack(n.Name, n.Slack.URLFrom, hidden(n.Slack.URLFrom), n.Slack.Mention, n.Tells))
		case n.PagerDuty != nil:
			all = append(all, webhook.PagerDuty(n.Name, n.PagerDuty.RoutingKeyFrom, n.PagerDuty.Address(), hidden(n.PagerDuty.RoutingKeyFrom), s.Getenv("GITHUB_REPOSITORY"), n.Tells))
		}
	}
	return all
}

// subjects are the incidents that channels are told of: those that need a person, and those that are over. The severity is
// the issue's label, which is people's to change.
func (s *survey) subjects(cases []incident.Case) (all []webhook.Subject) {
	for _, c := range cases {
		x := webhook.Subject{Issue: c.Issue, Severity: config.DefaultSeverity}
		switch {
		case c.Incident != nil:
			x.Brief, x.Severity = c.Incident.Brief, c.Incident.Labels[0]
		case c.Issue.State == "open": // of which the journal shows nothing now
			continue
		default:
			x.Brief = comment.Brief{Key: c.About.Key, Chain: c.About.Secret + " in " + c.About.Environment}
		}
		if i := slices.IndexFunc(c.Issue.Labels, config.IsSeverity); i >= 0 {
			x.Severity = c.Issue.Labels[i]
		}
		all = append(all, x)
	}
	return all
}
