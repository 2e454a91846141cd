package town_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const rules = `environments:
  - {name: dev, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-dev", approval: none}
  - {name: stage, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-stage", continue_environment: rekey-stage-continue}
  - name: prod
    region: us-east-1
    role: arn:aws:iam::111111111111:role/rekey-prod
    continue_environment: rekey-prod-continue
    window: required
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  role: arn:aws:iam::111111111111:role/rekey-evidence
  reader: arn:aws:iam::111111111111:role/rekey-reader
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
tickets: {github: rastup/shop}
`

const registry = `| Secret | Kind | Owner | Interval | Last rotated |
| --- | --- | --- | --- | --- |
| app/database | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |

## app/database

~~~yaml
dev:
  target: {secret: rekey/dev/app-database, key: password}
stage:
  target: {secret: rekey/stage/app-database, key: password}
prod:
  target: {secret: rekey/prod/app-database, key: password}
~~~
`

const request = "rotations/2026/11/2026-11-23-app-database.yaml"

func newTown(t *testing.T) *town.Town {
	t.Helper()
	files := map[string]string{".github/rekey.yml": rules, "ops/config/registry.md": strings.ReplaceAll(registry, "~~~", "```")}
	w, err := town.New(t.Context(), town.Options{Root: t.TempDir(), Start: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Files: files,
		Log: func(s workflow.Step, text string, err error) { t.Logf("%s: %v\n%s", s.JobName, err, text) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestADay(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	issue := w.GitHub.OpenIssue("li-pay", "Rotate the database login", "")
	text := "secret: app/database\nticket: \"#1\"\nwindow: {prod: 2026-11-23T10:00Z/PT4H}\n"
	n, err := w.OpenPull(ctx, "li-pay", "Rotate app/database", "", map[string]string{request: text}, false)
	ok(err)
	w.Clock.Move(10 * time.Minute)
	w.GitHub.Review(n, "ana-sec", "APPROVED")
	ok(w.Merge(ctx, n, "ana-sec", request))
	t.Log(w.Waits())
	ok(w.Approve(ctx, "rekey-stage", "ana-sec", "change window agreed"))
	ok(w.Hour(ctx))
	t.Log(w.Waits())
	ok(w.Hour(ctx))
	t.Log(w.Waits())
	ok(w.Approve(ctx, "rekey-prod", "bo-sre", ""))
	w.Clock.Move(48 * time.Hour)
	ok(w.Hour(ctx))
	ok(w.Hour(ctx))
	for _, c := range w.GitHub.Comments(n) {
		t.Logf("--- %s\n%s", c.Author, c.Body)
	}
	for _, i := range w.GitHub.Issues() {
		t.Logf("=== %d %s %s", i.Number, i.State, i.Title)
	}
	_ = issue
}
