package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// test uses the new key for what it is for, before anyone depends on it. Of asymmetric keys it keeps both public
// halves as evidence: that of a disabled key can't be read any more.
func (h *handler) test(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	l, err := h.describe(ctx, k.new)
	wait := rotation.Result{Wait: called(k.new) + " to be usable", Again: 3 * time.Second}
	switch {
	case cloud.Code(err) == notFound:
		return wait, nil
	case err != nil:
		return rotation.Result{}, cloud.Judge(err, "look at "+called(k.new))
	case string(l.KeySpec) != past.Fact(preflight, factSpec) || string(l.KeyUsage) != past.Fact(preflight, factUsage):
		return rotation.Result{}, rotation.Failf("see who changed the alias since preflight; the new key is discarded", "%s is %s for %s, the old one was %s for %s",
			called(k.new), l.KeySpec, l.KeyUsage, past.Fact(preflight, factSpec), past.Fact(preflight, factUsage))
	}
	worked, err := h.prove(ctx, l.KeyMetadata)
	if code := cloud.Code(err); code == notFound || code == invalidState && l.KeyState != types.KeyStatePendingDeletion {
		return wait, nil
	}
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "use "+called(k.new))
	}
	res := rotation.Result{Text: fmt.Sprintf("%s: %s", called(k.new), worked)}
	if !asymmetric(l.KeyMetadata) {
		return res, nil
	}
	var files [2]rotation.File
	var errs [2]error
	together(func() { files[0], errs[0] = h.public(ctx, k.old, "old-public-key.pem") },
		func() { files[1], errs[1] = h.public(ctx, k.new, "new-public-key.pem") })
	if err := worst(errs[:]); err != nil {
		return rotation.Result{}, err
	}
	res.Files = files[:]
	res.Text += "; both public keys are kept as evidence"
	if l.KeyUsage == types.KeyUsageTypeSignVerify {
		res.Text += "; compliance liaison: " + t.Liaison
	}
	return res, nil
}

// promote points the alias at the new key. That it may name it is on record first: from then on data may exist under
// the new key, and it is never deleted by a rollback.
func (h *handler) promote(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if k.new == "" {
		return rotation.Result{}, errors.New("the records hold no new key for " + t.Alias)
	}
	l, err := h.at(ctx, t.Alias)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := moved(t.Alias, *l.Arn, k, k.old, k.new); err != nil {
		return rotation.Result{}, err
	}
	facts := map[string]string{factMoves: k.new}
	if past.Fact(promote, factMoves) != k.new {
		return rotation.Result{Facts: facts, Wait: "it to be on record that the alias is about to move"}, nil
	}
	if *l.Arn != k.new {
		if err := h.point(ctx, t.Alias, k.new); err != nil {
			return rotation.Result{}, err
		}
	}
	text := fmt.Sprintf("%s names %s; %s stays enabled for what was made with it", t.Alias, called(k.new), called(k.old))
	if past.Fact(preflight, factUsage) == string(types.KeyUsageTypeSignVerify) {
		text += "; compliance liaison to be told: " + t.Liaison
	}
	return rotation.Result{Facts: facts, Text: text}, nil
}

// point moves the alias, and is done when it is seen where it should be: what comes next looks by it. Not seen yet is
// an unknown outcome, asked for again a few times even when the step's time is over. It may be repeated.
func (h *handler) point(ctx context.Context, alias, arn string) error {
	_, err := h.kms.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: &alias, TargetKeyId: &arn}, once)
	if err != nil {
		return cloud.Judge(err, "point "+alias+" at "+called(arn))
	}
	l, err := h.at(ctx, alias)
	if err == nil && *l.Arn != arn {
		return fmt.Errorf("%s isn't seen on %s yet", alias, called(arn))
	}
	return err
}

// restore lets the alias name the old key again, which it brings back from being disabled, or on its way out.
func (h *handler) restore(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	l, err := h.at(ctx, t.Alias)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := moved(t.Alias, *l.Arn, k, k.old, k.new); err != nil {
		return rotation.Result{}, err
	}
	if past.Fact(promote, factMoves) == "" && *l.Arn == k.old {
		return rotation.Result{Text: "nothing was promoted"}, nil
	}
	old, err := h.describe(ctx, k.old)
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+called(k.old))
	}
	if old.KeyState != types.KeyStateEnabled {
		if err := h.revive(ctx, old); err != nil {
			return rotation.Result{}, err
		}
	}
	// Asked for even where the alias is seen on the old key: a look just after promote may be too old.
	if err := h.point(ctx, t.Alias, k.old); err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Text: fmt.Sprintf("%s names %s again", t.Alias, called(k.old))}, nil
}

// revive makes a key usable. Calls that come twice are refused, or change nothing.
func (h *handler) revive(ctx context.Context, l look) error {
	if l.KeyState == types.KeyStatePendingDeletion {
		_, err := h.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: l.Arn})
		if err != nil && cloud.Code(err) != invalidState { // it is no longer pending: the next call decides
			return cloud.Judge(err, "cancel the deletion of "+called(*l.Arn))
		}
	}
	_, err := h.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: l.Arn})
	return cloud.Judge(err, "enable "+called(*l.Arn))
}
