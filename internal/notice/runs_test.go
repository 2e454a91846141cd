package notice_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/runs"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

const deploys = "run-name: deploy ${{ inputs.rekey }}\non: {workflow_dispatch: {inputs: {rekey: {}, version: {}}}}\njobs: {}\n"

// deploying makes the rig's repository one with a workflow that can be started.
func (r *rig) deploying() {
	r.Commit("main", "ana-sec", "Deploy", map[string]string{".github/workflows/deploy.yml": deploys})
	r.AddToken("token", bot, map[string]string{"actions": "write"})
	r.AddToken("eve", "eve", map[string]string{"actions": "write"})
}

func (l *lagging) Dispatched(ctx context.Context, workflow string, since time.Time) (shown []github.Run, err error) {
	all, err := l.Client.Dispatched(ctx, workflow, since)
	for _, x := range all {
		if l.shown(x.URL, x.CreatedAt) {
			shown = append(shown, x)
		}
	}
	return shown, err
}

func wanted(key string) runs.Ask {
	return runs.Ask{Ask: dispatch.Ask{Repository: repository, Workflow: "deploy.yml", Ref: "main", At: reporttest.Monday, Inputs: map[string]string{"rekey": key, "version": "2"}},
		Chain: rotation.Chain{Environment: "dev", Secret: "team/one"}, Operator: "ana-sec"}
}

func (r *rig) starts(gate func(), asks ...runs.Ask) pass {
	hub := r.program(gate)
	p := &runs.Projector{In: func(string) runs.GitHub { return hub }, Bot: bot, Now: r.clock.Now, Read: r.clock.Now()}
	return func(ctx context.Context) (notice.Tally, error) { return p.Write(ctx, asks) }
}

func (r *rig) titles() (l []string) {
	for _, one := range r.Runs("deploy.yml") {
		l = append(l, one.Title)
	}
	return l
}

func TestRunsAreStartedOnceThroughEveryMisfortune(t *testing.T) {
	torture(t, 40, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		r.deploying()
		return func(gate func()) pass { return r.starts(gate, wanted("rekey-1"), wanted("rekey-2")) }, func(notice.Tally) {
			got := r.titles()
			most := 1
			if strings.Contains(t.Name(), "two_at_once") { // GitHub takes no token: both do the same, and the first is watched
				most = 2
			}
			for _, key := range []string{"deploy rekey-1", "deploy rekey-2"} {
				if n := count(got, key); n < 1 || n > most {
					t.Errorf("%d runs are called %q: %q", n, key, got)
				}
			}
			for _, one := range r.Runs("deploy.yml") {
				if one.Inputs["version"] != "2" || one.Actor != bot || one.Branch != "main" {
					t.Errorf("started %+v", one)
				}
			}
		}
	})
}

func TestARunIsNotStartedOnWhatWasReadLongAgo(t *testing.T) {
	r := newRig(t, 1)
	r.deploying()
	old := r.starts(nil, wanted("rekey-1"))
	r.clock.Move(runs.Fresh)
	if got, err := old(t.Context()); !got.Again || got.Writes() != 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if l := r.titles(); len(l) != 0 {
		t.Errorf("started %q", l)
	}
}

// A lost answer is looked for; where the list doesn't show it yet, the same process starts no other, however often it is asked.
func TestALostAnswerIsNoReasonToStartAnother(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Hour} {
		r := newRig(t, 1)
		r.deploying()
		r.Lag(lag)
		write := r.starts(nil, wanted("rekey-1"))
		r.fault = func(world.Call) error { return world.ErrLost }
		got, err := write(t.Context())
		if found := lag == 0; got.Again == found || found != (err == nil) || found != (got.Created == 1) {
			t.Errorf("lag %s: %+v, %v", lag, got, err)
		}
		r.fault = nil
		for range 3 {
			if got, err := write(t.Context()); err != nil || got.Writes() != 0 {
				t.Errorf("lag %s, again: %+v, %v", lag, got, err)
			}
		}
		if l := r.titles(); len(l) != 1 {
			t.Errorf("lag %s: runs %q", lag, l)
		}
	}
}

