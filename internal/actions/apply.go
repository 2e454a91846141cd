package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

// apply is an environment's job. With a question it does what people were asked about, as far as that still stands at
// the tip of the branch; without one, what has begun and needs nobody.
func (j *job) apply(ctx context.Context) error {
	found := j.app.Load()
	j.annotate(found)
	if !j.app.Ruled(found) {
		return errSaid
	}
	e, ok := j.app.Inputs.Config.Environment(j.input("environment"))
	if !ok {
		return fmt.Errorf("input environment: no %q in %s", j.input("environment"), j.app.Config)
	}
	j.exposed()
	if j.hub == nil {
		return errors.New("input token: without it nobody can be asked who approved this")
	}
	if err := j.onDefaultBranch(ctx); err != nil {
		return err
	}
	if found.Len() > 0 { // what is going back doesn't wait for somebody's mistake
		return errors.Join(errSaid, j.takeBack(ctx, e)) // what a person wants back as well
	}
	tasks, err := j.app.Tasks(ctx)
	if err != nil {
		return err
	}
	if j.input("question") == "" {
		if shard := j.input("shard"); shard != "" {
			return fmt.Errorf("input question is empty, but shard is %q: an output was lost on the way", shard)
		}
		return j.goOn(ctx, tasks, app.Options{Environment: e.Name, OnlyBegun: true})
	}
	return j.answer(ctx, tasks, e)
}

func (j *job) takeBack(ctx context.Context, e *config.Environment) error {
	tasks, err := j.app.Begun(ctx, "")
	if err != nil {
		return err
	}
	return j.goOn(ctx, tasks, app.Options{Environment: e.Name, OnlyBack: true, OnlyBegun: true})
}

// goOn carries on what has begun, but for what a person wants back: that goes back, and first.
func (j *job) goOn(ctx context.Context, tasks []app.Task, o app.Options) error {
	back, rest, err := j.returns(tasks, o.Environment)
	if err != nil {
		return err
	}
	return errors.Join(j.bringBack(ctx, back, o.Environment), j.advance(ctx, rest, o))
}

// answer does what was asked about: its items, with who asked for each and who approved it.
func (j *job) answer(ctx context.Context, tasks []app.Task, e *config.Environment) error {
	items, err := j.asked(e)
	if err != nil {
		return err
	}
	run, err := j.runID()
	if err != nil {
		return err
	}
	a := answers{job: j, env: e, run: run}
	if a.glass, err = j.glass(ctx); err != nil {
		return err
	}
	wanted, _, err := j.returns(tasks, e.Name)
	if err != nil {
		return err
	}
	var mine, back []app.Task
	for _, it := range items {
		i := slices.IndexFunc(tasks, func(t app.Task) bool { return t.Rotation == it.Rotation && t.Secret == it.Secret })
		if i < 0 || tasks[i].In(e.Name) == nil {
			j.gha.Noticef("%s", lines(fmt.Sprintf("%s of %s: nothing to do here any more", it.Rotation, it.Secret)))
			continue
		}
		if slices.ContainsFunc(wanted, func(t app.Task) bool { return t.Rotation == it.Rotation && t.Secret == it.Secret }) {
			back = append(back, tasks[i])
			continue
		}
		mine = append(mine, tasks[i])
		a.items = append(a.items, it)
	}
	returned := j.bringBack(ctx, back, e.Name)
	if err := a.approve(ctx, mine); err != nil {
		return errors.Join(returned, err)
	}
	mine = slices.DeleteFunc(mine, func(t app.Task) bool { return a.refused[t.Rotation+"\x00"+t.Secret] != nil })
	err = j.advance(ctx, mine, app.Options{Environment: e.Name, Again: j.input("again") == "true"})
	if len(a.refused) > 0 {
		err = errors.Join(errSaid, err)
	}
	return errors.Join(returned, err)
}

// asked are this shard's items of the question.
func (j *job) asked(e *config.Environment) ([]question.Item, error) {
	items, err := question.Decode(j.input("question"))
	if err != nil {
		return nil, fmt.Errorf("input question: %w", err)
	}
	if items, err = question.Mine(items, j.input("shard")); err != nil {
		return nil, fmt.Errorf("input shard: %w", err)
	}
	for _, it := range items {
		if it.Environment != e.Name {
			return nil, fmt.Errorf("input question is about %s, and this job is %s's", it.Environment, e.Name)
		}
	}
	return items, nil
}

// answers are who asked for the items, and who approved them.
type answers struct {
	*job
	env   *config.Environment
	run   int64
	items []question.Item
	glass *policy.BreakGlass

	mu      sync.Mutex
	refused map[string]error
}

