package town_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox/github"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const deployYAML = `name: deploy
run-name: deploy ${{ inputs.environment }} ${{ inputs.rekey }}
on:
  workflow_dispatch:
    inputs:
      rekey: {type: string, required: true}
      secret: {type: string}
      version: {type: string}
      environment: {type: string}
jobs:
  deploy: {runs-on: ubuntu-24.04, steps: [{run: ./deploy}]}
`

// deploys is a siege in which the consumer of app/database in dev is a workflow of the repository.
func deploys(t *testing.T) *siege {
	s := besiege(t, true, "")
	with := strings.Replace(strings.ReplaceAll(registry, "~~~", "```"), "stage:\n", "  consumers:\n    - name: shop\n      workflow: {workflow: deploy.yml}\nstage:\n", 1)
	s.GitHub.Commit("main", "root-admin", "Deploy", map[string]string{"ops/config/registry.md": with, ".github/workflows/deploy.yml": deployYAML})
	return s
}

// deploy is the nth run of deploy.yml; there are so many.
func (s *siege) deploy(n int) github.Run {
	s.t.Helper()
	all := s.GitHub.Runs("deploy.yml")
	if len(all) != n {
		s.t.Fatalf("%d runs of deploy.yml, want %d: %+v\n%s", len(all), n, all, s.GitHub.Comments(2)[0].Body)
	}
	return all[n-1]
}

func (s *siege) live() (current, previous string) {
	labels := s.AWS.Secret("rekey/dev/app-database").Labels
	return labels[sm.Current], labels[sm.Previous]
}

// TestAWorkflowTakesUpTheNewVersion: the environment's job only asks; the job after it starts the run, with its own token;
// a later visit watches it to its end and goes on.
func TestAWorkflowTakesUpTheNewVersion(t *testing.T) {
	s := deploys(t)
	pull := s.request("li-pay", "ana-sec", wanted)
	run := s.deploy(1)
	current, _ := s.live()
	if run.Actor != "github-actions[bot]" || run.Branch != "main" || run.Inputs["version"] != current || run.Inputs["secret"] != "app/database" || run.Inputs["environment"] != "dev" {
		t.Errorf("started %+v", run)
	}
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, run.Inputs["rekey"]) {
		t.Errorf("the comment doesn't tell what is waited for:\n%s", text)
	}
	was := s.records()
	s.GitHub.SetEnvironment(github.Environment{Name: "shop", Reviewers: []string{"bo-sre"}})
	s.GitHub.SetJob(run.ID, "deploy", "waiting", "")
	s.GitHub.WaitFor(run.ID, "shop")
	s.ok(s.Hour(t.Context()))
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, "somebody to approve the run of deploy.yml") ||
		!strings.Contains(text, fmt.Sprintf("**Workflows:** [dev deploy/shop: run %d](<https://github.com/rastup/shop/actions/runs/%[1]d>)\n", run.ID)) {
		t.Errorf("the comment doesn't tell who is waited for:\n%s", text)
	}
	s.ok(s.GitHub.Approve(run.ID, "shop", "bo-sre", ""))
	looks := 0
	s.GitHub.Fail(func(c github.Call) error { // it ends while a job watches it
		if strings.HasSuffix(c.Route, "/actions/runs/{run_id}") && strings.Contains(c.Path, "/rastup/shop/") {
			if looks++; looks == 5 {
				s.GitHub.EndRun(run.ID, "success")
			}
		}
		return nil
	})
	s.ok(s.Hour(t.Context()))
	if looks < 5 || s.records() == was {
		t.Errorf("nobody watched it: %d looks", looks)
	}
	s.deploy(1)
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 1 || w[0].Environment != "rekey-stage" {
		t.Fatalf("dev isn't proven: waits %v\n%s", w, s.GitHub.Comments(pull)[0].Body)
	}
	s.Clock.Move(49 * time.Hour)
	s.ok(s.Schedule(t.Context()))
	s.ok(s.Hour(t.Context()))
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, "dev finished") && !strings.Contains(text, "finished") {
		t.Errorf("dev isn't over:\n%s", text)
	}
	s.deploy(1)
	s.onlyThoseStart(t)
}

// TestAWorkflowThatFailsIsStartedWithTheOldVersion: the new one is taken back, and another run deploys the old one.
func TestAWorkflowThatFailsIsStartedWithTheOldVersion(t *testing.T) {
	s := deploys(t)
	pull := s.request("li-pay", "ana-sec", wanted)
	first := s.deploy(1)
	s.GitHub.EndRun(first.ID, "failure")
	_ = s.Hour(t.Context()) // a job that sees it fail fails
	second := s.deploy(2)
	current, _ := s.live()
	if second.Inputs["version"] != current || current == first.Inputs["version"] || second.Inputs["rekey"] == first.Inputs["rekey"] {
		t.Errorf("%s is live; started %q, then %q", current, first.Inputs, second.Inputs)
	}
	s.GitHub.EndRun(second.ID, "success")
	s.ok(s.Hour(t.Context()))
	s.deploy(2)
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, "rolled back") || !strings.Contains(text, fmt.Sprintf(" · [dev back/shop: run %d](<", second.ID)) {
		t.Errorf("it isn't back:\n%s", text)
	}
	s.onlyThoseStart(t)
}

