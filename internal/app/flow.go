package app

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/notice/bundle"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A Result is what came of a job.
type Result struct {
	Task   Task
	Status apply.Status
	Err    error // an unknown outcome, or why nothing could be begun
}

// NeedsSomebody says whether a person should look: at anything but done, or to be done later as planned. A chain that
// another runner is at work on, or another rotation, is left to them; but a person who wants the old credential back has
// it only when it is back.
func (r Result) NeedsSomebody(o Options) bool {
	s := r.Status.Decision.State
	if o.RollBack != "" {
		return r.Err != nil || s != plan.RolledBack
	}
	if r.Err != nil {
		return !r.Busy()
	}
	return s == plan.RolledBack || s == plan.Refused || s == plan.Stuck
}

// Busy says whether somebody else is at work, or has another rotation open, on the chain.
func (r Result) Busy() bool {
	var busy *apply.Busy
	return errors.As(r.Err, &busy) || errors.Is(r.Err, evidence.ErrTaken)
}

// AtOnce is how many rotations of an environment are carried on at the same time.
const AtOnce = 100

// byHand puts on record that a person goes on with their own rights, why, and that nobody was asked.
func (a *App) byHand(why string) *rotation.Approval {
	return &rotation.Approval{Run: "by hand: " + a.Self.ID, By: []string{a.Actor}, BreakGlass: why, SeenAt: a.Clock.Now().UTC().Round(0)}
}

// unasked refuses a run by hand what waits for an approval: its own word isn't one. Bringing back waits for none.
func unasked(s apply.Status) error {
	if s.Decision.Approval == "" {
		return nil
	}
	p := s.Plan
	return rotation.Failf("let the workflow rotate it, which asks; in an emergency add --break-glass REASON and name the request: that is on record, and reviewed afterwards",
		"%s waits for the approval of its %s, and a run by hand has none", p.Chain, s.Decision.Approval)
}

// Options of Apply.
type Options struct {
	Environment string
	Again       bool   // start rolled-back rotations again
	RollBack    string // a person wants the old credential back: why
	OnlyBegun   bool   // nothing is begun that isn't yet
	ByHand      bool   // a person runs this, whom nobody asks for an approval: what waits for one is refused
	BreakGlass  string // ... unless they say why it can't wait
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
	if len(results) > 0 && !o.OnlyBegun { // what has begun acts for whom its claim names
		early, enough := context.WithCancel(ctx)
		defer enough()
		go a.foresee(early, o.Environment, results[0].Task.job(o.Environment).Claim.Actors.Operator)
	}
	runner.Barrier = apply.NewBarrier()
	runner.Barrier.Expect(min(len(results), AtOnce)) // those beyond begin when others have ended
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
func (a *App) foresee(ctx context.Context, environment, operator string) {
	if s, err := a.session(ctx, environment, operator); err == nil {
		_, _ = s.Identity(ctx)
	}
}

func (a *App) carry(ctx context.Context, runner *apply.Runner, r *Result, o Options) {
	j := r.Task.job(o.Environment)
	j.Again, j.RollBack, j.OnlyBack, j.OnlyBegun = o.Again, o.RollBack, o.OnlyBack, o.OnlyBegun
	if o.ByHand && o.BreakGlass != "" {
		j.Approval = a.byHand(o.BreakGlass)
	}
	if !o.OnlyBegun {
		if session, err := a.session(ctx, o.Environment, j.Claim.Actors.Operator); err == nil {
			j.Identity = session.Identity
		}
	}
	s, err := runner.Run(ctx, j)
	if r.Err = err; s.Chain == nil { // not even opened
		return
	}
	if r.Status = s; r.Err == nil && o.ByHand && !o.OnlyBack {
		r.Err = unasked(s)
	}
	if len(s.Records) == 0 {
		return
	}
	if err := a.project(ctx, runner, r); err != nil {
		r.Err = errors.Join(r.Err, err)
	}
}

func (a *App) runner(ctx context.Context) (*apply.Runner, error) {
	j, err := a.Journal(ctx)
	if err != nil {
		return nil, err
	}
	return &apply.Runner{Journal: j, Bundle: a.bundle, Handlers: a.handlers, Clock: a.Clock, Self: a.Self, Scrub: a.Scrub,
		Progress: a.Progress, Patience: a.Patience}, nil
}

// Look says where every job of the tasks stands and changes nothing; with again, where it would if those that rolled
// back were started again. Results are in the order of tasks and jobs.
func (a *App) Look(ctx context.Context, tasks []Task, again bool) ([]Result, error) {
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
			j := r.Task.job(r.Status.Plan.Environment)
			j.Again = again
			if s, err := runner.Look(ctx, j); err == nil {
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
			if a.World.Preview {
				notes[i] = r.Preview(ctx, &plans[i])
			} else {
				notes[i] = r.Preflight(ctx, &plans[i])
			}
			return nil
		})
	}
	_ = g.Wait() // each note has its own error
	return notes
}
