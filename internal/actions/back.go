package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/rotation"
)

// wanted is where a person wants the old credentials of which rotations back, by the run they started; "" nowhere.
func (j *job) wanted() (environment string, rotations []string, err error) {
	environment = j.input("rollback")
	if environment == "" {
		return "", nil, nil
	}
	if _, ok := j.app.Inputs.Config.Environment(environment); !ok {
		return "", nil, fmt.Errorf("input rollback: no environment %q in %s", environment, j.app.Config)
	}
	for _, n := range strings.Fields(j.input("requests")) {
		rotations = append(rotations, strings.TrimSuffix(path.Base(n), ".yaml")) // its file may be deleted by now
	}
	switch {
	case j.input("again") == "true":
		err = errors.New("inputs again and rollback: give only one of them")
	case len(rotations) == 0:
		err = errors.New("input rollback: name the rotation that is to be brought back")
	}
	return environment, rotations, err
}

// mayGoBack is why a run that a person started doesn't bring r's old credential back. What began after the run was started
// isn't what that person saw: a run that is run again brings back nothing else.
func mayGoBack(r app.Result, run github.Run, now time.Time) error {
	p, s := &r.Status.Plan, r.Status
	ok, why := plan.CanRollBack(p, s.Records, now)
	switch {
	case r.Err != nil:
		return r.Err
	case s.Decision.State.Over():
		return rotation.Failf("see rekey status", "%s of %s can't be rolled back: it is %s already", p.Rotation, p.Chain, s.Decision.State)
	case !ok:
		return rotation.Failf("see rekey status", "%s of %s can't be rolled back: %s", p.Rotation, p.Chain, why)
	case p.Reason == "compromise":
		return rotation.Failf("who must have it back all the same does that with their own rights: rekey rollback", "%s of %s replaced a stolen credential: no run of the workflow brings that back", p.Rotation, p.Chain)
	case !s.Records[0].At.Before(run.CreatedAt):
		return rotation.Failf("run the workflow anew (Run workflow, not Re-run)", "attempt %d of %s of %s began after this run was started", p.Attempt, p.Rotation, p.Chain)
	}
	return nil
}

// thisRun is the run that this job is of.
func (j *job) thisRun(ctx context.Context) (github.Run, error) {
	id, err := j.runID()
	if err != nil {
		return github.Run{}, err
	}
	return j.hub.Run(ctx, id)
}

// rollback finds what a person wants back, and refuses what can't be. Jobs after others see what these did.
func (s *survey) rollback(ctx context.Context) error {
	environment, rotations, err := s.wanted()
	if err != nil || environment == "" {
		return err
	}
	run, err := s.thisRun(ctx)
	if err != nil {
		return err
	}
	s.back = map[string]bool{}
	if s.restarted == nil {
		s.restarted = map[string]time.Time{}
	}
	known := map[string]bool{}
	var refused []error
	for _, r := range s.results {
		if r.Status.Plan.Environment != environment || !slices.Contains(rotations, r.Task.Rotation) {
			continue
		}
		known[r.Task.Rotation] = true
		if err := mayGoBack(r, run, s.Clock.Now()); err != nil {
			refused = append(refused, err)
			continue
		}
		s.back[attemptOf(r)], s.restarted[attemptOf(r)] = true, question.Latest(run.CreatedAt, run.StartedAt)
	}
	for _, name := range rotations {
		if !known[name] {
			refused = append(refused, rotation.Failf("see rekey status", "%s has nothing in %s to roll back", name, environment))
		}
	}
	if strings.HasPrefix(s.Getenv("GITHUB_JOB"), "after-") {
		return nil
	}
	return errors.Join(refused...)
}

// returns are those of tasks that a person wants back in an environment, and the others.
func (j *job) returns(tasks []app.Task, in string) (back, rest []app.Task, err error) {
	environment, rotations, err := j.wanted()
	if err != nil {
		return nil, nil, err
	}
	for _, t := range tasks {
		if environment == in && slices.Contains(rotations, t.Rotation) && t.In(in) != nil {
			back = append(back, t)
		} else {
			rest = append(rest, t)
		}
	}
	return back, rest, nil
}

// bringBack takes tasks back in an environment. That it was asked for, and by whom, is on record first.
func (j *job) bringBack(ctx context.Context, tasks []app.Task, in string) error {
	if len(tasks) == 0 {
		return nil
	}
	run, err := j.thisRun(ctx)
	if err != nil {
		return err
	}
	looked, err := j.app.Look(ctx, tasks, false)
	if err != nil {
		return err
	}
	var back []app.Task
	var refused []error
	for _, r := range looked {
		if r.Status.Plan.Environment != in {
			continue
		}
		if err := mayGoBack(r, run, j.Clock.Now()); err != nil {
			refused = append(refused, err)
		} else {
			back = append(back, r.Task)
		}
	}
	who := "asked for by @" + cmp.Or(run.Trigger.Login, run.Actor.Login) + " in " + j.runURL()
	if len(back) > 0 {
		refused = append(refused, j.advance(ctx, back, app.Options{Environment: in, RollBack: who, OnlyBegun: true}))
	}
	return errors.Join(refused...)
}
