package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// play takes a leg one step further: begins it where it hasn't begun, passes over steps whose `if` doesn't hold, does
// one, or ends the leg.
func (e *Engine) play(ctx context.Context, l *leg) {
	if l.status == queued && !l.begin() {
		return
	}
	for l.next < len(l.jr.job.file.Steps) {
		f := l.jr.job.file.Steps[l.next]
		l.next++
		if l.step(ctx, f) || l.status == completed || e.broken != nil {
			return
		}
	}
	l.finish()
}

// begin gives the leg its credentials and variables.
func (l *leg) begin() bool {
	r := l.jr.run
	l.show(inProgress)
	l.granted = granted(r.w, l.jr.job, r.e.o.DefaultPermissions, r.event.Fork)
	l.creds = r.e.hub.Credentials(Grant{Run: r.id, Attempt: r.attempt, Job: l.name, Environment: l.environment, Permissions: maps.Clone(l.granted)})
	l.token, l.steps, l.env = l.creds.Token, newObject(), newObject()
	err := r.variables(l.onRunner(), r.w.file.Env, l.env)
	if err == nil {
		ofWorkflow := l.onRunner()
		l.env = copyObject(l.env)
		err = r.variables(ofWorkflow, l.jr.job.file.Env, l.env)
	}
	if err != nil && !r.e.fault(r.w.base()+": "+l.name, err) {
		l.complete(failure, err.Error())
	}
	return err == nil
}

func (l *leg) stepStatus() *status {
	return &status{success: !l.failed && !l.cancelled, failure: l.failed && !l.cancelled, cancelled: l.cancelled}
}

// step decides one step and does it; it says whether it was done. A step's own env: is there for its `if` already
// (runner, StepsRunner).
func (l *leg) step(ctx context.Context, f *actionlint.Step) bool {
	r := l.jr.run
	env := copyObject(l.env)
	err := r.variables(l.onRunner(), f.Env, env)
	s := l.onRunner().with("env", env)
	s.status = l.stepStatus()
	holds := false
	if err == nil {
		holds, err = s.condition(r.w.condition(f.If))
	}
	if err == nil && !holds {
		l.record(f, nil, skipped, skipped)
		return false
	}
	var step Step
	if err == nil {
		step, err = l.handedOver(s, f, env)
	}
	lenient := false
	if err == nil {
		lenient, err = r.w.boolean(s, f.ContinueOnError)
	}
	if err != nil {
		if !r.e.fault(r.w.base()+": "+l.name, err) {
			l.failed = true
			l.message = err.Error()
			l.record(f, nil, failure, failure)
		}
		return false
	}
	outputs, outcome := l.do(ctx, f, step)
	conclusion := outcome
	if outcome == failure && lenient {
		conclusion = success
	}
	l.failed = l.failed || conclusion == failure
	l.record(f, outputs, outcome, conclusion)
	return true
}

// do hands the step over, without the engine's lock.
func (l *leg) do(ctx context.Context, f *actionlint.Step, step Step) (map[string]string, string) {
	e := l.jr.run.e
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l.stop, l.stopping = stop, l.jr.run.w.condition(f.If)
	e.mu.Unlock()
	outputs, err := e.do(ctx, step)
	e.mu.Lock()
	stopped := l.cancelled && ctx.Err() != nil
	l.stop, l.stopping = nil, nil
	switch {
	case errors.Is(err, ErrRunnerLost):
		l.complete(failure, err.Error())
		return outputs, failure
	case stopped:
		return outputs, cancelled
	case err != nil:
		return outputs, failure
	default:
		return outputs, success
	}
}

// record is the steps context's entry.
func (l *leg) record(f *actionlint.Step, outputs map[string]string, outcome, conclusion string) {
	if f.ID != nil {
		l.steps.set(f.ID.Value, newObject().set("outputs", sorted(outputs)).set("outcome", outcome).set("conclusion", conclusion))
	}
}

func (l *leg) handedOver(s scope, f *actionlint.Step, env *object) (Step, error) {
	r := l.jr.run
	step := Step{
		Run: r.id, Attempt: r.attempt, Workflow: r.w.base(), Job: l.jr.job.key, JobName: l.name, Environment: l.environment,
		With: map[string]string{}, Env: map[string]string{}, Payload: slices.Clone(r.payloadRaw), Token: l.token, Permissions: maps.Clone(l.granted),
	}
	for _, k := range env.keys {
		v, _ := env.get(k)
		step.Env[k] = text(v)
	}
	maps.Copy(step.Env, l.runnerEnv())
	if f.ID != nil {
		step.ID = f.ID.Value
	}
	var errs []error
	eval := func(t *actionlint.String) string {
		if t == nil {
			return ""
		}
		v, err := s.value(r.w.template(t.Value))
		errs = append(errs, err)
		return text(v)
	}
	step.Name = eval(f.Name)
	switch x := f.Exec.(type) {
	case *actionlint.ExecRun:
		step.Script, step.Shell = eval(x.Run), l.shell(x)
		if step.Name == "" {
			step.Name = "Run " + firstLine(step.Script)
		}
	case *actionlint.ExecAction:
		step.Uses = x.Uses.Value
		for k, in := range x.Inputs {
			step.With[k] = eval(in.Value)
		}
		if step.Name == "" {
			step.Name = "Run " + step.Uses
		}
	}
	minutes, err := l.minutes(s, f.TimeoutMinutes)
	if minutes == 0 && err == nil {
		minutes, err = l.minutes(s, l.jr.job.file.TimeoutMinutes)
	}
	step.Minutes = minutes
	return step, errors.Join(append(errs, err)...)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// shell is the step's, else the job's default, else the workflow's.
func (l *leg) shell(x *actionlint.ExecRun) string {
	if x.Shell != nil {
		return x.Shell.Value
	}
	for _, d := range []*actionlint.Defaults{l.jr.job.file.Defaults, l.jr.run.w.file.Defaults} {
		if d != nil && d.Run != nil && d.Run.Shell != nil {
			return d.Run.Shell.Value
		}
	}
	return ""
}

func (l *leg) minutes(s scope, f *actionlint.Float) (float64, error) {
	if f == nil {
		return 0, nil
	}
	if f.Expression == nil {
		return f.Value, nil
	}
	v, err := s.value(l.jr.run.w.template(f.Expression.Value))
	return number(v), err
}

// finish evaluates the outputs and ends the leg. Empty outputs aren't set, so that they don't overwrite another leg's
// (runner, JobExtension).
func (l *leg) finish() {
	r := l.jr.run
	s := l.onRunner()
	for _, k := range slices.Sorted(maps.Keys(l.jr.job.file.Outputs)) {
		o := l.jr.job.file.Outputs[k]
		v, err := s.value(r.w.template(o.Value.Value))
		if err != nil {
			if r.e.fault(r.w.base()+": "+l.name, err) {
				return
			}
			l.failed, l.message = true, fmt.Sprintf("output %s: %v", o.Name.Value, err)
			continue
		}
		if t := text(v); t != "" {
			l.jr.outputs.set(o.Name.Value, t)
		}
	}
	l.complete(l.statusText(), l.message)
}
