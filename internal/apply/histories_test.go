package apply_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A request dated ahead was begun, finished, and followed by another one. Its claim is then older than its own day,
// before which nobody looks for claims: it would begin again under its first tokens, whose version is the retired one.
func TestNoRequestBeginsBeforeItsDaySoNoneBeginsTwice(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		early, other := h.jobs("2026-12-24-app", nil)["dev"], h.jobs(name, nil)["dev"]
		st := h.run(early, plan.Deferred)
		if want := time.Date(2026, 12, 23, 0, 0, 0, 0, time.UTC); !st.Decision.Until.Equal(want) || len(h.asked) > 0 || h.length("dev") != 0 {
			t.Fatalf("%+v, asked %v", st.Decision, h.asked)
		}
		h.run(other, plan.Deferred)
		time.Sleep(48 * time.Hour)
		h.run(other, plan.Finished)
		h.run(early, plan.Deferred)
		if len(h.asked) > 0 {
			t.Errorf("asked %v", h.asked)
		}
	})
}

// A stolen credential's rotation took over a retention and was rolled back: what that retention kept is still there.
func TestWhatWasInheritedIsAnsweredForByWhoeverComesNext(t *testing.T) {
	kept := rotation.Fact{Step: "promote", Key: "kept_by", Value: "ROLLBACK-1"}
	in(t, func(t *testing.T, h *house) {
		h.steps["promote"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			return rotation.Result{Facts: map[string]string{kept.Key: kept.Value}}, nil
		}
		h.run(h.jobs(name, nil)["dev"], plan.Deferred)
		stolen := h.jobs("2026-11-23-stolen", func(in *plan.Input) { in.Reason = "compromise" })["dev"]
		h.steps["validate"] = fails("red")
		h.run(stolen, plan.RolledBack)
		stolen.Again = true
		st := h.run(stolen, plan.RolledBack)
		if c, _ := rotation.PastOf(st.Records).Claim(); st.Plan.Attempt != 2 || !slices.Contains(c.Inherits, kept) {
			t.Errorf("attempt %d inherits %v", st.Plan.Attempt, c.Inherits)
		}
		delete(h.steps, "validate")
		next := h.jobs("2026-11-23-next", nil)["dev"]
		st = h.run(next, plan.Deferred)
		if c, _ := rotation.PastOf(st.Records).Claim(); !slices.Contains(c.Inherits, kept) {
			t.Errorf("the next rotation inherits %v", c.Inherits)
		}
		time.Sleep(48 * time.Hour)
		h.run(next, plan.Finished)
		last := h.jobs("2026-11-25-last", nil)["dev"]
		st = h.run(last, plan.Deferred)
		if c, _ := rotation.PastOf(st.Records).Claim(); len(c.Inherits) > 0 {
			t.Errorf("what is gone is inherited: %v", c.Inherits)
		}
	})
}

// promote waited for the morning, and then for a network that was away for a few seconds.
func TestWaitingForBusinessHoursTakesNoneOfAStepsTime(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, func(in *plan.Input) {
			in.Targets[0].Hours = &rotation.Hours{Days: []string{"mon", "tue"}, From: "09:00", To: "10:00", Zone: "UTC"}
		})["dev"]
		h.steps["create"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			time.Sleep(90 * time.Minute)
			return rotation.Result{}, nil
		}
		h.run(j, plan.Deferred)
		time.Sleep(24*time.Hour - 90*time.Minute)
		h.steps["promote"] = breaks(errors.New("connection reset"))
		if st, err := h.runner().Run(t.Context(), j); err == nil {
			t.Fatalf("%s: %s", st.Decision.State, h.chain("dev"))
		}
		delete(h.steps, "promote")
		if st, err := h.runner().Run(t.Context(), j); err != nil || !st.Validated(time.Now()) {
			t.Errorf("%v, %s", err, h.chain("dev"))
		}
	})
}

func TestWhoWeAreIsAskedForAClaimAndForNothingElse(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		j.Identity = func(context.Context) (string, error) { return "arn:aws:iam::111111111111:user/ana", nil }
		st := h.run(j, plan.Deferred)
		if c, _ := rotation.PastOf(st.Records).Claim(); c.Identity == "" {
			t.Error("the claim names nobody")
		}
		nobody := errors.New("sts: no answer")
		j.Identity = func(context.Context) (string, error) { return "", nobody }
		j.RollBack = "kim"
		h.run(j, plan.RolledBack)
		next := h.jobs("2026-11-23-next", nil)["dev"]
		next.Identity = j.Identity
		if _, err := h.runner().Run(t.Context(), next); !errors.Is(err, nobody) || slices.Contains(h.asked, "create") {
			t.Errorf("%v, asked %v", err, h.asked)
		}
	})
}

// A clock that is days ahead would find the retention over at once.
func TestAClockAheadOfTheStoresDecommissionsNothing(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		r := h.runner()
		r.Clock = ahead{49 * time.Hour}
		var failure *rotation.Failure
		if _, err := r.Run(t.Context(), j); !errors.As(err, &failure) || !strings.Contains(failure.Msg, "ahead") {
			t.Errorf("%v", err)
		}
		if got := h.chain("dev"); strings.Contains(got, "decommission") {
			t.Error(got)
		}
		// What must go back goes back all the same.
		j.RollBack = "kim"
		if st, err := r.Run(t.Context(), j); err != nil || st.Decision.State != plan.RolledBack {
			t.Errorf("%v, %v", st.Decision, err)
		}
	})
}

type ahead struct{ by time.Duration }

func (a ahead) Now() time.Time                                 { return clock{}.Now().Add(a.by) }
func (ahead) After(d time.Duration) <-chan time.Time           { return clock{}.After(d) }
func (ahead) Sleep(ctx context.Context, d time.Duration) error { return clock{}.Sleep(ctx, d) }

// The process dies right after the record: that a call of its may still arrive is in the record itself.
func TestARecordTellsThatACallMayStillArrive(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["validate"] = func(ctx context.Context, _ rotation.Past) (rotation.Result, error) {
			rotation.FenceOf(ctx).Unanswered()
			return rotation.Result{}, nil
		}
		j := h.jobs(name, nil)["dev"]
		st := h.run(j, plan.Deferred)
		for _, r := range st.Records {
			if r.Step == "validate" && (r.QuietAt == nil || !r.QuietAt.Equal(r.At.Add(apply.Quiet))) {
				t.Errorf("record %d: quiet at %v", r.Seq, r.QuietAt)
			}
		}
	})
}
