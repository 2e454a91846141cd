package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/notice/bundle"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

// A Task is one secret of one request: a job for each environment, in order.
type Task struct {
	Rotation string
	Secret   string
	Request  *request.Request // nil: its file is gone, and what it began is finished from the claim
	Jobs     []apply.Job
}

// A Result is what came of a job.
type Result struct {
	Task   Task
	Status apply.Status
	Err    error // an unknown outcome, or why nothing could be begun
}

// AtOnce is how many rotations of an environment are carried on at the same time.
const AtOnce = 100

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
		t.Jobs = append(t.Jobs, apply.Job{Claim: rotation.Claim{
			Plan: p, Path: r.Path, Request: string(r.Bytes), Ticket: r.Ticket, Owner: e.Owner, Tags: e.Tags,
			Actors: rotation.Actors{Operator: a.Actor}, Commit: a.Commit, Program: a.Program,
		}})
	}
	return t, nil
}

// Tasks are the requests named; without paths those that can begin, and every rotation the journal has open, also
// where its request's file is gone. What began in an environment that is no longer asked for is among their jobs.
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
		} else if len(paths) == 0 {
			t, err := a.begun(o)
			if err != nil {
				return nil, err
			}
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
			tasks = append(tasks, finish(Task{Rotation: o.Rotation, Secret: o.Secret}, o))
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

// Options of Apply.
type Options struct {
	Environment string
	Again       bool   // start rolled-back rotations again
	RollBack    string // a person wants the old credential back: why
	OnlyBack    bool   // nothing goes forward: the tree has mistakes, and what is going back doesn't wait for them
}

// Apply carries every task on in one environment as far as it can go now, many at once, and brings what is
// derived from the journal up to date. Results are in the order of tasks.
func (a *App) Apply(ctx context.Context, tasks []Task, o Options) ([]Result, error) {
	runner, err := a.runner(ctx)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, t := range tasks {
		for _, j := range t.Jobs {
			if j.Claim.Plan.Environment == o.Environment {
				results = append(results, Result{Task: t, Status: apply.Status{Plan: j.Claim.Plan}})
			}
		}
	}
	if len(results) > 0 {
		early, enough := context.WithCancel(ctx)
		defer enough()
		go a.foresee(early, o.Environment)
	}
	var g errgroup.Group
	g.SetLimit(AtOnce)
	for i := range results {
		g.Go(func() error {
			a.carry(ctx, runner, &results[i], o)
			return nil
		})
	}
	_ = g.Wait() // each result has its own error
	return results, nil
}

// foresee asks who we are while the journal is opened: a claim will want to know, and nothing else waits for it. What
// goes wrong comes up again there.
func (a *App) foresee(ctx context.Context, environment string) {
	if s, err := a.session(ctx, environment); err == nil {
		_, _ = s.Identity(ctx)
	}
}

func (a *App) carry(ctx context.Context, runner *apply.Runner, r *Result, o Options) {
	j := r.Task.job(o.Environment)
	j.Again, j.RollBack, j.OnlyBack = o.Again, o.RollBack, o.OnlyBack
	if session, err := a.session(ctx, o.Environment); err == nil {
		j.Identity = session.Identity
	}
	s, err := runner.Run(ctx, j)
	if r.Err = err; s.Chain == nil { // not even opened
		return
	}
	if r.Status = s; len(s.Records) == 0 {
		return
	}
	if err := a.project(ctx, runner, r); err != nil {
		r.Err = errors.Join(r.Err, err)
	}
}

func (t Task) job(environment string) apply.Job {
	i := slices.IndexFunc(t.Jobs, func(j apply.Job) bool { return j.Claim.Plan.Environment == environment })
	return t.Jobs[i]
}

func (a *App) runner(ctx context.Context) (*apply.Runner, error) {
	j, err := a.Journal(ctx)
	if err != nil {
		return nil, err
	}
	return &apply.Runner{Journal: j, Bundle: a.bundle, Handlers: a.handlers, Clock: a.Clock, Self: a.Self, Scrub: a.Scrub,
		Progress: a.Progress, Patience: a.Patience}, nil
}

// Look says where every job of the tasks stands and changes nothing. Results are in the order of tasks and jobs.
func (a *App) Look(ctx context.Context, tasks []Task) ([]Result, error) {
	runner, err := a.runner(ctx)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, t := range tasks {
		for _, j := range t.Jobs {
			results = append(results, Result{Task: t, Status: apply.Status{Plan: j.Claim.Plan}})
		}
	}
	var g errgroup.Group
	g.SetLimit(16)
	for i := range results {
		g.Go(func() error {
			r := &results[i]
			if s, err := runner.Look(ctx, r.Task.job(r.Status.Plan.Environment)); err == nil {
				r.Status = s
			} else {
				r.Err = err
			}
			return nil
		})
	}
	_ = g.Wait() // each result has its own error
	return results, nil
}

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
	return a.bundle.OpenRotations(ctx, from, to)
}

