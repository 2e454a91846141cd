package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v62/github"
)

// PullsOf are the pull requests that brought a commit, or hold it. They lack MergedBy: see Pull.
func (c *Client) PullsOf(ctx context.Context, sha string) ([]Pull, error) {
	list, err := pages(ctx, c, op{"list the pull requests of " + clean(sha), "pull-requests: read"},
		"/commits/"+url.PathEscape(sha)+"/pulls", nil, itself[*gh.PullRequest])
	return all(list, err, pullOf)
}

// Pull reads one pull request.
func (c *Client) Pull(ctx context.Context, number int) (Pull, error) {
	var p gh.PullRequest
	if err := c.get(ctx, op{fmt.Sprintf("read #%d", number), "pull-requests: read"}, fmt.Sprintf("/pulls/%d", number), nil, &p); err != nil {
		return Pull{}, err
	}
	return pullOf(&p), nil
}

// FilesOf are what a pull request changes; GitHub lists 3,000 at most (REST API documentation, list pull requests
// files).
func (c *Client) FilesOf(ctx context.Context, number int) ([]File, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the files of #%d", number), "pull-requests: read"},
		fmt.Sprintf("/pulls/%d/files", number), nil, itself[*gh.CommitFile])
	return all(list, err, func(f *gh.CommitFile) File { return File{f.GetFilename(), f.GetStatus(), f.GetSHA()} })
}

// Reviews of a pull request, oldest first.
func (c *Client) Reviews(ctx context.Context, number int) ([]Review, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the reviews of #%d", number), "pull-requests: read"},
		fmt.Sprintf("/pulls/%d/reviews", number), nil, itself[*gh.PullRequestReview])
	return all(list, err, func(r *gh.PullRequestReview) Review {
		return Review{userOf(r.User), r.GetState(), r.GetCommitID(), r.GetSubmittedAt().Time}
	})
}

// CommitsIn are a pull request's commits, oldest first; GitHub lists 250 at most (REST API documentation, list commits
// on a pull request).
func (c *Client) CommitsIn(ctx context.Context, number int) ([]Commit, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the commits of #%d", number), "pull-requests: read"},
		fmt.Sprintf("/pulls/%d/commits", number), nil, itself[*gh.RepositoryCommit])
	return all(list, err, commitOf)
}

// PullsFrom are the pull requests of a branch of this repository; state is open, closed or all.
func (c *Client) PullsFrom(ctx context.Context, branch, state string) ([]Pull, error) {
	owner, _, _ := strings.Cut(c.repository, "/")
	list, err := pages(ctx, c, op{fmt.Sprintf("list the pull requests of branch %q", clean(branch)), "pull-requests: read"},
		"/pulls", url.Values{"head": {owner + ":" + branch}, "state": {state}}, itself[*gh.PullRequest])
	return all(list, err, pullOf)
}

// OpenPulls are all that are open, newest first.
func (c *Client) OpenPulls(ctx context.Context) ([]Pull, error) {
	list, err := pages(ctx, c, op{"list the open pull requests", "pull-requests: read"}, "/pulls", url.Values{"state": {"open"}}, itself[*gh.PullRequest])
	return all(list, err, pullOf)
}

// CreatePull opens a pull request of a branch of this repository. ErrUnknown: see PullsFrom whether it is there.
func (c *Client) CreatePull(ctx context.Context, title, body, branch, base string) (Pull, error) {
	var p gh.PullRequest
	in := gh.NewPullRequest{Title: &title, Body: &body, Head: &branch, Base: &base}
	if err := c.change(ctx, op{fmt.Sprintf("open a pull request of branch %q", clean(branch)), "pull-requests: write"}, http.MethodPost, "/pulls", in, &p); err != nil {
		return Pull{}, err
	}
	return pullOf(&p), nil
}

// EditPull changes what isn't ""; state is open or closed.
func (c *Client) EditPull(ctx context.Context, number int, title, body, state string) error {
	in := map[string]string{}
	for key, value := range map[string]string{"title": title, "body": body, "state": state} {
		if value != "" {
			in[key] = value
		}
	}
	return c.change(ctx, op{fmt.Sprintf("edit #%d", number), "pull-requests: write"}, http.MethodPatch, fmt.Sprintf("/pulls/%d", number), in, nil)
}

func pullOf(p *gh.PullRequest) Pull {
	pull := Pull{
		Number: p.GetNumber(), URL: p.GetHTMLURL(), Title: p.GetTitle(), State: p.GetState(), Author: userOf(p.User),
		Merged: p.MergedAt != nil, MergedAt: p.GetMergedAt().Time, MergedBy: userOf(p.MergedBy), // lists have no "merged"
		Base: p.GetBase().GetRef(), Head: p.GetHead().GetSHA(), HeadRepo: p.GetHead().GetRepo().GetFullName(), Branch: p.GetHead().GetRef(),
	}
	if pull.Merged { // before, it is that of a trial
		pull.Merge = p.GetMergeCommitSHA()
	}
	return pull
}

func commitOf(r *gh.RepositoryCommit) Commit {
	return Commit{r.GetSHA(), userOf(r.Author), userOf(r.Committer), r.GetCommit().GetCommitter().GetDate().Time}
}
