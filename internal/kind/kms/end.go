package kms

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// window is how long a key's deletion can still be cancelled, in days: KMS's longest.
const window = 30

// unneeded begins what a step waits for while something is seen to need an old key.
const unneeded = "nobody to need the old key any more: "

// promoted is what the steps after the retention begin with: the alias must still name the key we promoted.
func (h *handler) promoted(ctx context.Context, t Target, past rotation.Past) (kept, look, error) {
	k, err := recall(past)
	if err != nil {
		return k, look{}, err
	}
	l, err := h.at(ctx, t.Alias)
	if err != nil {
		return k, look{}, err
	}
	return k, l, moved(t.Alias, *l.Arn, k, k.new)
}

// old is a key that is to go. gone is true when it is already beyond what we would do.
func (h *handler) old(ctx context.Context, arn string) (l look, gone bool, err error) {
	l, err = h.describe(ctx, arn)
	if cloud.Code(err) == notFound {
		return l, true, nil
	}
	return l, err == nil && l.KeyState == types.KeyStatePendingDeletion, cloud.Judge(err, "look at "+called(arn))
}

// adopted holds the rotation while anything is seen to need an old key, and where that can't be known.
func (h *handler) adopted(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, now, err := h.promoted(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	var said []string
	for _, arn := range k.olds(past) {
		if _, gone, err := h.old(ctx, arn); err != nil || gone {
			if err != nil {
				return rotation.Result{}, err
			}
			said = append(said, called(arn)+" is to be deleted already")
			continue
		}
		u, err := h.lastUse(ctx, arn, now.now, t.idle())
		if err != nil {
			return rotation.Result{}, err
		}
		held := u.held(arn, now.now, t.idle())
		if held == "" {
			if held, err = h.naming(ctx, arn); err != nil {
				return rotation.Result{}, err
			}
		}
		if held != "" {
			return rotation.Result{Wait: unneeded + held, Again: rotation.Later}, nil
		}
		said = append(said, fmt.Sprintf("%s: %s; no alias, grant or secret names it", called(arn), u.text(now.now)))
	}
	return rotation.Result{Text: strings.Join(said, "; ")}, nil
}

// disable makes the old keys unusable, which can be undone. It is done when they are seen to be.
func (h *handler) disable(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, _, err := h.promoted(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	var done []string
	for _, arn := range k.olds(past) {
		l, gone, err := h.old(ctx, arn)
		switch {
		case err != nil:
			return rotation.Result{}, err
		case gone:
			continue
		case l.KeyState == types.KeyStateDisabled:
			done = append(done, called(arn))
			continue
		}
		if _, err := h.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &arn}); err != nil {
			return rotation.Result{}, cloud.Judge(err, "disable "+called(arn))
		}
		if l, gone, err = h.old(ctx, arn); err != nil {
			return rotation.Result{}, err
		}
		if !gone && l.KeyState != types.KeyStateDisabled {
			return rotation.Result{Wait: called(arn) + " to be seen disabled", Again: 3 * time.Second}, nil
		}
		done = append(done, called(arn))
	}
	return rotation.Result{Text: fmt.Sprintf("%s disabled for %s; whatever still needs it fails from now on, and enabling it mends that",
		strings.Join(done, ", "), span(time.Duration(t.soak())))}, nil
}

// enable undoes disable.
func (h *handler) enable(ctx context.Context, _ Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	var done []string
	for _, arn := range k.olds(past) {
		l, err := h.describe(ctx, arn)
		if cloud.Code(err) == notFound && arn != k.old {
			continue // an inherited one that was gone before
		}
		if err != nil {
			return rotation.Result{}, cloud.Judge(err, "look at "+called(arn))
		}
		// Asked for even where it is seen enabled: a look just after disable may be too old.
		if err := h.revive(ctx, l); err != nil {
			return rotation.Result{}, err
		}
		if l, err = h.describe(ctx, arn); err != nil {
			return rotation.Result{}, cloud.Judge(err, "look at "+called(arn))
		}
		if l.KeyState != types.KeyStateEnabled {
			return rotation.Result{Wait: called(arn) + " to be seen enabled", Again: 3 * time.Second}, nil
		}
		done = append(done, called(arn))
	}
	return rotation.Result{Text: strings.Join(done, ", ") + " enabled again"}, nil
}

