package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A house is a journal, a clock that is the bubble's, and steps that do what a test says.
type house struct {
	t       *testing.T
	dir     string
	store   *folder.Store
	steps   map[string]func(context.Context, rotation.Past) (rotation.Result, error) // by name; none: done
	asked   []string                                                                 // names of the steps asked
	refuses string                                                                   // name of a step that says no before it changes anything
	n       int
	patient time.Duration
}

func in(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)))
		s, err := folder.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		h := &house{t: t, dir: dir, store: s, steps: map[string]func(context.Context, rotation.Past) (rotation.Result, error){}}
		if err := evidence.New(s, evidence.Options{}).Init(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		test(t, h)
	})
}

var recipe = []rotation.Spec{
	{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
	{Phase: rotation.Create, Name: "create"},
	{Phase: rotation.Deploy, Name: "promote"},
	{Phase: rotation.Validate, Name: "validate"},
	{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
	{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
	{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
}

const name = "2026-11-23-app"

// jobs are the jobs of a request, by environment.
func (h *house) jobs(name string, change func(*plan.Input)) map[string]apply.Job {
	h.t.Helper()
	in := plan.Input{Rotation: name, Request: []byte("secret: app\n"), Date: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Secret: "app/db",
		Kind: "toy", Reason: "scheduled", OnFailure: "rollback", Retain: rotation.Duration(48 * time.Hour), StartIn: rotation.Duration(720 * time.Hour)}
	for _, env := range []string{"dev", "prod"} {
		in.Targets = append(in.Targets, plan.Target{Environment: env, Requested: true, With: json.RawMessage(`{}`), Recipe: recipe})
	}
	if change != nil {
		change(&in)
	}
	plans, err := plan.Build(in)
	if err != nil {
		h.t.Fatal(err)
	}
	jobs := map[string]apply.Job{}
	for _, p := range plans {
		jobs[p.Environment] = apply.Job{Claim: rotation.Claim{Plan: p, Request: string(in.Request), Owner: "@rastup/app", Program: "test"}}
	}
	return jobs
}

type clock struct{}

func (clock) Now() time.Time                         { return time.Now() }
func (clock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (clock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

type nowhere struct{}

func (nowhere) Point(context.Context, *rotation.Plan, rotation.Head) error { return nil }
func (nowhere) Keep(context.Context, *rotation.Plan, rotation.Step, []rotation.File) ([]rotation.FileRef, error) {
	return nil, nil
}

func (h *house) runner() *apply.Runner {
	h.n++
	handler := rotation.Handler{}
	for _, s := range append(slices.Clone(recipe), rotation.Spec{Name: "adopted"}, rotation.Spec{Name: "deploy"}, rotation.Spec{Name: "back"}) {
		handler[s.Name] = func(ctx context.Context, st rotation.Step, past rotation.Past) (rotation.Result, error) {
			h.asked = append(h.asked, st.Name)
			if h.refuses == st.Name {
				return rotation.Result{}, rotation.Failf("", "not yet")
			}
			if st.Final { // as the transport does before a call that changes something
				if err := rotation.FenceOf(ctx).Pass(time.Minute); err != nil {
					return rotation.Result{}, err
				}
			}
			if f := h.steps[s.Name]; f != nil {
				return f(ctx, past)
			}
			return rotation.Result{}, nil
		}
	}
	return &apply.Runner{Journal: evidence.New(h.store, evidence.Options{}), Bundle: nowhere{}, Clock: clock{},
		Self: rotation.Runner{ID: fmt.Sprintf("run %d", h.n), Nonce: fmt.Sprint(h.n)},
		Handlers: func(context.Context, *rotation.Claim) (map[string]rotation.Handler, error) {
			return map[string]rotation.Handler{"kind/toy": handler}, nil
		},
		Scrub: func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted]") }, Progress: func(*rotation.Plan, rotation.Record) {}, Patience: h.patient}
}

// run is one process. The state it came to must be want.
func (h *house) run(j apply.Job, want plan.State) apply.Status {
	h.t.Helper()
	h.asked = nil
	st, err := h.runner().Run(h.t.Context(), j)
	if err != nil {
		h.t.Fatalf("run: %v", err)
	}
	if st.Decision.State != want {
		h.t.Fatalf("%s (%s), want %s", st.Decision.State, st.Decision.Why, want)
	}
	return st
}

// chain is a chain's latest attempt as "step:outcome" words.
func (h *house) chain(env string) string {
	h.t.Helper()
	c, err := evidence.New(h.store, evidence.Options{}).Open(h.t.Context(), rotation.Chain{Environment: env, Secret: "app/db"})
	if err != nil {
		h.t.Fatal(err)
	}
	var words []string
	for _, r := range c.Records {
		words = append(words, strings.TrimPrefix(r.Step+":"+string(r.Outcome), ":"))
	}
	return strings.Join(words, " ")
}

func (h *house) length(env string) int {
	h.t.Helper()
	c, err := evidence.New(h.store, evidence.Options{}).Open(h.t.Context(), rotation.Chain{Environment: env, Secret: "app/db"})
	if err != nil {
		h.t.Fatal(err)
	}
	return c.Head().Seq
}

func fails(msg string) func(context.Context, rotation.Past) (rotation.Result, error) {
	return func(context.Context, rotation.Past) (rotation.Result, error) {
		return rotation.Result{}, rotation.Failf("hint", "%s", msg)
	}
}

func breaks(err error) func(context.Context, rotation.Past) (rotation.Result, error) {
	return func(context.Context, rotation.Past) (rotation.Result, error) { return rotation.Result{}, err }
}

func TestAWholeRotation(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		h.run(j, plan.Finished)
		if got, want := h.chain("dev"), "claimed preflight:done create:done promote:done validate:done resumed decommission:begun decommission:done"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		n := h.length("dev")
		h.run(j, plan.Finished)
		if len(h.asked) > 0 || h.length("dev") != n {
			t.Errorf("a finished rotation did something: %v", h.asked)
		}
	})
}

func TestLookingAtAnUnclaimedChainAppendsNothing(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		if _, err := h.runner().Look(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		h.steps["preflight"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			return rotation.Result{Wait: "quotas", Again: rotation.Later}, nil
		}
		h.run(j, plan.Waiting)
		h.steps["preflight"] = breaks(errors.New("connection reset"))
		if _, err := h.runner().Run(t.Context(), j); err == nil {
			t.Error("an unknown outcome is no error")
		}
		if n := h.length("dev"); n != 0 {
			t.Errorf("%d records: %s", n, h.chain("dev"))
		}
	})
}

func TestARefusedPreflightIsTriedAgainWithoutGrowingTheChain(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.steps["preflight"] = fails("AWSPENDING is somebody else's")
		h.run(j, plan.Refused)
		for range 3 {
			time.Sleep(time.Hour)
			h.run(j, plan.Refused)
		}
		if got := h.chain("dev"); got != "claimed preflight:failed" {
			t.Error(got)
		}
		h.steps["preflight"] = fails("something else")
		h.run(j, plan.Refused)
		if got := h.chain("dev"); got != "claimed preflight:failed preflight:failed" {
			t.Error(got)
		}
		delete(h.steps, "preflight")
		h.run(j, plan.Deferred)
	})
}

// Two requests for one secret, both refused for days.
func TestTwoRefusedRequestsDoNotGrowTheChainByTurns(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		a, b := h.jobs(name, nil)["dev"], h.jobs("2026-11-23-other", nil)["dev"]
		h.steps["preflight"] = fails("no")
		for range 2 {
			h.run(a, plan.Refused)
			h.run(b, plan.Refused)
		}
		n := h.length("dev")
		for range 5 {
			time.Sleep(24 * time.Hour)
			h.run(a, plan.Refused)
			h.run(b, plan.Refused)
		}
		if got := h.length("dev"); got != n {
			t.Errorf("%d records, were %d", got, n)
		}
		delete(h.steps, "preflight")
		h.run(a, plan.Deferred)
		var busy *apply.Busy
		if _, err := h.runner().Run(t.Context(), b); !errors.As(err, &busy) {
			t.Errorf("the other one: %v", err)
		}
	})
}

