package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// How long GitHub lets things wait ("Actions limits"; "Re-running workflows and jobs").
const (
	gateLimit  = 30 * 24 * time.Hour
	runLimit   = 35 * 24 * time.Hour
	rerunLimit = 30 * 24 * time.Hour
)

// An Engine plays workflows. Its methods may be called at any time and from Do, but only one Advance at a time.
type Engine struct {
	hub Hub
	do  Do
	o   Options

	mu        sync.Mutex
	workflows map[string]*Workflow // by path
	runs      []*run               // oldest first
	numbers   map[string]int
	groups    map[string]*group
	advancing bool
	broken    error // something that isn't modelled was met: from then on nothing can be said
}

// New is an engine without a workflow.
func New(hub Hub, do Do, o Options) *Engine {
	o.Server = cmp.Or(o.Server, "https://github.com")
	o.API = cmp.Or(o.API, "https://api.github.com")
	if o.Pick == nil {
		o.Pick = func(int) int { return 0 }
	}
	if o.DefaultPermissions == nil {
		o.DefaultPermissions = map[string]string{"contents": "read", "packages": "read"}
	}
	return &Engine{hub: hub, do: do, o: o, workflows: map[string]*Workflow{}, numbers: map[string]int{}, groups: map[string]*group{}}
}

// Add makes a workflow known, or replaces the one at its path: for runs from now on.
func (e *Engine) Add(w *Workflow) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.workflows[w.Path] = w
}

// Trigger starts a run of each workflow that the event starts, in the order of their paths. It is an error when
// GitHub would refuse the event: a workflow_dispatch of nothing, or with wrong inputs. Nothing runs before Advance.
func (e *Engine) Trigger(ev Event) (ids []int64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(e.workflows)) {
		w := e.workflows[path]
		if !w.starts(ev) {
			continue
		}
		id, err := e.start(w, ev)
		if err != nil {
			return ids, fmt.Errorf("%s: %w", w.base(), err)
		}
		ids = append(ids, id)
	}
	if ev.Name == "workflow_dispatch" && len(ids) == 0 {
		return nil, fmt.Errorf("no workflow %q with workflow_dispatch", ev.File)
	}
	return ids, nil
}

func (e *Engine) start(w *Workflow, ev Event) (int64, error) {
	asText, inputs, err := w.inputs(ev)
	if err != nil {
		return 0, err
	}
	raw, payload, err := ev.payload(asText)
	if err != nil {
		return 0, err
	}
	now := e.o.Clock.Now()
	r := &run{
		e: e, w: w, event: ev, attempt: 1, trigger: ev.Actor, created: now, started: now, inputs: inputs, payload: payload, payloadRaw: raw,
	}
	e.numbers[w.Path]++
	r.number = e.numbers[w.Path]
	branch := ev.branch()
	if ev.Name == "pull_request" {
		branch = ev.Head
	}
	r.id = e.hub.StartRun(w.base(), ev.Name, branch, ev.SHA, ev.Actor)
	for _, j := range w.jobs {
		r.jobs = append(r.jobs, &jobRun{job: j, run: r, outputs: newObject(), passed: map[string]int{}})
	}
	e.runs = append(e.runs, r)
	r.enqueue()
	return r.id, nil
}

// payload is the event's JSON with inputs and schedule in it.
func (ev Event) payload(inputs map[string]string) ([]byte, *object, error) {
	o := newObject()
	if len(ev.Payload) > 0 {
		v, err := fromJSON(string(ev.Payload))
		if err != nil {
			return nil, nil, fmt.Errorf("payload of %s: %w", ev.Name, err)
		}
		given, ok := v.(*object)
		if !ok {
			return nil, nil, fmt.Errorf("payload of %s isn't an object", ev.Name)
		}
		o = given
	}
	switch ev.Name {
	case "workflow_dispatch":
		o.set("inputs", sorted(inputs))
	case "schedule":
		o.set("schedule", ev.Cron)
	}
	return []byte(toJSON(o)), o, nil
}

// Cancel asks for a run to end, as its button does. Jobs whose `if` holds nevertheless go on.
func (e *Engine) Cancel(id int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.find(id)
	if err != nil {
		return err
	}
	if r.conclusion != "" {
		return fmt.Errorf("run %d is completed", id)
	}
	r.cancel()
	return nil
}

