package policy_test

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

func TestAReasonTellsAReviewerSomething(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"   urgent     ":                "",
		"a\nb\tc             ":          "",
		strings.Repeat("because ", 63):  "",
		" the key is public\n since 3 ": "the key is public since 3",
		"leaked: \x1b[2J in a log":      "leaked: [2J in a log",
	} {
		got, err := policy.Reason(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestTheGlassIsBrokenByThoseWhoMay(t *testing.T) {
	root, q := policy.Person{Login: "root-admin"}, policy.Question{For: rotation.ApprovesRotation, Environment: "rekey-prod", Run: "1"}
	whole := policy.BreakGlass{Reason: "the key is public since 03:10", By: root, Event: "workflow_dispatch", Attempt: 1, Admin: true, Bypass: true}
	with := func(change func(*policy.BreakGlass)) *policy.BreakGlass {
		b := whole
		change(&b)
		return &b
	}
	of := func(state, login string) []policy.Entry {
		return []policy.Entry{{State: state, By: policy.Person{Login: login}, Environments: []string{"rekey-prod"}, Bypass: login == "root-admin"}}
	}
	for name, c := range map[string]struct {
		glass   *policy.BreakGlass
		entries []policy.Entry
		refuse  bool
		by, why string // what is on record
		no      string
	}{
		"a reason":              {glass: &whole, by: "root-admin", why: "the key is public since 03:10"},
		"a bypass that is told": {glass: &whole, entries: of("approved", "root-admin"), by: "root-admin", why: "the key is public since 03:10"},
		"an approval after all": {glass: &whole, entries: of("approved", "ana-sec"), by: "ana-sec"},
		"a no":                  {glass: &whole, entries: of("rejected", "ana-sec"), no: "rejected"},
		"another's no":          {glass: &whole, entries: []policy.Entry{{State: "rejected", By: root, Environments: []string{"rekey-dev"}}}, by: "root-admin", why: "the key is public since 03:10"},
		"none":                  {no: "nobody approved it"},
		"against the rules":     {glass: &whole, refuse: true, no: "rekey.yml allows none"},
		"too short":             {glass: with(func(b *policy.BreakGlass) { b.Reason = "now" }), no: "is no reason"},
		"run again":             {glass: with(func(b *policy.BreakGlass) { b.Attempt = 2 }), no: "attempt 2"},
		"of a push":             {glass: with(func(b *policy.BreakGlass) { b.Event = "push" }), no: "by push"},
		"a bot":                 {glass: with(func(b *policy.BreakGlass) { b.By = policy.Person{Login: "x[bot]", Bot: true} }), no: "no person"},
		"no administrator":      {glass: with(func(b *policy.BreakGlass) { b.Admin = false }), no: "no administrator"},
		"nobody may bypass":     {glass: with(func(b *policy.BreakGlass) { b.Bypass = false }), no: "lets no administrator bypass"},
	} {
		q.BreakGlass = c.glass
		a, err := policy.Approval(policy.ByPerson, q, c.entries, policy.Rules{Separation: true, BreakGlass: !c.refuse, Config: "rekey.yml"})
		switch {
		case c.no != "":
			if err == nil || !strings.Contains(err.Error(), c.no) || a != nil {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		case err != nil || len(a.By) != 1 || a.By[0] != c.by || a.BreakGlass != c.why:
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}
