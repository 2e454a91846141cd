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
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/overdue"
)

// inspect looks at the keys that aliases name: KMS tells when a key was made, and when it last rotated the material by
// itself.
func inspect(ctx context.Context, s *kind.Survey, asks []kind.Ask) []overdue.Look {
	return kind.Each(asks, func(a kind.Ask) overdue.Look {
		alias := a.Target.(*Target).Alias
		h := &handler{kms: s.KMS}
		key, err := h.describe(ctx, alias)
		switch {
		case cloud.Code(err) == notFound:
			return overdue.Look{Missing: true}
		case err != nil:
			return overdue.Look{Trouble: cloud.Line(cloud.Judge(err, "look at "+alias).Error())}
		}
		id := aws.ToString(key.KeyId)
		l := overdue.Look{ID: id, Whole: true, Since: aws.ToTime(key.CreationDate).UTC()}
		l.Text = fmt.Sprintf("the key %s of %s is of %s", id, alias, l.Since.Format(time.DateOnly))
		if key.Origin == types.OriginTypeAwsKms && key.KeySpec == types.KeySpecSymmetricDefault {
			automatic(ctx, s.KMS, id, &l)
		}
		return l
	})
}

// automatic takes in that AWS rotates the key's material itself. Where that can't be seen, the key is as old as it is.
func automatic(ctx context.Context, c *kms.Client, id string, l *overdue.Look) {
	out, err := c.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &id})
	if err != nil || !out.KeyRotationEnabled || out.NextRotationDate == nil {
		return
	}
	last := out.NextRotationDate.UTC().AddDate(0, 0, -int(aws.ToInt32(out.RotationPeriodInDays)))
	if last.After(l.Since) {
		l.Since, l.Text = last, fmt.Sprintf("AWS itself rotated the key %s on %s", id, last.Format(time.DateOnly))
	}
}

// Strays are aliases that none of known is, and keys that were left behind, but for those that are busy: the soak of a
// rotation disables a key for some days.
func Strays(ctx context.Context, c *kms.Client, known []string, busy func(key string) bool) (strays []overdue.Stray, findings []overdue.Finding, err error) {
	named := map[string]bool{}
	pages := kms.NewListAliasesPaginator(c, &kms.ListAliasesInput{Limit: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, cloud.Judge(err, "list the aliases of KMS keys")
		}
		for _, a := range page.Aliases {
			name := aws.ToString(a.AliasName)
			named[aws.ToString(a.TargetKeyId)] = true
			if a.TargetKeyId != nil && !strings.HasPrefix(name, "alias/aws/") && !slices.Contains(known, name) {
				strays = append(strays, overdue.Stray{Name: name, Kind: "kms", Since: aws.ToTime(a.CreationDate).UTC(), Target: "{alias: " + name + "}"})
			}
		}
	}
	findings, err = left(ctx, c, func(key string) bool { return named[key] }, busy)
	return strays, findings, err
}

// left are keys that were left behind: disabled and not scheduled for deletion, or made by a rotation and named by no
// alias. KMS doesn't tell since when.
func left(ctx context.Context, c *kms.Client, named, busy func(key string) bool) (all []overdue.Finding, err error) {
	pages := kms.NewListKeysPaginator(c, &kms.ListKeysInput{Limit: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Judge(err, "list the KMS keys")
		}
		for _, k := range page.Keys {
			id := aws.ToString(k.KeyId)
			if busy(id) {
				continue
			}
			out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
			if err != nil || out.KeyMetadata == nil || out.KeyMetadata.KeyManager != types.KeyManagerTypeCustomer {
				continue // AWS's own, or of another's policy: no business of ours
			}
			called := id
			if said := cloud.Line(aws.ToString(out.KeyMetadata.Description)); said != "" {
				called += " (" + said + ")"
			}
			switch state := out.KeyMetadata.KeyState; {
			case state == types.KeyStateDisabled:
				all = append(all, overdue.Finding{Rule: overdue.RuleKeyDisabled, Hint: "schedule its deletion, or enable it",
					Text: "the key " + called + " is disabled, and not scheduled for deletion"})
			case state == types.KeyStateEnabled && !named(id):
				if by, ok := madeBy(ctx, c, id); ok {
					all = append(all, overdue.Finding{Rule: overdue.RuleKeyOrphaned, Hint: "see whether data is still encrypted under it; if none is, schedule its deletion",
						Text: "the key " + called + " was made by the rotation " + cloud.Line(by) + ", and no alias names it"})
				}
			}
		}
	}
	return all, nil
}

// madeBy is the rotation whose tag a key has.
func madeBy(ctx context.Context, c *kms.Client, id string) (string, bool) {
	out, err := c.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &id})
	if err != nil {
		return "", false
	}
	i := slices.IndexFunc(out.Tags, func(t types.Tag) bool { return aws.ToString(t.TagKey) == tagRotation })
	if i < 0 {
		return "", false
	}
	return aws.ToString(out.Tags[i].TagValue), true
}
