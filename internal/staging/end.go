package staging

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// Decommission takes the labels off the old version, and off those that a superseded rotation kept: ours,
// AWSPREVIOUS, nothing else. It does so only while AWSCURRENT is on the version that this rotation promoted, and
// is done when a later look shows no label on them.
func (l *Labels) Decommission(ctx context.Context, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	live := k
	if id := past.Fact(Follower, factNew); id != "" {
		live.new = id
	}
	if err := stillLive(s, live); err != nil {
		return rotation.Result{}, err
	}
	labels := append([]string{Previous, past.Fact(promote, factKeptBy)}, past.Inherited(promote, factKeptBy)...)
	for _, id := range append([]string{k.old, k.new}, past.Inherited(preflight, factOld)...) {
		if id == live.new {
			continue // a superseded rotation was restored by hand to what is live now
		}
		if err := l.strip(ctx, s, k.arn, id, labels); err != nil {
			return rotation.Result{}, err
		}
		var wait rotation.Result
		if s, wait, err = l.bare(ctx, k.arn, id); wait.Wait != "" || err != nil {
			return wait, err
		}
	}
	return rotation.Result{Text: fmt.Sprintf("no label is left on %s; Secrets Manager may still answer reads by that ID until it prunes the version", version(k.old))}, nil
}

// Discard takes the labels off the new version. When create never came to record it, it is looked for, and
// recorded before it is touched.
func (l *Labels) Discard(ctx context.Context, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if k.new == "" {
		k.new = past.Fact(discard, factNew)
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	if k.new == "" {
		return orphan(s, k, past), nil
	}
	if s.at[Current] == k.new {
		return rotation.Result{}, rotation.Failf("restore the old version first", "%s of %q is the live one", version(k.new), called(k.arn))
	}
	if err := l.strip(ctx, s, k.arn, k.new, []string{Pending, Previous}); err != nil {
		return rotation.Result{}, err
	}
	if _, wait, err := l.bare(ctx, k.arn, k.new); wait.Wait != "" || err != nil {
		return wait, err
	}
	return rotation.Result{Text: "no label is left on " + version(k.new)}, nil
}

// orphan is a version that create stored and nobody recorded. A version without labels needs nothing done.
func orphan(s *look, k kept, past rotation.Past) rotation.Result {
	switch _, labelled := s.VersionIdsToStages[k.token]; {
	case labelled:
		return rotation.Result{Facts: map[string]string{factNew: k.token}, Wait: "the version found, " + k.token + ", to be on record before its labels go"}
	case past.Fact(discard, factLooked) == "":
		// Reads may lag behind: once isn't enough to believe that nothing is there.
		return rotation.Result{Facts: map[string]string{factLooked: "once"}, Wait: "a second look for what create may have stored", Again: 5 * time.Second}
	}
	return rotation.Result{Text: "nothing was stored"}
}

// bare waits until a look shows no label on a version.
func (l *Labels) bare(ctx context.Context, name, id string) (*look, rotation.Result, error) {
	s, err := l.look(ctx, name)
	if err != nil || len(s.on(id)) == 0 {
		return s, rotation.Result{}, err
	}
	return s, rotation.Result{Wait: fmt.Sprintf("Secrets Manager to show %s without labels", version(id)), Again: 3 * time.Second}, nil
}
