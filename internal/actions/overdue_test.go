package actions

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/inputs"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
)

// Each level is told of a secret when its days have passed, from its date or from when its rotation got stuck.
func TestEscalationsByDaysOverdue(t *testing.T) {
	const day = rotation.Duration(24 * time.Hour)
	j, _ := runner(t, nil)
	j.app.Inputs = &inputs.Inputs{Config: &config.Config{
		Escalation: &config.Escalation{Primary: []string{"@rastup/security-oncall"}, Secondary: []string{"@sam-sre"}, Liaison: map[string][]string{"pci": {"@rastup/audit"}}},
		Overdue:    config.Overdue{Escalate: &config.Escalate{Primary: 7 * day, Secondary: 14 * day, Liaison: 14 * day}},
	}}
	at := time.Date(2026, 11, 22, 5, 41, 0, 0, time.UTC)
	d := &daily{job: j, scan: overdue.Scan{At: at}}
	add := func(name string, days int, short time.Duration, state overdue.State, tags ...string) {
		h := overdue.Here{State: state, Since: at.AddDate(0, 0, -days).Add(short)}
		if state == overdue.Stuck {
			h.Environment, h.Why, h.Open = "prod", "waits for approval, for 12 days", &overdue.Open{Rotation: name, Short: "waits for approval", Pull: 12}
		}
		d.scan.Standings = append(d.scan.Standings, overdue.Standing{Secret: name, Owner: "@ana-sec", Tags: tags, Here: h})
	}
	add("shop/stuck", 9, 0, overdue.Stuck)
	add("shop/card", 14, 0, overdue.Overdue, "pci")
	add("shop/week", 7, 0, overdue.Overdue)
	add("shop/less", 7, time.Second, overdue.Overdue)
	d.scan.Standings = append(d.scan.Standings, overdue.Standing{Secret: "shop/soon", Here: overdue.Here{State: overdue.DueSoon}})
	all, told := d.escalations()
	want := map[string]string{"shop/stuck": "primary told", "shop/card": "primary, secondary and liaison told", "shop/week": "primary told"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	body := comment.Escalated(all)
	if keys, ok := comment.ParseEscalated(body); !ok || len(keys) != 5 || len(slices.Compact(slices.Sorted(slices.Values(keys)))) != 5 {
		t.Errorf("keys %q", keys)
	}
	status := comment.Overdue(d.scan, comment.OverdueOptions{Told: told})
	goldentest.Equal(t, "escalated.md", body+"\n=====\n\n"+status)
	for secret := range maps.Keys(told) {
		if !strings.Contains(status, "told") || !strings.Contains(status, secret) {
			t.Errorf("the status issue doesn't say who was told of %s", secret)
		}
	}
}
