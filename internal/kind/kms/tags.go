package kms

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	tagVersion   = "version"        // the day, like 20261125
	tagRotatedBy = "rotated_by"     // the operator
	tagRotation  = "rekey:rotation" // rotation and attempt: a key whose answer was lost is found by it
	maxTags      = 50               // of a key (AWS KMS answers TagException beyond)
)

var ours = []string{tagVersion, tagRotatedBy, tagRotation}

func (h *handler) tags(ctx context.Context, arn string) (tags []types.Tag, err error) {
	p := kms.NewListResourceTagsPaginator(h.kms, &kms.ListResourceTagsInput{KeyId: &arn})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		tags = append(tags, page.Tags...)
	}
	return tags, nil
}

// inherited are the tags that a new key takes over: all but AWS's own, which nobody may set, and ours.
func inherited(old []types.Tag) []types.Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t types.Tag) bool {
		return strings.HasPrefix(strings.ToLower(aws.ToString(t.TagKey)), "aws:") || slices.Contains(ours, aws.ToString(t.TagKey))
	})
}

// tagsOf are all tags of the new key.
func tagsOf(old []types.Tag, k kept, past rotation.Past) []types.Tag {
	c, at := past.Claim()
	tags := inherited(old)
	for i, v := range []string{at.UTC().Format("20060102"), tagValue(c.Actors.Operator, 256), k.tag} {
		tags = append(tags, types.Tag{TagKey: &ours[i], TagValue: &v})
	}
	return tags
}

// tagValue is s with what AWS doesn't take in a tag's value replaced: letters, digits, spaces and _.:/=+-@ are
// allowed, 256 characters (AWS General Reference, tag naming).
func tagValue(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == ' ' || strings.ContainsRune("_.:/=+-@", r) {
			return r
		}
		return '_'
	}, s)
	r := []rune(s)
	return string(r[:min(len(r), most)])
}
