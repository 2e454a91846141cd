package kms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// settled is when what was made with a key is surely shown with it (AWS KMS developer guide, eventual consistency).
// A key that was made a moment ago by another rotation would pass on tags that it doesn't show yet: none.
const settled = 5 * time.Minute

// found is what preflight reads.
type found struct {
	look
	tags    []types.Tag
	grants  []types.GrantListEntry
	period  int32 // days; 0: none
	worked  string
	use     use
	allowed string
}

// preview is as much of preflight as shows without using the key or asking for rights.
func (h *handler) preview(ctx context.Context, t Target, _ rotation.Past) (rotation.Result, error) {
	l, err := h.fit(ctx, t)
	if err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Facts: map[string]string{factOld: *l.Arn, factAlias: t.Alias}, Text: fmt.Sprintf("%s names %s, %s for %s; it was not used", t.Alias, called(*l.Arn), l.KeySpec, words(l.KeyUsage))}, nil
}

// preflight looks whether the key can be replaced, uses it once for what it is for, and records what undoing needs.
// What decommission will have to know is asked for already: a missing permission shows now.
func (h *handler) preflight(ctx context.Context, t Target, past rotation.Past) (rotation.Result, error) {
	l, err := h.fit(ctx, t)
	if err != nil {
		return rotation.Result{}, err
	}
	f := found{look: l}
	if err := h.read(ctx, t, &f); err != nil {
		return rotation.Result{}, err
	}
	if left := settled - l.now.Sub(aws.ToTime(l.CreationDate)); len(f.tags) == 0 && left > 0 {
		return rotation.Result{Wait: "the tags of " + called(*l.Arn) + ", which is new, to be shown", Again: min(left, 15*time.Second)}, nil
	}
	if n := len(inherited(f.tags)) + len(ours); n > maxTags {
		return rotation.Result{}, rotation.Failf("remove tags that nobody needs", "%s would have %d tags with ours, and %d are allowed", called(*l.Arn), n, maxTags)
	}
	facts := map[string]string{factOld: *l.Arn, factAlias: t.Alias, factSpec: string(l.KeySpec), factUsage: string(l.KeyUsage)}
	if f.period > 0 {
		facts[factPeriod] = strconv.Itoa(int(f.period))
	}
	return rotation.Result{Facts: facts, Text: f.text(t)}, nil
}

func (f found) text(t Target) string {
	parts := []string{fmt.Sprintf("%s names %s, %s for %s: %s", t.Alias, called(*f.Arn), f.KeySpec, words(f.KeyUsage), f.worked), f.use.text(f.now)}
	if f.period > 0 {
		parts = append(parts, fmt.Sprintf("KMS rotates its material every %d days, and will the new one's", f.period))
	}
	if n := len(f.grants); n > 0 {
		parts = append(parts, fmt.Sprintf("%s on it, which the new key won't have", count(n, "grant")))
	}
	switch f.KeyUsage {
	case types.KeyUsageTypeSignVerify:
		parts = append(parts, "who verifies through the alias, or keeps its public key, must know the new one before it signs: tell "+t.Liaison)
	case types.KeyUsageTypeGenerateVerifyMac:
		parts = append(parts, "MACs made before must be verified with the old key by its ID: the alias won't")
	}
	return strings.Join(append(parts, f.allowed), "; ")
}

// fit is the key as it is described, where that doesn't keep it from being replaced.
func (h *handler) fit(ctx context.Context, t Target) (look, error) {
	l, err := h.describe(ctx, t.Alias)
	if cloud.Code(err) == notFound {
		return l, rotation.Failf("check the name, and the environment's region and role in .github/rekey.yml: another account has other aliases", "no %s in %s", t.Alias, h.region)
	}
	if err != nil {
		return l, cloud.Judge(err, "look at "+t.Alias)
	}
	return l, fits(l.KeyMetadata, t)
}