// TestTheEndOfTheRunWakesRotate: with the trigger that the documentation shows, nobody waits for the hour.
func TestTheEndOfTheRunWakesRotate(t *testing.T) {
	page, err := os.ReadFile("../../../docs/github.md")
	_, trigger, ok := strings.Cut(string(page), "```yml\n  workflow_run:\n")
	trigger, _, closed := strings.Cut(trigger, "```")
	if err != nil || !ok || !closed {
		t.Fatal("docs/github.md shows no trigger", err)
	}
	s := deploys(t)
	pull := s.request("li-pay", "ana-sec", wanted)
	s.GitHub.EndRun(s.deploy(1).ID, "success")
	woken := strings.Replace(ours(t, ".github/workflows/rotate.yml"), "on:\n", "on:\n  workflow_run:\n"+trigger, 1)
	s.play(".github/workflows/rotate.yml", woken, func() {
		_, err := s.Engine.Trigger(workflow.Event{Name: "workflow_run", Of: "deploy", Ref: "refs/heads/main", SHA: s.GitHub.Head("main"), Actor: "github-actions[bot]"})
		s.ok(err)
		s.ok(s.Engine.Advance(t.Context()))
	})
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, "dev validated") {
		t.Errorf("nothing went on:\n%s", text)
	}
	if run, _ := s.GitHub.Run(s.lastRun()); run.Event != "workflow_run" || run.Conclusion != "success" {
		t.Errorf("the run that was woken: %+v", run)
	}
}

// unstarted refuses each dispatch.
func unstarted(c github.Call) error {
	if strings.HasSuffix(c.Route, "/dispatches") {
		return &github.Error{Status: 403, Message: "Resource not accessible by integration"}
	}
	return nil
}

// TestNoRunGoesForwardOnATreeThatChanged: a request edited since, a mistake in the registry, or a consumer that is another
// one by now holds it, until that is put back.
func TestNoRunGoesForwardOnATreeThatChanged(t *testing.T) {
	s := deploys(t)
	s.GitHub.Fail(unstarted)
	s.request("li-pay", "ana-sec", wanted)
	s.GitHub.Fail(nil)
	was := s.GitHub.Files("main")
	const book = "ops/config/registry.md"
	for _, c := range [][2]string{{requestFile, wanted + "retain: 72h\n"}, {book, strings.Replace(was[book], "90 days", "ninety moons", 1)},
		{book, strings.Replace(was[book], "deploy.yml", "release.yml", 1)}, {book, strings.Replace(was[book], "name: shop", "name: store", 1)}} {
		path, text := c[0], c[1]
		if text == was[path] {
			t.Fatal("nothing changed")
		}
		s.GitHub.Commit("main", "li-pay", "Change", map[string]string{path: text})
		_ = s.Hour(t.Context()) // it says so
		if l := s.GitHub.Runs("deploy.yml"); len(l) > 0 {
			t.Fatalf("%s: began %+v", path, l)
		}
		s.GitHub.Commit("main", "li-pay", "Put it back", map[string]string{path: was[path]})
	}
	s.ok(s.Schedule(t.Context()))
	s.deploy(1)
}

// TestADispatchThatIsRefusedIsSaidAndTakenBack: no run begins, the job says which right it lacks, and the deadline takes the
// new version back, without another run.
func TestADispatchThatIsRefusedIsSaidAndTakenBack(t *testing.T) {
	s := deploys(t)
	before, _ := s.live()
	s.GitHub.Fail(unstarted)
	m := s.mark()
	pull := s.request("li-pay", "ana-sec", wanted)
	s.says(m, "after-dev", "the job needs permissions: actions: write")
	if l := s.GitHub.Runs("deploy.yml"); len(l) > 0 {
		t.Errorf("began %+v", l)
	}
	if now, _ := s.live(); now == before {
		t.Fatal("nothing was promoted")
	}
	s.Clock.Move(5 * time.Hour)
	_ = s.Schedule(t.Context()) // a job that takes something back fails
	if now, _ := s.live(); now != before {
		t.Errorf("%s is live, not what was before\n%s", now, s.GitHub.Comments(pull)[0].Body)
	}
	s.GitHub.Fail(nil)
	s.ok(s.Hour(t.Context()))
	s.GitHub.EndRun(s.deploy(1).ID, "success")
	if s.deploy(1).Inputs["version"] != before {
		t.Errorf("started %q", s.deploy(1).Inputs)
	}
	s.ok(s.Hour(t.Context()))
	if text := s.GitHub.Comments(pull)[0].Body; !strings.Contains(text, "rolled back") {
		t.Errorf("it isn't back:\n%s", text)
	}
}

// onlyThoseStart holds that no job behind an environment ever asked GitHub for more than to read.
func (s *siege) onlyThoseStart(t *testing.T) {
	t.Helper()
	n := 0
	for _, c := range s.GitHub.Calls() {
		if strings.HasSuffix(c.Route, "/dispatches") {
			n++
			if c.Login != "github-actions[bot]" || c.Status != 204 {
				t.Errorf("%+v", c)
			}
		}
	}
	if n != len(s.GitHub.Runs("deploy.yml")) {
		t.Errorf("%d dispatches, %d runs", n, len(s.GitHub.Runs("deploy.yml")))
	}
}
