package actions

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/policy/lookup"
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
		Rules: policy.Rules{Reviews: *p.Reviews, Separation: *p.Separation, DirectPush: p.DirectPush == "allow", Config: j.app.Config}})
}

// origins finds out who asked for what hasn't begun. What is refused is shown as that, and nobody is asked about it.
func (s *survey) origins(ctx context.Context) {
	people := s.people()
	s.asked, s.refused = map[string]policy.Asked{}, map[string]error{}
	for i := range s.results {
		r := &s.results[i]
		q := r.Task.Request
		if q == nil || len(r.Status.Records) > 0 || r.Status.Decision.State.Over() || r.Err != nil {
			continue
		}
		if _, known := s.asked[q.Path]; known || s.refused[q.Path] != nil {
			continue
		}
		if asked, err := people.Origin(ctx, q.Path, q.Bytes); err != nil {
			s.refused[q.Path] = err
			s.warn(fmt.Sprintf("%s: %v", q.Path, err))
		} else {
			s.asked[q.Path] = asked
		}
	}
}