func fits(k *types.KeyMetadata, t Target) error {
	what := t.Alias + " names " + called(*k.Arn)
	_, proven := map[types.KeyUsageType]bool{types.KeyUsageTypeEncryptDecrypt: true, types.KeyUsageTypeSignVerify: true, types.KeyUsageTypeGenerateVerifyMac: true}[k.KeyUsage]
	switch {
	case k.KeyManager == types.KeyManagerTypeAws:
		return rotation.Failf("AWS rotates its own keys; take the row out of the registry", "%s, which AWS manages", what)
	case aws.ToBool(k.MultiRegion):
		return rotation.Failf("rotate it by hand: a new primary and its replicas, then the alias in each Region; or let KMS rotate its material (EnableKeyRotation)",
			"%s, a multi-Region key: its replicas and their aliases are not handled", what)
	case k.Origin != types.OriginTypeAwsKms:
		return rotation.Failf("make the new key where its material comes from, and point the alias there", "%s, whose material is not KMS's own (origin %s)", what, k.Origin)
	case k.KeyState == types.KeyStatePendingDeletion:
		return rotation.Failf("bring it back: aws kms cancel-key-deletion --key-id "+id(*k.Arn)+", then enable-key", "%s, which is to be deleted on %s", what, stamp(aws.ToTime(k.DeletionDate)))
	case k.KeyState != types.KeyStateEnabled:
		return rotation.Failf("enable it first, or point the alias at the key that is in use", "%s, which is %s", what, k.KeyState)
	case !proven:
		return rotation.Failf("rotate it by hand", "%s, which is for %s: no proof of that is known here", what, words(k.KeyUsage))
	case k.KeyUsage == types.KeyUsageTypeSignVerify && t.Liaison == "":
		return rotation.Failf("name the compliance liaison in the registry: liaison: \"@octo/compliance\"", "%s, which signs, and nobody is named who tells those that verify", what)
	}
	return nil
}

// read asks for all that doesn't depend on one another at the same time.
func (h *handler) read(ctx context.Context, t Target, f *found) error {
	arn := *f.Arn
	var errs [8]error
	together(
		func() {
			_, err := h.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &arn, PolicyName: aws.String("default")})
			errs[0] = cloud.Judge(err, "read the policy of "+called(arn))
		},
		func() {
			var err error
			f.tags, err = h.tags(ctx, arn)
			errs[1] = cloud.Judge(err, "read the tags of "+called(arn))
		},
		func() {
			var err error
			f.grants, err = h.grants(ctx, arn)
			errs[2] = cloud.Judge(err, "list the grants of "+called(arn))
		},
		func() {
			if f.KeySpec == types.KeySpecSymmetricDefault {
				out, err := h.kms.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &arn})
				if errs[3] = cloud.Judge(err, "ask whether KMS rotates "+called(arn)); err == nil && out.KeyRotationEnabled {
					f.period = max(aws.ToInt32(out.RotationPeriodInDays), 1)
				}
			} else if asymmetric(f.KeyMetadata) {
				_, errs[3] = h.public(ctx, arn, "old-public-key.pem")
			}
		},
		func() { // before the key is used here
			if f.use, errs[4] = h.lastUse(ctx, arn, f.now, t.idle()); errs[4] == nil {
				if errs[4] = f.use.unknowable(arn); errs[4] == nil {
					var err error
					f.worked, err = h.prove(ctx, f.KeyMetadata)
					errs[4] = cloud.Judge(err, "use "+called(arn))
				}
			}
		},
		func() {
			_, err := h.secrets.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)})
			errs[5] = cloud.Judge(err, "list the secrets, which may be encrypted with "+called(arn))
		},
		func() { _, errs[6] = h.aliases(ctx, arn) },
		func() { f.allowed, errs[7] = h.mayWrite(ctx, t.Alias, arn) },
	)
	return worst(errs[:])
}

// worst is a definite no before what may be better next time, each in the order of the calls.
func worst(errs []error) (first error) {
	for _, err := range errs {
		var no *rotation.Failure
		if errors.As(err, &no) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func words(u types.KeyUsageType) string {
	return map[types.KeyUsageType]string{types.KeyUsageTypeEncryptDecrypt: "encryption", types.KeyUsageTypeSignVerify: "signing",
		types.KeyUsageTypeGenerateVerifyMac: "MACs", types.KeyUsageTypeKeyAgreement: "key agreement"}[u]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
