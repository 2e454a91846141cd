package github

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// An Environment is a GitHub Environment and what protects it.
type Environment struct {
	Name         string
	Reviewers    []string // logins, at most 6; any one suffices
	PreventSelf  bool     // who started the run can't approve it
	AdminsBypass bool
	WaitMinutes  int
	Branches     []string // patterns of branches that may deploy; none and not Protected: any
	Protected    bool     // protected branches only: here, the default branch
}

type environment struct {
	Environment
	id            int64
	made, updated time.Time
}

type run struct {
	id, workflowID int64
	workflow       string // file name
	name           string // what its run-name says; "" where it has none
	inputs         map[string]string
	number         int
	event          string
	branch, sha    string
	actor, trigger string
	attempt        int
	status         string // of its own until it is derived: queued, in_progress, waiting, completed
	conclusion     string
	made, started  time.Time
	updated        time.Time
	jobs           []*job // of all attempts
	waits          map[string]time.Time
	approvals      []Approval
	cancelled      bool // asked for
}

type job struct {
	id                  int64
	attempt             int
	name                string
	status, conclusion  string
	made, started, done time.Time
}

// An Approval is one entry of a run's review history. It keeps neither its time nor the attempt.
type Approval struct {
	Environment, State, User, Comment string // State: approved, rejected
}

// A Job is a copy of one of a run's latest attempt.
type Job struct {
	ID                                int64
	Name, Status, Conclusion          string
	CreatedAt, StartedAt, CompletedAt time.Time
}

// A Run is a copy of a workflow run.
type Run struct {
	ID                 int64
	Workflow           string // file name
	Title              string // by its run-name; "" where it has none
	Inputs             map[string]string
	Number, Attempt    int
	Event, Branch, SHA string
	Actor, Trigger     string
	Status, Conclusion string
	CreatedAt          time.Time
	StartedAt          time.Time // of this attempt
	Cancelled          bool      // somebody asked for it to be cancelled; EndRun ends it
	Waiting            []string  // GitHub Environments it waits for
	Jobs               []Job
}

// environment finds one by name, whose case doesn't matter; nil where there is none.
func (r *repository) environment(name string) *environment {
	return r.environments[strings.ToLower(name)]
}

// SetEnvironment makes or changes a GitHub Environment.
func (s *Service) SetEnvironment(e Environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setEnvironment(e)
}

func (s *Service) setEnvironment(e Environment) *environment {
	was := s.repo.environment(e.Name)
	if was == nil {
		was = &environment{id: s.next(), made: s.now()}
		s.repo.environments[strings.ToLower(e.Name)] = was
	}
	if was.Name != "" {
		e.Name = was.Name
	}
	e.Reviewers, e.Branches = slices.Clone(e.Reviewers), slices.Clone(e.Branches)
	was.Environment, was.updated = e, s.now()
	return was
}

// Environment finds a GitHub Environment.
func (s *Service) Environment(name string) (Environment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.repo.environment(name); e != nil {
		c := e.Environment
		c.Reviewers, c.Branches = slices.Clone(c.Reviewers), slices.Clone(c.Branches)
		return c, true
	}
	return Environment{}, false
}

// MayDeploy says whether a branch may deploy to an environment: one that isn't there lets every branch.
func (s *Service) MayDeploy(name, branch string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.repo.environment(name)
	switch {
	case e == nil:
		return true
	case e.Protected:
		return branch == s.repo.branch
	case len(e.Branches) == 0:
		return true
	}
	return slices.ContainsFunc(e.Branches, func(p string) bool { ok, err := path.Match(p, branch); return ok && err == nil })
}

// StartRun begins a run of a workflow file ("rotate.yml"), queued. sha "" is the branch's head.
func (s *Service) StartRun(workflow, event, branch, sha, actor string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startRun(workflow, event, branch, sha, actor).id
}