// Rerun begins a completed run's next attempt, at the same commit and with the same file: of all its jobs, or of
// those that failed or were cancelled and what depends on them. Jobs that aren't run again keep their outputs.
func (e *Engine) Rerun(id int64, actor string, all bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.find(id)
	if err != nil {
		return err
	}
	switch {
	case r.conclusion == "":
		return fmt.Errorf("run %d is not completed", id)
	case e.o.Clock.Now().Sub(r.created) > rerunLimit:
		return fmt.Errorf("run %d is older than 30 days", id)
	case !all && !slices.ContainsFunc(r.jobs, (*jobRun).unsuccessful):
		return fmt.Errorf("run %d has no failed job", id)
	}
	again := func(j *jobRun) bool { return all || j.unsuccessful() }
	var whole, part []*jobRun
	for _, j := range r.jobs {
		switch {
		case all, slices.ContainsFunc(j.job.ancestors, func(a *job) bool { return again(r.of(a)) }):
			whole = append(whole, j)
		case j.unsuccessful():
			part = append(part, j)
		}
	}
	r.attempt++
	r.trigger, r.started, r.cancelled, r.conclusion = actor, e.o.Clock.Now(), false, ""
	e.hub.RerunBy(id, actor)
	for _, j := range r.jobs {
		switch {
		case slices.Contains(whole, j):
			j.reset()
		case slices.Contains(part, j):
			j.resetFailed()
		}
		j.showKept()
	}
	r.enqueue()
	return nil
}

func (j *jobRun) unsuccessful() bool { return j.result == failure || j.result == cancelled }

func (j *jobRun) reset() {
	*j = jobRun{job: j.job, run: j.run, outputs: newObject(), passed: j.passed}
}

// resetFailed keeps the legs of a matrix that succeeded.
func (j *jobRun) resetFailed() {
	if len(j.legs) == 0 {
		j.reset()
		return
	}
	j.result, j.message = "", ""
	for i, l := range j.legs {
		if l.result != success {
			j.legs[i] = &leg{jr: j, index: l.index, of: l.of, matrix: l.matrix, name: l.name, environment: l.environment}
		}
	}
}

// showKept puts jobs that aren't run again into the new attempt, which lists all jobs.
func (j *jobRun) showKept() {
	for _, l := range j.legs {
		if l.result != "" {
			j.run.e.hub.SetJob(j.run.id, l.name, completed, l.result)
		}
	}
	if len(j.legs) == 0 && j.result != "" {
		j.run.e.hub.SetJob(j.run.id, j.unexpanded(), completed, j.result)
	}
}

func (e *Engine) find(id int64) (*run, error) {
	i := slices.IndexFunc(e.runs, func(r *run) bool { return r.id == id })
	if i < 0 {
		return nil, fmt.Errorf("there is no run %d", id)
	}
	return e.runs[i], nil
}

// Run is a copy of one run.
func (e *Engine) Run(id int64) (RunState, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.find(id)
	if err != nil {
		return RunState{}, false
	}
	return r.state(), true
}

// Runs are copies of all runs, oldest first.
func (e *Engine) Runs() (all []RunState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		all = append(all, r.state())
	}
	return all
}

// Advance carries out everything that can happen now: expiries, what was answered, decisions, and steps, one at a
// time, until all that is left waits for somebody or for later. It fails with ErrNotModelled when an expression can't
// be told, and for ever after; and with ctx's error, before the next step.
func (e *Engine) Advance(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.advancing {
		return errors.New("the engine is advancing already")
	}
	e.advancing = true
	defer func() { e.advancing = false }()
	for {
		e.settle()
		ready := e.ready()
		if e.broken != nil || len(ready) == 0 {
			return e.broken
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e.play(ctx, ready[e.o.Pick(len(ready))])
	}
}

// ready are the jobs whose next step could be done, in the order of runs, of the file and of the matrix.
func (e *Engine) ready() (all []*leg) {
	for _, r := range e.runs {
		for _, j := range r.jobs {
			for _, l := range j.legs {
				if l.status == queued || l.status == inProgress {
					all = append(all, l)
				}
			}
		}
	}
	return all
}

// fault keeps an error that isn't GitHub's but the model's, and says whether it is one.
func (e *Engine) fault(where string, err error) bool {
	if !errors.Is(err, ErrNotModelled) {
		return false
	}
	if e.broken == nil {
		e.broken = fmt.Errorf("%s: %w", where, err)
	}
	return true
}
