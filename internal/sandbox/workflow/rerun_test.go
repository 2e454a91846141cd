package workflow

import (
	"context"
	"testing"
)

// What depends on a failed job is run again however far away it is, and so is what fail-fast cancelled.
func TestRerunFailedGoesDownTheChain(t *testing.T) {
	w := newWorld(t, Options{}, header+`
  a: {runs-on: x, strategy: {matrix: {s: [ok, fail, late]}}, steps: [run: "${{ github.run_attempt == 1 && matrix.s || 'x' }}"]}
  b: {runs-on: x, needs: a, steps: [run: x]}
  c: {runs-on: x, needs: b, steps: [run: x]}
`)
	id := w.trigger(push)
	w.want("first", w.results(id), "a (ok)=success a (fail)=failure a (late)=cancelled b=skipped c=skipped")
	w.steps = nil
	if err := w.Rerun(id, "li", false); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want("second", w.results(id), "a (ok)=success a (fail)=success a (late)=success b=success c=success")
	w.want("steps", w.done(), "a (fail)/Run x a (late)/Run x b/Run x c/Run x")
}

// An approval that is kept is one of an earlier attempt: in the same one each job asks for itself.
func TestKeptApprovalsAreOfEarlierAttempts(t *testing.T) {
	w := newWorld(t, Options{KeepApprovals: true}, header+`
  a: {runs-on: x, environment: prod, concurrency: one, strategy: {matrix: {s: [1, 2]}}, steps: [run: x]}
`)
	w.reviewers["prod"] = true
	id := w.trigger(push)
	w.want("first", w.results(id), "a (1)=waiting a (2)=pending")
	w.review(id, "prod", false)
	w.advance()
	w.want("second", w.results(id), "a (1)=success a (2)=waiting")
	w.review(id, "prod", false)
	w.advance()
	if err := w.Rerun(id, "li", true); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want("again", w.results(id), "a (1)=success a (2)=success")
}

// In a cancelled run failure() is false, even after a failed job; an interrupted step is cancelled whatever it answers.
func TestCancelledIsNotAFailure(t *testing.T) {
	w := newWorld(t, Options{}, header+`
  a: {runs-on: x, steps: [run: fail]}
  b:
    runs-on: x
    steps:
      - {id: one, run: stop}
      - {name: two, if: "always() && steps.one.outcome == 'cancelled' && job.status == 'cancelled'", run: x}
  c: {runs-on: x, needs: [a, b], if: failure(), steps: [run: x]}
  d: {runs-on: x, needs: [a, b], if: cancelled(), steps: [run: x]}
`)
	w.hooks["stop"] = func(context.Context) {
		if err := w.Cancel(1); err != nil {
			t.Error(err)
		}
	}
	id := w.trigger(push)
	w.want("jobs", w.results(id), "a=failure b=cancelled c=skipped d=success")
	w.want("steps", w.done(), "a/Run fail b/Run stop b/two d/Run x")
	w.want("conclusion", w.ended[id], cancelled)
}