func (s *Service) startRun(workflow, event, branch, sha, actor string) *run {
	r := s.repo
	if sha == "" {
		sha = r.branches[branch]
	}
	r.numbers[workflow]++
	n := &run{
		id: s.next(), workflow: workflow, number: r.numbers[workflow], event: event, branch: branch, sha: sha, actor: actor, trigger: actor,
		attempt: 1, status: "queued", made: s.now(), started: s.now(), updated: s.now(), waits: map[string]time.Time{},
	}
	for _, other := range r.runs {
		if other.workflow == workflow {
			n.workflowID = other.workflowID
		}
	}
	if n.workflowID == 0 {
		n.workflowID = s.next()
	}
	r.runs[n.id] = n
	return n
}

// Rerun starts the next attempt of a completed run, by whom it began with; its approvals stay. Jobs are those set
// from now on.
func (s *Service) Rerun(id int64) { s.RerunBy(id, "") }

// RerunBy is Rerun by somebody else.
func (s *Service) RerunBy(id int64, actor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.repo.runs[id]
	if n == nil {
		return
	}
	n.attempt++
	n.status, n.conclusion, n.started, n.updated, n.cancelled = "queued", "", s.now(), s.now(), false
	n.trigger = n.actor
	if actor != "" {
		n.trigger = actor
	}
	clear(n.waits)
}

// DeleteRun takes a run away, as who may write can; Actions does that by itself after its retention.
func (s *Service) DeleteRun(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repo.runs, id)
}

// Lag is how long lists don't show a run that has begun.
func (s *Service) Lag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = d
}

// SetJob makes a job of the run's present attempt, or moves it on: queued, waiting, in_progress, completed.
func (s *Service) SetJob(id int64, name, status, conclusion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.repo.runs[id]
	if n == nil {
		return
	}
	i := slices.IndexFunc(n.jobs, func(j *job) bool { return j.name == name && j.attempt == n.attempt })
	if i < 0 {
		i, n.jobs = len(n.jobs), append(n.jobs, &job{id: s.next(), attempt: n.attempt, name: name, made: s.now(), started: s.now()})
	}
	j := n.jobs[i]
	if status == "in_progress" && j.status != status {
		j.started = s.now()
	}
	if status == "completed" && j.status != status {
		j.done = s.now()
	}
	j.status, j.conclusion, n.updated = status, conclusion, s.now()
	n.settle()
}

// settle derives the run's status from its jobs and gates.
func (n *run) settle() {
	if n.status == "completed" {
		return
	}
	busy := slices.ContainsFunc(n.jobs, func(j *job) bool { return j.attempt == n.attempt && j.status == "in_progress" })
	switch {
	case busy:
		n.status = "in_progress"
	case len(n.waits) > 0:
		n.status = "waiting"
	case slices.ContainsFunc(n.jobs, func(j *job) bool { return j.attempt == n.attempt && j.status == "completed" }):
		n.status = "in_progress"
	default:
		n.status = "queued"
	}
}

// EndRun completes a run: success, failure, cancelled, ...
func (s *Service) EndRun(id int64, conclusion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.repo.runs[id]; n != nil {
		n.status, n.conclusion, n.updated = "completed", conclusion, s.now()
		clear(n.waits)
	}
}

// WaitFor lets a run wait for an environment's approval, and says whether it has to: not where nobody is asked. An
// environment that isn't there is made, unprotected, as GitHub does.
func (s *Service) WaitFor(id int64, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.repo.environment(name)
	if e == nil {
		e = s.setEnvironment(Environment{Name: name, AdminsBypass: true})
	}
	n := s.repo.runs[id]
	if n == nil || len(e.Reviewers) == 0 {
		return false
	}
	n.waits[e.Name] = s.now()
	n.settle()
	return true
}

// Approve is a reviewer letting a run's jobs go on in an environment. It refuses whom GitHub refuses.
func (s *Service) Approve(id int64, name, user, comment string) error {
	return s.review(id, name, user, comment, "approved")
}

