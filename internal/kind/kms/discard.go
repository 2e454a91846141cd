package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// discard schedules the deletion of a new key that the alias never named. One that it may have named stays enabled,
// and is recorded as kept. Keys that were made without an answer are looked for, and recorded before they are touched.
func (h *handler) discard(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	live := past.Fact(promote, factMoves)
	l, err := h.at(ctx, t.Alias)
	if err != nil {
		return rotation.Result{}, err
	}
	made, res, err := h.made(ctx, k, past, l.now)
	if err != nil || res.Wait != "" {
		return res, err
	}
	var gone []string
	for _, arn := range made {
		switch {
		case arn == live:
			continue
		case *l.Arn == arn:
			return rotation.Result{}, rotation.Failf("restore the old key first", "%s names %s", t.Alias, called(arn))
		}
		if wait, err := h.drop(ctx, arn); wait.Wait != "" || err != nil {
			return wait, err
		}
		gone = append(gone, called(arn))
	}
	switch {
	case live != "":
		res = rotation.Result{Facts: map[string]string{factKept: live},
			Text: fmt.Sprintf("%s is kept, enabled: data may exist under it; re-encrypt that, then disable and delete the key by hand", called(live))}
	case len(gone) == 0:
		res.Text = "no key was made"
	}
	if len(gone) > 0 {
		res.Text = strings.TrimPrefix(fmt.Sprintf("%s; %s deleted in %d days: nothing was made with it", res.Text, strings.Join(gone, ", "), window), "; ")
	}
	return res, nil
}

// made are the keys of this attempt, all on record. With Wait in the result they aren't yet.
func (h *handler) made(ctx context.Context, k kept, past rotation.Past, now time.Time) (arns []string, res rotation.Result, err error) {
	if k.new != "" {
		arns = append(arns, k.new)
	}
	asked := past.Fact(create, factAsked)
	if asked == "" || k.new != "" && past.Fact(create, factAsks) == "1" {
		return arns, res, nil // nothing else can have been made
	}
	_, began := past.Claim() // by the runner's clock, which may be wrong
	found, err := h.search(ctx, k.tag, began.Add(-24*time.Hour))
	if err != nil {
		return nil, res, cloud.Judge(err, "look for a key that was made without an answer")
	}
	facts := map[string]string{}
	for i := 1; ; i++ {
		arn := past.Fact(discarded, fmt.Sprint(factFound, i))
		if arn == "" {
			break
		}
		if !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
		facts[fmt.Sprint(factFound, i)] = arn
	}
	was := len(arns)
	for _, arn := range found {
		if !slices.Contains(arns, arn) {
			arns = append(arns, arn)
			facts[fmt.Sprint(factFound, len(facts)+1)] = arn
		}
	}
	if len(arns) > was {
		return nil, rotation.Result{Facts: facts, Wait: "what was found to be on record before it goes: " + strings.Join(arns[was:], ", ")}, nil
	}
	since, err := time.Parse(time.RFC3339, asked)
	if err != nil {
		return nil, res, fmt.Errorf("the record of create: %w", err)
	}
	if left := patience - now.Sub(since); len(arns) == 0 && left > 0 {
		res = rotation.Result{Wait: "a key that may have been made without an answer to come to light", Again: min(left, 30*time.Second)}
	}
	return arns, res, nil
}

// drop schedules a key's deletion, and is done when that is seen.
func (h *handler) drop(ctx context.Context, arn string) (rotation.Result, error) {
	wait := rotation.Result{Wait: called(arn) + " to be seen on its way out", Again: 3 * time.Second}
	l, err := h.describe(ctx, arn)
	switch {
	case cloud.Code(err) == notFound:
		return wait, nil // not shown yet
	case err != nil:
		return rotation.Result{}, cloud.Judge(err, "look at "+called(arn))
	case l.KeyState == types.KeyStatePendingDeletion:
		return rotation.Result{}, nil
	}
	_, err = h.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &arn, PendingWindowInDays: aws.Int32(window)}, once)
	if err != nil && cloud.Code(err) != invalidState {
		return rotation.Result{}, cloud.Judge(err, "schedule the deletion of "+called(arn))
	}
	if l, err = h.describe(ctx, arn); err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+called(arn))
	}
	if l.KeyState != types.KeyStatePendingDeletion {
		return wait, nil
	}
	return rotation.Result{}, nil
}
