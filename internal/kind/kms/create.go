package kms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// fresh is how old an intent may be when its call leaves, by AWS's clock.
	fresh = time.Minute
	// patience is how long after its intent a call can still bring a key to light. A runner's lease ends ten minutes
	// after a record of its; AWS takes a signed call for five; and KMS shows a key within five (AWS KMS developer
	// guide, eventual consistency).
	patience = 20 * time.Minute
)

// create makes the new key like the old one, or adopts the one that a call without an answer made. It records "asked"
// before the call leaves, and "new".
func (h *handler) create(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if k.new != "" {
		return h.finish(ctx, k, past)
	}
	l, err := h.at(ctx, t.Alias)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := moved(t.Alias, *l.Arn, k, k.old); err != nil {
		return rotation.Result{}, err
	}
	asked := past.Fact(create, factAsked)
	mine := h.take(k.tag + asked)
	if asked != "" && !mine {
		if res, err := h.adopt(ctx, k, asked, l.now); err != nil || res.Wait != "" {
			return res, err
		}
	}
	if since, err := time.Parse(time.RFC3339, asked); !mine || err != nil || l.now.Sub(since) > fresh {
		return h.intend(k, past, l.now), nil
	}
	arn, err := h.make(ctx, l.KeyMetadata, k, past)
	if err != nil {
		if unsent(err) {
			h.give(k.tag + asked)
		}
		if cloud.Code(err) == "MalformedPolicyDocumentException" {
			err = rotation.Failf("let the old key's policy allow kms:PutKeyPolicy to the role that acts, and take principals out of it that no longer exist",
				"KMS doesn't take the old key's policy for a new key: %v", cloud.Judge(err, "CreateKey"))
		}
		return rotation.Result{}, cloud.Judge(err, "make a key like "+called(k.old))
	}
	res := rotation.Result{Facts: map[string]string{factNew: arn}, Text: "made " + called(arn) + ", like " + called(k.old)}
	if past.Fact(preflight, factPeriod) != "" {
		res.Wait = "the new key to be on record before KMS is asked to rotate its material"
	}
	return res, nil
}

// intend puts on record that CreateKey is about to be called.
func (h *handler) intend(k kept, past rotation.Past, now time.Time) rotation.Result {
	asked := now.Format(time.RFC3339)
	n, _ := strconv.Atoi(past.Fact(create, factAsks)) // absent: 0
	h.give(k.tag + asked)
	return rotation.Result{Facts: map[string]string{factAsked: asked, factAsks: strconv.Itoa(n + 1)}, Wait: "it to be on record that a key is about to be made"}
}

// take uses an intent that this process recorded, once.
func (h *handler) take(intent string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	mine := h.unspent[intent]
	delete(h.unspent, intent)
	return mine
}

func (h *handler) give(intent string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unspent[intent] = true
}

// unsent says whether a call never left, or was turned away at the door.
func unsent(err error) bool {
	return errors.Is(err, rotation.ErrNoLease) || cloud.Code(err) == "ThrottlingException"
}

// make calls CreateKey.
func (h *handler) make(ctx context.Context, old *types.KeyMetadata, k kept, past rotation.Past) (arn string, err error) {
	var policy *kms.GetKeyPolicyOutput
	var tags []types.Tag
	var unread, untagged error
	together(func() {
		policy, unread = h.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: old.Arn, PolicyName: aws.String("default")})
	},
		func() { tags, untagged = h.tags(ctx, *old.Arn) })
	if err := errors.Join(unread, untagged); err != nil {
		return "", err
	}
	_, at := past.Claim()
	out, err := h.kms.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("App key " + at.UTC().Format("20060102")), Policy: policy.Policy,
		KeySpec: old.KeySpec, KeyUsage: old.KeyUsage, Tags: tagsOf(tags, k, past)}, once)
	if err != nil {
		return "", err
	}
	if out.KeyMetadata == nil || aws.ToString(out.KeyMetadata.Arn) == "" {
		return "", errors.New("CreateKey: the answer names no key")
	}
	return *out.KeyMetadata.Arn, nil
}

// adopt looks for the key that a call without an answer made. The zero Result says that there is none, and none can
// come any more.
func (h *handler) adopt(ctx context.Context, k kept, asked string, now time.Time) (rotation.Result, error) {
	since, bad := time.Parse(time.RFC3339, asked)
	arns, err := h.search(ctx, k.tag, since)
	left := patience - now.Sub(since)
	switch {
	case err != nil:
		return rotation.Result{}, cloud.Judge(err, "look for a key that was made without an answer")
	case bad != nil:
		return rotation.Result{}, fmt.Errorf("the record of create: %w", bad)
	case len(arns) > 1:
		return rotation.Result{}, rotation.Failf("nothing depends on them: they are discarded", "%d keys were made instead of one", len(arns))
	case len(arns) == 1:
		return rotation.Result{Facts: map[string]string{factNew: arns[0]}, Wait: called(arns[0]) + ", found by its tag, to be on record"}, nil
	case left > 0:
		return rotation.Result{Wait: "a key that may have been made without an answer to come to light", Again: min(left, 30*time.Second)}, nil
	}
	return rotation.Result{}, nil
}

// search finds keys of this attempt by their tag. Keys made long before CreateKey was asked for are passed over, as are
// those we may not see: ours has the old key's policy. Tags that aren't shown yet are within patience.
func (h *handler) search(ctx context.Context, tag string, since time.Time) (arns []string, err error) {
	p := kms.NewListKeysPaginator(h.kms, &kms.ListKeysInput{Limit: aws.Int32(1000)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, key := range page.Keys {
			l, err := h.describe(ctx, *key.KeyArn)
			switch code := cloud.Code(err); {
			case code == cloud.AccessDenied || code == notFound:
				continue
			case err != nil:
				return nil, err
			case l.KeyManager != types.KeyManagerTypeCustomer || aws.ToTime(l.CreationDate).Before(since.Add(-fresh)):
				continue
			}
			tags, err := h.tags(ctx, *key.KeyArn)
			if err != nil {
				return nil, err
			}
			if valueOf(tags, tagRotation) == tag {
				arns = append(arns, *l.Arn)
			}
		}
	}
	return arns, nil
}

func valueOf(tags []types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.TagKey) == key {
			return aws.ToString(t.TagValue)
		}
	}
	return ""
}

// finish waits for the new key and gives it the rotation of material that the old one has.
func (h *handler) finish(ctx context.Context, k kept, past rotation.Past) (rotation.Result, error) {
	l, err := h.describe(ctx, k.new)
	switch {
	case cloud.Code(err) == notFound || err == nil && l.KeyState == types.KeyStateCreating:
		return rotation.Result{}, fmt.Errorf("%s isn't shown yet", called(k.new)) // tried again, even late
	case err != nil:
		return rotation.Result{}, cloud.Judge(err, "look at "+called(k.new))
	}
	text := called(k.new) + ", like " + called(k.old)
	if days, err := strconv.Atoi(past.Fact(preflight, factPeriod)); err == nil {
		in := &kms.EnableKeyRotationInput{KeyId: &k.new}
		if days > 1 {
			in.RotationPeriodInDays = aws.Int32(int32(days))
		}
		if _, err := h.kms.EnableKeyRotation(ctx, in); err != nil {
			return rotation.Result{}, cloud.Judge(err, "have KMS rotate the material of "+called(k.new))
		}
		text += fmt.Sprintf(", its material rotated every %d days", days)
	}
	return rotation.Result{Facts: map[string]string{factNew: k.new}, Text: text}, nil
}
