package staging

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// Live reads what consumers of a secret would take now.
func (l *Labels) Live(ctx context.Context, name string) (Content, error) {
	c, err := l.get(ctx, name, "", Current)
	if err != nil {
		return Content{}, cloud.Judge(err, fmt.Sprintf("read the current value of %q", called(name)))
	}
	return c, nil
}

// Old reads the version that preflight recorded as the live one, by its ID: whatever labels are left on it. It is empty
// where Secrets Manager has pruned it.
func (l *Labels) Old(ctx context.Context, past rotation.Past) (Content, error) {
	return l.recorded(ctx, past, past.Fact(preflight, factOld))
}

// New reads the version that create recorded, likewise. It is empty where create recorded none.
func (l *Labels) New(ctx context.Context, past rotation.Past) (Content, error) {
	return l.recorded(ctx, past, past.Fact(create, factNew))
}

// Fresh is New while AWSPENDING is on it: empty where somebody else's rotation has taken that, or it isn't shown yet.
func (l *Labels) Fresh(ctx context.Context, past rotation.Past) (Content, error) {
	k, err := recall(past)
	if err != nil || k.new == "" {
		return Content{}, err
	}
	c, err := l.get(ctx, k.arn, k.new, Pending)
	if notThere(err) || cloud.Code(err) == cloud.InvalidRequest {
		return Content{}, nil
	}
	if err != nil {
		return Content{}, cloud.Judge(err, fmt.Sprintf("read %s of %q", version(k.new), called(k.arn)))
	}
	return c, nil
}

func (l *Labels) recorded(ctx context.Context, past rotation.Past, id string) (Content, error) {
	k, err := recall(past)
	if err != nil || id == "" {
		return Content{}, err
	}
	c, err := l.fetch(ctx, &secretsmanager.GetSecretValueInput{SecretId: &k.arn, VersionId: &id})
	if err != nil && !notThere(err) {
		return Content{}, cloud.Judge(err, fmt.Sprintf("read %s of %q", version(id), called(k.arn)))
	}
	return c, nil
}

// Promoted is nil while AWSCURRENT is on the version that this rotation promoted: what Decommission asks for itself, for
// kinds that end something else before.
func (l *Labels) Promoted(ctx context.Context, past rotation.Past) error {
	k, err := recall(past)
	if err != nil {
		return err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return err
	}
	return stillLive(s, k)
}

func stillLive(s *look, k kept) error {
	if at := s.at[Current]; at != k.new || at == "" {
		return rotation.Failf("see who moved it: while it is there, the old version stays",
			"AWSCURRENT of %q is on %s, no longer on %s, which this rotation promoted", called(k.arn), version(at), version(k.new))
	}
	return nil
}

// Replace is the JSON object doc with another string at key; every other byte stays. Neither is announced: what is secret
// in it is the caller's to say.
func Replace(doc []byte, key, value string) ([]byte, error) { return replace(doc, key, value) }

// Ours is nil while AWSCURRENT is on the old or the new version: what Restore asks for itself, for kinds that put back
// something else before.
func (l *Labels) Ours(ctx context.Context, past rotation.Past) error {
	k, err := recall(past)
	if err != nil {
		return err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return err
	}
	if at := s.at[Current]; at != k.old && at != k.new {
		return astray(k, at)
	}
	return nil
}
