package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// MostInputs is how many inputs a dispatch may have (REST API documentation, create a workflow dispatch event).
const MostInputs = 25

// Workflow reads a workflow, named by its file. Where there is none, the error is ErrNotFound, too.
func (c *Client) Workflow(ctx context.Context, file string) (Workflow, error) {
	var w gh.Workflow
	what := op{"read the workflow " + clean(file), "actions: read"}
	if err := c.get(ctx, what, "/actions/workflows/"+url.PathEscape(file), nil, &w); err != nil {
		return Workflow{}, err
	}
	return Workflow{Path: w.GetPath(), State: w.GetState()}, nil
}

// Dispatched are the runs of a workflow, named by its file, that a dispatch started at since or later, on any branch,
// newest first. The list lags behind what was dispatched.
func (c *Client) Dispatched(ctx context.Context, workflow string, since time.Time) ([]Run, error) {
	return c.runs(ctx, workflow, url.Values{"event": {"workflow_dispatch"}}, since)
}

// Dispatch starts a run of a workflow, named by its file, as branch or tag ref has it. ErrUnknown: it may have begun, see
// Dispatched. By default GitHub answers nothing (204), and where it is asked to, or by its API of March 2026, which run
// that is; what is true of both is that the run is listed a while later.
func (c *Client) Dispatch(ctx context.Context, workflow, ref string, inputs map[string]string) error {
	return c.change(ctx, op{fmt.Sprintf("start %s at %s", clean(workflow), clean(ref)), "actions: write"}, http.MethodPost,
		"/actions/workflows/"+url.PathEscape(workflow)+"/dispatches", struct {
			Ref    string            `json:"ref"`
			Inputs map[string]string `json:"inputs,omitempty"`
		}{ref, inputs}, nil)
}
