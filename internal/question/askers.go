package question

import (
	"slices"
	"strings"
	"time"
)

// A Run is what GitHub says of a run of the workflow that asks. Needed are those that haven't ended, those that were
// created since Expiry ago, whatever became of them, and the older ones that failed or were cancelled since the oldest
// item is due: among them are those that people rejected.
type Run struct {
	ID      int64
	Manual  bool // a person started it: workflow_dispatch
	Ended   bool
	Jobs    []Job    // of the latest attempt
	Answers []Answer // of all attempts
}

// A Job of a run.
type Job struct {
	Name       string // "plan", "after-dev", "prod 1/2"
	Status     string // queued, in_progress, completed, waiting, requested, pending
	Conclusion string
	Started    time.Time
	Completed  time.Time
}

// An Answer is what a person said to a run's question.
type Answer struct {
	State        string // approved, rejected, pending
	Environments []string
}

// An Environment is one of those that are gone through in order.
type Environment struct{ Name, GitHub string }

func (j Job) begun() bool {
	return (j.Status == "in_progress" || j.Status == "completed") && !j.Started.IsZero()
}
func (j Job) skipped() bool { return j.Conclusion == "skipped" }

// Askers are the jobs that ask, or asked, in an environment, oldest first. all are the environments in their order.
//
// A run asks in an environment by the last job before it that looked: plan, or after-<environment> where one of the
// environments before had jobs. While these still wait or work, it isn't asking yet: it will, younger than whoever asks
// meanwhile. A job that was skipped or failed asks nothing.
func Askers(runs []Run, all []Environment, environment string) (askers []Asker) {
	i := slices.IndexFunc(all, func(e Environment) bool { return e.Name == environment })
	if i < 0 {
		return nil
	}
	for _, r := range runs {
		if a, ok := r.asker(all, i); ok {
			askers = append(askers, a)
		}
	}
	slices.SortFunc(askers, older)
	return askers
}

func (r Run) asker(all []Environment, i int) (Asker, bool) {
	feed, ok := r.feed(all[:i])
	if !ok || !feed.begun() || feed.Status == "completed" && feed.Conclusion != "success" {
		return Asker{}, false
	}
	a := Asker{Run: r.ID, Time: feed.Started.UTC(), Again: r.Manual, Rejected: r.rejected(all[i].GitHub)}
	jobs := r.of(all[i].Name)
	ran := slices.DeleteFunc(slices.Clone(jobs), Job.skipped)
	switch {
	case feed.Status != "completed" || len(jobs) == 0: // its jobs may still come
		return a, !r.Ended
	case len(ran) == 0:
		return a, false
	case !r.Ended && slices.ContainsFunc(ran, func(j Job) bool { return j.Status != "completed" }):
		return a, true
	}
	a.End = a.Time
	for _, j := range ran {
		a.End = Latest(a.End, j.Completed.UTC())
	}
	return a, true
}

// feed is the job whose outputs the environment after before takes; false: not known yet.
func (r Run) feed(before []Environment) (feed Job, ok bool) {
	feed, ok = r.job("plan")
	for _, e := range before {
		after, looked := r.job("after-" + e.Name)
		looked = looked && !after.skipped()
		ran := slices.ContainsFunc(r.of(e.Name), func(j Job) bool { return !j.skipped() })
		if ran || looked {
			feed, ok = after, looked
		}
	}
	return feed, ok
}

// name is a job's name without that of a workflow that called this one.
func (j Job) name() string {
	if i := strings.LastIndex(j.Name, " / "); i >= 0 {
		return j.Name[i+len(" / "):]
	}
	return j.Name
}

func (r Run) job(name string) (Job, bool) {
	for _, j := range r.Jobs {
		if j.name() == name {
			return j, true
		}
	}
	return Job{}, false
}

// of is the jobs of an environment. One that was skipped has its matrix unexpanded in its name, or none at all.
func (r Run) of(environment string) (jobs []Job) {
	for _, j := range r.Jobs {
		if n := j.name(); n == environment || strings.HasPrefix(n, environment+" ") {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func (r Run) rejected(github string) bool {
	return slices.ContainsFunc(r.Answers, func(a Answer) bool {
		return a.State == "rejected" && slices.ContainsFunc(a.Environments, func(e string) bool { return strings.EqualFold(e, github) })
	})
}

// Expired are the runs whose question nobody answered in time: a job waits, none works, and it was asked longer ago
// than Expiry. They are to be cancelled; others ask already what they asked.
func Expired(runs []Run, all []Environment, now time.Time) (ids []int64) {
	for _, r := range runs {
		if r.Ended || slices.ContainsFunc(r.Jobs, func(j Job) bool { return j.Status == "in_progress" }) {
			continue
		}
		for i, e := range all {
			waits := slices.ContainsFunc(r.of(e.Name), func(j Job) bool { return j.Status == "waiting" })
			if a, ok := r.asker(all, i); ok && waits && now.After(a.Time.Add(Expiry)) {
				ids = append(ids, r.ID)
				break
			}
		}
	}
	slices.Sort(ids)
	return ids
}