func TestSomebodyElsesRunIsReportedAndTheOperatorsCounts(t *testing.T) {
	r := newRig(t, 1)
	r.deploying()
	by := func(token string, key string) {
		c, err := github.New(github.Options{API: "http://127.0.0.1", Repository: repository, Token: token, Transport: wire{r, nil}, Clock: r.clock})
		if err == nil {
			err = c.Dispatch(t.Context(), "deploy.yml", "main", wanted(key).Inputs)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.AddToken("ana", "ana-sec", map[string]string{"actions": "write"})
	by("eve", "rekey-1")
	by("ana", "rekey-2")
	got, err := r.starts(nil, wanted("rekey-1"), wanted("rekey-2"))(t.Context())
	if err != nil || got.Created != 1 || len(got.Findings) != 1 || got.Findings[0].Text != "has the key rekey-1 of team/one in dev, and isn't Rekey's: @eve started it at main" {
		t.Errorf("%+v, %v", got, err)
	}
	if l := r.titles(); !slices.Equal(l, []string{"deploy rekey-1", "deploy rekey-2", "deploy rekey-1"}) {
		t.Errorf("runs %q", l)
	}
}

func TestWhereNoRefIsNamedItIsTheDefaultBranch(t *testing.T) {
	r := newRig(t, 1)
	r.deploying()
	r.Commit("patch", "eve", "Another deploy", nil)
	other, right := wanted("rekey-1"), wanted("rekey-2")
	other.Ref, other.ByDefault, right.ByDefault = "patch", true, true
	got, err := r.starts(nil, other, right)(t.Context())
	if got.Created != 1 || err == nil || err.Error() != "team/one in dev: it asks for a run of deploy.yml at patch, and the default branch is main: it isn't started" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestARefusalNamesTheRotationAndTheOthersAreStarted(t *testing.T) {
	r := newRig(t, 1)
	r.deploying()
	gone := wanted("rekey-1")
	gone.Ref = "gone"
	got, err := r.starts(nil, gone, wanted("rekey-2"))(t.Context())
	if got.Created != 1 || err == nil || err.Error() != "team/one in dev: start deploy.yml at gone: GitHub answered 422: No ref found for: gone" {
		t.Errorf("%+v, %v", got, err)
	}
	r.AddToken("token", bot, map[string]string{"actions": "read"})
	if _, err := r.starts(nil, wanted("rekey-3"))(t.Context()); err == nil || !strings.Contains(err.Error(), "Resource not accessible") {
		t.Errorf("without the right: %v", err)
	}
}

func TestOnlyWhatIsDueAndAskedForIsOpen(t *testing.T) {
	s := rotation.Step{ID: "r/x/dev/1/deploy/shop", Key: "deploy/shop", Phase: rotation.Deploy, Within: rotation.Duration(time.Hour)}
	p := rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "team/one"}, Steps: []rotation.Step{s}}
	at := reporttest.Monday
	records := []rotation.Record{{At: at, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: p, Actors: rotation.Actors{Operator: "li-pay"}}}}
	note := func(facts map[string]string) []rotation.Record {
		return append(slices.Clone(records), rotation.Record{At: at, Outcome: rotation.Noted, Step: s.Key, Facts: facts})
	}
	asked := note(map[string]string{dispatch.Fact: wanted("rekey-1").Text()})
	due := plan.Decision{State: plan.Open, Step: s}
	a, ok, err := runs.Open(&p, asked, due, at.Add(59*time.Minute))
	if !ok || err != nil || a.Key() != "rekey-1" || a.Operator != "li-pay" || a.Chain != p.Chain {
		t.Errorf("open: %+v %v %v", a, ok, err)
	}
	if _, ok, err := runs.Open(&p, asked, plan.Decision{State: plan.Waiting, Step: s, Why: "left"}, at); !ok || err != nil {
		t.Errorf("left to a later run: %v %v", ok, err)
	}
	for name, one := range map[string]struct {
		records []rotation.Record
		d       plan.Decision
		now     time.Time
	}{
		"nothing asked":    {records, due, at},
		"never begun":      {nil, due, at},
		"its run is known": {note(map[string]string{dispatch.Fact: wanted("rekey-1").Text(), dispatch.Run: "7"}), due, at},
		"too late":         {asked, due, at.Add(time.Hour)},
		"another step":     {asked, plan.Decision{State: plan.Open, Step: rotation.Step{Key: "validate/health"}}, at},
		"not due":          {asked, plan.Decision{State: plan.Deferred, Step: s}, at},
		"not approved":     {asked, plan.Decision{State: plan.Waiting, Step: s, Approval: rotation.ApprovesRotation}, at},
		"over":             {asked, plan.Decision{State: plan.RolledBack}, at},
	} {
		if a, ok, err := runs.Open(&p, one.records, one.d, one.now); ok || err != nil {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	if _, ok, err := runs.Open(&p, note(map[string]string{dispatch.Fact: "{"}), due, at); ok || err == nil {
		t.Errorf("an ask that can't be read: %v %v", ok, err)
	}
}
