package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/github"
	comments "github.com/rastup/rekey/internal/notice/comment"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
)

// lint checks everything people wrote.
func (j *job) lint() error {
	found := j.app.Check()
	j.annotate(found)
	if found.Len() > 0 {
		return errSaid
	}
	j.gha.Infof("%s, %s: no problems", count(len(j.app.Inputs.Registry.Entries), "secret"), count(len(j.app.Inputs.Requests), "request"))
	return nil
}

// An event is as much of a pull_request event as matters.
type event struct {
	PullRequest struct {
		Number int `json:"number"`
		Head   struct {
			Repo struct {
				FullName string `json:"full_name"`
			} `json:"repo"`
		} `json:"head"`
	} `json:"pull_request"`
}

func (j *job) event() (e event, err error) {
	b, err := os.ReadFile(j.Getenv("GITHUB_EVENT_PATH"))
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		return e, fmt.Errorf("read the event: %w", err)
	}
	return e, nil
}

// plan says what merging a pull request would do: at the lines that are wrong, in the summary and, where the token may
// write one, in the comment that becomes its status. A fork's job has no such token, and no identity: it says the same
// without the comment and without having looked at a target.
func (j *job) plan(ctx context.Context) error {
	found := j.app.Check()
	if j.Getenv("GITHUB_EVENT_NAME") != "pull_request" || j.hub == nil {
		j.annotate(found)
		if found.Len() > 0 {
			return errSaid
		}
		return nil
	}
	e, err := j.event()
	if err != nil {
		return err
	}
	n, own := e.PullRequest.Number, strings.EqualFold(e.PullRequest.Head.Repo.FullName, j.Getenv("GITHUB_REPOSITORY"))
	files, err := j.hub.FilesOf(ctx, n)
	if err != nil {
		return err
	}
	p := comment.Preview{At: j.Clock.Now().UTC()}
	var paths []string
	for _, f := range files {
		if r, ok := j.preview(f); ok {
			if p.Requests = append(p.Requests, r); !r.Removed {
				paths = append(paths, r.Path)
			}
		}
	}
	if found.Len() == 0 {
		found.Append(j.late(paths))
	}
	j.annotate(found)
	if p.Problems = len(found.Sorted()); p.Problems == 0 && len(paths) > 0 {
		if err := j.foresee(ctx, &p, own); err != nil {
			return err
		}
		desk, broken := j.newDesk()
		for i := range p.Requests {
			if r := &p.Requests[i]; !r.Removed {
				j.foretold(ctx, desk, broken, files, r)
			}
		}
	}
	text := comment.Plan(p, j.texts())
	j.summary(text)
	if own && (len(p.Requests) > 0 || p.Problems > 0) {
		c := &comments.Projector{GitHub: j.hub, Bot: j.bot(), Options: j.texts()}
		if _, err := c.Write(ctx, []comments.Page{{Pull: n, Status: text}}); err != nil {
			j.fail(err) // the check is about the files, not about the comment
		}
	}
	if p.Problems > 0 {
		return errSaid
	}
	return nil
}

// preview is a request file of a pull request; false: it isn't one.
func (j *job) preview(f github.File) (comment.Request, bool) {
	folder := j.app.Inputs.Config.Requests + "/"
	if !strings.HasPrefix(f.Path, folder) || !strings.HasSuffix(f.Path, ".yaml") {
		return comment.Request{}, false
	}
	r := comment.Request{Path: f.Path, Removed: f.Status == "removed"}
	if q, ok := j.app.Inputs.Find(f.Path); ok {
		r.Ticket, r.Derived = q.Ticket, q.Derived
		if e, ok := j.app.Inputs.Registry.Find(slices.Concat(q.Secrets, []string{""})[0]); ok {
			r.Owner = e.Owner
		}
	}
	return r, true
}

// late is what requests that aren't merged yet ask for and can't get any more.
func (j *job) late(paths []string) *problem.List {
	in := *j.app.Inputs
	in.Requests = nil
	for _, p := range paths {
		if r, ok := j.app.Inputs.Find(p); ok {
			in.Requests = append(in.Requests, r)
		}
	}
	return in.Late(j.Clock.Now())
}

// foresee fills in what would happen, and what the targets look like where a role for that is configured.
func (j *job) foresee(ctx context.Context, p *comment.Preview, own bool) error {
	c := j.app.Inputs.Config
	p.Live = own && j.app.Cloud.WebIdentity != nil && slices.ContainsFunc(c.Environments, func(e config.Environment) bool { return e.Preview != "" })
	for i := range p.Requests {
		r := &p.Requests[i]
		if r.Removed {
			continue
		}
		plans, err := j.app.Plans(r.Path)
		if err != nil {
			return err
		}
		r.Plans, r.Gates = plans, map[string]string{}
		for _, e := range c.Environments {
			if e.Approval == config.ApprovalRequired {
				r.Gates[e.Name] = e.GitHubEnvironment
			}
		}
		if p.Live {
			r.Notes = j.looked(ctx, plans)
		}
	}
	return nil
}

// looked are the targets of the environments that have a role for it.
func (j *job) looked(ctx context.Context, plans []rotation.Plan) (notes []comment.Note) {
	plans = slices.DeleteFunc(slices.Clone(plans), func(p rotation.Plan) bool {
		e, ok := j.app.Inputs.Config.Environment(p.Environment)
		return !ok || e.Preview == ""
	})
	for _, n := range j.app.Preflight(ctx, plans) {
		notes = append(notes, comment.Note{Chain: n.Chain, OK: n.OK, Text: n.Text, Hint: n.Hint, Facts: n.Facts})
	}
	return notes
}
