package workflow

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Results of jobs, conclusions of runs.
const (
	success   = "success"
	failure   = "failure"
	cancelled = "cancelled"
	skipped   = "skipped"
)

// Statuses of runs and jobs, as the API names them.
const (
	queued     = "queued"
	pending    = "pending" // for its concurrency group
	waiting    = "waiting" // for an approval
	inProgress = "in_progress"
	completed  = "completed"
)

type run struct {
	e          *Engine
	id         int64
	number     int
	attempt    int
	w          *Workflow
	event      Event
	trigger    string // who began this attempt
	created    time.Time
	started    time.Time // this attempt
	inputs     *object
	payload    *object
	payloadRaw []byte
	jobs       []*jobRun
	member     member
	pending    bool
	cancelled  bool
	conclusion string // "" while it goes on
}

// A jobRun is a job of the file in one run: blocked until what it needs is done, then its legs.
type jobRun struct {
	job      *job
	run      *run
	legs     []*leg
	decided  bool
	result   string // "" while it goes on
	message  string
	failFast bool
	outputs  *object
	passed   map[string]int // attempt in which an environment's gate was passed first
}

// A leg is a job as a runner has it: one combination of the matrix, or the only one.
type leg struct {
	jr          *jobRun
	index, of   int
	matrix      *object
	name        string
	environment string
	status      string
	result      string
	message     string
	member      member
	since       time.Time
	seen        int // reviews there were when it began to wait

	next      int // step
	failed    bool
	cancelled bool
	steps     *object
	env       *object
	token     string
	granted   map[string]string
	creds     Credentials
	stop      context.CancelFunc // of the step that is being done
	stopping  *template          // its condition
}

// A RunState is a copy of a run's latest attempt.
type RunState struct {
	ID         int64
	Attempt    int
	Workflow   string // file name
	Status     string
	Conclusion string
	Jobs       []JobState // in the file's order; those that are blocked by what they need too
}

// A JobState is a copy of a job. Message says what failed it, where that wasn't a step.
type JobState struct {
	Key, Name, Status, Result, Environment, Message string
	Outputs                                         map[string]string // of the job key so far
}

func (r *run) state() RunState {
	s := RunState{ID: r.id, Attempt: r.attempt, Workflow: r.w.base(), Status: completed, Conclusion: r.conclusion}
	for _, j := range r.jobs {
		s.Jobs = append(s.Jobs, j.states()...)
	}
	if r.conclusion != "" {
		return s
	}
	has := func(status string) bool {
		return slices.ContainsFunc(s.Jobs, func(j JobState) bool { return j.Status == status })
	}
	switch {
	case r.pending:
		s.Status = pending
	case has(inProgress):
		s.Status = inProgress
	case has(waiting):
		s.Status = waiting
	case has(completed):
		s.Status = inProgress
	default:
		s.Status = queued
	}
	return s
}

func (j *jobRun) states() (all []JobState) {
	outputs := map[string]string{}
	for _, k := range j.outputs.keys {
		v, _ := j.outputs.get(k)
		outputs[k] = text(v)
	}
	for _, l := range j.legs {
		message := cmp.Or(l.message, j.message)
		all = append(all, JobState{j.job.key, l.name, l.status, l.result, l.environment, message, outputs})
	}
	if len(j.legs) == 0 {
		status := "blocked"
		if j.result != "" {
			status = completed
		}
		all = append(all, JobState{j.job.key, j.unexpanded(), status, j.result, "", j.message, outputs})
	}
	return all
}

// unexpanded is the name of a job that never got as far as its matrix: its name: as it is written.
func (j *jobRun) unexpanded() string {
	if n := j.job.file.Name; n != nil && n.Value != "" {
		return n.Value
	}
	return j.job.key
}

func (r *run) of(j *job) *jobRun {
	return r.jobs[slices.IndexFunc(r.jobs, func(jr *jobRun) bool { return jr.job == j })]
}

// status is what the status functions of a job's `if` answer: about all its ancestors. In a cancelled run success and
// failure are both false, as they are for steps (runner, FailureFunction); for jobs that isn't written down.
func (j *jobRun) status() *status {
	s := &status{success: true, cancelled: j.run.cancelled}
	for _, a := range j.job.ancestors {
		result := j.run.of(a).result
		s.success = s.success && result == success
		s.failure = s.failure || result == failure
	}
	s.success = s.success && !s.cancelled
	s.failure = s.failure && !s.cancelled
	return s
}

// condition decides the job's `if`.
func (j *jobRun) condition() (bool, error) {
	s := j.scope()
	s.status = j.status()
	return s.condition(j.run.w.condition(j.job.file.If))
}

// conclude sums a matrix up: a failure counts more than a cancelled job.
func (j *jobRun) conclude() {
	results := map[string]bool{}
	for _, l := range j.legs {
		results[l.result] = true
	}
	switch {
	case results[""]:
		return
	case results[failure]:
		j.result = failure
	case results[cancelled]:
		j.result = cancelled
	default:
		j.result = success
	}
}

// conclude ends a run whose jobs are all done: cancelled where somebody cancelled it, else failure before cancelled
// before success, and skipped only where all jobs were.
func (r *run) conclude() string {
	if r.cancelled {
		return cancelled
	}
	results := map[string]bool{}
	for _, j := range r.jobs {
		results[j.result] = true
	}
	for _, c := range []string{failure, cancelled, success} {
		if results[c] {
			return c
		}
	}
	return skipped
}

// title of a job as GitHub shows it: its name, evaluated, else its key; a matrix's values follow a name that doesn't
// hold an expression of its own. 100 characters at most.
func (l *leg) title() (string, error) {
	n := l.jr.job.file.Name
	name := l.jr.job.key
	if n != nil && n.Value != "" {
		v, err := l.scope().value(l.jr.run.w.template(n.Value))
		if err != nil {
			return "", err
		}
		name = text(v)
		if strings.Contains(n.Value, "${{") {
			return short(name), nil
		}
	}
	if l.matrix == nil {
		return short(name), nil
	}
	var values []string
	for _, k := range l.matrix.keys {
		v, _ := l.matrix.get(k)
		if !primitive(v) {
			return "", errNested
		}
		values = append(values, text(v))
	}
	return short(name + " (" + strings.Join(values, ", ") + ")"), nil
}

func short(name string) string {
	if r := []rune(name); len(r) > 100 {
		return string(r[:97]) + "..."
	}
	return name
}
