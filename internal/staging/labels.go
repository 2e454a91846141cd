// Package staging owns the versions of a secret in AWS Secrets Manager and the staging labels on them: the half
// of a rotation that most kinds share. Each function is one step: it looks, makes only the calls still needed,
// and may be called again at any time, after any crash.
//
//   - The new version is stored under a token of the rotation as its version ID, and labelled AWSPENDING.
//   - A label "ROLLBACK-<token>" holds the old version before AWSCURRENT leaves it: AWSPREVIOUS holds one
//     generation only, and an unlabelled version may be pruned after a day.
//   - Labels move by compare and swap: UpdateSecretVersionStage refuses when the label isn't on the version it
//     is to be taken from (AWS API reference). A call repeated after a lost answer is refused too, so the SDK
//     doesn't repeat it: the next look decides.
//   - Secrets Manager answers eventually consistent reads. What is seen is believed at once; what isn't seen is
//     asked for with a token, or looked for again.
//
// It must never touch a version or a label that this rotation, or one it inherits from, didn't record; and it
// must never put anything derived from a value into a result: no hash, no part.
package staging

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// AWS's own staging labels.
const (
	Current  = "AWSCURRENT"
	Pending  = "AWSPENDING"
	Previous = "AWSPREVIOUS"
)

// Labels are the secrets of one environment.
type Labels struct {
	Client   *secretsmanager.Client
	IAM      *iam.Client                           // nil: write permissions are not asked about
	Identity func(context.Context) (string, error) // required with IAM
	Region   string
	Keep     secret.Keeper
}

// look is one DescribeSecret, and what staging reads from it.
type look struct {
	*secretsmanager.DescribeSecretOutput
	at   map[string]string // label → version
	tags map[string]string
}

func (l *Labels) look(ctx context.Context, name string) (*look, error) {
	out, err := l.Client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return nil, cloud.Judge(err, fmt.Sprintf("look at %q", called(name)))
	}
	return seen(out), nil
}

func seen(out *secretsmanager.DescribeSecretOutput) *look {
	s := &look{out, map[string]string{}, map[string]string{}}
	for version, labels := range out.VersionIdsToStages {
		for _, label := range labels {
			s.at[label] = version
		}
	}
	for _, t := range out.Tags {
		s.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return s
}

// together makes reads that don't depend on one another at the same time. Which of their errors counts is the
// caller's to say, in an order of its own.
func together(reads ...func()) {
	var all sync.WaitGroup
	for _, read := range reads {
		all.Go(read)
	}
	all.Wait()
}

// on are the labels of a version, sorted.
func (s *look) on(version string) []string {
	labels := slices.Clone(s.VersionIdsToStages[version])
	slices.Sort(labels)
	return labels
}

// move takes label from one version to another, compare and swap. from "": it must be on none; to "": removed.
// Refused, it looks again: already there is success, elsewhere is somebody else's doing, and where it seemed to
// be is an unknown outcome (a look may be older than the refusal).
func (l *Labels) move(ctx context.Context, name, label, from, to string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &name, VersionStage: &label}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	if to != "" {
		in.MoveToVersionId = &to
	}
	_, err := l.Client.UpdateSecretVersionStage(ctx, in, func(o *secretsmanager.Options) { o.Retryer = cloud.Once() })
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf("move %s of %q", label, called(name))
	if to == "" {
		doing = fmt.Sprintf("remove %s from %s of %q", label, version(from), called(name))
	}
	if !slices.Contains([]string{cloud.InvalidParameter, cloud.InvalidRequest, cloud.NotFound}, cloud.Code(err)) {
		return cloud.Judge(err, doing)
	}
	now, lookErr := l.look(ctx, name)
	if lookErr != nil {
		return lookErr
	}
	switch at := now.at[label]; {
	case at == to, to == "" && at != from:
		return nil
	case cloud.Code(err) == cloud.NotFound:
		return cloud.Judge(err, doing)
	case at == from:
		return cloud.Unknown(err, doing+", though it is seen there")
	default:
		return rotation.Failf("find out who moved it; nothing was changed by this step",
			"%s: somebody else moved it, it is on %s now", doing, version(at))
	}
}

// strip takes every label off a version, which s is a look at. All of them must be in ours: one that isn't says that somebody still
// holds the version, and nothing is removed then.
func (l *Labels) strip(ctx context.Context, s *look, name, id string, ours []string) error {
	labels := s.on(id)
	for _, label := range labels {
		if !slices.Contains(ours, label) {
			return rotation.Failf(fmt.Sprintf("ask who set %s, and remove it there when nobody reads by it any more", label),
				"%s of %q also carries %s, which is not of this rotation: somebody may still read by it", version(id), called(name), label)
		}
	}
	if len(labels) == 0 && slices.Contains(ours, Pending) {
		labels = []string{Pending} // a look may be too early to show it; the attempt itself isn't
	}
	for _, label := range labels {
		if err := l.move(ctx, name, label, id, ""); err != nil {
			return err
		}
	}
	return nil
}

// called is a secret's name, whether it is given or its ARN is.
func called(id string) string {
	if parts := strings.SplitN(id, ":", 7); len(parts) == 7 && len(parts[6]) > 7 {
		return parts[6][:len(parts[6])-7] // "-" and six characters of AWS's choice
	}
	return id
}

// version is an ID as people read it, cut as they would say it; the facts hold it whole.
func version(id string) string {
	const enough = 13 // of a UUID, two groups
	switch {
	case id == "":
		return "no version"
	case len(id) > enough:
		return "version " + id[:enough] + "…"
	}
	return "version " + id
}