// decommission schedules the deletion of the old keys: final for us, though a person can cancel it for 30 days.
func (h *handler) decommission(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, now, err := h.promoted(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	facts, said := map[string]string{}, []string{}
	for i, arn := range k.olds(past) {
		l, gone, err := h.old(ctx, arn)
		if err != nil {
			return rotation.Result{}, err
		}
		text := ""
		if !gone {
			held := ""
			if l, held, text, err = h.schedule(ctx, t, l, now.now); err != nil {
				return rotation.Result{}, err
			}
			if held != "" {
				return rotation.Result{Wait: unneeded + held, Again: rotation.Later}, nil
			}
			if l.KeyState != types.KeyStatePendingDeletion {
				return rotation.Result{Wait: called(arn) + " to be seen on its way out", Again: 3 * time.Second}, nil
			}
		}
		if l.KeyMetadata != nil && l.DeletionDate != nil {
			facts[factGone+suffix(i)] = l.DeletionDate.UTC().Format(time.RFC3339)
			text += fmt.Sprintf("%s is deleted on %s; until then: aws kms cancel-key-deletion --key-id %s, then enable-key", called(arn), stamp(*l.DeletionDate), id(arn))
		} else {
			text += called(arn) + " is gone"
		}
		said = append(said, text)
	}
	return rotation.Result{Facts: facts, Text: strings.Join(said, "; ")}, nil
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return "_" + strconv.Itoa(i+1)
}

// schedule is the call that can't be taken back by us, and the last look before it.
func (h *handler) schedule(ctx context.Context, t Target, l look, now time.Time) (after look, held, said string, err error) {
	arn := *l.Arn
	if l.KeyState == types.KeyStateEnabled {
		return l, "", "", rotation.Failf("ask who needs it; disable it again when nobody does, or roll back", "somebody enabled %s again since it was disabled", called(arn))
	}
	if held, err = h.naming(ctx, arn); err != nil || held != "" {
		return l, held, "", err
	}
	if held, said, err = h.attempts(ctx, arn, now, t.idle()); err != nil || held != "" {
		return l, held, "", err
	}
	_, err = h.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &arn, PendingWindowInDays: aws.Int32(window)}, once)
	if err != nil && cloud.Code(err) != invalidState { // pending already: the next look decides
		return l, "", "", cloud.Judge(err, "schedule the deletion of "+called(arn))
	}
	after, err = h.describe(ctx, arn)
	return after, "", said + "; ", cloud.Judge(err, "look at "+called(arn))
}

// refused tries the old keys and must be refused, by KMS and for their state.
func (h *handler) refused(ctx context.Context, _ Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	facts, said := map[string]string{}, []string{}
	for i, arn := range k.olds(past) {
		l, err := h.describe(ctx, arn)
		state := "" // as it is shown, which may lag; the refusal doesn't
		if err == nil {
			state = ", " + string(l.KeyState) + ","
			_, err = h.act(ctx, l.KeyMetadata)
		}
		switch code := cloud.Code(err); {
		case err == nil:
			return rotation.Result{}, rotation.Failf("see who brought it back, and why", "%s still works", called(arn))
		case code == notFound:
			facts[factRefused+suffix(i)] = code
			said = append(said, fmt.Sprintf("%s%s isn't there any more: %s", called(arn), state, code))
		case code == invalidState || code == isDisabled: // either, of a key that is to be deleted
			facts[factRefused+suffix(i)] = code
			said = append(said, fmt.Sprintf("%s%s was tried and refused: %s", called(arn), state, code))
		default:
			return rotation.Result{}, cloud.Judge(err, "try "+called(arn))
		}
	}
	return rotation.Result{Facts: facts, Text: strings.Join(said, "; ")}, nil
}
