package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// DefaultAfter is how long an incident may go without a reaction where escalation doesn't say.
const DefaultAfter = rotation.Duration(30 * time.Minute)

// Escalation says who is called when a rotation needs a person, besides the secret's owner. People are written @login,
// teams @owner/team.
type Escalation struct {
	// Primary is on call: assigned to the incident (people; GitHub assigns no teams) and called in it.
	Primary []string `json:"primary" yaml:"primary" rekey:"required" like:"[\"@rastup/security-oncall\"]"`
	// Secondary is called, and assigned, when nobody has reacted in time. Default: nobody.
	Secondary []string `json:"secondary,omitempty" yaml:"secondary" like:"[\"@rastup/platform-sre\"]"`
	// After is how long nobody may react before secondary is called. Default: 30m.
	After rotation.Duration `json:"after,omitempty" yaml:"after"`
	// Severities says for SEV1 to SEV4 what is different there.
	Severities map[string]Urgency `json:"severities,omitempty" yaml:"severities"`
	// Liaison is who else is called, and assigned, for secrets with a tag, such as dsar.
	Liaison map[string][]string `json:"liaison,omitempty" yaml:"liaison"`
}

// Urgency is what is different for one severity.
type Urgency struct {
	// After is how long nobody may react before secondary is called.
	After rotation.Duration `json:"after" yaml:"after" rekey:"required"`
}

// OnCall is who is called about one incident.
type OnCall struct {
	Primary, Liaison, Secondary []string
	After                       time.Duration // without a reaction until Secondary is called
}

// OnCall is who is called about an incident of a severity, about a secret with these tags. The zero OnCall is nobody.
func (c *Config) OnCall(severity string, tags []string) (o OnCall) {
	e := c.Escalation
	if e == nil {
		return o
	}
	o = OnCall{Primary: e.Primary, Secondary: e.Secondary, After: time.Duration(cmp.Or(e.Severities[severity].After, e.After, DefaultAfter))}
	for _, t := range tags {
		for _, who := range e.Liaison[t] {
			if !slices.Contains(o.Liaison, who) {
				o.Liaison = append(o.Liaison, who)
			}
		}
	}
	return o
}

// A Notification is a place outside GitHub that is told of incidents.
type Notification struct {
	// Name tells it from others. Default: slack or pagerduty.
	Name string `json:"name,omitempty" yaml:"name" jsonschema:"pattern=^[a-z0-9][a-z0-9-]*$"`
	// Slack is a channel with an incoming webhook, of Slack's or compatible with it.
	Slack *Slack `json:"slack,omitempty" yaml:"slack"`
	// PagerDuty is a service with an Events API v2 integration.
	PagerDuty *PagerDuty `json:"pagerduty,omitempty" yaml:"pagerduty"`
	// Severities are those it is told of. Default: all.
	Severities []string `json:"severities,omitempty" yaml:"severities"`
}

// Slack is an incoming webhook.
type Slack struct {
	// URLFrom is the environment variable that holds the webhook's URL, which is a secret: never write it here.
	URLFrom string `json:"url_from" yaml:"url_from" rekey:"required"`
	// Mention is whom an escalation calls there: here, channel, or the ID of a user (U…, W…) or a user group (S…).
	// Default: nobody.
	Mention string `json:"mention,omitempty" yaml:"mention"`
}

// PagerDuty is an Events API v2 integration.
type PagerDuty struct {
	// RoutingKeyFrom is the environment variable that holds the integration key, which is a secret: never write it here.
	RoutingKeyFrom string `json:"routing_key_from" yaml:"routing_key_from" rekey:"required"`
	// Region of the PagerDuty account. Default: us.
	Region string `json:"region,omitempty" yaml:"region" jsonschema:"enum=us,enum=eu"`
	// APIBase is where events are sent instead, such as a proxy of one's own. Default: the region's.
	APIBase string `json:"api_base,omitempty" yaml:"api_base"`
}