func TestAnotherRequestClaimsAfterARefusedOneAndTheOldOneIsNotRunAgain(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		old, next := h.jobs(name, nil)["dev"], h.jobs("2026-11-24-app", nil)["dev"]
		h.run(old, plan.Deferred)
		time.Sleep(48 * time.Hour)
		h.run(old, plan.Finished)
		h.steps["preflight"] = fails("no")
		h.run(next, plan.Refused)
		delete(h.steps, "preflight")
		n := h.length("dev")
		h.run(old, plan.Finished)
		if len(h.asked) > 0 || h.length("dev") != n {
			t.Errorf("the old one did something: %v", h.asked)
		}
		h.run(next, plan.Deferred)
		h.run(old, plan.Finished)
	})
}

func TestAnEditedRequestStopsForwardStepsAndNeverARestore(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		edited := h.jobs(name, func(in *plan.Input) { in.Request = []byte("secret: app\nretain: 0h\n") })["dev"]
		time.Sleep(48 * time.Hour)
		if _, err := h.runner().Run(t.Context(), edited); !errors.Is(err, apply.ErrChanged) {
			t.Fatalf("forward: %v", err)
		}
		edited.RollBack = "kim"
		h.run(edited, plan.RolledBack)
		if !slices.Equal(h.asked, []string{"restore", "discard"}) {
			t.Error(h.asked)
		}
	})
}

