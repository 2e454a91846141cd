package staging

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// maxLabels is Secrets Manager's quota of staging labels on all versions of a secret together.
const maxLabels = 20

// maxTags is how many tags a secret can have (AWS API reference, Secrets Manager, TagResource).
const maxTags = 50

// Preflight looks whether the secret can be rotated by labels, reads its current value, and records all that
// undoing needs. It changes nothing. Refusals are *rotation.Failure. A secret that the first look refuses isn't read.
func (l *Labels) Preflight(ctx context.Context, t Secret, past rotation.Past) (rotation.Result, Content, error) {
	s, err := l.fit(ctx, t, past)
	if err != nil {
		return rotation.Result{}, Content{}, err
	}
	var old Content
	var unread, unlisted, mayNot error
	var allowed string
	together(func() { old, unread = l.get(ctx, t.Name, "", Current) },
		func() {
			allowed, mayNot = l.mayWrite(ctx, aws.ToString(s.ARN))
			// The proof will need it: a missing permission shows now. After the slower call, lest the looks of a
			// hundred secrets stand in front of the first proof.
			_, unlisted = l.versions(ctx, t.Name)
		})
	switch {
	case unread != nil:
		return rotation.Result{}, Content{}, cloud.Judge(unread, fmt.Sprintf("read the current value of %q", t.Name))
	case old.Version != s.at[Current]:
		return rotation.Result{Wait: fmt.Sprintf("%q to answer the same version twice", t.Name), Again: 3 * time.Second}, Content{}, nil
	case unlisted != nil:
		return rotation.Result{}, Content{}, cloud.Judge(unlisted, fmt.Sprintf("list the versions of %q", t.Name))
	case mayNot != nil:
		return rotation.Result{}, Content{}, mayNot
	}
	text := fmt.Sprintf("current %s, %s, encrypted with %s; %s", version(old.Version),
		count(len(s.VersionIdsToStages), "labelled version"), keyName(aws.ToString(s.KmsKeyId)), allowed)
	return rotation.Result{Facts: found(s), Text: text}, old, nil
}

// Preview is as much of Preflight as shows without reading a value or asking for rights: for jobs that may do neither.
func (l *Labels) Preview(ctx context.Context, t Secret, past rotation.Past) (rotation.Result, error) {
	s, err := l.fit(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Facts: found(s), Text: fmt.Sprintf("current %s, %s, encrypted with %s; its value was not read", version(s.at[Current]),
		count(len(s.VersionIdsToStages), "labelled version"), keyName(aws.ToString(s.KmsKeyId)))}, nil
}

