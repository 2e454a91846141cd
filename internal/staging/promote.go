package staging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// Promote makes the new version the live one: the old one is held by a label of ours first, then AWSCURRENT
// moves, AWSPENDING goes, and the secret is tagged with date and person. It records "kept_by".
func (l *Labels) Promote(ctx context.Context, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if k.new == "" {
		return rotation.Result{}, fmt.Errorf("the records hold no new version of %q", called(k.arn))
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	at := s.at[Current]
	if at != k.old && at != k.new {
		return rotation.Result{}, astray(k, at)
	}
	if s.at[k.label] != k.old {
		if err := l.move(ctx, k.arn, k.label, s.at[k.label], k.old); err != nil {
			return rotation.Result{}, err
		}
	}
	if at == k.old {
		if err := l.move(ctx, k.arn, Current, k.old, k.new); err != nil {
			return rotation.Result{}, err
		}
	}
	if s.at[Pending] == k.new {
		if err := l.move(ctx, k.arn, Pending, k.new, ""); err != nil {
			return rotation.Result{}, err
		}
	}
	if err := l.tag(ctx, k.arn, s.tags, ours(past)); err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Facts: map[string]string{factKeptBy: k.label},
		Text: fmt.Sprintf("AWSCURRENT on %s; %s kept by %s", version(k.new), version(k.old), k.label)}, nil
}

func astray(k kept, at string) error {
	return rotation.Failf("see who moved it, and to what; nothing was changed by this step",
		"AWSCURRENT of %q is on %s, neither the old %s nor the new one %s", called(k.arn), version(at), version(k.old), version(k.new))
}

// Restore puts back what Promote changed, as far as it got: AWSCURRENT and AWSPREVIOUS, the tags, and at last
// the label that held the old version. Where AWSCURRENT is on a third version, it changes nothing.
func (l *Labels) Restore(ctx context.Context, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	if at := s.at[Current]; at != k.old && at != k.new {
		return rotation.Result{}, astray(k, at)
	}
	text := "nothing was promoted"
	if k.new != "" {
		// Asked for even where AWSCURRENT is seen on the old version: a look just after promote may be too old
		// to show the move, the refusal of this call isn't.
		if err := l.move(ctx, k.arn, Current, k.new, k.old); err != nil {
			return rotation.Result{}, err
		}
		if s, err = l.look(ctx, k.arn); err != nil {
			return rotation.Result{}, err
		}
		text = fmt.Sprintf("AWSCURRENT on %s again", version(k.old))
	}
	if was := past.Fact(preflight, factPrevious); was != "" && s.at[Previous] == k.new && k.new != "" {
		var gone *rotation.Failure
		if err := l.move(ctx, k.arn, Previous, k.new, was); err != nil && !errors.As(err, &gone) {
			return rotation.Result{}, err
		} else if err != nil {
			// That version may have been pruned since; nothing depends on the label.
			text += "; AWSPREVIOUS could not be put back on version " + was
		}
	}
	if err := l.untag(ctx, k.arn, s.tags, past); err != nil {
		return rotation.Result{}, err
	}
	if s.at[k.label] == k.old {
		if err := l.move(ctx, k.arn, k.label, k.old, ""); err != nil {
			return rotation.Result{}, err
		}
	}
	return rotation.Result{Text: text}, nil
}

// ours are the tags of this rotation.
func ours(past rotation.Past) map[string]string {
	c, at := past.Claim()
	return map[string]string{tagVersion: at.UTC().Format("20060102"), tagRotatedBy: tagValue(c.Actors.Operator)}
}

func (l *Labels) tag(ctx context.Context, name string, are, want map[string]string) error {
	var tags []types.Tag
	for _, k := range []string{tagVersion, tagRotatedBy} {
		if v, ok := want[k]; ok && are[k] != v {
			tags = append(tags, types.Tag{Key: &k, Value: &v})
		}
	}
	if len(tags) == 0 {
		return nil
	}
	_, err := l.Client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &name, Tags: tags})
	return cloud.Judge(err, fmt.Sprintf("tag %q", called(name)))
}

// untag puts back the former tags, where ours are still there.
func (l *Labels) untag(ctx context.Context, name string, are map[string]string, past rotation.Past) error {
	had := strings.Split(past.Fact(preflight, factTags), ",")
	former := map[string]string{tagVersion: past.Fact(preflight, factVersion), tagRotatedBy: past.Fact(preflight, factRotated)}
	back, gone := map[string]string{}, []string{}
	for _, k := range []string{tagVersion, tagRotatedBy} {
		v, ok := are[k]
		switch {
		case !ok || v != ours(past)[k]:
		case slices.Contains(had, k):
			back[k] = former[k]
		default:
			gone = append(gone, k)
		}
	}
	if err := l.tag(ctx, name, are, back); err != nil || len(gone) == 0 {
		return err
	}
	_, err := l.Client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &name, TagKeys: gone})
	return cloud.Judge(err, fmt.Sprintf("untag %q", called(name)))
}

// tagValue is s with what AWS doesn't take in a tag's value replaced: letters, digits, spaces and _.:/=+-@ are
// allowed, 256 characters (AWS General Reference, tag naming).
func tagValue(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == ' ' || strings.ContainsRune("_.:/=+-@", r) {
			return r
		}
		return '_'
	}, s)
	r := []rune(s)
	return string(r[:min(len(r), 256)])
}
