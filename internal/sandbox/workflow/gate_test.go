package workflow

import (
	"context"
	"strings"
	"testing"
	"time"
)

const gated = header + `
  plan: {runs-on: x, outputs: {shards: "${{ steps.s.outputs.k }}"}, steps: [{id: s, run: "set k=[\"1/2\",\"2/2\"]"}]}
  prod:
    name: prod ${{ matrix.shard }}
    needs: plan
    if: "!cancelled() && needs.plan.result == 'success'"
    strategy: {fail-fast: false, matrix: {shard: "${{ fromJSON(needs.plan.outputs.shards) }}"}}
    environment: {name: "rekey-${{ 'prod' }}", url: "https://example.com"}
    runs-on: x
    steps: [run: "${{ matrix.shard }}"]
  after: {runs-on: x, needs: prod, if: always(), environment: rekey-prod, steps: [run: x]}
  free: {runs-on: x, environment: dev, steps: [run: x]}
`

// "Reviewing deployments", "Deployments and environments": jobs of an environment with reviewers wait for one of them;
// one answer covers those that wait, and a job that comes later asks again.
func TestGate(t *testing.T) {
	w := newWorld(t, Options{}, gated)
	w.reviewers["rekey-prod"] = true
	id := w.trigger(push)
	w.want("asked", w.results(id), "plan=success prod 1/2=waiting prod 2/2=waiting after=blocked free=success")
	s, _ := w.Run(id)
	w.want("status", s.Status, waiting)
	w.now = w.now.Add(29 * 24 * time.Hour)
	w.advance()
	w.want("nobody answered", w.results(id), "plan=success prod 1/2=waiting prod 2/2=waiting after=blocked free=success")
	w.review(id, "rekey-prod", false)
	w.advance()
	w.want("approved", w.results(id), "plan=success prod 1/2=success prod 2/2=success after=waiting free=success")
	w.review(id, "rekey-prod", true)
	w.advance()
	w.want("rejected", w.results(id), "plan=success prod 1/2=success prod 2/2=success after=failure free=success")
	w.want("conclusion", w.ended[id], failure)
	for _, s := range w.steps {
		if want := map[string]string{"free": "dev", "plan": ""}[s.Job]; s.Job != "prod" && s.Environment != want || s.Job == "prod" && s.Environment != "rekey-prod" {
			t.Errorf("%s: environment %q", s.Job, s.Environment)
		}
	}
}

func TestGateBypassedWithoutAReview(t *testing.T) {
	w := newWorld(t, Options{}, gated)
	w.reviewers["rekey-prod"] = true
	id := w.trigger(push)
	w.said[id].Waiting = nil
	w.advance()
	w.want("bypassed", w.results(id), "plan=success prod 1/2=success prod 2/2=success after=waiting free=success")
}

// An answer from before isn't one to what was asked after it, even when a new question comes up in the same moment.
func TestGateOldAnswersDontCount(t *testing.T) {
	w := newWorld(t, Options{}, header+`
  a: {runs-on: x, environment: prod, steps: [run: x]}
  b: {runs-on: x, needs: c, environment: prod, steps: [run: x]}
  c: {runs-on: x, environment: gate, steps: [run: x]}
`)
	w.reviewers["prod"], w.reviewers["gate"] = true, true
	id := w.trigger(push)
	w.review(id, "prod", false)
	w.review(id, "gate", false)
	w.advance()
	w.want("jobs", w.results(id), "a=success b=waiting c=success")
}

// "Actions limits": 30 days for a gate, 35 for a run.
func TestExpiry(t *testing.T) {
	w := newWorld(t, Options{}, header+`
  a: {runs-on: x, environment: prod, steps: [run: x]}
  b: {runs-on: x, needs: a, if: always(), environment: prod, steps: [run: x]}
  c: {runs-on: x, needs: b, if: always(), steps: [run: x]}
`)
	w.reviewers["prod"] = true
	id := w.trigger(push)
	w.now = start.Add(gateLimit - time.Second)
	w.advance()
	w.want("a second before", w.results(id), "a=waiting b=blocked c=blocked")
	w.now = start.Add(gateLimit)
	w.advance()
	w.want("after 30 days", w.results(id), "a=failure b=waiting c=blocked")
	w.now = start.Add(runLimit)
	w.advance()
	w.want("after 35 days", w.results(id), "a=failure b=cancelled c=skipped")
	w.want("conclusion", w.ended[id], cancelled)
}

// "Deployments and environments": the branch rule is held against the run's ref.
func TestBranchThatMayNotDeploy(t *testing.T) {
	w := newWorld(t, Options{}, gated)
	w.branches["dev"] = []string{"release"}
	id := w.trigger(push)
	w.want("jobs", w.results(id), "plan=success prod 1/2=success prod 2/2=success after=success free=failure")
	s, _ := w.Run(id)
	w.want("message", s.Jobs[4].Message, `Branch "main" is not allowed to deploy to dev due to environment protection rules.`)
}

