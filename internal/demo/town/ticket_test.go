package town_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/jira"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const inJira = `tickets:
  jira: {url: "https://acme.atlassian.net", project: SEC, user_from: JIRA_USER, token_from: JIRA_TOKEN, transition: Done}
`

// An office is a town whose tickets are in Jira, which is given to the jobs that docs/github.md names.
type office struct {
	*town.Town
	*testing.T
	jira *jira.Service
	pull int

	mu    sync.Mutex
	said  string // what the jobs printed since the last time
	fails int    // jobs that failed
}

func (o *office) ok(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func newOffice(t *testing.T, tickets string) *office {
	o := &office{T: t}
	house := rules[:strings.Index(rules, "tickets:")] + tickets
	files := map[string]string{".github/rekey.yml": house, "ops/config/registry.md": strings.ReplaceAll(registry, "~~~", "```")}
	var err error
	o.Town, err = town.New(t.Context(), town.Options{Root: t.TempDir(), Start: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Files: files,
		Wrap: func(do workflow.Do) workflow.Do {
			return func(ctx context.Context, s workflow.Step) (map[string]string, error) {
				if s.Job == "plan" || strings.HasPrefix(s.Job, "after-") {
					s.Env = maps.Clone(s.Env)
					s.Env["JIRA_USER"], s.Env["JIRA_TOKEN"] = "rekey@example.com", "the-token-of-jira"
				}
				return do(ctx, s)
			}
		},
		Log: func(s workflow.Step, text string, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.said += fmt.Sprintf("== %s\n%s", s.JobName, text)
			if err != nil {
				o.fails++
				o.said += fmt.Sprintf("!! %v\n", err)
			}
			if strings.Contains(text, "the-token-of-jira") {
				t.Errorf("%s prints the token", s.JobName)
			}
		}})
	o.ok(err)
	o.ok(o.Init(t.Context()))
	o.jira = jira.New(o.Clock, true)
	o.jira.AddUser("rekey", "rekey@example.com", "the-token-of-jira")
	o.ok(o.HostHTTPS(t.Context(), "acme.atlassian.net", 443, http.HandlerFunc(o.jira.ServeHTTP)))
	return o
}

// ask opens a pull request for a rotation in dev and stage.
func (o *office) ask(key string, more map[string]string) {
	o.Helper()
	files := map[string]string{request: "secret: app/database\nticket: " + key + "\nenvironments: [dev, stage]\n"}
	maps.Copy(files, more)
	var err error
	o.pull, err = o.OpenPull(o.Context(), "li-pay", "Rotate app/database", "", files, false)
	o.ok(err)
}

func (o *office) merge() {
	o.Helper()
	o.Clock.Move(10 * time.Minute)
	o.GitHub.Review(o.pull, "ana-sec", "APPROVED")
	o.ok(o.Merge(o.Context(), o.pull, "ana-sec", request))
}

// page is what the pull request's first comment says.
func (o *office) page() string {
	for _, c := range o.GitHub.Comments(o.pull) {
		return c.Body
	}
	return ""
}

// heard is what the jobs printed since the last time.
func (o *office) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	said := o.said
	o.said = ""
	return said
}

func (o *office) begun(env string) bool {
	return len(o.AWS.S3.Versions(o.Scenario.Bucket, "journal/"+env+"/app~database/")) > 0
}

