package webhook

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/report"
)

// slack is an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"), or one compatible with it.
type slack struct {
	url      string // a secret
	problem  string // why there is no address; "" there is
	hint     string
	mentions string // in Slack's form, "<!here>"; "" nobody
}

// Slack is a channel with an incoming webhook. address comes from the environment variable called from; mention is as in
// the configuration. An address that can't be one is a channel that is never told, and says so each time.
func Slack(name, from, address, mention string, tells func(severity string) bool) Channel {
	s := slack{url: address, mentions: slackMention(mention)}
	u, err := url.Parse(address)
	switch {
	case address == "":
		s.problem, s.hint = from+" is empty in this job", "give the step env: "+from+": ${{ secrets."+from+" }}"
	case err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		s.url, s.problem, s.hint = "", from+" is not the URL of a webhook", "it begins with https://, as Slack shows it"
	}
	return Channel{name, tells, s}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// slackMention is how a message calls somebody (docs.slack.dev, "Formatting message text").
func slackMention(who string) string {
	switch {
	case who == "":
		return ""
	case who == "here" || who == "channel":
		return "<!" + who + ">"
	case strings.HasPrefix(who, "S"):
		return "<!subteam^" + who + ">"
	}
	return "<@" + who + ">"
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

// slackSection is the most a section's text may have (docs.slack.dev, section block).
const slackSection = 3000

func (s slack) message(e event) (string, []byte, bool) {
	if s.problem != "" {
		return "", nil, true
	}
	head := map[string]string{
		Opened:    ":rotating_light: *" + e.Severity + " · " + slackEscape(e.Summary, 200) + "*",
		Escalated: strings.TrimSpace(s.mentions + " :rotating_light: *" + e.Severity + " · nobody has reacted yet: " + slackEscape(e.Summary, 200) + "*"),
		Resolved:  ":white_check_mark: *Over: the incident of " + slackEscape(e.Chain, 200) + "*",
	}[e.what]
	lines := []string{head}
	if e.Old != "" && e.what != Resolved {
		lines = append(lines, "Old credential: "+slackEscape(e.Old, 200))
	}
	var about []string
	if e.Owner != "" {
		about = append(about, "owner "+slackEscape(e.Owner, 60))
	}
	if e.Ticket != "" {
		about = append(about, "ticket "+slackEscape(e.Ticket, 60))
	}
	about = filled(append(about, slackLink(e.Issue.URL, fmt.Sprintf("incident #%d", e.Issue.Number))))
	if evidence := slackLink(e.Evidence, "evidence"); evidence != "" {
		about = append(about, evidence)
	}
	whole := strings.Join(append(lines, strings.Join(about, " · ")), "\n")
	if utf8.RuneCountInString(whole) > slackSection { // with an address that long; the rest is short
		whole = strings.Join(append(lines, strings.Join(about[:len(about)-1], " · ")), "\n")
	}
	// What isn't a block is for notifications, and for others than Slack, which know text alone. verbatim: nothing in it
	// becomes a mention or a link but what was written as one.
	body, _ := json.Marshal(struct { // plain strings: they always marshal
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{whole, []slackBlock{{"section", slackText{"mrkdwn", whole, true}}}})
	return s.url, body, true
}

// slackEscape is any text as one that calls nobody and links nothing: the three characters that mean something to Slack
// are escaped as it asks, and what others take for a mention is put apart.
func slackEscape(s string, width int) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u2060").Replace(report.Cut(report.Line(s), width))
}

// slackLink leaves out an address that could end the link.
func slackLink(address, label string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(address, func(r rune) bool {
		return r <= ' ' || r >= utf8.RuneSelf || strings.ContainsRune("<>|\"", r)
	}) {
		return ""
	}
	return "<" + strings.ReplaceAll(address, "&", "&amp;") + "|" + label + ">"
}

func filled(all []string) (some []string) {
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// Slack's own words for a definite no, each a line of plain text (docs.slack.dev, incoming webhooks, "Handling errors";
// Slack changelog of 17 May 2016). Nothing else of an answer is quoted.
var slackWords = map[string]string{
	"invalid_payload":                   "this is a mistake of Rekey's: report it",
	"invalid_blocks":                    "this is a mistake of Rekey's: report it",
	"no_text":                           "this is a mistake of Rekey's: report it",
	"user_not_found":                    "make a new webhook: who made this one is gone",
	"channel_not_found":                 "make a new webhook: its channel is gone",
	"channel_is_archived":               "unarchive the channel, or make a webhook for another",
	"action_prohibited":                 "ask who administers the workspace: it doesn't let webhooks write there",
	"posting_to_general_channel_denied": "ask who administers the workspace, or use another channel",
	"invalid_token":                     "make a new webhook, and put its URL into the secret: this one was revoked",
	"no_service":                        "make a new webhook, and put its URL into the secret: this one was removed or turned off",
	"no_active_hooks":                   "make a new webhook, and put its URL into the secret: this one was turned off",
	"no_team":                           "look at the webhook's URL: its workspace isn't there",
	"team_disabled":                     "make a webhook in another workspace: this one is closed",
}

func (s slack) refusal(status int, body []byte) (problem, hint string) {
	if s.problem != "" {
		return s.problem, s.hint
	}
	word := strings.TrimSpace(string(body))
	if hint, known := slackWords[word]; known {
		return fmt.Sprintf("Slack answered %d %s", status, word), hint
	}
	if status/100 == 3 {
		return fmt.Sprintf("it answered %d, and a redirect isn't followed", status), "put the address it leads to into the secret, if that is trusted"
	}
	hint = "see whether the webhook is still there"
	if status == http.StatusNotFound {
		hint = "make a new webhook, and put its URL into the secret: there is none at this address"
	}
	return fmt.Sprintf("it answered %d", status), hint
}