func TestAnEditedRequestThatNeverBeganBeginsAsItIsNow(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["preflight"] = fails("no")
		h.run(h.jobs(name, nil)["dev"], plan.Refused)
		delete(h.steps, "preflight")
		edited := h.jobs(name, func(in *plan.Input) { in.Request = []byte("mended") })["dev"]
		if st := h.run(edited, plan.Deferred); st.Plan.Attempt != 2 || st.Plan.Digest != edited.Claim.Plan.Digest {
			t.Errorf("attempt %d", st.Plan.Attempt)
		}
	})
}

func TestAWithdrawnRequestNeverBeginsAndWhatHasBegunGoesOn(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		j.Withdrawn = true
		h.run(j, plan.Missed)
		if len(h.asked) > 0 || h.length("dev") != 0 {
			t.Error(h.asked)
		}
		j.Withdrawn = false
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		j.Withdrawn, j.Claim.Plan.Digest = true, ""
		h.run(j, plan.Finished)
	})
}

func TestCompromiseSupersedesARetentionAndInherits(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["promote"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			return rotation.Result{Facts: map[string]string{"kept_by": "ROLLBACK-1"}}, nil
		}
		j := h.jobs(name, nil)["dev"]
		stolen := h.jobs("2026-11-23-stolen", func(in *plan.Input) { in.Reason = "compromise" })["dev"]
		plain := h.jobs("2026-11-23-plain", nil)["dev"]
		h.run(j, plan.Deferred)
		var busy *apply.Busy
		if _, err := h.runner().Run(t.Context(), plain); !errors.As(err, &busy) {
			t.Fatalf("another one during the retention: %v", err)
		}
		st := h.run(stolen, plan.Deferred)
		c, _ := rotation.PastOf(st.Records).Claim()
		if c.Supersedes != name || !slices.Contains(c.Inherits, rotation.Fact{Step: "promote", Key: "kept_by", Value: "ROLLBACK-1"}) {
			t.Errorf("supersedes %q, inherits %v", c.Supersedes, c.Inherits)
		}
		h.run(j, plan.Superseded)
		j.RollBack = "kim"
		var failure *rotation.Failure
		if _, err := h.runner().Run(t.Context(), j); !errors.As(err, &failure) {
			t.Errorf("rolling back what is superseded: %v", err)
		}
	})
}

