package workflow

import (
	"fmt"
	"slices"
)

// settle does all that needs no step: until nothing changes any more.
func (e *Engine) settle() {
	for changed := true; changed && e.broken == nil; {
		changed = false
		for _, r := range e.runs {
			if r.conclusion == "" && r.settle() {
				changed = true
			}
		}
	}
}

// enqueue enters the run's concurrency group.
func (r *run) enqueue() {
	name, cancel, err := r.w.concurrency(r.scope(), r.w.file.Concurrency)
	if err != nil && !r.e.fault(r.w.base()+": concurrency", err) {
		r.end(failure) // GitHub calls such a file invalid: no job is made
		return
	}
	r.member = member{group: name, evict: r.cancel}
	r.pending = true
	r.e.join(&r.member, cancel)
}

func (r *run) settle() (changed bool) {
	if r.e.o.Clock.Now().Sub(r.started) >= runLimit {
		r.force()
	}
	said := r.e.hub.Said(r.id)
	if said.Cancelled && !r.cancelled {
		r.cancel()
	}
	if r.conclusion != "" {
		return true
	}
	if r.pending {
		if !r.member.in {
			return false
		}
		r.pending, changed = false, true
	}
	for _, j := range r.jobs {
		for _, l := range j.legs {
			changed = l.answer(said) || changed
		}
	}
	for _, j := range r.jobs {
		changed = j.decide() || changed
		for _, l := range j.legs {
			changed = l.settle() || changed
		}
	}
	if !slices.ContainsFunc(r.jobs, func(j *jobRun) bool { return j.result == "" }) {
		r.end(r.conclude())
		return true
	}
	return changed
}

func (r *run) end(conclusion string) {
	r.conclusion, r.pending = conclusion, false
	r.e.leave(&r.member)
	r.e.hub.EndRun(r.id, conclusion)
}

// cancel decides the `if` of what is going on again; what doesn't hold is cancelled ("Workflow cancellation
// reference"). Blocked jobs are decided when their turn comes: most are skipped.
func (r *run) cancel() {
	if r.conclusion != "" || r.cancelled {
		return
	}
	r.cancelled = true
	if r.pending && !r.member.in {
		r.end(cancelled)
		return
	}
	for _, j := range r.jobs {
		if len(j.legs) == 0 {
			continue
		}
		if holds, err := j.condition(); err != nil || !holds {
			for _, l := range j.legs {
				l.cancel()
			}
		}
	}
}

// force ends a run whatever its conditions say.
func (r *run) force() {
	r.cancelled = true
	for _, j := range r.jobs {
		if !j.decided {
			j.finish(skipped, "")
		}
		for _, l := range j.legs {
			if l.stop != nil {
				l.stop()
			}
			l.complete(cancelled, "the run's 35 days are over")
		}
	}
	if r.conclusion == "" {
		r.end(cancelled)
	}
}

// decide looks at a job once all it needs is done: skipped, or its legs.
func (j *jobRun) decide() bool {
	if j.decided || slices.ContainsFunc(j.job.needs, func(n *job) bool { return j.run.of(n).result == "" }) {
		return false
	}
	where := j.run.w.base() + ": " + j.job.key
	holds, err := j.condition()
	switch {
	case err != nil:
		if !j.run.e.fault(where, err) {
			j.finish(failure, "if: "+err.Error())
		}
		return true
	case !holds:
		j.finish(skipped, "")
		return true
	}
	if err := j.expand(); err != nil {
		if !j.run.e.fault(where, err) {
			j.legs = nil
			j.finish(failure, fmt.Sprintf("Error when evaluating 'strategy' for job '%s'. %v", j.job.key, err))
		}
	}
	return true
}

// finish ends a job that has no legs.
func (j *jobRun) finish(result, message string) {
	j.decided, j.result, j.message = true, result, message
	j.run.e.hub.SetJob(j.run.id, j.unexpanded(), completed, result)
}