// Address is where events are sent: PagerDuty's own for the region (support.pagerduty.com, "Service Regions" and "Safelist IPs"),
// unless APIBase says otherwise.
func (p PagerDuty) Address() string {
	switch {
	case p.APIBase != "":
		return strings.TrimSuffix(p.APIBase, "/")
	case p.Region == "eu":
		return "https://events.eu.pagerduty.com"
	}
	return "https://events.pagerduty.com"
}

// Variables are the environment variables that hold what notifications need.
func (c *Config) Variables() (names []string) {
	for _, n := range c.Notifications {
		name := ""
		switch {
		case n.Slack != nil:
			name = n.Slack.URLFrom
		case n.PagerDuty != nil:
			name = n.PagerDuty.RoutingKeyFrom
		}
		if variable().MatchString(name) && !slices.Contains(names, name) { // what isn't one may be the secret itself
			names = append(names, name)
		}
	}
	return names
}

// Tells says whether it is told of a severity.
func (n Notification) Tells(severity string) bool {
	return len(n.Severities) == 0 || slices.Contains(n.Severities, severity)
}

var (
	who       = lazy(`^@[A-Za-z0-9](-?[A-Za-z0-9]){0,38}(_[A-Za-z0-9]+)?(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$`)
	mentionID = lazy(`^(here|channel|[UWS][A-Z0-9]{2,20})$`)
	variable  = lazy(`^[A-Z_][A-Z0-9_]{0,99}$`)
)

var severities = []string{"SEV1", "SEV2", "SEV3", "SEV4"}

// IsSeverity says whether s is one of SEV1 to SEV4.
func IsSeverity(s string) bool { return slices.Contains(severities, s) }

func (c *Config) nameNotifications() {
	for i := range c.Notifications {
		n := &c.Notifications[i]
		n.Name = cmp.Or(n.Name, n.kind())
	}
}

func (n Notification) kind() string {
	if n.PagerDuty != nil {
		return "pagerduty"
	}
	return "slack"
}

// Check is what the fields' types can't say; see problem.Checker.
func (e *Escalation) Check(r *problem.Report) {
	if r.Has("primary") && len(e.Primary) == 0 {
		r.Add("primary", "value", `name who is on call: ["@rastup/security-oncall"]`, "primary names nobody")
	}
	people(r, "primary", e.Primary)
	people(r, "secondary", e.Secondary)
	for _, tag := range sorted(e.Liaison) {
		at := "liaison." + tag
		if strings.ContainsAny(tag, ".[]") { // the position can't be told
			at = "liaison"
		}
		if len(e.Liaison[tag]) == 0 {
			r.Add(at, "value", "name somebody, or remove it", "liaison names nobody for %s", problem.Quote(tag))
		}
		people(r, at, e.Liaison[tag])
	}
	if !r.Has("secondary") {
		for _, key := range []string{"after", "severities"} {
			if r.Has(key) {
				r.Add(key, "value", "name a secondary, or remove it", "%s does nothing without secondary", key)
			}
		}
	}
	if r.Has("secondary") && len(e.Secondary) == 0 {
		r.Add("secondary", "value", "name somebody, or remove it", "secondary names nobody")
	}
	for _, s := range sorted(e.Severities) {
		if !IsSeverity(s) {
			r.Add("severities."+s, "value", "it can be: "+strings.Join(severities, ", "), "no severity %s", problem.Quote(s))
		}
	}
}

