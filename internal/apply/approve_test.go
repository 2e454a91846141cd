package apply_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// asks makes every environment of a request need these approvals.
func asks(scopes ...string) func(*plan.Input) {
	return func(in *plan.Input) {
		for i := range in.Targets {
			in.Targets[i].Approvals = scopes
		}
	}
}

// with is j in a run whose gate people opened count times.
func with(j apply.Job, run string, count int) apply.Job {
	j.Approval = &rotation.Approval{For: rotation.ApprovesRotation, Digest: plan.Fingerprint(&j.Claim.Plan), Environment: "rekey-dev", Run: run, Count: count, By: []string{"ana"}}
	return j
}

func TestNothingBeginsBeforeItIsApproved(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, asks(rotation.ApprovesRotation))["dev"]
		st := h.run(j, plan.Waiting)
		if st.Decision.Approval != rotation.ApprovesRotation || h.length("dev") != 0 || len(h.asked) > 0 {
			t.Errorf("%+v, %v", st.Decision, h.asked)
		}
		h.run(with(j, "run/1", 1), plan.Deferred)
		if got := h.chain("dev"); got != "claimed preflight:done create:done promote:done validate:done" {
			t.Error(got)
		}
		time.Sleep(48 * time.Hour)
		h.run(j, plan.Finished) // covered
	})
}

// The gate opened, and the process died before, or at, the first step.
func TestAnApprovalOutlivesItsRun(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, asks(rotation.ApprovesRotation))["dev"]
		h.steps["preflight"] = breaks(errors.New("connection reset"))
		if _, err := h.runner().Run(t.Context(), with(j, "run/1", 1)); err == nil {
			t.Fatal("no error")
		}
		delete(h.steps, "preflight")
		time.Sleep(time.Hour)
		st := h.run(j, plan.Deferred)
		if a := plan.Approval(st.Records, rotation.ApprovesRotation); a == nil || a.Run != "run/1" || a.By[0] != "ana" {
			t.Errorf("%+v", a)
		}
	})
}

func TestAnApprovalIsForTheTextThatWasAskedAbout(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		asked := with(h.jobs(name, asks(rotation.ApprovesRotation))["dev"], "run/1", 1)
		edited := h.jobs(name, func(in *plan.Input) { asks(rotation.ApprovesRotation)(in); in.Request = []byte("edited") })["dev"]
		edited.Approval = asked.Approval
		st := h.run(edited, plan.Waiting)
		if h.length("dev") != 0 || !strings.Contains(st.Waits, "changed after it was asked about") {
			t.Errorf("%q, %s", st.Waits, h.chain("dev"))
		}
	})
}

func TestAnApprovalCountsOnce(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, asks(rotation.ApprovesRotation))["dev"]
		h.steps["validate"] = fails("no")
		h.run(with(j, "run/1", 1), plan.RolledBack)
		j.Again = true
		st := h.run(with(j, "run/1", 1), plan.Waiting) // "Re-run failed jobs"
		if !strings.Contains(st.Waits, "was used for an earlier attempt") {
			t.Errorf("%q", st.Waits)
		}
		h.run(with(j, "run/2", 1), plan.RolledBack)
		h.run(with(j, "run/1", 1), plan.Waiting) // the first one's is still spent
		h.run(with(j, "run/2", 1), plan.Waiting)
		h.run(with(j, "run/1", 2), plan.RolledBack) // asked and approved again
		if st := h.run(j, plan.Waiting); st.Plan.Attempt != 4 {
			t.Errorf("attempt %d", st.Plan.Attempt)
		}
	})
}

// Approved, refused in its preconditions, and then another request took the chain and gave it back.
func TestAnApprovedRotationIsNotAskedAboutAgainBecauseAnotherHadTheChain(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		a := h.jobs(name, asks(rotation.ApprovesRotation))["dev"]
		b := h.jobs("2026-11-23-other", asks(rotation.ApprovesRotation))["dev"]
		h.steps["preflight"] = fails("not now")
		h.run(with(a, "run/1", 1), plan.Refused)
		h.run(with(b, "run/2", 1), plan.Refused)
		delete(h.steps, "preflight")
		st := h.run(a, plan.Deferred)
		if got := plan.Approval(st.Records, rotation.ApprovesRotation); got == nil || got.Run != "run/1" {
			t.Errorf("%+v", got)
		}
	})
}

func TestADecommissionThatIsAskedForByItself(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, asks(rotation.ApprovesRotation, rotation.ApprovesDecommission))["dev"]
		h.run(with(j, "run/1", 1), plan.Deferred)
		time.Sleep(48 * time.Hour)
		st := h.run(with(j, "run/2", 1), plan.Waiting) // that was for the rotation
		if st.Decision.Approval != rotation.ApprovesDecommission {
			t.Errorf("%+v", st.Decision)
		}
		k := with(j, "run/3", 1)
		k.Approval.For = rotation.ApprovesDecommission
		h.run(k, plan.Finished)
		if got := h.chain("dev"); !strings.HasSuffix(got, "validate:done approved resumed decommission:begun decommission:done") &&
			!strings.HasSuffix(got, "validate:done approved decommission:begun decommission:done") {
			t.Error(got)
		}
	})
}

func TestGoingBackWaitsForNoApproval(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, asks(rotation.ApprovesRotation))["dev"]
		h.steps["restore"] = breaks(errors.New("throttled"))
		h.steps["validate"] = fails("no")
		if _, err := h.runner().Run(t.Context(), with(j, "run/1", 1)); err == nil {
			t.Fatal("no error")
		}
		delete(h.steps, "restore")
		time.Sleep(time.Hour)
		h.run(j, plan.RolledBack)
	})
}

func TestOnlyBegunClaimsNothing(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		j.OnlyBegun = true
		h.run(j, plan.Open)
		if h.length("dev") != 0 {
			t.Error(h.chain("dev"))
		}
		j.OnlyBegun = false
		h.run(j, plan.Deferred)
		j.OnlyBegun = true
		time.Sleep(48 * time.Hour)
		h.run(j, plan.Finished)
	})
}