// Reject is a reviewer refusing them; the scheduler then fails the jobs.
func (s *Service) Reject(id int64, name, user, comment string) error {
	return s.review(id, name, user, comment, "rejected")
}

func (s *Service) review(id int64, name, user, comment, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.repo.runs[id]
	if n == nil {
		return fmt.Errorf("%s run %d: there is none", s.repo.full(), id)
	}
	if !s.mayReview(n, name, user) {
		return fmt.Errorf("run %d, environment %q: %s may not review it, or nothing waits for that", id, name, user)
	}
	s.reviewed(n, name, user, comment, state)
	return nil
}

// mayReview holds a reviewer against the environment: on its list, not the run's starter where that is prevented.
func (s *Service) mayReview(n *run, name, user string) bool {
	e := s.repo.environment(name)
	if e == nil || n.waits[e.Name].IsZero() || n.status == "completed" || s.users[user] == nil {
		return false
	}
	return slices.Contains(e.Reviewers, user) && (!e.PreventSelf || user != n.trigger && user != n.actor)
}

func (s *Service) reviewed(n *run, name, user, comment, state string) {
	name = s.repo.environment(name).Name
	delete(n.waits, name)
	n.approvals = append(n.approvals, Approval{Environment: name, State: state, User: user, Comment: comment})
	n.updated = s.now()
	n.settle()
}

// Bypass is an administrator starting a waiting job without a review. Whether GitHub lists that in the run's review
// history isn't documented: listed says whether it does here.
func (s *Service) Bypass(id int64, name, user, comment string, listed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e := s.repo.runs[id], s.repo.environment(name)
	if n == nil || e == nil || !e.AdminsBypass || s.repo.permissions[user] != "admin" {
		return fmt.Errorf("run %d, environment %q: %s may not bypass it", id, name, user)
	}
	if n.waits[e.Name].IsZero() {
		return fmt.Errorf("run %d, environment %q: nothing waits for that", id, name)
	}
	s.reviewed(n, name, user, comment, "approved")
	if !listed {
		n.approvals = n.approvals[:len(n.approvals)-1]
	}
	return nil
}

// Approvals are the entries of a run's review history, over all its attempts, oldest first.
func (s *Service) Approvals(id int64) []Approval {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.repo.runs[id]; n != nil {
		return slices.Clone(n.approvals)
	}
	return nil
}

// Run is a copy of one run, with the jobs of its latest attempt.
func (s *Service) Run(id int64) (Run, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.repo.runs[id]
	if n == nil {
		return Run{}, false
	}
	return n.copy(), true
}

// Runs of a workflow file, oldest first; "" all.
func (s *Service) Runs(workflow string) (l []Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.repo.runs)) {
		if n := s.repo.runs[id]; workflow == "" || n.workflow == workflow {
			l = append(l, n.copy())
		}
	}
	return l
}

func (n *run) copy() Run {
	c := Run{
		ID: n.id, Workflow: n.workflow, Title: n.name, Inputs: maps.Clone(n.inputs), Number: n.number, Attempt: n.attempt, Event: n.event, Branch: n.branch, SHA: n.sha, Actor: n.actor, Trigger: n.trigger,
		Status: n.status, Conclusion: n.conclusion, CreatedAt: n.made, StartedAt: n.started, Cancelled: n.cancelled, Waiting: slices.Sorted(maps.Keys(n.waits)),
	}
	for _, j := range n.jobs {
		if j.attempt == n.attempt {
			c.Jobs = append(c.Jobs, Job{ID: j.id, Name: j.name, Status: j.status, Conclusion: j.conclusion, CreatedAt: j.made, StartedAt: j.started, CompletedAt: j.done})
		}
	}
	return c
}

func (n *run) title() string { return strings.TrimSuffix(n.workflow, path.Ext(n.workflow)) }
