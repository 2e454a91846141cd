package comment_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
)

// dueWith is a scan with a secret in each state, whose texts are all s; "" stands for usual ones.
func dueWith(s string) overdue.Scan {
	or := func(usual string) string {
		if s != "" {
			return s
		}
		return usual
	}
	at := reporttest.Monday
	scan := overdue.Scan{At: at}
	for i, state := range overdue.States {
		h := overdue.Here{Environment: or("prod"), State: state, Due: at.AddDate(0, 0, i-4), Since: at.AddDate(0, 0, i-9), Why: or(fmt.Sprintf("%d days old, interval 90 days: the registry says so", 94-i)),
			Age: &overdue.Age{Since: at.AddDate(0, 0, i-94), Source: overdue.Live, Text: or("version 1f3e… of shop/app is of 2026-08-18")}}
		if state == overdue.Stuck || state == overdue.InProgress {
			h.Why = or("waits for approval, for 6 days")
			h.Open = &overdue.Open{Rotation: or("2026-11-16-app"), Short: or("waits for approval"), Why: or("a reviewer of rekey-prod answers"), Pull: 12}
		}
		scan.Standings = append(scan.Standings, overdue.Standing{Secret: or("shop/" + strings.ReplaceAll(string(state), " ", "-")), Kind: or("secretsmanager"), Owner: or("@rastup/shop"),
			Interval: calendar.Interval{Days: 90}, Here: h, Places: []overdue.Here{h}})
	}
	scan.Findings = []overdue.Finding{
		{Rule: overdue.RulePastRekey, Secret: or("shop/current"), Environment: or("prod"), Text: or("what is live was made on 2026-11-12, after the last rotation by Rekey (2026-08-14)"), Hint: or("rotate it by a request, or tell who did it")},
		{Rule: overdue.RuleSecretWithoutRow, Environment: or("prod"), Text: or("legacy/ftp is in the account, and no row of the registry names it")},
	}
	return scan
}

func TestWhatIsDue(t *testing.T) {
	for name, s := range map[string]string{"usual": "", "hostile": strings.ToValidUTF8(reporttest.Hostile, "?")} {
		scan := dueWith(s)
		one, told := scan.Standings[1], map[string]string{}
		told[one.Secret] = "primary told"
		o := comment.OverdueOptions{Next: scan.At.AddDate(0, 0, 1), Report: "https://github.example/report", Requests: map[string]string{one.Secret: "#14"}, Told: told, Late: 30 * time.Hour}
		body := comment.Overdue(scan, o)
		if at, ok := comment.ParseOverdue(body); !ok || !at.Equal(scan.At) {
			t.Errorf("%s: scanned %s, %t", name, at, ok)
		}
		whole(t, name, body)
		golden(t, "overdue-"+name+".md", body)
		var all []comment.Escalation
		for _, one := range scan.Standings[:2] {
			all = append(all, comment.Escalation{Standing: one, Level: "primary", Who: []string{"@rastup/security-oncall"}, After: "7 days"})
		}
		escalated := comment.Escalated(all)
		if keys, ok := comment.ParseEscalated(escalated); !ok || len(keys) != 2 || keys[0] != all[0].Key() {
			t.Errorf("%s: told %q, %t", name, keys, ok)
		}
		whole(t, name, escalated)
		golden(t, "overdue-told-"+name+".md", escalated)
		w := overdue.Want{Slug: "owner-shop", Owner: one.Owner, Secrets: []overdue.Standing{scan.Standings[1], scan.Standings[3]}}
		p := comment.Proposed{Consumers: map[string][]string{one.Secret: {"prod: ecs web", "prod: lambda " + one.Secret}}, Windows: []string{"prod: 2026-12-01 02:00 to 04:00 UTC"}, Silent: name == "usual"}
		title, body := comment.Rotation(w, p)
		if about, ok := comment.ParseRotation(body); !ok || about.Key != w.Key() {
			t.Errorf("%s: about %q, %t", name, about.Key, ok)
		}
		whole(t, name, body)
		golden(t, "rotate-"+name+".md", title+"\n\n"+body)
	}
}

// Nobody is called, and nothing linked, by what a text holds: but who is told, and the owner of a rotation.
func FuzzWhatIsDue(f *testing.F) {
	f.Add(reporttest.Hostile)
	f.Add("@ana <!-- x --> #12 :+1:")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 2000 || strings.TrimSpace(s) == "" {
			return
		}
		scan := dueWith(s + " !")
		for i := range scan.Standings {
			if o := scan.Standings[i].Open; o != nil {
				o.Pull = 0
			}
		}
		body := comment.Overdue(scan, comment.OverdueOptions{})
		calls(t, "status", whole(t, "status", body))
		if !comment.SameOverdue(body, strings.ReplaceAll(body, "\n", "\r\n")) {
			t.Error("as GitHub gives it back it is another")
		}
		calls(t, "told", whole(t, "told", comment.Escalated([]comment.Escalation{{Standing: scan.Standings[1], Level: s, Who: []string{s + " !"}, After: "7 days"}})))
		_, body = comment.Rotation(overdue.Want{Owner: s + " !", Secrets: scan.Standings[1:2]}, comment.Proposed{Consumers: map[string][]string{scan.Standings[1].Secret: {s}}, Windows: []string{s}})
		calls(t, "request", whole(t, "request", body))
		if _, ok := comment.ParseRotation(body); !ok {
			t.Errorf("%q: the request isn't found again", s)
		}
	})
}