func TestAnEnvironmentWaitsForTheOneBefore(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		jobs := h.jobs(name, nil)
		if st := h.run(jobs["prod"], plan.Waiting); st.Waits == "" || h.length("prod") != 0 {
			t.Errorf("%q", st.Waits)
		}
		h.run(jobs["dev"], plan.Deferred)
		st := h.run(jobs["prod"], plan.Deferred)
		if c, _ := rotation.PastOf(st.Records).Claim(); c.Previous == nil || c.Previous.Environment != "dev" || c.Previous.Seq == 0 {
			t.Errorf("the environment before isn't anchored: %+v", c.Previous)
		}
	})
}

func TestProdAloneNeedsTheLatestOfTheOneBefore(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		alone := func(in *plan.Input) { in.Targets[0].Requested = false }
		h.run(h.jobs("2026-11-23-prod", alone)["prod"], plan.Waiting)
		h.run(h.jobs(name, nil)["dev"], plan.Deferred)
		h.run(h.jobs("2026-11-23-prod", alone)["prod"], plan.Deferred)
	})
}

func TestRolledBackIsOverUntilAPersonStartsItAgain(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.steps["validate"] = fails("health hunter2")
		st := h.run(j, plan.RolledBack)
		if strings.Contains(fmt.Sprint(st.Records), "hunter2") {
			t.Error("a text wasn't scrubbed")
		}
		h.run(j, plan.RolledBack)
		if len(h.asked) > 0 {
			t.Errorf("went on by itself: %v", h.asked)
		}
		delete(h.steps, "validate")
		j.Again = true
		if st := h.run(j, plan.Deferred); st.Plan.Attempt != 2 {
			t.Errorf("attempt %d", st.Plan.Attempt)
		}
		h.run(j, plan.Deferred)
		if n := strings.Count(h.chain("dev"), "claimed"); n != 1 {
			t.Error(h.chain("dev"))
		}
	})
}

func TestARefusalBeforeAnythingWasChangedLeavesTheWayBackOpen(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		h.refuses = "decommission"
		h.run(j, plan.Stuck)
		j.RollBack = "kim"
		h.run(j, plan.RolledBack)
	})
}

func TestTooLateToRollBack(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		h.steps["decommission"] = fails("throttled for good")
		h.run(j, plan.Stuck)
		j.RollBack = "kim"
		var failure *rotation.Failure
		if _, err := h.runner().Run(t.Context(), j); !errors.As(err, &failure) {
			t.Errorf("%v", err)
		}
		if strings.Contains(h.chain("dev"), string(rotation.Asked)) {
			t.Error(h.chain("dev"))
		}
	})
}

func TestPatienceWaitsForWhatIsDeferredAndClaimsAnew(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		from := time.Now().Add(4 * time.Minute)
		j := h.jobs(name, func(in *plan.Input) {
			in.Targets[0].Window = &rotation.Window{From: from, To: from.Add(time.Hour)}
		})["dev"]
		h.run(j, plan.Deferred)
		h.patient = 5 * time.Minute
		h.run(j, plan.Deferred) // the retention, now
		if time.Now().Before(from) || len(h.asked) != 4 {
			t.Errorf("%s, %v", time.Now(), h.asked)
		}
	})
}

func TestAStoppedRunLetsItsStepAnswerAndGivesTheLeaseBack(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(t.Context())
		h.steps["promote"] = func(inner context.Context, _ rotation.Past) (rotation.Result, error) {
			stop()
			time.Sleep(2 * time.Second)
			return rotation.Result{Text: "done all the same"}, inner.Err()
		}
		j := h.jobs(name, nil)["dev"]
		if _, err := h.runner().Run(ctx, j); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		if got, want := h.chain("dev"), "claimed preflight:done create:done promote:done released"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		delete(h.steps, "promote")
		h.run(j, plan.Deferred) // at once
	})
}