// approve fills in claims and approvals, or notes why there is none.
func (a *answers) approve(ctx context.Context, tasks []app.Task) error {
	a.refused = map[string]error{}
	people := a.people()
	for i, t := range tasks {
		t.In(a.env.Name).Attempt = a.items[i].Attempt
	}
	looked, err := a.app.Look(ctx, tasks, a.input("again") == "true")
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(8)
	for i, t := range tasks {
		r := looked[slices.IndexFunc(looked, func(r app.Result) bool {
			return r.Task.Rotation == t.Rotation && r.Task.Secret == t.Secret && r.Status.Plan.Environment == a.env.Name
		})]
		g.Go(func() error {
			if err := a.one(ctx, people, r, a.items[i]); err != nil {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.refused[t.Rotation+"\x00"+t.Secret] = err
				a.fail(fmt.Errorf("%s in %s: %w", t.Secret, a.env.Name, err))
			}
			return nil
		})
	}
	return g.Wait()
}

// one fills in the claim and the approval of r. What has begun and waits for nobody needs neither: least of all what is
// going back.
func (a *answers) one(ctx context.Context, people people, r app.Result, it question.Item) error {
	if r.Err != nil {
		return r.Err
	}
	begun, waits := len(r.Status.Records) > 0, a.soon(r).Approval
	if begun && r.Status.Decision.State == plan.RolledBack {
		return rotation.Failf("run the workflow anew (Run workflow, not Re-run) with again to start it once more",
			"attempt %d was asked about, and attempt %d has rolled back", it.Attempt, r.Status.Plan.Attempt)
	}
	switch {
	case begun && waits == "":
		return nil
	case !begun && it.For != rotation.ApprovesRotation:
		return rotation.Failf("", "its %s was asked about, and it hasn't begun", it.For)
	case waits != "" && it.For != waits:
		return rotation.Failf("", "its %s was asked about, and it waits for the approval of its %s", it.For, waits)
	}
	if err := a.overtaken(ctx, r); err != nil {
		return err
	}
	asked, err := a.who(ctx, people, r)
	if err != nil {
		return err
	}
	job := r.Task.In(a.env.Name)
	job.Claim.Actors = asked.Actors
	if asked.Origin.Repository != "" {
		job.Claim.Origin = &asked.Origin
	}
	q := policy.Question{For: it.For, Digest: it.Digest, Environment: a.env.GitHubEnvironment, Run: a.runURL(), Asked: asked, Now: a.Clock.Now(), BreakGlass: a.glass}
	job.Approval, err = people.Approval(ctx, gate(a.env, waits), q, a.run)
	switch {
	case job.Approval == nil:
	case job.Approval.BreakGlass != "": // who went on without an approval answers for it
		job.Claim.Actors.Operator = job.Approval.By[0]
	default:
		job.Claim.Actors.Approved = job.Approval.By
	}
	return err
}

// who asked for r: for what has begun its claim says so.
func (a *answers) who(ctx context.Context, people people, r app.Result) (policy.Asked, error) {
	if len(r.Status.Records) > 0 {
		return people.Claimed(ctx, *r.Status.Records[0].Claim)
	}
	q := r.Task.Request
	if q == nil {
		return policy.Asked{}, rotation.Failf("", "its request is gone, and it hasn't begun")
	}
	asked, err := people.Origin(ctx, q.Path, q.Bytes)
	var later *policy.Later
	for errors.As(err, &later) {
		if err = a.Clock.Sleep(ctx, later.Until.Sub(a.Clock.Now())); err == nil {
			asked, err = people.Origin(ctx, q.Path, q.Bytes)
		}
	}
	return asked, err
}

// advance carries the tasks on and shows how they stand.
func (j *job) advance(ctx context.Context, tasks []app.Task, o app.Options) error {
	j.gha.Group("Rotations in " + problem.Plain(o.Environment))
	results, err := j.app.Apply(ctx, tasks, o)
	j.gha.EndGroup()
	if err != nil {
		return err
	}
	if o.OnlyBegun || o.OnlyBack { // what there was nothing to do about isn't worth a line
		results = slices.DeleteFunc(results, func(r app.Result) bool {
			told := r.Status.Decision.State == plan.RolledBack // by the run that took it back
			return r.Err == nil && !r.Status.Appended && (told || !r.NeedsSomebody(o))
		})
	}
	if err := j.show(results); err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if !r.NeedsSomebody(o) {
			continue
		}
		failed++
		if s := r.Status.Decision; r.Err != nil {
			j.fail(r.Err)
		} else {
			j.fail(fmt.Errorf("%s: %s: %s", r.Status.Plan.Chain, s.State, s.Why))
		}
	}
	if failed > 0 {
		j.gha.Errorf("%s", lines(fmt.Sprintf("%d of %s in %s need somebody", failed, count(len(results), "rotation"), o.Environment)))
		return errSaid
	}
	return nil
}

// show writes how the rotations stand into the log and, as the comment has it, the job's summary.
func (j *job) show(results []app.Result) error {
	views := j.app.Views(results)
	if len(views) == 0 {
		j.gha.Infof("Nothing to do.")
		return nil
	}
	var err error
	quote(j.gha, func() { err = terminal.Status(j.Out, views, terminal.Style{Width: 120}) })
	j.summary(comment.Status(views, j.texts()))
	return err
}
