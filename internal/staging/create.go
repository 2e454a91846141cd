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
	var s *look
	var had before
	together(func() { s, err = l.look(ctx, k.arn) },
		func() { had.sought = l.seek(ctx, k.arn, k.token) },
		func() { had.old, had.unread = l.get(ctx, k.arn, k.old, Current) })
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
		attached, err := l.put(ctx, k, had, mint)
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

// before is what put goes by.
type before struct {
	sought error // of looking for the new version
	old    Content
	unread error // of reading the old one
}

// seek is nil where the version is there.
func (l *Labels) seek(ctx context.Context, name, id string) error {
	_, err := l.fetch(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &id})
	return err
}

// put is false when the version was there already: without its label, then.
func (l *Labels) put(ctx context.Context, k kept, had before, mint Mint) (attached bool, err error) {
	doing := fmt.Sprintf("store the new version of %q", called(k.arn))
	// Minting again and putting that under the same token would be refused; asking first spares an honest try.
	switch err := had.sought; {
	case err == nil:
		return false, nil
	case !notThere(err) && cloud.Code(err) != cloud.InvalidRequest:
		return false, cloud.Judge(err, fmt.Sprintf("look for %s of %q", version(k.token), called(k.arn)))
	}
	if had.unread != nil {
		return false, cloud.Judge(had.unread, fmt.Sprintf("read %s of %q", version(k.old), called(k.arn)))
	}
	v, err := mint(ctx, had.old)
	if err != nil {
		return false, err
	}
	in := &secretsmanager.PutSecretValueInput{SecretId: &k.arn, ClientRequestToken: &k.token, VersionStages: []string{Pending}}
	if had.old.Binary {
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
	was, is, text, wait, err := l.proof(ctx, t, k, past)
	if err != nil || wait != "" {
		return Content{}, Content{}, rotation.Result{Wait: wait, Again: 3 * time.Second}, err
	}
	return was, is, rotation.Result{Text: "read back by version and label; " + text}, nil
}

func (l *Labels) proof(ctx context.Context, t Secret, k kept, past rotation.Past) (was, is Content, text, wait string, err error) {
	var unread, unreadOld, unlisted, unseen error
	var all map[string][]string
	var s *look
	together(func() { is, unread = l.get(ctx, k.arn, k.new, Pending) },
		func() { was, unreadOld = l.get(ctx, k.arn, k.old, Current) },
		func() { all, unlisted = l.versions(ctx, k.arn) },
		func() { s, unseen = l.look(ctx, k.arn) })
	switch {
	case notThere(unread) || cloud.Code(unread) == cloud.InvalidRequest:
		// Reads lag behind, the label's as well as the version's; the step's deadline decides.
		return was, is, "", version(k.new) + " to become readable", nil
	case unread != nil:
		return was, is, "", "", cloud.Judge(unread, fmt.Sprintf("read %s of %q back", version(k.new), called(k.arn)))
	case unreadOld != nil:
		return was, is, "", "", cloud.Judge(unreadOld, fmt.Sprintf("read %s of %q", version(k.old), called(k.arn)))
	case unlisted != nil:
		return was, is, "", "", cloud.Judge(unlisted, fmt.Sprintf("list the versions of %q", called(k.arn)))
	}
	encrypted, wait, err := encryptedWith(all, t, k, past)
	if err != nil || wait != "" {
		return was, is, "", wait, err
	}
	if unseen != nil {
		return was, is, "", "", unseen
	}
	synced, wait, err := inSync(s, k.arn)
	return was, is, encrypted + synced, wait, err
}

func encryptedWith(all map[string][]string, t Secret, k kept, past rotation.Past) (text, wait string, err error) {
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

func inSync(s *look, name string) (text, wait string, err error) {
	if len(s.ReplicationStatus) == 0 {
		return "", "", nil
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
