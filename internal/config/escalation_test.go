package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/config"
)

func TestWhoIsCalledAboutAnIncident(t *testing.T) {
	c := parse(t, `
environments: [{name: dev, severity: SEV4}, {name: prod, severity: SEV1}]
evidence: {store: 'file://e'}
escalation:
  primary: ["@rastup/security-oncall"]
  secondary: ["@sam-sre"]
  after: 45m
  severities: {SEV1: {after: 10m}}
  liaison: {dsar: ["@pia-counsel"], pci: ["@rastup/audit", "@pia-counsel"]}
notifications:
  - slack: {url_from: SLACK_WEBHOOK}
    severities: [SEV1]
  - pagerduty: {routing_key_from: PAGERDUTY_KEY, region: eu}
  - pagerduty: {routing_key_from: OTHER_KEY, api_base: "http://127.0.0.1:8080/"}
    name: proxy
`)
	primary, secondary := []string{"@rastup/security-oncall"}, []string{"@sam-sre"}
	for _, x := range []struct {
		severity string
		tags     []string
		want     config.OnCall
	}{
		{"SEV1", nil, config.OnCall{Primary: primary, Secondary: secondary, After: 10 * time.Minute}},
		{"SEV4", []string{"card"}, config.OnCall{Primary: primary, Secondary: secondary, After: 45 * time.Minute}},
		{"SEV4", []string{"dsar", "pci"}, config.OnCall{Primary: primary, Secondary: secondary, After: 45 * time.Minute, Liaison: []string{"@pia-counsel", "@rastup/audit"}}},
	} {
		if d := cmp.Diff(x.want, c.OnCall(x.severity, x.tags)); d != "" {
			t.Errorf("%s %v (-want +got):\n%s", x.severity, x.tags, d)
		}
	}
	if d := cmp.Diff(config.OnCall{}, parse(t, least).OnCall("SEV1", []string{"dsar"})); d != "" {
		t.Error(d)
	}
	for i, want := range []struct {
		name, address string
		sev1, sev4    bool
	}{
		{"slack", "", true, false},
		{"pagerduty", "https://events.eu.pagerduty.com", true, true},
		{"proxy", "http://127.0.0.1:8080", true, true},
	} {
		n := c.Notifications[i]
		if n.Name != want.name || n.Tells("SEV1") != want.sev1 || n.Tells("SEV4") != want.sev4 || n.PagerDuty != nil && n.PagerDuty.Address() != want.address {
			t.Errorf("%+v, want %+v", n, want)
		}
	}
	if a := (config.PagerDuty{}).Address(); a != "https://events.pagerduty.com" {
		t.Error(a)
	}
}

// Who isn't named for a secret's tags isn't told of it; who is told first is first.
func TestWhoIsToldOfWhatStaysOverdue(t *testing.T) {
	day := 24 * time.Hour
	c := parse(t, least+`
escalation: {primary: ["@rastup/security-oncall"], secondary: ["@sam-sre"], liaison: {pci: ["@rastup/audit"]}}
overdue: {escalate: {primary: 7d, secondary: 14d, liaison: 10d}}
`)
	primary := config.Level{Name: "primary", Who: []string{"@rastup/security-oncall"}, After: 7 * day}
	secondary := config.Level{Name: "secondary", Who: []string{"@sam-sre"}, After: 14 * day}
	liaison := config.Level{Name: "liaison", Who: []string{"@rastup/audit"}, After: 10 * day}
	if d := cmp.Diff([]config.Level{primary, secondary}, c.Levels([]string{"card"})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]config.Level{primary, liaison, secondary}, c.Levels([]string{"pci"})); d != "" {
		t.Error(d)
	}
	if l := parse(t, least).Levels([]string{"pci"}); l != nil {
		t.Errorf("%+v", l)
	}
}

// What people copy from docs/github.md is right, and shows every key.
func TestThePageOfGitHubSaysWhoIsTold(t *testing.T) {
	page, err := os.ReadFile("../../docs/github.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\nescalation:")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no escalation")
	}
	c := parse(t, "environments: [{name: stage}, {name: prod, severity: SEV1}]\nevidence: {store: 'file://e'}\nescalation:"+block)
	o := c.OnCall("SEV1", []string{"dsar"})
	if len(o.Primary) == 0 || len(o.Secondary) == 0 || len(o.Liaison) == 0 || o.After != 10*time.Minute || len(c.Notifications) != 2 {
		t.Errorf("%+v %+v", o, c.Notifications)
	}
}
