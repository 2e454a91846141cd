package staging

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// A Mint makes the new content from the old.
type Mint func(ctx context.Context, old Content) (secret.Value, error)

// Create stores the new version under the rotation's token as its ID and labels it AWSPENDING. A version that is
// there already, from a run that was cut short, is taken as it is: a second value is never made. It records
// "new".
func (l *Labels) Create(ctx context.Context, past rotation.Past, mint Mint) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	if at := s.at[Current]; at != k.old {
		return rotation.Result{}, rotation.Failf("see who rotated it; then start again",
			"AWSCURRENT of %q was on %s at preflight and is on %s now", called(k.arn), version(k.old), version(at))
	}
	if err := foreignPending(s, k.arn, k.token); err != nil {
		return rotation.Result{}, err
	}
	done := rotation.Result{Facts: map[string]string{factNew: k.token}}
	if _, labelled := s.VersionIdsToStages[k.token]; !labelled {
		attached, err := l.put(ctx, k, mint)
		if err != nil {
			return rotation.Result{}, err
		}
		if attached {
			done.Text = "stored as " + version(k.token) + ", AWSPENDING"
			return done, nil
		}
	}
	done.Text = "found as " + version(k.token) + ", AWSPENDING, from a run that was cut short"
	if s.at[Pending] == k.token {
		return done, nil
	}
	// A put that is repeated doesn't attach its labels again.
	return done, l.move(ctx, k.arn, Pending, s.at[Pending], k.token)
}

// put is false when the version was there already: without its label, then.
func (l *Labels) put(ctx context.Context, k kept, mint Mint) (attached bool, err error) {
	doing := fmt.Sprintf("store the new version of %q", called(k.arn))
	// Minting again and putting that under the same token would be refused; asking first spares an honest try.
	_, err = l.fetch(ctx, &secretsmanager.GetSecretValueInput{SecretId: &k.arn, VersionId: &k.token})
	switch {
	case err == nil:
		return false, nil
	case !notThere(err) && cloud.Code(err) != cloud.InvalidRequest:
		return false, cloud.Judge(err, fmt.Sprintf("look for %s of %q", version(k.token), called(k.arn)))
	}
	old, err := l.get(ctx, k.arn, k.old, Current)
	if err != nil {
		return false, cloud.Judge(err, fmt.Sprintf("read %s of %q", version(k.old), called(k.arn)))
	}
	v, err := mint(ctx, old)
	if err != nil {
		return false, err
	}
	in := &secretsmanager.PutSecretValueInput{SecretId: &k.arn, ClientRequestToken: &k.token, VersionStages: []string{Pending}}
	if old.Binary {
		in.SecretBinary = v.Reveal()
	} else {
		in.SecretString = new(string(v.Reveal()))
	}
	out, err := l.Client.PutSecretValue(ctx, in)
	if cloud.Code(err) == cloud.ResourceExists {
		return false, nil
	}
	if err != nil {
		return false, cloud.Judge(err, doing)
	}
	return slices.Contains(out.VersionStages, Pending), nil
}

// Proof reads the old and the new version back, each by its recorded ID and its label, and says whether the new
// one is where it should be: encrypted with the expected key, and in sync everywhere it is replicated to. What
// the two hold is the kind's to compare. With Wait set in the result, both are empty.
func (l *Labels) Proof(ctx context.Context, t Secret, past rotation.Past) (was, is Content, res rotation.Result, err error) {
	k, err := recall(past)
	if err != nil {
		return was, is, res, err
	}
	const again = 3 * time.Second
	if is, err = l.get(ctx, k.arn, k.new, Pending); err != nil {
		// Reads lag behind, the label's as well as the version's; the step's deadline decides.
		if notThere(err) || cloud.Code(err) == cloud.InvalidRequest {
			return Content{}, Content{}, rotation.Result{Wait: version(k.new) + " to become readable", Again: again}, nil
		}
		return was, is, res, cloud.Judge(err, fmt.Sprintf("read %s of %q back", version(k.new), called(k.arn)))
	}
	if was, err = l.get(ctx, k.arn, k.old, Current); err != nil {
		return was, is, res, cloud.Judge(err, fmt.Sprintf("read %s of %q", version(k.old), called(k.arn)))
	}
	encrypted, wait, err := l.encrypted(ctx, t, k, past)
	if err != nil || wait != "" {
		return Content{}, Content{}, rotation.Result{Wait: wait, Again: again}, err
	}
	synced, wait, err := l.synced(ctx, k.arn)
	if err != nil || wait != "" {
		return Content{}, Content{}, rotation.Result{Wait: wait, Again: again}, err
	}
	return was, is, rotation.Result{Text: "read back by version and label; " + encrypted + synced}, nil
}

func (l *Labels) encrypted(ctx context.Context, t Secret, k kept, past rotation.Past) (text, wait string, err error) {
	all, err := l.versions(ctx, k.arn)
	if err != nil {
		return "", "", cloud.Judge(err, fmt.Sprintf("list the versions of %q", called(k.arn)))
	}
	keys, ok := all[k.new]
	if !ok {
		return "", version(k.new) + " to be listed", nil
	}
	if len(keys) == 0 {
		return "its encryption key isn't reported", "", nil
	}
	want := t.KMSKey
	if want == "" {
		want = past.Fact(preflight, factKMSKey)
	}
	for _, key := range keys {
		same, comparable := sameKey(want, key)
		if !comparable {
			return fmt.Sprintf("encrypted with %s (%s can't be compared)", key, want), "", nil
		}
		if !same {
			return "", "", rotation.Failf("see who changed the secret's key since preflight",
				"%s of %q is encrypted with %s, not with %s", version(k.new), called(k.arn), key, keyName(want))
		}
	}
	return "encrypted with " + keyName(want), "", nil
}

func (l *Labels) synced(ctx context.Context, name string) (text, wait string, err error) {
	s, err := l.look(ctx, name)
	if err != nil || len(s.ReplicationStatus) == 0 {
		return "", "", err
	}
	if err := replicaFailed(s, name); err != nil {
		return "", "", err
	}
	for _, r := range s.ReplicationStatus {
		if r.Status != "InSync" {
			return "", fmt.Sprintf("replica in %s to be in sync", *r.Region), nil
		}
	}
	return "; " + count(len(s.ReplicationStatus), "replica") + " in sync", "", nil
}
