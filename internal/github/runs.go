package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// Run reads one run of a workflow.
func (c *Client) Run(ctx context.Context, id int64) (Run, error) {
	var r gh.WorkflowRun
	if err := c.get(ctx, op{fmt.Sprintf("read run %d", id), "actions: read"}, fmt.Sprintf("/actions/runs/%d", id), nil, &r); err != nil {
		return Run{}, err
	}
	return runOf(&r), nil
}

// mostRuns is how many GitHub lists of one question (REST API documentation, list workflow runs for a workflow).
const mostRuns = 1000

// Runs are those of a workflow, named by its file, on the default branch, that were created at since or later, newest
// first; status "" is all. A fork's branch may be called like the default one: see Run.Event.
func (c *Client) Runs(ctx context.Context, workflow, status string, since time.Time) ([]Run, error) {
	branch, err := c.DefaultBranch(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{"branch": {branch}}
	if status != "" {
		query.Set("status", status)
	}
	return c.runs(ctx, workflow, query, since)
}

// runs are those that a question's query names. Where they are more than GitHub lists, it is asked again for those before.
func (c *Client) runs(ctx context.Context, workflow string, query url.Values, since time.Time) ([]Run, error) {
	what := op{"list the runs of " + clean(workflow), "actions: read"}
	created := ">=" + stamp(since)
	var found []Run
	seen := map[int64]bool{}
	for range mostPages {
		if !since.IsZero() || len(found) > 0 {
			query.Set("created", created)
		}
		list, err := pages(ctx, c, what, "/actions/workflows/"+url.PathEscape(workflow)+"/runs", clone(query),
			func(w gh.WorkflowRuns) []*gh.WorkflowRun { return w.WorkflowRuns })
		if err != nil {
			return nil, err
		}
		before := len(found)
		for _, g := range list {
			if r := runOf(g); !seen[r.ID] { // pages shift when a run begins
				seen[r.ID] = true
				found = append(found, r)
			}
		}
		if len(list) < mostRuns {
			slices.SortStableFunc(found, func(a, b Run) int { return b.CreatedAt.Compare(a.CreatedAt) })
			return found, nil
		}
		if len(found) == before {
			break
		}
		oldest := slices.MinFunc(found, func(a, b Run) int { return a.CreatedAt.Compare(b.CreatedAt) }).CreatedAt
		if created = "<=" + stamp(oldest); !since.IsZero() {
			created = stamp(since) + ".." + stamp(oldest)
		}
	}
	return nil, fmt.Errorf("%s: there are more than GitHub lists", what.doing)
}

// stamp is a time as GitHub's search takes it (GitHub documentation, understanding the search syntax).
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func clone(v url.Values) url.Values {
	c := url.Values{}
	for name, values := range v {
		c[name] = slices.Clone(values)
	}
	return c
}

// Jobs are those of a run's latest attempt.
func (c *Client) Jobs(ctx context.Context, run int64) ([]Job, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the jobs of run %d", run), "actions: read"},
		fmt.Sprintf("/actions/runs/%d/jobs", run), url.Values{"filter": {"latest"}}, func(j gh.Jobs) []*gh.WorkflowJob { return j.Jobs })
	return all(list, err, func(j *gh.WorkflowJob) Job {
		return Job{j.GetID(), j.GetName(), j.GetStatus(), j.GetConclusion(), j.GetCreatedAt().Time, j.GetStartedAt().Time, j.GetCompletedAt().Time}
	})
}

// approval is an entry of a run's review history (GitHub REST API documentation, get the review history for a workflow
// run), for which the library has no words.
type approval struct {
	State        string   `json:"state"`
	Comment      string   `json:"comment"`
	User         *gh.User `json:"user"`
	Environments []struct {
		Name string `json:"name"`
	} `json:"environments"`
}

// Approvals are what people said of a run's waiting deployments, of all its attempts, in GitHub's order.
func (c *Client) Approvals(ctx context.Context, run int64) ([]Approval, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the approvals of run %d", run), "actions: read"},
		fmt.Sprintf("/actions/runs/%d/approvals", run), nil, itself[approval])
	return all(list, err, func(a approval) Approval {
		ours := Approval{State: a.State, User: userOf(a.User), Comment: a.Comment}
		for _, e := range a.Environments {
			ours.Environments = append(ours.Environments, e.Name)
		}
		return ours
	})
}

// Environment says how a GitHub Environment is protected; false: there is none. Branches name tags as refs/tags/...
func (c *Client) Environment(ctx context.Context, name string) (Environment, bool, error) {
	if name == "" { // which would be the list of them
		return Environment{}, false, nil
	}
	what := op{fmt.Sprintf("read the environment %q", clean(name)), "actions: read"}
	path := "/environments/" + url.PathEscape(name)
	var e gh.Environment
	if err := c.get(ctx, what, path, nil, &e); errors.Is(err, ErrNotFound) {
		return Environment{}, false, nil
	} else if err != nil {
		return Environment{}, false, err
	}
	// An older GitHub Enterprise Server doesn't say: there, administrators bypass.
	ours := Environment{Name: e.GetName(), AdminsBypass: e.CanAdminsBypass == nil || *e.CanAdminsBypass}
	for _, rule := range e.ProtectionRules {
		ours.Reviewers += len(rule.Reviewers)
		for _, r := range rule.Reviewers {
			if u, ok := r.Reviewer.(*gh.User); ok {
				ours.Users = append(ours.Users, u.GetLogin())
			}
		}
		ours.WaitMinutes += rule.GetWaitTimer()
		ours.PreventSelf = ours.PreventSelf || rule.GetPreventSelfReview()
	}
	policy := e.DeploymentBranchPolicy
	ours.Restricted = policy != nil
	ours.ProtectedOnly = policy.GetProtectedBranches()
	if !policy.GetCustomBranchPolicies() {
		return ours, true, nil
	}
	type patterns struct {
		Policies []*gh.DeploymentBranchPolicy `json:"branch_policies"`
	}
	list, err := pages(ctx, c, what, path+"/deployment-branch-policies", nil, func(p patterns) []*gh.DeploymentBranchPolicy { return p.Policies })
	if err != nil {
		return Environment{}, false, err
	}
	for _, p := range list {
		pattern := p.GetName()
		if p.GetType() == "tag" {
			pattern = "refs/tags/" + pattern
		}
		ours.Branches = append(ours.Branches, pattern)
	}
	return ours, true, nil
}

func runOf(r *gh.WorkflowRun) Run {
	return Run{
		ID: r.GetID(), URL: r.GetHTMLURL(), Title: r.GetDisplayTitle(), Number: r.GetRunNumber(), Attempt: r.GetRunAttempt(), Event: r.GetEvent(),
		Branch: r.GetHeadBranch(), SHA: r.GetHeadSHA(), Status: r.GetStatus(), Conclusion: r.GetConclusion(),
		Actor: userOf(r.Actor), Trigger: userOf(r.TriggeringActor), CreatedAt: r.GetCreatedAt().Time, StartedAt: r.GetRunStartedAt().Time, UpdatedAt: r.GetUpdatedAt().Time,
	}
}