func TestAStepThatIgnoresTheStopIsCutOffAfterItsGrace(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(t.Context())
		h.steps["promote"] = func(inner context.Context, _ rotation.Past) (rotation.Result, error) {
			stop()
			<-inner.Done()
			return rotation.Result{}, inner.Err()
		}
		began := time.Now()
		if _, err := h.runner().Run(ctx, h.jobs(name, nil)["dev"]); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		if got, want := h.chain("dev"), "claimed preflight:done create:done released"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

func TestALongStepKeepsItsLease(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["create"] = func(ctx context.Context, _ rotation.Past) (rotation.Result, error) {
			for range 40 {
				time.Sleep(time.Minute)
				if err := rotation.FenceOf(ctx).Pass(time.Minute); err != nil {
					return rotation.Result{}, err
				}
			}
			return rotation.Result{}, nil
		}
		h.run(h.jobs(name, nil)["dev"], plan.Deferred)
		if n := strings.Count(h.chain("dev"), "create:noted"); n < 4 || n > 12 {
			t.Errorf("%d renewals: %s", n, h.chain("dev"))
		}
	})
}

func TestNobodyBeginsBesideARunnerOnAStuckStep(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.steps["validate"], h.steps["restore"] = fails("red"), fails("no")
		h.run(j, plan.Stuck)
		busy := false
		h.steps["restore"] = func(ctx context.Context, _ rotation.Past) (rotation.Result, error) {
			h.steps["restore"] = nil
			_, err := h.runner().Run(ctx, j)
			var b *apply.Busy
			busy = errors.As(err, &b)
			return rotation.Result{}, nil
		}
		h.run(j, plan.RolledBack)
		if !busy {
			t.Error("a second runner began beside the first")
		}
	})
}

func TestWhoeverLeavesWithACallUnansweredSaysUntilWhen(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["promote"] = func(ctx context.Context, _ rotation.Past) (rotation.Result, error) {
			rotation.FenceOf(ctx).Unanswered()
			return rotation.Result{}, nil
		}
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		back := j
		back.RollBack = "kim"
		var busy *apply.Busy
		time.Sleep(apply.Quiet - time.Minute)
		if _, err := h.runner().Run(t.Context(), back); !errors.As(err, &busy) {
			t.Fatalf("rolled back while a call was on its way: %v", err)
		}
		time.Sleep(time.Minute)
		h.run(back, plan.RolledBack)
	})
}

func TestAnUndoIsNotCalledDoneWhileACallMayStillArrive(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["promote"] = func(ctx context.Context, _ rotation.Past) (rotation.Result, error) {
			rotation.FenceOf(ctx).Unanswered()
			return rotation.Result{}, nil
		}
		h.steps["validate"] = fails("red")
		began := time.Now()
		h.run(h.jobs(name, nil)["dev"], plan.RolledBack)
		if took := time.Since(began); took < apply.Quiet {
			t.Errorf("called undone after %s", took)
		}
		if n := len(h.asked) - len("pcpv"); n < 3 { // restore looked again
			t.Errorf("asked %v", h.asked)
		}
	})
}

func TestAnUnknownOutcomeIsLookedAtAgainAndNeverUndone(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["promote"] = breaks(errors.New("connection reset"))
		j := h.jobs(name, nil)["dev"]
		if _, err := h.runner().Run(t.Context(), j); err == nil {
			t.Fatal("no error")
		}
		if n := strings.Count(strings.Join(h.asked, " "), "promote"); n != 3 {
			t.Errorf("asked %d times", n)
		}
		if got := h.chain("dev"); strings.Contains(got, "failed") || !strings.HasSuffix(got, "released") {
			t.Error(got)
		}
		delete(h.steps, "promote")
		h.run(j, plan.Deferred)
	})
}

func TestAnotherProgramsStepsAreRefusedBeforeAnythingBegins(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, func(in *plan.Input) {
			in.Targets[0].Recipe = append(slices.Clone(recipe), rotation.Spec{Phase: rotation.Decommission, Name: "refused"})
		})["dev"]
		var failure *rotation.Failure
		if _, err := h.runner().Run(t.Context(), j); !errors.As(err, &failure) || len(h.asked) > 0 || h.length("dev") != 0 {
			t.Errorf("%v, asked %v", err, h.asked)
		}
	})
}

