package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/question"
)

// gates are the environments as question knows them.
func gates(c *config.Config) (all []question.Environment) {
	for _, e := range c.Environments {
		all = append(all, question.Environment{Name: e.Name, GitHub: e.GitHubEnvironment})
	}
	return all
}

func (j *job) runID() (int64, error) {
	id, err := strconv.ParseInt(j.Getenv("GITHUB_RUN_ID"), 10, 64)
	if err != nil {
		return 0, errors.New("GITHUB_RUN_ID is no number: this isn't a job of GitHub Actions")
	}
	return id, nil
}

// oldestRun is how long a run may live, by GitHub's limits.
const oldestRun = 35 * 24 * time.Hour

// runs are all that may be asking about what became due at oldest or later, this one among them; where nothing is to
// be asked, only those that wait for an answer.
func (s *survey) runs(ctx context.Context, oldest time.Time, asks bool) (runs []question.Run, self question.Asker, err error) {
	now := s.Clock.Now()
	id, err := s.runID()
	if err != nil {
		return nil, self, err
	}
	statuses := []string{"waiting", "in_progress", "failure", "cancelled"} // older ones that still count
	var list []github.Run
	if !asks {
		statuses = statuses[:1]
	} else if list, err = s.hub.Runs(ctx, workflow, "", now.Add(-question.Expiry)); err != nil {
		return nil, self, err
	}
	for _, status := range statuses {
		since := now.Add(-oldestRun)
		if status == "failure" || status == "cancelled" { // it may have begun long before it asked
			since = oldest.Add(-oldestRun)
		}
		more, err := s.hub.Runs(ctx, workflow, status, since)
		if err != nil {
			return nil, self, err
		}
		for _, r := range more {
			if !slices.ContainsFunc(list, func(o github.Run) bool { return o.ID == r.ID }) {
				list = append(list, r)
			}
		}
	}
	list = slices.DeleteFunc(list, func(r github.Run) bool {
		// A pull request may bring a rotate.yml of its own, from a branch that is called like ours: it asks nobody. What
		// another workflow's end wakes is the default branch's.
		if !slices.Contains([]string{"push", "schedule", "workflow_dispatch", "workflow_run"}, r.Event) {
			return true
		}
		// Ended before anything of this was due: asked about none of it.
		return r.ID != id && r.Status == "completed" && r.UpdatedAt.Before(oldest.Truncate(time.Second))
	})
	runs = make([]question.Run, len(list))
	var g errgroup.Group
	g.SetLimit(8)
	for i := range list {
		g.Go(func() (err error) {
			runs[i], err = s.run(ctx, list[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, self, err
	}
	if asks {
		self, err = s.self(id, list, runs)
	}
	return runs, self, err
}

func (s *survey) run(ctx context.Context, r github.Run) (q question.Run, err error) {
	q = question.Run{ID: r.ID, Manual: r.Event == "workflow_dispatch", Ended: r.Status == "completed"}
	jobs, err := s.hub.Jobs(ctx, r.ID)
	if err != nil {
		return q, err
	}
	for _, j := range jobs {
		q.Jobs = append(q.Jobs, question.Job{Name: j.Name, Status: j.Status, Conclusion: j.Conclusion, Started: j.StartedAt, Completed: j.CompletedAt})
	}
	failed := slices.ContainsFunc(q.Jobs, func(j question.Job) bool { return j.Conclusion == "failure" })
	if r.Conclusion == "success" || !q.Ended && !failed { // nobody can have said no
		return q, nil
	}
	answers, err := s.hub.Approvals(ctx, r.ID)
	for _, a := range answers {
		q.Answers = append(q.Answers, question.Answer{State: a.State, Environments: a.Environments})
	}
	return q, err
}

// self is this job as one that asks. Its time is what GitHub shows to the others.
func (s *survey) self(id int64, list []github.Run, runs []question.Run) (question.Asker, error) {
	self := question.Asker{Run: id, Time: s.Clock.Now().UTC().Truncate(time.Second)}
	name := s.Getenv("GITHUB_JOB")
	for i := range runs {
		if runs[i].ID != id {
			continue
		}
		self.Again = list[i].Event == "workflow_dispatch"
		for _, j := range runs[i].Jobs {
			if (j.Name == name || strings.HasSuffix(j.Name, " / "+name)) && !j.Started.IsZero() {
				self.Time = j.Started.UTC()
				return self, nil
			}
		}
		return self, nil // others can't see it either, so they don't count on it
	}
	return self, fmt.Errorf("GitHub doesn't list run %d of %s: is that the name of this workflow's file?", id, workflow)
}