// fit is the secret as it is described, where that doesn't keep it from being rotated.
func (l *Labels) fit(ctx context.Context, t Secret, past rotation.Past) (*look, error) {
	s, err := l.look(ctx, t.Name)
	if err != nil {
		return nil, l.lost(err, t)
	}
	for _, check := range []func(*look, Secret, rotation.Past) error{l.owned, l.replicated, busy, key} {
		if err := check(s, t, past); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// found is what preflight records.
func found(s *look) map[string]string {
	facts := map[string]string{factARN: aws.ToString(s.ARN), factOld: s.at[Current], factPrevious: s.at[Previous],
		factKMSKey: aws.ToString(s.KmsKeyId), factVersion: s.tags[tagVersion], factRotated: s.tags[tagRotatedBy]}
	var tags []string
	for _, k := range []string{tagVersion, tagRotatedBy} {
		if _, ok := s.tags[k]; ok {
			tags = append(tags, k)
		}
	}
	facts[factTags] = strings.Join(tags, ",")
	maps.DeleteFunc(facts, func(_, v string) bool { return v == "" })
	return facts
}

// lost adds to a secret that isn't found where it was looked for.
func (l *Labels) lost(err error, t Secret) error {
	var f *rotation.Failure
	if errors.As(err, &f) && strings.Contains(f.Msg, cloud.NotFound) {
		return rotation.Failf("check the name, and the environment's region and role in .github/rekey.yml: another account has other secrets",
			"no secret %q in %s", t.Name, l.region())
	}
	return err
}

func (l *Labels) region() string {
	if l.Region == "" {
		return "the configured region"
	}
	return l.Region
}

// owned refuses what isn't ours to rotate.
func (l *Labels) owned(s *look, t Secret, _ rotation.Past) error {
	switch {
	case s.DeletedDate != nil:
		return rotation.Failf("restore it (RestoreSecret), or take its row out of the registry",
			"%q is marked for deletion since %s", t.Name, s.DeletedDate.UTC().Format(time.DateOnly))
	case aws.ToString(s.OwningService) != "":
		return rotation.Failf("rotate it through that service; for a database's own secret use kind rds-master",
			"%q is managed by the service %q", t.Name, *s.OwningService)
	case aws.ToString(s.Type) != "":
		return rotation.Failf("rotate it where the partner manages it", "%q is managed by a partner (type %q)", t.Name, *s.Type)
	case aws.ToBool(s.RotationEnabled):
		return rotation.Failf("switch that off (CancelRotateSecret), or take its row out of the registry: two rotations of one secret undo each other",
			"Secrets Manager rotates %q itself", t.Name)
	}
	return nil
}

func (l *Labels) replicated(s *look, t Secret, _ rotation.Past) error {
	if p := aws.ToString(s.PrimaryRegion); p != "" && p != regionOf(aws.ToString(s.ARN)) {
		return rotation.Failf("set the environment's region to "+p, "%q in %s is a replica; its primary is in %s",
			t.Name, regionOf(aws.ToString(s.ARN)), p)
	}
	return replicaFailed(s, t.Name)
}

func replicaFailed(s *look, name string) error {
	for _, r := range s.ReplicationStatus {
		if r.Status == types.StatusTypeFailed {
			return rotation.Failf("mend or remove that replica first: its readers would keep the old value",
				"%q isn't replicated to %s: %s", called(name), aws.ToString(r.Region), cloud.Line(aws.ToString(r.StatusMessage)))
		}
	}
	return nil
}

// busy refuses a secret with half-done work of others on it, and one without room for our labels.
func busy(s *look, t Secret, past rotation.Past) error {
	if s.at[Current] == "" {
		return rotation.Failf("put a first value there", "%q has no current value", t.Name)
	}
	if err := foreignPending(s, t.Name, past.Token(create, Token)); err != nil {
		return err
	}
	need := len(s.at) + 1 // ours that holds the old version
	for _, label := range []string{Pending, Previous} {
		if s.at[label] == "" {
			need++
		}
	}
	if need > maxLabels {
		return rotation.Failf("remove staging labels that nobody reads by",
			"%q has %d staging labels; with ours it would have %d, and %d are allowed", t.Name, len(s.at), need, maxLabels)
	}
	return tagged(s, t.Name)
}

// tagged refuses a secret without room for our tags: promote would find that out with the new version live.
func tagged(s *look, name string) error {
	have, need := 0, 0
	for k := range s.tags {
		if !strings.HasPrefix(k, "aws:") { // AWS's own aren't counted
			have++
		}
	}
	for _, k := range []string{tagVersion, tagRotatedBy} {
		if _, ok := s.tags[k]; !ok {
			need++
		}
	}
	if have+need > maxTags {
		return rotation.Failf("remove tags that nobody needs",
			"%q has %d tags; with ours it would have %d, and %d are allowed", name, have, have+need, maxTags)
	}
	return nil
}

// foreignPending refuses AWSPENDING on a version that is neither ours nor the current one.
func foreignPending(s *look, name, ours string) error {
	if at := s.at[Pending]; at != "" && at != ours && at != s.at[Current] {
		return rotation.Failf("finish that rotation, or remove the label when nobody works on it: aws secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id "+at,
			"%q has AWSPENDING on version %s: somebody else's rotation is half done", called(name), at)
	}
	return nil
}

func key(s *look, t Secret, _ rotation.Past) error {
	is := aws.ToString(s.KmsKeyId)
	if same, comparable := sameKey(t.KMSKey, is); t.KMSKey == "" || same && comparable {
		return nil
	}
	return rotation.Failf("name in the registry the key as the secret names it, or have the secret's key set right first",
		"%q is encrypted with %s, not with %s as expected", t.Name, keyName(is), t.KMSKey)
}

func keyName(key string) string {
	if key == "" {
		return "AWS's own key (aws/secretsmanager)"
	}
	return key
}

// versions are the labelled versions with the keys they are encrypted with.
func (l *Labels) versions(ctx context.Context, name string) (map[string][]string, error) {
	all := map[string][]string{}
	p := secretsmanager.NewListSecretVersionIdsPaginator(l.Client, &secretsmanager.ListSecretVersionIdsInput{SecretId: &name})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			all[aws.ToString(v.VersionId)] = v.KmsKeyIds
		}
	}
	return all, nil
}

// regionOf is the region in an ARN.
func regionOf(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) > 3 {
		return parts[3]
	}
	return ""
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
