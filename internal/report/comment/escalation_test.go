package comment_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
)

func TestWhoIsCalledInAnIncident(t *testing.T) {
	v := find(t, "rolled-back").View()
	for name, c := range map[string]comment.Calls{
		"called":  {Primary: []string{"@rastup/security-oncall", "@ana-sec"}, Liaison: []string{"@pia-counsel"}, Secondary: []string{"@rastup/platform-sre"}, After: 30 * time.Minute},
		"one":     {Primary: []string{"@ana-sec"}},
		"hostile": {Primary: []string{reporttest.Hostile}, Liaison: []string{"@a/b/c"}, Secondary: []string{"@x y"}, After: 90 * time.Minute},
	} {
		_, body, _ := comment.Incident(v, "stage", "", c, options)
		escalated, ok := comment.IncidentEscalated(v, "stage", c)
		if ok != (name != "one") {
			t.Errorf("%s: escalated %t", name, ok)
		}
		if ok {
			if key, ok := comment.ParseIncidentEscalated(escalated); !ok || key != keyOf(t, body) {
				t.Errorf("%s: marker %q", name, key)
			}
			whole(t, name, escalated)
		}
		whole(t, name, body)
		if name == "hostile" {
			calls(t, name, whole(t, name, escalated))
		}
		golden(t, "escalation-"+name+".md", body+"\n=====\n\n"+escalated)
	}
}

func TestNotified(t *testing.T) {
	const key = "0123456789abcdef"
	done := []comment.Telling{{Channel: "pagerduty", Event: "opened"}, {Channel: strings.ToValidUTF8(reporttest.Hostile, "?"), Event: "escalated"}}
	got := comment.Notified(key, append([]comment.Telling{{Channel: "slack", Event: "opened", Problem: "Slack answered 403 invalid_token"}}, done...))
	golden(t, "notified.md", got)
	calls(t, "notified", whole(t, "notified", got))
	if k, all, ok := comment.ParseNotified(got); !ok || k != key || !cmp.Equal(all, done) {
		t.Errorf("%s %v %t", k, all, ok)
	}
	for _, body := range []string{"> " + got, `<!-- rekey:notified {"key":"x","told":[]} -->`, `<!-- rekey:notified {"key":"` + key + `"} -->`} {
		if _, _, ok := comment.ParseNotified(body); ok {
			t.Errorf("taken: %s", body)
		}
	}
}

// What leaves GitHub says nothing that a service or a command said.
func TestBriefs(t *testing.T) {
	var all []comment.Brief
	for _, c := range []struct{ name, env string }{{"rolled-back", "stage"}, {"decommission-stuck", "dev"}, {"hostile", "dev"}} {
		v := find(t, c.name).View()
		b, ok := comment.IncidentBrief(v, c.env, options)
		_, body, _ := comment.Incident(v, c.env, "", comment.Calls{}, options)
		if !ok || b.Key != keyOf(t, body) {
			t.Errorf("%s: %t, %+v", c.name, ok, b)
		}
		all = append(all, b)
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "briefs.json", string(b)+"\n")
	if _, ok := comment.IncidentBrief(report.View{}, "stage", options); ok {
		t.Error("of nothing")
	}
}
