package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	gh "github.com/google/go-github/v62/github"
)

const (
	readIssues  = "issues: read, or pull-requests: read on a pull request"
	writeIssues = "issues: write, or pull-requests: write on a pull request"
)

// Comments on an issue or pull request, oldest first.
func (c *Client) Comments(ctx context.Context, issue int) ([]Comment, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the comments on #%d", issue), readIssues},
		fmt.Sprintf("/issues/%d/comments", issue), nil, itself[*gh.IssueComment])
	return all(list, err, commentOf)
}

// CreateComment writes one. ErrUnknown: see Comments whether it is there.
func (c *Client) CreateComment(ctx context.Context, issue int, body string) (Comment, error) {
	var made gh.IssueComment
	if err := c.change(ctx, op{fmt.Sprintf("comment on #%d", issue), writeIssues}, http.MethodPost,
		fmt.Sprintf("/issues/%d/comments", issue), gh.IssueComment{Body: &body}, &made); err != nil {
		return Comment{}, err
	}
	return commentOf(&made), nil
}

// EditComment replaces a comment's text.
func (c *Client) EditComment(ctx context.Context, id int64, body string) error {
	return c.change(ctx, op{fmt.Sprintf("edit comment %d", id), writeIssues}, http.MethodPatch,
		fmt.Sprintf("/issues/comments/%d", id), gh.IssueComment{Body: &body}, nil)
}

// DeleteComment is done where the comment is gone already.
func (c *Client) DeleteComment(ctx context.Context, id int64) error {
	err := c.change(ctx, op{fmt.Sprintf("delete comment %d", id), writeIssues}, http.MethodDelete, fmt.Sprintf("/issues/comments/%d", id), nil, nil)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Issue reads one issue, or a pull request as one.
func (c *Client) Issue(ctx context.Context, number int) (Issue, error) {
	var i gh.Issue
	if err := c.get(ctx, op{fmt.Sprintf("read issue #%d", number), "issues: read"}, fmt.Sprintf("/issues/%d", number), nil, &i); err != nil {
		return Issue{}, err
	}
	return issueOf(&i), nil
}

// Issues with a label, "" for all, newest first; state is open, closed or all. Pull requests are left out.
func (c *Client) Issues(ctx context.Context, label, state string) ([]Issue, error) {
	query := url.Values{"state": {state}}
	if label != "" {
		query.Set("labels", label)
	}
	list, err := pages(ctx, c, op{fmt.Sprintf("list the %s issues labelled %q", clean(state), clean(label)), "issues: read"}, "/issues", query,
		func(page []*gh.Issue) (issues []*gh.Issue) {
			for _, i := range page {
				if !i.IsPullRequest() {
					issues = append(issues, i)
				}
			}
			return issues
		})
	return all(list, err, issueOf)
}

// CreateIssue opens one. GitHub drops labels and assignees where the token may not set them (REST API documentation,
// create an issue). ErrUnknown: see Issues whether it is there.
func (c *Client) CreateIssue(ctx context.Context, title, body string, labels, assignees []string) (Issue, error) {
	in := gh.IssueRequest{Title: &title, Body: &body}
	if len(labels) > 0 {
		in.Labels = &labels
	}
	if len(assignees) > 0 {
		in.Assignees = &assignees
	}
	var made gh.Issue
	if err := c.change(ctx, op{fmt.Sprintf("open the issue %q", clean(title)), "issues: write"}, http.MethodPost, "/issues", in, &made); err != nil {
		return Issue{}, err
	}
	return issueOf(&made), nil
}

// EditIssue makes a change, of a pull request too.
func (c *Client) EditIssue(ctx context.Context, number int, change IssueChange) error {
	return c.change(ctx, op{fmt.Sprintf("edit issue #%d", number), "issues: write"}, http.MethodPatch, fmt.Sprintf("/issues/%d", number), change, nil)
}

// IssueEvents of an issue, oldest first.
func (c *Client) IssueEvents(ctx context.Context, issue int) ([]IssueEvent, error) {
	list, err := pages(ctx, c, op{fmt.Sprintf("list the events of #%d", issue), "issues: read"}, fmt.Sprintf("/issues/%d/events", issue), nil, itself[*gh.IssueEvent])
	return all(list, err, eventOf)
}

// AddAssignees assigns more people, ten at most, and says who is assigned then: GitHub leaves out without a word who
// can't be (REST API documentation, add assignees to an issue). To repeat it changes nothing.
func (c *Client) AddAssignees(ctx context.Context, issue int, logins []string) ([]string, error) {
	var now gh.Issue
	in := struct {
		Assignees []string `json:"assignees"`
	}{logins}
	err := c.change(ctx, op{fmt.Sprintf("assign #%d", issue), "issues: write"}, http.MethodPost, fmt.Sprintf("/issues/%d/assignees", issue), in, &now)
	return issueOf(&now).Assignees, err
}

// eventOf takes who assigned from where that is: the actor of these events is, or was for years, who was assigned
// (go-github pull request 615; GitHub documentation, issue event types). Without an assigner it is nobody.
func eventOf(e *gh.IssueEvent) IssueEvent {
	by := e.Actor
	if e.Assignee != nil {
		by = e.Assigner
	}
	return IssueEvent{Kind: e.GetEvent(), By: userOf(by), At: e.GetCreatedAt().Time}
}

func commentOf(c *gh.IssueComment) Comment {
	return Comment{c.GetID(), c.GetHTMLURL(), userOf(c.User), c.GetBody(), c.GetCreatedAt().Time, c.GetUpdatedAt().Time}
}

func issueOf(i *gh.Issue) Issue {
	ours := Issue{Number: i.GetNumber(), URL: i.GetHTMLURL(), Title: i.GetTitle(), Body: i.GetBody(), State: i.GetState(),
		Author: userOf(i.User), CreatedAt: i.GetCreatedAt().Time, ClosedAt: i.GetClosedAt().Time}
	for _, l := range i.Labels {
		ours.Labels = append(ours.Labels, l.GetName())
	}
	for _, a := range i.Assignees {
		ours.Assignees = append(ours.Assignees, a.GetLogin())
	}
	return ours
}