func people(r *problem.Report, at string, all []string) {
	for i, name := range all {
		switch {
		case !who().MatchString(name):
			r.Add(fmt.Sprintf("%s[%d]", at, i), "name", `write a person "@login", a team "@owner/team"`, "%s is nobody GitHub could call", problem.Quote(name))
		case slices.Index(all, name) < i:
			r.Add(fmt.Sprintf("%s[%d]", at, i), "duplicate-item", "remove one of the two", "%s is listed twice", name)
		}
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (n *Notification) Check(r *problem.Report) {
	const one = "write slack: {url_from: SLACK_WEBHOOK} or pagerduty: {routing_key_from: PAGERDUTY_KEY}"
	switch {
	case n.Slack == nil && n.PagerDuty == nil && !r.Has("slack") && !r.Has("pagerduty"):
		r.Add("", "missing-key", one, "this notification names no place")
	case r.Has("slack") && r.Has("pagerduty"):
		r.Add("pagerduty", "value", "begin a new item with a hyphen", "a second place in the same item")
	}
	if r.Has("name") && !useName().MatchString(n.Name) {
		r.Add("name", "name", "use a-z, 0-9 and hyphens, at most 40", "%s can't be a name", problem.Quote(n.Name))
	}
	if r.Has("severities") && len(n.Severities) == 0 {
		r.Add("severities", "value", "leave it out for all", "severities names none: nothing would ever be told")
	}
	for i, s := range n.Severities {
		at := fmt.Sprintf("severities[%d]", i)
		if !IsSeverity(s) {
			r.Add(at, "value", "it can be: "+strings.Join(severities, ", "), "no severity %s", problem.Quote(s))
		} else if slices.Index(n.Severities, s) < i {
			r.Add(at, "duplicate-item", "remove one of the two", "%s is listed twice", s)
		}
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (s *Slack) Check(r *problem.Report) {
	fromVariable(r, "url_from", s.URLFrom, "SLACK_WEBHOOK")
	if r.Has("mention") && !mentionID().MatchString(s.Mention) {
		r.Add("mention", "value", "it is here, channel, or an ID like S0614TZR7: names call nobody there", "%s can't be called in Slack", problem.Quote(s.Mention))
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (p *PagerDuty) Check(r *problem.Report) {
	fromVariable(r, "routing_key_from", p.RoutingKeyFrom, "PAGERDUTY_KEY")
	if !r.Has("api_base") {
		return
	}
	u, err := url.Parse(p.APIBase)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "",
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		r.Add("api_base", "value", "write it like https://events.eu.pagerduty.com", "%s can't be where events are sent", problem.Quote(p.APIBase))
	case r.Has("region"):
		r.Add("region", "value", "remove one of the two", "region does nothing beside api_base")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fromVariable keeps a secret from being written into the file, and others than the one meant from being sent away.
func fromVariable(r *problem.Report, key, name, like string) {
	if !r.Has(key) {
		return
	}
	for _, theirs := range []string{"ACTIONS_", "AWS_", "GITHUB_", "INPUT_", "REKEY_", "RUNNER_"} {
		if strings.HasPrefix(name, theirs) {
			r.Add(key, "value", "use a variable of its own, such as "+like, "%s isn't for this: variables in %s… have another use", problem.Quote(name), theirs)
			return
		}
	}
	if !variable().MatchString(name) { // what isn't a name may be the secret itself: it isn't shown again
		r.Add(key, "value", "name the environment variable that holds it, such as "+like, "%s must be the name of an environment variable", key)
	}
}

// checkTold holds escalation and notifications against the environments.
func (c *Config) checkTold(r *problem.Report) {
	used := map[string]bool{}
	for _, e := range c.Environments {
		used[cmp.Or(e.Severity, DefaultSeverity)] = true
	}
	unused := func(at, s string) {
		if IsSeverity(s) && !used[s] && len(c.Environments) > 0 {
			r.Add(at, "value", "there are: "+strings.Join(sorted(used), ", "), "no environment has severity %s", s)
		}
	}
	if c.Escalation != nil {
		for _, s := range sorted(c.Escalation.Severities) {
			unused("escalation.severities."+s, s)
		}
	}
	for i, n := range c.Notifications {
		at := fmt.Sprintf("notifications[%d]", i)
		for j, s := range n.Severities {
			unused(fmt.Sprintf("%s.severities[%d]", at, j), s)
		}
		name := cmp.Or(n.Name, n.kind())
		if slices.ContainsFunc(c.Notifications[:i], func(o Notification) bool { return cmp.Or(o.Name, o.kind()) == name }) {
			r.Add(at, "duplicate-name", "give it another name: with `name: "+name+"-2` in it", "there is already a notification named %s", name)
		}
	}
}

func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
