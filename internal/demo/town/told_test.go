package town_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	rekey "github.com/rastup/rekey"
	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/hooks"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const told = `escalation:
  primary: ["@rastup/security-oncall", "@ana-sec"]
  secondary: ["@bo-sre"]
  after: 30m
  liaison: {dsar: ["@li-pay"]}
notifications:
  - slack: {url_from: SLACK_WEBHOOK, mention: S0614TZR7}
  - pagerduty: {routing_key_from: PAGERDUTY_KEY}
    severities: [SEV2]
`

// withSecrets is what plan and after-* are given, as docs/github.md says.
const withSecrets = `        id: rekey
        env:
          SLACK_WEBHOOK: ${{ secrets.SLACK_WEBHOOK }}
          PAGERDUTY_KEY: ${{ secrets.PAGERDUTY_KEY }}
`

// TestAnIncidentFromFailureToSuccess fails a rotation in the jobs of rotate.yml, lets nobody react, and then lets it
// succeed: who is on call is assigned and called, who is next an hour later, and Slack and PagerDuty are told. Neither
// the address nor the key is in anything that was printed or written.
func TestAnIncidentFromFailureToSuccess(t *testing.T) {
	const path, key = "/services/T000/B000/c4n4ryurl", "c4n4rykeyc4n4rykeyc4n4rykeyc4n4r"
	var mu sync.Mutex
	var printed strings.Builder
	files := map[string]string{".github/rekey.yml": rules + told,
		"ops/config/registry.md": strings.NewReplacer("~~~", "```", "Last rotated |", "Last rotated | Tags |", "| --- |\n", "| --- | --- |\n", "2026-08-18 |", "2026-08-18 | dsar |").Replace(registry)}
	w, err := town.New(t.Context(), town.Options{Root: t.TempDir(), Start: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Files: files,
		Secrets: map[string]map[string]string{"": {"SLACK_WEBHOOK": "https://hooks.slack.com" + path, "PAGERDUTY_KEY": key}},
		Log: func(s workflow.Step, text string, err error) {
			mu.Lock()
			defer mu.Unlock()
			printed.WriteString(text)
			t.Logf("%s: %v\n%s", s.JobName, err, text)
		}})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	ok(w.Init(t.Context()))
	slack, pager := hooks.NewSlack(path), hooks.NewPagerDuty(key)
	ok(w.HostHTTPS(t.Context(), "hooks.slack.com", 443, slack))
	ok(w.HostHTTPS(t.Context(), "events.pagerduty.com", 443, pager))
	src, err := rekey.Workflows.ReadFile(".github/workflows/rotate.yml")
	ok(err)
	const rotate = ".github/workflows/rotate.yml"
	// after-prod has no id: nothing reads its outputs.
	text := strings.NewReplacer("        id: rekey\n", withSecrets, "      - uses: ./\n        with:\n          command: due\n", "      - uses: ./\n"+withSecrets+"        with:\n          command: due\n").Replace(string(src))
	changed, err := workflow.Load(rotate, []byte(text))
	ok(err)
	w.Engine.Add(changed)
	w.GitHub.Commit("main", "root-admin", "Tell Slack and PagerDuty", map[string]string{rotate: text})

	var denied atomic.Bool // once: then it goes back
	w.AWS.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateSecretVersionStage" && strings.Contains(c.Target, "stage") && denied.CompareAndSwap(false, true) {
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	})
	slack.Fail(func(hooks.Call) error { return &hooks.Answer{Status: 403, Body: "invalid_token"} })
	w.GitHub.OpenIssue("li-pay", "Rotate the database login", "")
	n, err := w.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{request: "secret: app/database\nticket: \"#1\"\nenvironments: [dev, stage]\n"}, false)
	ok(err)
	w.GitHub.Review(n, "ana-sec", "APPROVED")
	if s := w.GitHub.Comments(n)[0].Body; strings.Contains(s, "mistake") {
		t.Errorf("the workflow isn't as lint wants it: %s", s)
	}
	ok(w.Merge(t.Context(), n, "ana-sec", request))
	ok(w.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	issue := func() (x struct {
		State     string
		Assignees []string
	}) {
		for _, i := range w.GitHub.Issues() {
			if i.Number == 3 {
				x.State, x.Assignees = i.State, i.Assignees
				if !strings.Contains(i.Body, "**On call:** @rastup/security-oncall and @ana-sec. **Compliance liaison:** @li-pay.") {
					t.Error(i.Body)
				}
			}
		}
		return x
	}
	if x := issue(); x.State != "open" || !slices.Equal(x.Assignees, []string{"ana-sec", "li-pay"}) {
		t.Fatalf("%+v", x)
	}
	if s := w.GitHub.Comments(3)[0].Body; !strings.Contains(s, "❌ slack, opened: **not told.** Slack answered 403 invalid\\_token.") || len(pager.Alerts()) != 1 || len(slack.Messages()) != 0 {
		t.Errorf("%s\n%+v", s, pager.Alerts())
	}
	slack.Fail(nil)
	ok(w.Hour(t.Context()))
	ok(w.Hour(t.Context()))
	if x := issue(); x.State != "open" || !slices.Equal(x.Assignees, []string{"ana-sec", "bo-sre", "li-pay"}) {
		t.Errorf("%+v", x)
	}
	ok(w.Dispatch(t.Context(), "li-pay", map[string]string{"rotation": request, "again": "true"}))
	ok(w.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	if x := issue(); x.State != "closed" {
		t.Errorf("%+v", x)
	}
	var heads []string
	for _, m := range slack.Messages() {
		head, _, _ := strings.Cut(m.Text, "\n")
		heads = append(heads, head)
	}
	if d := cmp.Diff([]string{":rotating_light: *SEV2 · Rotation of app/database in stage: rolled back*",
		"<!subteam^S0614TZR7> :rotating_light: *SEV2 · nobody has reacted yet: Rotation of app/database in stage: rolled back*",
		":white_check_mark: *Over: the incident of app/database in stage*"}, heads); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if a := pager.Alerts(); len(a) != 1 || !a[0].Resolved || a[0].Severity != "error" {
		t.Errorf("%+v", a)
	}
	for _, i := range w.GitHub.Issues() {
		printed.WriteString(i.Body)
	}
	for i := 1; i <= 3; i++ {
		for _, c := range w.GitHub.Comments(i) {
			printed.WriteString(c.Body)
		}
	}
	if strings.Contains(printed.String(), "c4n4ry") || strings.Contains(printed.String(), "services/T000") {
		t.Error("an address or a key was printed")
	}
}
