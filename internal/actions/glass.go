package actions

import (
	"context"
	"errors"
	"slices"

	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

// glass is the reason that this run was started with to go on without an approval, and by whom; nil: none was given.
func (j *job) glass(ctx context.Context) (*policy.BreakGlass, error) {
	reason := j.input("break_glass")
	if reason == "" {
		return nil, nil
	}
	id, err := j.runID()
	if err != nil {
		return nil, err
	}
	run, err := j.hub.Run(ctx, id)
	return &policy.BreakGlass{Reason: reason, By: policy.Person{Login: run.Actor.Login, Bot: run.Actor.Bot}, Event: run.Event, Attempt: run.Attempt}, err
}

// urgent are the rotations that this run was started for with a reason to break the glass; nil: it asks about all. With
// a reason it asks about nothing else, so that nothing is let through along with them, and about them also where
// another run asks already, which has no reason.
func (s *survey) urgent(ctx context.Context) ([]string, error) {
	b, err := s.glass(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	if s.app.Inputs.Config.Policy.BreakGlass != "allow" {
		return nil, rotation.Failf("have it approved by a reviewer; or have break_glass: allow under policy merged first", "input break_glass: %s allows none", s.app.Config)
	}
	if _, err := policy.Reason(b.Reason); err != nil {
		return nil, err
	}
	names, err := s.named()
	if err == nil && len(names) == 0 {
		err = errors.New("input break_glass: name the rotation that it is for")
	}
	return names, err
}

// only are the candidates among these rotations; with nil all.
func only(all []candidate, rotations []string) []candidate {
	if rotations == nil {
		return all
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return !slices.Contains(rotations, c.Rotation) })
}
