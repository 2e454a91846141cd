package github_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox/github"
)

func protected(name string) github.Environment {
	return github.Environment{Name: name, Reviewers: []string{"ada", "bo"}, PreventSelf: true, Branches: []string{"main"}}
}

func TestARunWaitsForItsEnvironmentAndRemembersWhoSaidWhat(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(protected("rekey-prod"))
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.SetJob(id, "plan", "in_progress", "")
	b.clock.Move(time.Minute)
	b.hub.SetJob(id, "plan", "completed", "success")
	b.hub.SetJob(id, "prod (1/1)", "waiting", "")
	if !b.hub.WaitFor(id, "rekey-prod") {
		t.Fatal("doesn't wait for reviewers")
	}
	r := must(b.c.Run(ctx, id))(t)
	if r.Status != "waiting" || r.Event != "push" || r.Branch != "main" || r.SHA != b.hub.Head("main") || r.Actor.Login != "bo" || r.Attempt != 1 || r.Number != 1 {
		t.Errorf("the run: %+v", r)
	}
	jobs := must(b.c.Jobs(ctx, id))(t)
	if len(jobs) != 2 || jobs[0].Conclusion != "success" || !jobs[0].StartedAt.Equal(start) || !jobs[0].CompletedAt.Equal(start.Add(time.Minute)) || jobs[1].Status != "waiting" {
		t.Errorf("the jobs: %+v", jobs)
	}
	for _, who := range []string{"bo", "cy", "eve", "rekey[bot]", "unheard-of"} {
		if b.hub.Approve(id, "rekey-prod", who, "") == nil {
			t.Errorf("%s approved", who)
		}
	}
	if b.hub.Approve(id, "rekey-dev", "ada", "") == nil || b.hub.Approve(id+1, "rekey-prod", "ada", "") == nil {
		t.Error("approved what doesn't wait")
	}
	check(t, b.hub.Approve(id, "Rekey-Prod", "ada", "window agreed"))
	if b.hub.Approve(id, "rekey-prod", "ada", "again") == nil {
		t.Error("approved twice")
	}
	b.hub.EndRun(id, "failure")
	b.hub.RerunBy(id, "ada")
	b.hub.SetJob(id, "prod (1/1)", "waiting", "")
	b.hub.WaitFor(id, "rekey-prod")
	if b.hub.Reject(id, "rekey-prod", "ada", "") == nil {
		t.Error("who started the attempt rejected it")
	}
	b.hub.EndRun(id, "failure")
	b.hub.Rerun(id)
	b.hub.WaitFor(id, "rekey-prod")
	check(t, b.hub.Reject(id, "rekey-prod", "ada", "not today"))
	said := must(b.c.Approvals(ctx, id))(t)
	if len(said) != 2 || said[0].State != "approved" || said[0].Comment != "window agreed" || said[1].State != "rejected" || !slices.Equal(said[1].Environments, []string{"rekey-prod"}) || said[1].User.Login != "ada" {
		t.Errorf("approvals: %+v", said)
	}
	if r := must(b.c.Run(ctx, id))(t); r.Attempt != 3 || r.Trigger.Login != "bo" {
		t.Errorf("the third attempt: %+v", r)
	}
	if jobs := must(b.c.Jobs(ctx, id))(t); len(jobs) != 0 {
		t.Errorf("jobs of an attempt that has none: %+v", jobs)
	}
}

func TestAdministratorsBypassWhereTheyMay(t *testing.T) {
	b := newBench(t)
	e := protected("rekey-prod")
	b.hub.SetEnvironment(e)
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.WaitFor(id, e.Name)
	if b.hub.Bypass(id, e.Name, "ada", "", true) == nil {
		t.Error("bypassed where that is off")
	}
	e.AdminsBypass = true
	b.hub.SetEnvironment(e)
	if b.hub.Bypass(id, e.Name, "bo", "", true) == nil {
		t.Error("somebody else bypassed")
	}
	check(t, b.hub.Bypass(id, e.Name, "ada", "", false))
	if len(b.hub.Approvals(id)) != 0 {
		t.Error("listed")
	}
	b.hub.WaitFor(id, e.Name)
	check(t, b.hub.Bypass(id, e.Name, "ada", "now", true))
	if l := b.hub.Approvals(id); len(l) != 1 || l[0].State != "approved" {
		t.Errorf("listed %+v", l)
	}
}

