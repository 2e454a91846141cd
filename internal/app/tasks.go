package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

// A Task is one secret of one request: a job for each environment, in order.
type Task struct {
	Rotation string
	Secret   string
	Request  *request.Request // nil: its file is gone, and what it began is finished from the claim
	Jobs     []apply.Job
	Open     bool // it has begun somewhere, and isn't closed
	Lately   bool // it is open, or was closed lately: its end is to be told
}

// Plans makes the plans of the requests named, or of all that can still begin. It needs no credentials.
func (a *App) Plans(paths ...string) ([]rotation.Plan, error) {
	var plans []rotation.Plan
	for _, r := range a.requests(paths) {
		for _, secret := range r.Secrets {
			task, err := a.task(r, secret)
			if err != nil {
				return nil, err
			}
			for _, j := range task.Jobs {
				plans = append(plans, j.Claim.Plan)
			}
		}
	}
	return plans, nil
}

// requests are those at paths; without paths those young enough to begin.
func (a *App) requests(paths []string) (list []*request.Request) {
	oldest := a.Clock.Now().Add(-time.Duration(a.Inputs.Config.Policy.StartWithin)).AddDate(0, 0, -1)
	for _, r := range a.Inputs.Requests {
		if slices.Contains(paths, r.Path) || len(paths) == 0 && r.Date.After(oldest) {
			list = append(list, r)
		}
	}
	return list
}

func (a *App) task(r *request.Request, secret string) (Task, error) {
	e, ok := a.Inputs.Registry.Find(secret)
	if !ok {
		return Task{}, rotation.Failf("", "%s: no secret %q in the registry", r.Path, secret)
	}
	in, err := a.input(r, e)
	if err != nil {
		return Task{}, err
	}
	plans, err := plan.Build(in)
	if err != nil {
		return Task{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	t := Task{Rotation: r.Rotation, Secret: secret, Request: r}
	for _, p := range plans {
		var beside []string
		for _, o := range plans {
			if p.Needs == "" && o.Needs == "" && o.Environment != p.Environment {
				beside = append(beside, o.Environment)
			}
		}
		t.Jobs = append(t.Jobs, apply.Job{Beside: beside, Claim: rotation.Claim{
			Plan: p, Path: r.Path, Request: string(r.Bytes), Ticket: r.Ticket, Owner: e.Owner, Tags: e.Tags,
			Actors: rotation.Actors{Operator: a.Actor}, Commit: a.Commit, Program: a.Program,
		}})
	}
	return t, nil
}

// Tasks are the requests named; without paths those that can begin, and every rotation the journal has open, also
// where its request's file is gone. What began in an environment that is no longer asked for is among their jobs. Where
// the evidence is only read, to tell how things stand, what was closed lately is there as well: its end is to be told.
func (a *App) Tasks(ctx context.Context, paths ...string) ([]Task, error) {
	var tasks []Task
	named := a.requests(paths)
	for _, r := range named {
		for _, secret := range r.Secrets {
			t, err := a.task(r, secret)
			if err != nil {
				return nil, err
			}
			tasks = append(tasks, t)
		}
	}
	if len(paths) == 0 {
		named = nil
	} else if len(named) == 0 {
		return nil, nil
	}
	open, err := a.openRotations(ctx, named)
	if err != nil {
		return nil, err
	}
	for _, o := range open {
		i := slices.IndexFunc(tasks, func(t Task) bool { return t.Rotation == o.Rotation && t.Secret == o.Secret })
		if i >= 0 {
			tasks[i] = finish(tasks[i], o)
			tasks[i].Open, tasks[i].Lately = o.Closed.IsZero(), true
		} else if len(paths) == 0 {
			t, err := a.begun(o)
			if err != nil {
				return nil, err
			}
			t.Open, t.Lately = o.Closed.IsZero(), true
			tasks = append(tasks, finish(t, o))
		}
	}
	return tasks, nil
}

// begun is the task of an open rotation whose request can't begin any more, or is gone.
func (a *App) begun(o evidence.Open) (Task, error) {
	for _, r := range a.Inputs.Requests {
		if r.Rotation == o.Rotation && slices.Contains(r.Secrets, o.Secret) {
			return a.task(r, o.Secret)
		}
	}
	return Task{Rotation: o.Rotation, Secret: o.Secret}, nil
}

// Begun are the jobs of an open rotation, or with "" of all, from the journal alone: requests may be gone, the registry
// unreadable.
func (a *App) Begun(ctx context.Context, name string) (tasks []Task, err error) {
	open, err := a.openRotations(ctx, nil)
	for _, o := range open {
		if o.Rotation == name || name == "" {
			tasks = append(tasks, finish(Task{Rotation: o.Rotation, Secret: o.Secret, Open: o.Closed.IsZero()}, o))
		}
	}
	return tasks, err
}

// finish adds what o began and t has no job for: it is finished from its claims, and nothing is begun there.
func finish(t Task, o evidence.Open) Task {
	for _, env := range o.Environments {
		if !slices.ContainsFunc(t.Jobs, func(j apply.Job) bool { return j.Claim.Plan.Environment == env }) {
			t.Jobs = append(t.Jobs, apply.Job{Withdrawn: true, Claim: rotation.Claim{
				Plan: rotation.Plan{Chain: rotation.Chain{Environment: env, Secret: o.Secret}, Rotation: o.Rotation}}})
		}
	}
	return t
}

func (t Task) job(environment string) apply.Job {
	i := slices.IndexFunc(t.Jobs, func(j apply.Job) bool { return j.Claim.Plan.Environment == environment })
	return t.Jobs[i]
}

// Settled is how long after its end, last record or close, a rotation is still looked after: by then everything has been said, and a hundred
// old pull requests needn't be read every hour.
const Settled = 7 * 24 * time.Hour

// openRotations are what the journal has open, over the months of the requests; without any, over those in which a
// rotation can have begun that isn't over.
func (a *App) openRotations(ctx context.Context, of []*request.Request) ([]evidence.Open, error) {
	if _, err := a.Journal(ctx); err != nil {
		return nil, err
	}
	from, to := a.Clock.Now().AddDate(0, -13, 0), a.Clock.Now()
	if n := len(of); n > 0 {
		from, to = of[0].Date, of[n-1].Date // they are in order of their paths
	}
	if a.Reads {
		return a.bundle.Recent(ctx, from, to, a.Clock.Now().Add(-Settled))
	}
	return a.bundle.OpenRotations(ctx, from, to)
}

// Has says whether path is a request that was loaded.
func (a *App) Has(path string) bool {
	_, ok := a.Inputs.Find(path)
	return ok
}
