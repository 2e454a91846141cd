package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"
	"golang.org/x/sync/semaphore"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/usage"
)

// A Finder finds the users of a secret. What it couldn't look at is a gap of what it found: its error is that of ctx,
// and of nothing else.
type Finder func(ctx context.Context, s usage.Secret) (usage.Found, error)

// fresh is how long an inventory is taken for what there is: as long as the preconditions of a hundred rotations, which
// share it, take to be looked at.
const fresh = 10 * time.Minute

// An Inventory is what was read of an environment once, for all who ask within ten minutes. Whoever asks while it is
// being read waits for that. Safe for concurrent use.
type Inventory[T any] struct {
	now  func() time.Time
	read func(context.Context) T
	turn *semaphore.Weighted
	at   time.Time // it was read; zero: it wasn't
	all  T
}

// NewInventory is one that read fills. What read can't see, T says.
func NewInventory[T any](now func() time.Time, read func(context.Context) T) *Inventory[T] {
	return &Inventory[T]{now: now, read: read, turn: semaphore.NewWeighted(1)}
}

// Get is the inventory, which nobody may change. Its error is ctx's: what was cut short isn't kept.
func (i *Inventory[T]) Get(ctx context.Context) (all T, err error) {
	if err := i.turn.Acquire(ctx, 1); err != nil {
		return all, err
	}
	defer i.turn.Release(1)
	if !i.at.IsZero() && i.now().Sub(i.at) < fresh {
		return i.all, nil
	}
	all = i.read(ctx)
	if err := ctx.Err(); err != nil {
		return all, err
	}
	i.all, i.at = all, i.now()
	return all, nil
}

// Unseen is the gap that a read which failed leaves: what a consumer's users were looked for in, and why that couldn't be
// seen, in words that are the same every time.
func Unseen(uses, what string, err error) usage.Gap {
	why := "no answer"
	if code := cloud.Code(err); code != "" {
		why = cloud.Line(code)
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		why = op.OperationName + ": " + why
	}
	return usage.Gap{Uses: uses, What: cloud.Line(what), Why: why}
}

// Discovery is the handler that finds who uses a secret, by all of the finders. It looks, and never refuses.
func Discovery(finders []Finder) rotation.Handler {
	find := func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
		sought := usage.Secret{ARN: past.Fact("preflight", "arn"), Alias: past.Fact("preflight", "alias"), Version: past.Fact("preflight", "old")}
		if sought.ARN == "" { // a key's version is the key
			sought.ARN, sought.Version = sought.Version, ""
		}
		if sought.ARN == "" {
			return rotation.Result{Text: "nobody was looked for: the preconditions tell no name that could be found"}, nil
		}
		var found usage.Found
		for _, f := range finders {
			more, err := f(ctx, sought)
			if err != nil {
				return rotation.Result{}, fmt.Errorf("look who uses the secret: %w", err)
			}
			found = found.And(more)
		}
		return rotation.Result{Facts: found.Facts(), Text: found.String()}, nil
	}
	return rotation.Handler{"discover": find, "preview": find}
}