func TestEnvironments(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(github.Environment{Name: "rekey-prod", Reviewers: []string{"ada"}, PreventSelf: true, WaitMinutes: 5, Branches: []string{"main", "release-*"}})
	b.hub.SetEnvironment(github.Environment{Name: "a/b:c", Protected: true, AdminsBypass: true})
	e, there, err := b.c.Environment(ctx, "rekey-prod")
	check(t, err)
	if !there || e.Reviewers != 1 || !e.PreventSelf || e.AdminsBypass || e.WaitMinutes != 5 || !slices.Equal(e.Branches, []string{"main", "release-*"}) || !e.Restricted || e.ProtectedOnly {
		t.Errorf("prod: %v %+v", there, e)
	}
	if e, there, err = b.c.Environment(ctx, "a/b:c"); err != nil || !there || !e.ProtectedOnly || !e.AdminsBypass || e.Reviewers != 0 {
		t.Errorf("the other: %v %+v %v", there, e, err)
	}
	if e, there, err = b.c.Environment(ctx, "REKEY-Prod"); err != nil || !there || e.Name != "rekey-prod" {
		t.Errorf("in another case: %v %+v %v", there, e, err)
	}
	if _, there, err := b.c.Environment(ctx, "misspelt"); there || err != nil {
		t.Errorf("one that isn't there: %v %v", there, err)
	}
	for branch, want := range map[string]bool{"main": true, "release-1": true, "topic": false} {
		if b.hub.MayDeploy("rekey-prod", branch) != want {
			t.Errorf("%s may deploy: %v", branch, !want)
		}
	}
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	if b.hub.WaitFor(id, "misspelt") {
		t.Error("waits for nobody")
	}
	if e, there, err = b.c.Environment(ctx, "misspelt"); err != nil || !there || e.Restricted {
		t.Errorf("a misspelt name makes an environment: %v %+v %v", there, e, err)
	}
}

func TestRunsAreFoundByFileStatusAndTime(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(protected("rekey-prod"))
	first := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.EndRun(first, "success")
	b.clock.Move(time.Hour)
	second := b.hub.StartRun("rotate.yml", "schedule", "main", "", "ada")
	b.hub.WaitFor(second, "rekey-prod")
	b.hub.StartRun("other.yml", "push", "main", "", "bo")
	ids := func(status string, since time.Time) (l []int64) {
		for _, r := range must(b.c.Runs(ctx, "rotate.yml", status, since))(t) {
			l = append(l, r.ID)
		}
		return l
	}
	if l := ids("", start); !slices.Equal(l, []int64{second, first}) {
		t.Errorf("all: %v", l)
	}
	if l := ids("waiting", start); !slices.Equal(l, []int64{second}) {
		t.Errorf("waiting: %v", l)
	}
	if l := ids("", start.Add(time.Second)); !slices.Equal(l, []int64{second}) {
		t.Errorf("since: %v", l)
	}
	if l := ids("success", time.Time{}); !slices.Equal(l, []int64{first}) {
		t.Errorf("success: %v", l)
	}
	if _, err := b.c.Runs(ctx, "unheard-of.yml", "", start); err == nil {
		t.Error("found runs of no workflow")
	}
	for query, want := range map[string]int{"created=2026-11-23": 2, "created=%3E2026-11-23": 0, "created=2026-11-23T10:30:00Z..*": 1, "created=*..2026-11-23T10:30:00Z": 1, "created=%3C2026-11-23T11:00:00Z": 1, "event=push": 1, "actor=ada": 1, "branch=x": 0} {
		_, _, text := b.raw("GET", "/repos/"+repository+"/actions/workflows/rotate.yml/runs?"+query, "app", nil)
		if got := strings.Count(text, `"run_number"`); got != want {
			t.Errorf("%s finds %d, want %d", query, got, want)
		}
	}
}

func TestAReviewerAnswersThroughTheAPI(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(protected("rekey-prod"))
	b.hub.AddToken("ada", "ada", map[string]string{"actions": "read", "deployments": "write"})
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.WaitFor(id, "rekey-prod")
	e := b.request("GET", "/environments/rekey-prod", "ada", nil, 200)
	if pending := b.request("GET", runPath(id)+"/pending_deployments", "ada", nil, 200); !strings.Contains(pending, `"current_user_can_approve":true`) {
		t.Errorf("pending: %s", pending)
	}
	said := map[string]any{"environment_ids": []int64{idOf(t, e)}, "state": "approved", "comment": "yes"}
	b.request("POST", runPath(id)+"/pending_deployments", "app", said, 422)
	b.request("POST", runPath(id)+"/pending_deployments", "ada", said, 200)
	b.request("POST", runPath(id)+"/pending_deployments", "ada", said, 422)
	if l := b.hub.Approvals(id); len(l) != 1 || l[0] != (github.Approval{Environment: "rekey-prod", State: "approved", User: "ada", Comment: "yes"}) {
		t.Errorf("approvals: %+v", l)
	}
	b.request("GET", "/environments", "ada", nil, 200)
	b.request("GET", "/actions/runs", "ada", nil, 200)
}

func TestARunIsCancelled(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(protected("rekey-prod"))
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.SetJob(id, "prod", "waiting", "")
	b.hub.WaitFor(id, "rekey-prod")
	b.request("POST", runPath(id)+"/cancel", "app", nil, 202)
	r, _ := b.hub.Run(id)
	if r.Status != "completed" || r.Conclusion != "cancelled" || r.Jobs[0].Conclusion != "cancelled" || len(r.Waiting) != 0 {
		t.Errorf("cancelled: %+v", r)
	}
	b.request("POST", runPath(id)+"/cancel", "app", nil, 409)
	busy := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.SetJob(busy, "dev", "in_progress", "")
	b.request("POST", runPath(busy)+"/cancel", "app", nil, 202)
	if r, _ = b.hub.Run(busy); r.Status != "in_progress" || !r.Cancelled {
		t.Errorf("a running one: %+v", r)
	}
}
