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

// Strays are aliases that none of known is, and keys that were disabled and not scheduled for deletion, but for those
// that are busy: the soak of a rotation disables a key for some days.
func Strays(ctx context.Context, c *kms.Client, known []string, busy func(key string) bool) (strays []overdue.Stray, findings []overdue.Finding, err error) {
	pages := kms.NewListAliasesPaginator(c, &kms.ListAliasesInput{Limit: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, cloud.Judge(err, "list the aliases of KMS keys")
		}
		for _, a := range page.Aliases {
			name := aws.ToString(a.AliasName)
			if a.TargetKeyId != nil && !strings.HasPrefix(name, "alias/aws/") && !slices.Contains(known, name) {
				strays = append(strays, overdue.Stray{Name: name, Kind: "kms", Since: aws.ToTime(a.CreationDate).UTC(), Target: "{alias: " + name + "}"})
			}
		}
	}
	findings, err = disabled(ctx, c, busy)
	return strays, findings, err
}

// disabled are such keys: KMS doesn't tell since when.
func disabled(ctx context.Context, c *kms.Client, busy func(key string) bool) (all []overdue.Finding, err error) {
	pages := kms.NewListKeysPaginator(c, &kms.ListKeysInput{Limit: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Judge(err, "list the KMS keys")
		}
		for _, k := range page.Keys {
			out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId})
			if err != nil || out.KeyMetadata == nil {
				continue // of another's policy: no business of ours
			}
			if m := out.KeyMetadata; m.KeyManager == types.KeyManagerTypeCustomer && m.KeyState == types.KeyStateDisabled && !busy(aws.ToString(m.KeyId)) {
				called := aws.ToString(m.KeyId)
				if said := cloud.Line(aws.ToString(m.Description)); said != "" {
					called += " (" + said + ")"
				}
				all = append(all, overdue.Finding{Rule: overdue.RuleKeyDisabled, Hint: "schedule its deletion, or enable it",
					Text: "the key " + called + " is disabled, and not scheduled for deletion"})
			}
		}
	}
	return all, nil
}