func TestFactsAreOnRecordBeforeTheStepGoesOn(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		h.steps["validate"] = fails("red")
		h.steps["discard"] = func(_ context.Context, past rotation.Past) (rotation.Result, error) {
			if past.Fact("discard", "new") == "" {
				return rotation.Result{Facts: map[string]string{"new": "v2"}, Wait: "what was found to be on record"}, nil
			}
			if !strings.Contains(h.chain("dev"), "discard:noted") {
				t.Error("told, but not on record")
			}
			return rotation.Result{}, nil
		}
		h.run(h.jobs(name, nil)["dev"], plan.RolledBack)
	})
}

// A step that only looks takes no lease. What it waits for is on record all the same: once, and again when it has changed.
func TestWhatALookingStepWaitsForIsOnRecordOnceItChanged(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		recipe := slices.Insert(slices.Clone(recipe), 4, rotation.Spec{Phase: rotation.Decommission, Name: "adopted", Looks: true, After: "promote", Delay: rotation.Retain})
		j := h.jobs(name, func(in *plan.Input) {
			for i := range in.Targets {
				in.Targets[i].Recipe = recipe
				in.Targets[i].Consumers = []plan.Use{{Name: "web", Uses: "kind/toy", With: json.RawMessage(`{}`)}, {Name: "worker", Uses: "kind/toy", With: json.RawMessage(`{}`)}}
			}
		})["dev"]
		wait := "2 of 4 tasks to end"
		h.steps["adopted"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			if wait == "" {
				return rotation.Result{}, nil
			}
			return rotation.Result{Wait: wait, Again: rotation.Later}, nil
		}
		last := func() string {
			t.Helper()
			st, err := h.runner().Look(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			return st.Records[len(st.Records)-1].Text
		}
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		n := h.length("dev")
		for range 5 {
			h.run(j, plan.Waiting)
			time.Sleep(time.Hour)
		}
		if got := h.length("dev"); got != n+1 || last() != "waits for 2 of 4 tasks to end; and for 2 of 4 tasks to end; and for 2 of 4 tasks to end" {
			t.Errorf("%d records in five visits that saw the same, the last: %s", got-n, last())
		}
		wait = "1 of 4 tasks to end, password hunter2"
		h.run(j, plan.Waiting)
		if got := h.length("dev"); got != n+2 || !strings.HasPrefix(last(), "waits for 1 of 4 tasks to end, password [redacted]; and") {
			t.Errorf("%d records, the last: %s", got-n, last())
		}
		n = h.length("dev")
		for i := range 60 * 24 {
			time.Sleep(time.Hour)
			wait = fmt.Sprintf("key to be unused: it was used at %d", i)
			h.run(j, plan.Waiting)
		}
		if got := h.length("dev") - n; got < 60 || got > 130 {
			t.Errorf("%d records of what changed every hour of 60 days", got)
		}
		wait = ""
		h.run(j, plan.Finished)
		if got := h.chain("dev"); !strings.HasSuffix(got, "released adopted/web:done adopted/worker:done adopted:done decommission:begun decommission:done") &&
			!strings.HasSuffix(got, "released resumed adopted/web:done adopted/worker:done adopted:done decommission:begun decommission:done") {
			t.Error(got)
		}
	})
}