// project brings up to date what is derived from the journal: bundle, copy in the log group, close.json.
func (a *App) project(ctx context.Context, runner *apply.Runner, r *Result) error {
	if errors.Is(r.Err, evidence.ErrTaken) { // another runner's now
		return nil
	}
	written := make(chan error, 1)
	go func() { written <- bundle.Write(ctx, a.bundle, r.Status) }() // beside the copy: both only read the chain
	copier, err := a.logs(ctx)
	if copier != nil {
		if err := copier.Copy(ctx, r.Status.Chain); err != nil { // the journal has it; the next run copies what lacks
			a.warnf("copy of %s to the log group: %v", r.Status.Plan.Chain, err)
		}
	}
	err = errors.Join(<-written, err)
	if !r.Status.Decision.State.Over() {
		return err
	}
	var all []apply.Status
	for _, j := range r.Task.Jobs {
		s := r.Status
		if env := j.Claim.Plan.Environment; env != s.Plan.Environment {
			var err2 error
			if s, err2 = runner.Look(ctx, j); err2 != nil {
				return errors.Join(err, err2)
			}
		}
		all = append(all, s)
	}
	if bundle.Over(all, r.Task.Request == nil, a.Clock.Now()) {
		err = errors.Join(err, bundle.Close(ctx, a.bundle, all))
	}
	return err
}

// Views are the results as reports show them: one for each task, its environments in order. What couldn't be
// looked at isn't shown: nothing is known of it.
func (a *App) Views(results []Result) (views []report.View) {
	now := a.Clock.Now()
	for i := 0; i < len(results); {
		t, envs := results[i].Task, []report.Environment(nil)
		for ; i < len(results) && results[i].Task.Rotation == t.Rotation && results[i].Task.Secret == t.Secret; i++ {
			s := results[i].Status
			if s.Chain == nil {
				continue
			}
			e := report.Environment{Name: s.Plan.Environment, Plan: s.Plan, Records: s.Records, Decision: s.Decision, Head: s.Head}
			if j := t.job(e.Name); !j.Withdrawn {
				e.Draft = &j.Claim
			}
			envs = append(envs, e)
		}
		if len(envs) == 0 {
			continue
		}
		views = append(views, report.New(t.Secret, t.Rotation, envs, now))
	}
	return views
}

// Has says whether path is a request that was loaded.
func (a *App) Has(path string) bool {
	_, ok := a.Inputs.Find(path)
	return ok
}

// Attach adds supporting evidence to the rotation that path requests, in one environment.
func (a *App) Attach(ctx context.Context, task Task, environment string, files []rotation.File) (rotation.Head, error) {
	runner, err := a.runner(ctx)
	if err != nil {
		return rotation.Head{}, err
	}
	return runner.Attach(ctx, task.job(environment), a.Actor, files)
}

// Verify holds all that the store has, or the chains of the tasks, against itself, anchors and the log group.
func (a *App) Verify(ctx context.Context, tasks []Task, anchors []evidence.Anchor) (evidence.Report, error) {
	if _, err := a.Journal(ctx); err != nil {
		return evidence.Report{}, err
	}
	o := evidence.VerifyOptions{Anchors: anchors}
	for _, t := range tasks {
		for _, j := range t.Jobs {
			o.Chains = append(o.Chains, j.Claim.Plan.Chain)
		}
	}
	if strings.HasPrefix(a.storeURL(), "s3://") { // a folder is a copy: it is verified offline
		copier, err := a.logs(ctx)
		if err != nil {
			return evidence.Report{}, err
		}
		if copier != nil {
			o.Logs = copier
		}
	}
	return evidence.Verify(ctx, a.store, o)
}

// Preflight runs the steps of the plans that only look, before anything is claimed.
func (a *App) Preflight(ctx context.Context, plans []rotation.Plan) []apply.Note {
	r := &apply.Runner{Handlers: a.handlers, Scrub: a.Scrub}
	notes := make([]apply.Note, len(plans))
	var g errgroup.Group
	g.SetLimit(16)
	for i := range plans {
		g.Go(func() error {
			notes[i] = r.Preflight(ctx, &plans[i])
			return nil
		})
	}
	_ = g.Wait() // each note has its own error
	return notes
}
