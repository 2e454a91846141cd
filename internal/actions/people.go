package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/policy/lookup"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

// people answers who asked and who approved: *lookup.Lookup.
type people interface {
	Origin(ctx context.Context, path string, text []byte) (policy.Asked, error)
	Claimed(ctx context.Context, c rotation.Claim) (policy.Asked, error)
	Approval(ctx context.Context, kind string, q policy.Question, run int64) (*rotation.Approval, error)
}

// workflow is the file whose runs ask; a setting only of its name, not of its place.
const workflow = "rotate.yml"

func (j *job) people() *lookup.Lookup {
	p := j.app.Inputs.Config.Policy
	return lookup.New(j.hub, lookup.Options{Repository: j.Getenv("GITHUB_REPOSITORY"), Ref: j.app.Commit, Workflow: workflow, Now: j.Clock.Now,
		Rules: policy.Rules{Reviews: *p.Reviews, Separation: *p.Separation, DirectPush: p.DirectPush == "allow", BreakGlass: p.BreakGlass == "allow", Config: j.app.Config}})
}

// origins finds out who asked for what hasn't begun. What is refused is shown as that, and nobody is asked about it.
// On a schedule only what is to be asked about now, or never will be, is looked up: the others haven't changed, and each
// costs calls that GitHub counts.
func (s *survey) origins(ctx context.Context) {
	people := s.people()
	s.asked, s.refused, s.brought = map[string]policy.Asked{}, map[string]error{}, map[string]int{}
	scheduled := s.Getenv("GITHUB_EVENT_NAME") == "schedule"
	for i := range s.results {
		r := &s.results[i]
		q := r.Task.Request
		if q == nil || len(r.Status.Records) > 0 || r.Err != nil {
			continue
		}
		_, known := s.asked[q.Path]
		if known = known || s.refused[q.Path] != nil || s.brought[q.Path] > 0; known {
			continue
		}
		if r.Status.Decision.State.Over() {
			s.bring(ctx, q)
			continue
		}
		if e, ok := s.app.Inputs.Config.Environment(r.Status.Plan.Environment); ok && scheduled {
			if asks, _ := s.asks(*r, e); !asks {
				continue
			}
		}
		if !s.follows(*r) {
			s.origin(ctx, people, q)
		}
	}
}

// follows says whether r's request is the one that the environment before was claimed for. That is how long it has been
// merged at least, and its pull request is known: who asked is looked up when this run is to ask.
func (s *survey) follows(r app.Result) bool {
	return slices.ContainsFunc(s.results, func(o app.Result) bool {
		if o.Task.Rotation != r.Task.Rotation || o.Task.Secret != r.Task.Secret || o.Status.Plan.Environment != r.Status.Plan.Needs || len(o.Status.Records) == 0 {
			return false
		}
		c := o.Status.Records[0].Claim
		return c.Origin != nil && c.Request == string(r.Task.Request.Bytes)
	})
}

// origin finds out who asked for q, once.
func (s *survey) origin(ctx context.Context, people people, q *request.Request) {
	if _, known := s.asked[q.Path]; known || s.refused[q.Path] != nil {
		return
	}
	asked, err := people.Origin(ctx, q.Path, q.Bytes)
	var later *policy.Later
	for range soonKnown { // right after a merge GitHub may not know it yet: better a minute than the next hour
		if !errors.As(err, &later) || s.Clock.Sleep(ctx, soonAsked) != nil {
			break
		}
		asked, err = people.Origin(ctx, q.Path, q.Bytes)
	}
	if err == nil {
		s.asked[q.Path] = asked
		err = s.ticketed(ctx, q)
	}
	if err == nil {
		return
	}
	s.refused[q.Path] = err
	if errors.As(err, &later) {
		s.warn(fmt.Sprintf("nobody is asked yet: %v", err))
	} else {
		s.fail(fmt.Errorf("nobody is asked: %w", err))
	}
	s.bring(ctx, q)
}

// How often, and how long apart, GitHub is asked again which pull request brought what was just pushed.
const (
	soonKnown = 3
	soonAsked = 31 * time.Second // lookup remembers for 30
)

// bring finds the pull request on whose page people look for what became of q, whatever policy thinks of it.
func (s *survey) bring(ctx context.Context, q *request.Request) {
	commits, err := s.hub.CommitsOf(ctx, q.Path, s.app.Commit)
	if err == nil && len(commits) > 0 {
		var pulls []github.Pull
		pulls, err = s.hub.PullsOf(ctx, commits[0].SHA)
		for _, p := range pulls {
			if p.Merged {
				s.brought[q.Path] = p.Number
				return
			}
		}
	}
	if err != nil {
		s.warn(fmt.Sprintf("%s: which pull request brought it: %v", q.Path, err))
	}
}

// continues looks whether the environments in which something goes on without being asked about are as they must be.
func (s *survey) continues(ctx context.Context) {
	s.closed = map[string]bool{}
	people := s.people()
	for i := range s.results {
		r := s.results[i]
		e, ok := s.app.Inputs.Config.Environment(r.Status.Plan.Environment)
		if !ok || e.ContinueEnvironment == "" || s.closed[e.Name] {
			continue
		}
		if _, goes := s.asks(r, e); !goes {
			continue
		}
		warnings, err := people.Continues(ctx, e.ContinueEnvironment)
		for _, w := range warnings {
			s.warn(w)
		}
		if err != nil {
			s.closed[e.Name] = true
			s.fail(fmt.Errorf("%s asks at every visit: %w", e.Name, err))
		}
	}
}