// Policy may end the waiting: it is said beforehand when, the claim's plan counts, and the record tells who still used it.
func TestAdoptionIsWaitedForAsLongAsThePolicyOfTheClaimSays(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		recipe := slices.Insert(slices.Clone(recipe), 4, rotation.Spec{Phase: rotation.Decommission, Name: "adopted", Looks: true, After: "promote", Delay: rotation.Retain})
		jobs := func(wait time.Duration) apply.Job {
			return h.jobs(name, func(in *plan.Input) {
				in.Adoption = rotation.Duration(wait)
				for i := range in.Targets {
					in.Targets[i].Recipe = recipe
					in.Targets[i].Consumers = []plan.Use{{Name: "web", Uses: "kind/toy", With: json.RawMessage(`{}`)}}
				}
			})["dev"]
		}
		h.steps["adopted"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			return rotation.Result{Wait: "2 of 4 tasks to end", Again: rotation.Later}, nil
		}
		begun := time.Now()
		h.run(jobs(14*24*time.Hour), plan.Deferred)
		later := jobs(24 * time.Hour) // the house rules of today don't count
		time.Sleep(time.Until(begun.Add(16*24*time.Hour - time.Minute)))
		h.run(later, plan.Waiting)
		time.Sleep(2 * time.Minute)
		st := h.run(later, plan.Waiting) // the kind's own step doesn't lapse
		i := slices.IndexFunc(st.Records, func(r rotation.Record) bool { return r.Step == "adopted/web" && r.Outcome == rotation.Done })
		if i < 0 || st.Records[i].Text != "went ahead by policy (adoption_wait, 14d after the retention), although it still waited for 2 of 4 tasks to end" || st.Records[i].Facts[rotation.FactAhead] == "" {
			t.Errorf("%+v", st.Records)
		}
		time.Sleep(400 * 24 * time.Hour)
		h.run(later, plan.Waiting)
	})
}

// Of two runners that see the same wait, one tells it, and neither fails.
func TestTwoThatLookAtOnceTellWhatTheyWaitForOnce(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		recipe := slices.Insert(slices.Clone(recipe), 4, rotation.Spec{Phase: rotation.Decommission, Name: "adopted", Looks: true, After: "promote", Delay: rotation.Retain})
		j := h.jobs(name, func(in *plan.Input) {
			in.Targets[0].Recipe, in.Targets[1].Recipe = recipe, recipe
		})["dev"]
		h.run(j, plan.Deferred)
		time.Sleep(48 * time.Hour)
		n, once := h.length("dev"), false
		h.steps["adopted"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			if !once { // while the first one looks, another run comes and goes
				once = true
				if _, err := h.runner().Run(t.Context(), j); err != nil {
					t.Error(err)
				}
			}
			return rotation.Result{Wait: "2 tasks to end", Again: rotation.Later}, nil
		}
		h.run(j, plan.Waiting)
		if got := h.length("dev"); got != n+1 {
			t.Errorf("%d records", got-n)
		}
	})
}

func TestAttachingNeedsAFreeChainAndLeavesItSo(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j := h.jobs(name, nil)["dev"]
		h.run(j, plan.Deferred)
		if _, err := h.runner().Attach(t.Context(), j, "kim", []rotation.File{{Name: "shot.png", Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		back := j
		back.RollBack = "kim"
		h.run(back, plan.RolledBack)
	})
}

// Were prod begun with what dev wasn't, one of them could never go on: no text is what both began with.
func TestWhatWasEditedSinceItBeganElsewhereDoesntBegin(t *testing.T) {
	edit := func(in *plan.Input) { in.Request = []byte("secret: app\nretain: 0h\n") }
	urgent := func(in *plan.Input) { in.Reason = "compromise" }
	in(t, func(t *testing.T, h *house) {
		h.run(h.jobs(name, nil)["dev"], plan.Deferred)
		n := len(h.asked)
		st, err := h.runner().Run(t.Context(), h.jobs(name, edit)["prod"])
		if err != nil || !strings.HasPrefix(st.Waits, "its request was edited after it had begun in dev") || len(h.asked) > n || h.length("prod") > 0 {
			t.Errorf("in order: %v, %q, asked %v", err, st.Waits, h.asked)
		}
		h.run(h.jobs(name, nil)["prod"], plan.Deferred)
	})
	in(t, func(t *testing.T, h *house) {
		h.run(h.jobs(name, urgent)["prod"], plan.Deferred)
		dev := h.jobs(name, func(in *plan.Input) { urgent(in); edit(in) })["dev"]
		dev.Beside = []string{"prod"}
		if st, err := h.runner().Run(t.Context(), dev); err != nil || !strings.HasPrefix(st.Waits, "its request was edited after it had begun in prod") || h.length("dev") > 0 {
			t.Errorf("all at once: %v, %q", err, st.Waits)
		}
	})
}
