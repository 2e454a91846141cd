package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// Tickets says where approval tickets are kept: on GitHub or in Jira.
type Tickets struct {
	// GitHub is the repository, owner/name, whose issues tickets like #12 are. They are closed with a summary.
	GitHub string `json:"github,omitempty" yaml:"github"`
	// Jira is where tickets like SEC-12 are. They get a summary, and are moved by a transition.
	Jira *Jira `json:"jira,omitempty" yaml:"jira"`
	// Missing says what becomes of a request whose ticket isn't there: warn shows it, refuse asks nobody until it is.
	// Default: warn.
	Missing string `json:"missing,omitempty" yaml:"missing" jsonschema:"enum=warn,enum=refuse"`
}

// Jira is a site of Jira Cloud or Jira Data Center, and who Rekey is there.
type Jira struct {
	// URL of the site, like https://acme.atlassian.net.
	URL string `json:"url" yaml:"url" rekey:"required"`
	// Project is the key that all tickets begin with, like SEC. Default: any.
	Project string `json:"project,omitempty" yaml:"project"`
	// UserFrom is the environment variable with the address of the account that an API token of Jira Cloud belongs to.
	// Default: the token is a personal access token of Jira Data Center, which needs none.
	UserFrom string `json:"user_from,omitempty" yaml:"user_from"`
	// TokenFrom is the environment variable with the token. Only jobs that run no command of yours may have it.
	TokenFrom string `json:"token_from" yaml:"token_from" rekey:"required"`
	// Transition moves a ticket when all rotations that name it are over: its name, like Done, or its number. It leads
	// to a status that counts as done.
	Transition string `json:"transition" yaml:"transition" rekey:"required"`
	// Resolution is given with the transition, like Done. Default: the workflow's own.
	Resolution string `json:"resolution,omitempty" yaml:"resolution"`
}

// Missing tickets: see Tickets.Missing.
const (
	MissingWarn   = "warn"
	MissingRefuse = "refuse"
)

// Refuses says that a request whose ticket isn't there is asked about by nobody.
func (t *Tickets) Refuses() bool { return t != nil && t.Missing == MissingRefuse }

var (
	// Project keys begin with a capital and hold capitals, digits and underscores, ten at most unless a site says otherwise
	// (Jira Data Center documentation, "Changing the project key format"); issues have no leading zero.
	projectKey   = lazy(`^[A-Z][A-Z0-9_]{1,49}$`)
	issueKey     = lazy(`^([A-Z][A-Z0-9_]{1,49})-[1-9][0-9]{0,9}$`)
	variableName = lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Key says whether ticket is a Jira issue that may be meant here.
func (j *Jira) Key(ticket string) bool {
	m := issueKey().FindStringSubmatch(ticket)
	return m != nil && (j.Project == "" || m[1] == j.Project)
}

// TicketHint is why ticket can't be an approval ticket by where tickets are kept, as a hint; "" when it can. What isn't
// an issue on GitHub by its form may be kept elsewhere, and is never looked up.
func (c *Config) TicketHint(ticket string) string {
	if c.Tickets == nil || c.Tickets.Jira == nil || c.Tickets.Jira.Key(ticket) {
		return ""
	}
	if p := c.Tickets.Jira.Project; p != "" {
		return fmt.Sprintf("tickets are Jira issues of project %s: %s-1", p, p)
	}
	return "tickets are Jira issues: SEC-1"
}

// Check is what the fields' types can't say; see problem.Checker.
func (t *Tickets) Check(r *problem.Report) {
	switch {
	case r.Has("github") && r.Has("jira"):
		r.Add("", "value", "remove one of the two", "tickets are kept on GitHub or in Jira, not in both")
	case !r.Has("github") && !r.Has("jira"):
		r.Add("", "missing-key", "write github: owner/name, or jira: with its url", "tickets doesn't say where they are kept")
	}
	if r.Has("github") && !repository().MatchString(t.GitHub) {
		r.Add("github", "value", "write it like owner/name", "%s isn't a repository", problem.Quote(t.GitHub))
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (j *Jira) Check(r *problem.Report) {
	if r.Has("url") && !site(j.URL) { // isn't quoted: there may be a password in it
		r.Add("url", "value", "write it like https://acme.atlassian.net, without a user: a token is sent over https only", "that isn't the address of a Jira site")
	}
	if r.Has("project") && !projectKey().MatchString(j.Project) {
		r.Add("project", "value", "write its key, like SEC", "%s isn't the key of a Jira project", problem.Quote(j.Project))
		j.Project = "" // reported once, not again at every request
	}
	for key, name := range map[string]string{"user_from": j.UserFrom, "token_from": j.TokenFrom} {
		if r.Has(key) && !variableName().MatchString(name) {
			r.Add(key, "value", "name the variable that has it, like JIRA_TOKEN; never write a token into this file", "that isn't the name of an environment variable")
		}
	}
	for key, text := range map[string]string{"transition": j.Transition, "resolution": j.Resolution} {
		if r.Has(key) && (strings.TrimSpace(text) == "" || problem.Plain(text) != text) {
			r.Add(key, "value", "write its name as Jira shows it, like Done", "%s can't be a %s", problem.Quote(text), key)
		}
	}
}

// site takes https, and http on this machine. A path is where Data Center runs beside others.
func site(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "#") || problem.Plain(s) != s {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// TicketMatches says whether the whole of ticket is what the policy asks for.
func (p Policy) TicketMatches(ticket string) bool {
	if p.Ticket == "" {
		return ticket != ""
	}
	if _, err := regexp.Compile(p.Ticket); err != nil { // alone: "a)|(b" becomes valid between other parentheses
		return false
	}
	re, err := regexp.Compile(`\A(?:` + p.Ticket + `)\z`)
	return err == nil && re.MatchString(ticket)
}
