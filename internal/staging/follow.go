package staging

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// Follower is the name of the step, in recipes that have it, that Follow is: after it the version it made is the live one.
const Follower = "retire"

// Follow makes another version the live one, made from the one that this rotation promoted: for values that hold
// something for the time of the retention only. Nothing can be restored any more once it has begun. It records "new".
func (l *Labels) Follow(ctx context.Context, past rotation.Past, mint Mint) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	next := kept{arn: k.arn, old: k.new, token: past.Token(Follower, Token)}
	if k.new == "" || next.token == "" {
		return rotation.Result{}, fmt.Errorf("the records hold no new version of %q, or the plan no step %q", called(k.arn), Follower)
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	pending := s.at[Pending] == next.token
	if s.at[Current] != next.token {
		if err := stillLive(s, k); err != nil {
			return rotation.Result{}, err
		}
		if err := foreignPending(s, k.arn, next.token); err != nil {
			return rotation.Result{}, err
		}
		if err := l.pend(ctx, s, next, mint); err != nil {
			return rotation.Result{}, err
		}
		if err := l.move(ctx, k.arn, Current, k.new, next.token); err != nil {
			return rotation.Result{}, err
		}
		pending = true
	}
	if pending {
		if err := l.move(ctx, k.arn, Pending, next.token, ""); err != nil {
			return rotation.Result{}, err
		}
	}
	return rotation.Result{Facts: map[string]string{factNew: next.token}, Text: fmt.Sprintf("AWSCURRENT on %s", version(next.token))}, nil
}

// pend sees to it that next is there, and pending.
func (l *Labels) pend(ctx context.Context, s *look, next kept, mint Mint) error {
	if _, labelled := s.VersionIdsToStages[next.token]; !labelled {
		var had before
		together(func() { had.sought = l.seek(ctx, next.arn, next.token) },
			func() { had.old, had.unread = l.get(ctx, next.arn, next.old, Current) })
		if attached, err := l.put(ctx, next, had, mint); err != nil || attached {
			return err
		}
	}
	if s.at[Pending] == next.token {
		return nil
	}
	return l.move(ctx, next.arn, Pending, s.at[Pending], next.token)
}