// expand makes the legs.
func (j *jobRun) expand() error {
	w, s, strategy := j.run.w, j.scope(), j.job.file.Strategy
	j.decided, j.failFast = true, true
	if strategy != nil && strategy.FailFast != nil {
		var err error
		if j.failFast, err = w.boolean(s, strategy.FailFast); err != nil {
			return err
		}
	}
	all, err := w.combinations(s, strategy)
	if err != nil {
		return err
	}
	for i, m := range all {
		l := &leg{jr: j, index: i, of: len(all), matrix: m}
		if env := j.job.file.Environment; env != nil {
			v, err := l.scope().value(w.template(env.Name.Value))
			if err != nil {
				return err
			}
			l.environment = text(v)
		}
		if l.name, err = l.title(); err != nil {
			return err
		}
		j.legs = append(j.legs, l)
	}
	return nil
}

// settle takes a leg through its concurrency group and its gate, in this order: a job that waits for an approval
// keeps its group.
func (l *leg) settle() (changed bool) {
	r := l.jr.run
	if l.status == "" {
		name, cancel, err := r.w.concurrency(l.scope(), l.jr.job.file.Concurrency)
		if err != nil {
			if !r.e.fault(r.w.base()+": "+l.name, err) {
				l.complete(failure, "concurrency: "+err.Error())
			}
			return true
		}
		l.member = member{group: name, evict: l.cancel}
		l.status = pending
		r.e.join(&l.member, cancel)
		if !l.member.in && l.status == pending {
			l.show(pending)
		}
		changed = true
	}
	if l.status == pending && l.member.in {
		l.gate()
		return true
	}
	return changed
}

// gate asks the environment's reviewers, where it has some.
func (l *leg) gate() {
	r := l.jr.run
	branch := r.event.branch()
	switch {
	case l.environment == "" || r.e.o.KeepApprovals && l.passedBefore():
		l.show(queued)
	case !r.e.hub.MayDeploy(l.environment, branch):
		l.complete(failure, fmt.Sprintf("Branch %q is not allowed to deploy to %s due to environment protection rules.", branch, l.environment))
	case r.e.hub.WaitFor(r.id, l.environment):
		l.since, l.seen = r.e.o.Clock.Now(), len(r.e.hub.Said(r.id).Reviews)
		l.show(waiting)
	default:
		l.show(queued)
	}
}

// passedBefore: the gate was passed in an earlier attempt.
func (l *leg) passedBefore() bool {
	attempt := l.jr.passed[l.environment]
	return attempt > 0 && attempt < l.jr.run.attempt
}

// answer reads what the reviewers said since the leg began to wait. An environment that waits no more without a
// review was bypassed.
func (l *leg) answer(said Said) bool {
	if l.status != waiting {
		return false
	}
	i := slices.IndexFunc(said.Reviews[l.seen:], func(v Review) bool { return v.Environment == l.environment })
	switch {
	case i >= 0 && said.Reviews[l.seen+i].Rejected:
		l.complete(failure, "The deployment was rejected or didn't satisfy other protection rules.")
	case i >= 0 || !slices.Contains(said.Waiting, l.environment):
		if l.jr.passed[l.environment] == 0 {
			l.jr.passed[l.environment] = l.jr.run.attempt
		}
		l.show(queued)
	case l.jr.run.e.o.Clock.Now().Sub(l.since) >= gateLimit:
		l.complete(failure, "Nobody answered within 30 days.")
	default:
		return false
	}
	return true
}

func (l *leg) show(status string) {
	l.status = status
	l.jr.run.e.hub.SetJob(l.jr.run.id, l.name, status, "")
}

// cancel ends a leg that hasn't begun; one that has goes on with its always() steps.
func (l *leg) cancel() {
	switch l.status {
	case completed:
	case inProgress:
		l.cancelled = true
		if l.stop != nil {
			s := l.onRunner()
			s.status = l.stepStatus()
			if holds, err := s.condition(l.stopping); err != nil || !holds {
				l.stop()
			}
		}
	default:
		l.complete(cancelled, "")
	}
}

// complete ends a leg, once.
func (l *leg) complete(result, message string) {
	if l.status == completed {
		return
	}
	e := l.jr.run.e
	l.status, l.result, l.message = completed, result, message
	e.hub.SetJob(l.jr.run.id, l.name, completed, result)
	if l.token != "" {
		e.hub.DropToken(l.token)
	}
	e.leave(&l.member)
	if result == failure && l.jr.failFast {
		for _, other := range l.jr.legs {
			if other != l {
				other.cancel()
			}
		}
	}
	l.jr.conclude()
}