const rerun = header + `
  plan: {runs-on: x, outputs: {k: "${{ steps.s.outputs.k }}"}, steps: [{id: s, run: "set k=${{ github.run_attempt }}"}]}
  dev: {runs-on: x, needs: plan, strategy: {fail-fast: false, matrix: {s: [1, 2]}}, environment: dev, steps: [run: "${{ matrix.s == 2 && github.run_attempt == 1 && 'fail' || 'x' }}"]}
  after: {runs-on: x, needs: [plan, dev], steps: [{name: "${{ needs.plan.outputs.k }} ${{ github.sha }} ${{ github.actor }} ${{ github.triggering_actor }}", run: x}]}
  other: {runs-on: x, if: "github.run_attempt == 2", steps: [run: x]}
`

// "Re-running workflows and jobs": failed jobs and their dependents, with the outputs of those that succeeded, at the
// same commit, by the first actor's rights.
func TestRerunFailed(t *testing.T) {
	for _, keep := range []bool{false, true} {
		w := newWorld(t, Options{KeepApprovals: keep}, rerun)
		w.reviewers["dev"] = true
		id := w.trigger(push)
		if err := w.Rerun(id, "ana", false); err == nil || !strings.Contains(err.Error(), "not completed") {
			t.Fatalf("a run that goes on was run again: %v", err)
		}
		w.review(id, "dev", false)
		w.advance()
		w.want("first", w.results(id), "plan=success dev (1)=success dev (2)=failure after=skipped other=skipped")
		w.history, w.steps = nil, nil
		if err := w.Rerun(id, "ana", false); err != nil {
			t.Fatal(err)
		}
		w.advance()
		if !keep {
			w.want("asked anew", w.results(id), "plan=success dev (1)=success dev (2)=waiting after=blocked other=skipped")
			w.review(id, "dev", false)
			w.advance()
		}
		w.want("second", w.results(id), "plan=success dev (1)=success dev (2)=success after=success other=skipped")
		w.want("steps", w.done(), "dev (2)/Run x after/1 c0ffee li ana")
		w.want("attempt", w.steps[0].Env["GITHUB_RUN_ATTEMPT"]+w.steps[0].Env["GITHUB_TRIGGERING_ACTOR"], "2ana")
		w.want("shown", strings.Join(w.history[:4], "; "), "rerun 1 by ana; 1 plan: completed success; 1 dev (1): completed success; 1 other: completed skipped")
		if err := w.Rerun(id, "ana", false); err == nil || !strings.Contains(err.Error(), "no failed job") {
			t.Errorf("nothing failed: %v", err)
		}
	}
}

func TestRerunAll(t *testing.T) {
	w := newWorld(t, Options{}, rerun)
	id := w.trigger(push)
	w.steps = nil
	if err := w.Rerun(id, "li", true); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want("jobs", w.results(id), "plan=success dev (1)=success dev (2)=success after=success other=success")
	w.want("steps", w.done(), "plan/Run set k=2 dev (1)/Run x dev (2)/Run x after/2 c0ffee li li other/Run x")
	w.now = w.now.Add(rerunLimit + time.Second)
	if err := w.Rerun(id, "li", true); err == nil {
		t.Error("run again after 30 days")
	}
	if err := w.Rerun(99, "li", true); err == nil {
		t.Error("a run that isn't there was run again")
	}
}

// A job that failed before it had legs is decided anew, with new outputs of what it needs when that ran again.
func TestRerunOfAnEmptyMatrix(t *testing.T) {
	w := newWorld(t, Options{}, header+`
  plan: {runs-on: x, outputs: {k: "${{ steps.s.outputs.k }}"}, steps: [{id: s, run: "set k=${{ github.run_attempt == 1 && '[]' || '[1]' }}"}]}
  dev: {runs-on: x, needs: plan, strategy: {matrix: {s: "${{ fromJSON(needs.plan.outputs.k) }}"}}, steps: [run: x]}
`)
	id := w.trigger(push)
	w.want("jobs", w.results(id), "plan=success dev=failure")
	s, _ := w.Run(id)
	w.want("message", s.Jobs[1].Message, "Error when evaluating 'strategy' for job 'dev'. matrix vector 's' does not contain any values")
	for all, want := range map[bool]string{false: "plan=success dev=failure", true: "plan=success dev (1)=success"} {
		if all {
			continue
		}
		if err := w.Rerun(id, "li", all); err != nil {
			t.Fatal(err)
		}
		w.advance()
		w.want("again", w.results(id), want)
	}
	if err := w.Rerun(id, "li", true); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want("all again", w.results(id), "plan=success dev (1)=success")
}