func (o *office) wants(what, text string, all ...string) {
	o.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			o.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// finish carries the rotation to its end: approval, retention, decommission.
func (o *office) finish() {
	o.Helper()
	o.ok(o.Approve(o.Context(), "rekey-stage", "ana-sec", ""))
	o.Clock.Move(48 * time.Hour)
	o.ok(o.Hour(o.Context()))
	o.ok(o.Hour(o.Context()))
	o.wants("the page", o.page(), "dev and stage finished")
}

func (o *office) changes() (n int) {
	for _, c := range o.jira.Calls() {
		if c.Method != "GET" {
			n++
		}
	}
	return n
}

func TestARotationWithATicketInJira(t *testing.T) {
	o := newOffice(t, inJira)
	o.jira.Open("SEC-12", "Rotate the *database* login [~li]")
	o.ask("SEC-12", nil)
	o.wants("before the merge", o.page(), "[SEC-12](<https://acme.atlassian.net/browse/SEC-12>)", "To Do · Rotate the \\*database\\* login \\[\\~li\\]")
	o.merge()
	if !o.begun("dev") || o.changes() > 0 {
		t.Errorf("begun is %v, with %d writes to Jira\n%s", o.begun("dev"), o.changes(), o.heard())
	}
	o.finish()
	x := o.jira.Issue("SEC-12")
	if x.Status != "Done" || len(x.Comments) != 1 || len(x.Moves) != 1 {
		t.Fatalf("%+v\n%s", x, o.heard())
	}
	o.wants("the ticket", x.Comments[0].Body, "(/) *app/database*: dev and stage finished", "* (/) Audit evidence uploaded", "||environment||outcome||", "rekey verify "+strings.ReplaceAll(request, "-", `\-`), "Rekey summary ")
	before := o.changes()
	o.ok(o.Hour(t.Context()))
	if n := o.changes() - before; n > 0 {
		t.Errorf("%d writes to Jira with nothing to say", n)
	}
	if u := o.jira.Unknown(); len(u) > 0 {
		t.Errorf("the sandbox doesn't know %q", u)
	}
	if strings.Contains(o.page(), "doesn't tell this yet") {
		t.Error(o.page())
	}
}

// Jira is down when the rotation ends: the rotation is over all the same, people see that the ticket doesn't know, and a
// later run tells it.
func TestJiraIsDownWhenARotationEnds(t *testing.T) {
	o := newOffice(t, inJira)
	o.jira.Open("SEC-12", "Rotate")
	o.ask("SEC-12", nil)
	o.merge()
	o.jira.Fail(func(jira.Call) error { return jira.Broken(http.StatusServiceUnavailable) })
	o.heard()
	o.finish()
	o.wants("the page", o.page(), "The ticket [SEC-12](<https://acme.atlassian.net/browse/SEC-12>) doesn't tell this yet")
	o.wants("the log", o.heard(), "ticket SEC-12 isn't told yet; the next run tells it: look up SEC-12: the Jira site answered 503")
	if x := o.jira.Issue("SEC-12"); x.Status != "To Do" || len(x.Comments) > 0 {
		t.Errorf("%+v", x)
	}
	o.jira.Fail(nil)
	o.ok(o.Hour(t.Context()))
	if x := o.jira.Issue("SEC-12"); x.Status != "Done" || len(x.Comments) != 1 {
		t.Errorf("%+v\n%s", x, o.heard())
	}
	if strings.Contains(o.page(), "doesn't tell this yet") {
		t.Error(o.page())
	}
}

func TestATicketThatIsMissingIsShownAndRefusesOnlyWhereTheRulesSaySo(t *testing.T) {
	const finding = "there is no ticket SEC-12"
	o := newOffice(t, inJira)
	o.ask("SEC-12", nil)
	o.wants("before the merge", o.page(), "⚠️ "+finding)
	o.wants("the annotation", o.heard(), "::warning col=9,file="+request+",line=2,title=ticket::"+finding)
	o.merge()
	o.wants("the log", o.heard(), "::warning::"+request+": "+finding)
	if !o.begun("dev") {
		t.Error("a warning keeps it from being begun")
	}

	o = newOffice(t, inJira+"  missing: refuse\n")
	o.ask("SEC-12", nil)
	o.wants("before the merge", o.page(), "Merging this begins nothing yet: its ticket is missing", "❌ "+finding)
	o.merge()
	o.wants("the page", o.page(), finding)
	if o.begun("dev") || len(o.Waits()) > 0 {
		t.Fatalf("it is begun, or asked about: %v\n%s", o.Waits(), o.heard())
	}
	o.jira.Open("SEC-12", "Rotate")
	o.ok(o.Hour(t.Context()))
	if !o.begun("dev") {
		t.Fatalf("the ticket is there, and nothing begins\n%s", o.heard())
	}
}

// A site that doesn't answer is no ticket that is missing: what hasn't begun waits, and what has goes on.
func TestJiraIsDownBeforeARotationBegins(t *testing.T) {
	o := newOffice(t, inJira+"  missing: refuse\n")
	o.jira.Open("SEC-12", "Rotate")
	o.jira.Fail(func(jira.Call) error { return jira.Broken(http.StatusBadGateway) })
	o.ask("SEC-12", nil)
	o.wants("before the merge", o.page(), "⚠️ the ticket SEC-12 couldn't be looked up: look up SEC-12: the Jira site answered 502")
	o.merge()
	o.wants("the page", o.page(), "couldn't be looked up")
	if o.begun("dev") || strings.Contains(o.page(), "no ticket") {
		t.Fatalf("begun: %v\n%s", o.begun("dev"), o.page())
	}
	o.jira.Fail(func(jira.Call) error { // it answers until dev has begun, and goes down again
		if o.begun("dev") {
			return jira.Broken(http.StatusBadGateway)
		}
		return nil
	})
	o.ok(o.Hour(t.Context()))
	if !o.begun("dev") || len(o.Waits()) != 1 {
		t.Fatalf("Jira answers, and nothing begins; or stage isn't asked about: %v\n%s", o.Waits(), o.heard())
	}
	o.ok(o.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	if !o.begun("stage") {
		t.Errorf("what has begun doesn't go on\n%s", o.heard())
	}
}

// What is asked for under refuse is asked for under warn, too, while Jira doesn't answer.
func TestJiraIsDownAndTheRulesOnlyWarn(t *testing.T) {
	o := newOffice(t, inJira)
	o.jira.Fail(func(jira.Call) error { return jira.ErrCut })
	o.ask("SEC-12", nil)
	o.merge()
	o.wants("the log", o.heard(), "the ticket SEC-12 couldn't be looked up")
	if !o.begun("dev") {
		t.Error("nothing begins")
	}
}

func TestATicketThatIsClosedAlreadyIsShown(t *testing.T) {
	o := newOffice(t, inJira+"  missing: refuse\n")
	o.jira.Open("SEC-12", "Rotate")
	o.jira.Set("SEC-12", "Done")
	o.ask("SEC-12", nil)
	o.wants("before the merge", o.page(), "⚠️ the ticket SEC-12 is closed already (Done)")
	o.merge()
	if !o.begun("dev") {
		t.Error("nothing begins")
	}
}

// Whoever opens a pull request could have it send the token to a site of their own.
func TestAPullRequestThatChangesTheHouseRulesAsksNoJira(t *testing.T) {
	o := newOffice(t, inJira)
	evil := jira.New(o.Clock, true)
	o.ok(o.HostHTTPS(t.Context(), "evil.example", 443, http.HandlerFunc(evil.ServeHTTP)))
	house := o.GitHub.Files("main")[".github/rekey.yml"]
	o.ask("SEC-12", map[string]string{".github/rekey.yml": strings.Replace(house, "acme.atlassian.net", "evil.example", 1)})
	o.wants("the page", o.page(), "Merging this rotates")
	if n := len(evil.Calls()) + len(o.jira.Calls()); n > 0 {
		t.Errorf("%d calls", n)
	}
}

func TestWithoutItsTokenJiraIsntAskedAndThatIsSaid(t *testing.T) {
	o := newOffice(t, strings.Replace(inJira, "token_from: JIRA_TOKEN", "token_from: JIRA_PAT", 1))
	o.jira.Open("SEC-12", "Rotate")
	o.ask("SEC-12", nil)
	if strings.Contains(o.page(), "looked up") {
		t.Error("a pull request's job needs no token", o.page())
	}
	o.merge()
	o.wants("the log", o.heard(), "Jira can't be asked: JIRA_PAT isn't set in this job")
	o.finish()
	o.wants("the page", o.page(), "doesn't tell this yet")
	o.wants("the log", o.heard(), "tickets aren't told yet")
}

// The same for tickets that are issues.
func TestAnIssueThatIsMissingRefuses(t *testing.T) {
	o := newOffice(t, "tickets: {github: rastup/shop, missing: refuse}\n")
	o.ask(`"#404"`, nil)
	o.wants("before the merge", o.page(), "❌ there is no ticket rastup/shop")
	o.merge()
	if o.begun("dev") || len(o.Waits()) > 0 {
		t.Errorf("it is begun, or asked about: %v", o.Waits())
	}
	o.wants("the page", o.page(), "there is no ticket rastup/shop")
}

// What went back may be started again: its ticket is told, and stays open until it is done after all.
func TestATicketOfARotationThatWentBackStaysOpen(t *testing.T) {
	o := newOffice(t, inJira)
	o.jira.Open("SEC-12", "Rotate")
	var refused atomic.Bool
	o.AWS.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateSecretVersionStage" && refused.CompareAndSwap(false, true) {
			return &sandbox.Error{Status: http.StatusBadRequest, Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	})
	o.ask("SEC-12", map[string]string{request: "secret: app/database\nticket: SEC-12\nenvironments: [dev]\n"})
	o.merge()
	o.AWS.Fail(nil)
	o.wants("the page", o.page(), "dev rolled back")
	x := o.jira.Issue("SEC-12")
	if x.Status != "To Do" || len(x.Comments) != 1 {
		t.Fatalf("%+v\n%s", x, o.heard())
	}
	o.wants("the ticket", x.Comments[0].Body, "(!) *app/database*: dev rolled back", "it stays open: rolled back in dev")
	o.Clock.Move(10 * time.Minute)
	o.ok(o.Dispatch(t.Context(), "ana-sec", map[string]string{"rotation": "2026-11-23-app-database", "again": "true"}))
	for range 3 {
		o.Clock.Move(25 * time.Hour)
		o.ok(o.Hour(t.Context()))
	}
	if x = o.jira.Issue("SEC-12"); x.Status != "Done" || len(x.Comments) != 2 {
		t.Fatalf("%+v\n%s", x, o.page())
	}
	o.wants("the ticket", x.Comments[1].Body, "(/) *app/database*: dev finished")
}