const cancelling = header + `
  a:
    runs-on: x
    steps:
      - {name: one, run: stop}
      - {name: two, run: x}
      - {name: three, if: always(), run: x}
      - {name: four, if: failure(), run: x}
      - {name: five, if: cancelled(), run: x}
  b: {runs-on: x, environment: prod, steps: [run: x]}
  c: {runs-on: x, if: always(), environment: prod, steps: [run: x]}
  d: {runs-on: x, needs: a, steps: [run: x]}
  e: {runs-on: x, needs: a, if: "always() && needs.a.result == 'cancelled'", steps: [run: x]}
  f: {runs-on: x, needs: a, if: "!cancelled()", steps: [run: x]}
`

// "Workflow cancellation reference": conditions are decided again; what holds goes on, what runs is interrupted.
func TestCancel(t *testing.T) {
	for name, how := range map[string]func(w *world){
		"by the engine": func(w *world) {
			if err := w.Cancel(1); err != nil {
				t.Error(err)
			}
		},
		"by the hub": func(w *world) { w.said[1].Cancelled = true },
	} {
		w := newWorld(t, Options{}, cancelling)
		w.reviewers["prod"] = true
		interrupted := false
		w.hooks["stop"] = func(ctx context.Context) {
			how(w)
			interrupted = ctx.Err() != nil
		}
		id := w.trigger(push)
		w.want(name, w.results(id), "a=cancelled b=cancelled c=waiting d=skipped e=success f=skipped")
		w.want(name+": steps", w.done(), map[string]string{
			"by the engine": "a/one a/three a/five e/Run x",
			"by the hub":    "a/one a/three a/five e/Run x",
		}[name])
		if interrupted != (name == "by the engine") {
			t.Errorf("%s: interrupted %v", name, interrupted)
		}
		w.review(id, "prod", false)
		w.advance()
		w.want(name+": conclusion", w.ended[id], cancelled)
		if err := w.Cancel(id); err == nil {
			t.Error("a completed run was cancelled")
		}
	}
}

// A step whose own condition holds in a cancelled job isn't interrupted.
func TestCancelLeavesAlwaysStepsAlone(t *testing.T) {
	w := newWorld(t, Options{}, header+"  a: {runs-on: x, steps: [{if: always(), run: stop}, {run: x}]}\n")
	w.hooks["stop"] = func(ctx context.Context) {
		if err := w.Cancel(1); err != nil || ctx.Err() != nil {
			t.Error(err, ctx.Err())
		}
	}
	id := w.trigger(push)
	w.want("job", w.results(id)+" "+w.done(), "a=cancelled a/Run stop")
}

// "Control the concurrency of workflows and jobs".
func TestConcurrency(t *testing.T) {
	const runs = "concurrency: {group: \"G-${{ github.ref_name }}\", cancel-in-progress: \"${{ github.sha == 'now' }}\"}\n" + header + "  a: {runs-on: x, environment: prod, steps: [run: x]}\n"
	w := newWorld(t, Options{}, runs)
	w.reviewers["prod"] = true
	first, second := w.trigger(push), w.trigger(push)
	w.want("first", w.results(first)+", "+w.results(second), "a=waiting, a=blocked")
	s, _ := w.Run(second)
	w.want("status", s.Status, pending)
	third := w.trigger(push)
	w.want("the older pending one", w.ended[second]+w.ended[third], cancelled)
	w.review(first, "prod", false)
	w.advance()
	w.want("the newer one", w.ended[first]+" "+w.results(third), "success a=waiting")
	now := push
	now.SHA = "now"
	fourth := w.trigger(now)
	w.want("cancel-in-progress", w.ended[third]+" "+w.results(fourth), "cancelled a=waiting")
	other := push
	other.Ref = "refs/heads/other"
	w.want("another group", w.results(w.trigger(other)), "a=waiting")
}

func TestConcurrencyOfJobs(t *testing.T) {
	const jobs = header + `
  a: {runs-on: x, environment: prod, concurrency: Prod, steps: [run: x]}
  b: {runs-on: x, concurrency: prod, steps: [run: x]}
  c: {runs-on: x, concurrency: {group: "${{ 'PROD' }}"}, steps: [run: x]}
`
	w := newWorld(t, Options{}, jobs)
	w.reviewers["prod"] = true
	id := w.trigger(push)
	w.want("names ignore case; a waiting job keeps its group", w.results(id), "a=waiting b=cancelled c=pending")
	w.review(id, "prod", false)
	w.advance()
	w.want("then", w.results(id), "a=success b=cancelled c=success")
}
