package sandbox_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/sandbox"
	store "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

const name = "rekey/dev/app-database"

// token makes a version id that says who it is.
func token(n int) *string { return aws.String(fmt.Sprintf("%064d", n)) }

func put(t *testing.T, b *bench, n int, labels ...string) string {
	t.Helper()
	out, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String(name), ClientRequestToken: token(n), SecretString: aws.String(fmt.Sprint("value ", n)), VersionStages: labels})
	if err != nil {
		t.Fatal(err)
	}
	return *out.VersionId
}

func labels(t *testing.T, b *bench) map[string]string {
	t.Helper()
	d, err := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for id, stages := range d.VersionIdsToStages {
		for _, s := range stages {
			m[s] = id
		}
	}
	return m
}

func move(b *bench, label, from, to string) error {
	in := &sm.UpdateSecretVersionStageInput{SecretId: aws.String(name), VersionStage: &label}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	if to != "" {
		in.MoveToVersionId = &to
	}
	_, err := b.sm.UpdateSecretVersionStage(ctx, in)
	return err
}

func TestARotationOfLabels(t *testing.T) {
	b := newBench(t)
	old := labels(t, b)["AWSCURRENT"]
	fresh := put(t, b, 1, "AWSPENDING", "mark")
	want := func(m map[string]string) {
		t.Helper()
		if diff := cmp.Diff(m, labels(t, b)); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	}
	want(map[string]string{"AWSCURRENT": old, "AWSPENDING": fresh, "mark": fresh})
	if err := move(b, "AWSCURRENT", old, fresh); err != nil {
		t.Fatal(err)
	}
	want(map[string]string{"AWSCURRENT": fresh, "AWSPREVIOUS": old, "AWSPENDING": fresh, "mark": fresh})
	refused(t, move(b, "AWSCURRENT", old, fresh), 400, "InvalidParameterException", "")
	if err := move(b, "AWSPENDING", fresh, ""); err != nil {
		t.Fatal(err)
	}
	if err := move(b, "AWSCURRENT", fresh, old); err != nil {
		t.Fatal(err)
	}
	want(map[string]string{"AWSCURRENT": old, "AWSPREVIOUS": fresh, "mark": fresh})
	third := put(t, b, 2, "AWSPENDING", "mark")
	want(map[string]string{"AWSCURRENT": old, "AWSPREVIOUS": fresh, "AWSPENDING": third, "mark": third})
	fourth := put(t, b, 3)
	want(map[string]string{"AWSCURRENT": fourth, "AWSPREVIOUS": old, "AWSPENDING": third, "mark": third})
	v, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(name), VersionId: &fresh})
	if err != nil || *v.SecretString != "value 1" || len(v.VersionStages) != 0 {
		t.Errorf("a deprecated version is readable by id: %v %v", v, err)
	}
	for deprecated, n := range map[bool]int{false: 3, true: 4} {
		l := must[*sm.ListSecretVersionIdsOutput](t)(b.sm.ListSecretVersionIds(ctx, &sm.ListSecretVersionIdsInput{SecretId: aws.String(name), IncludeDeprecated: &deprecated}))
		if len(l.Versions) != n {
			t.Errorf("IncludeDeprecated=%v lists %d versions", deprecated, len(l.Versions))
		}
	}
}

func TestATokenIsBoundToItsValue(t *testing.T) {
	b := newBench(t)
	put(t, b, 1, "AWSPENDING")
	if err := move(b, "AWSPENDING", *token(1), ""); err != nil {
		t.Fatal(err)
	}
	put(t, b, 1, "AWSPENDING", "other")
	if l := labels(t, b); len(l) != 1 {
		t.Errorf("a repeated put attached labels again: %v", l)
	}
	_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String(name), ClientRequestToken: token(1), SecretString: aws.String("else")})
	refused(t, err, 400, "ResourceExistsException", "You can't use ClientRequestToken "+*token(1)+" because that value is already in use for a version of secret "+b.world.Secret(name).ARN+".")
}

func TestSecretsManagerRefusals(t *testing.T) {
	other := aws.String(name)
	for what, c := range map[string]struct {
		before func(*testing.T, *bench)
		call   func(*bench) error
		code   string
		text   string
	}{
		"unknown secret": {nil, func(b *bench) error {
			_, err := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("no")})
			return err
		}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."},
		"unknown label": {nil, func(b *bench) error {
			_, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: other, VersionStage: aws.String("AWSPREVIOUS")})
			return err
		}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"},
		"unknown version": {nil, func(b *bench) error {
			_, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: other, VersionId: token(9)})
			return err
		}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: " + *token(9)},
		"label and version disagree": {func(t *testing.T, b *bench) { put(t, b, 1, "AWSPENDING") }, func(b *bench) error {
			_, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: other, VersionId: token(1), VersionStage: aws.String("AWSCURRENT")})
			return err
		}, "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."},
		"AWSCURRENT can't be dropped": {func(t *testing.T, b *bench) { put(t, b, 1) }, func(b *bench) error { return move(b, "AWSCURRENT", *token(1), "") },
			"InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed."},
		"a held label needs its holder named": {func(t *testing.T, b *bench) { put(t, b, 1); put(t, b, 2, "AWSPENDING") }, func(b *bench) error { return move(b, "AWSCURRENT", "", *token(2)) },
			"InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version " + *token(1) + ", so you must explicitly reference that version in RemoveFromVersionId."},
		"a held label needs its own holder named": {func(t *testing.T, b *bench) { put(t, b, 1); put(t, b, 2, "AWSPENDING") }, func(b *bench) error { return move(b, "AWSCURRENT", *token(2), *token(2)) },
			"InvalidParameterException", ""},
		"too large": {nil, func(b *bench) error {
			_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: other, SecretString: aws.String(strings.Repeat("x", 65537))})
			return err
		}, "InvalidParameterException", ""},
		"21 labels": {func(t *testing.T, b *bench) {
			for i := range 19 {
				put(t, b, i, fmt.Sprint("label", i))
			}
		}, func(b *bench) error { return move(b, "one more", "", *token(1)) }, "LimitExceededException", ""},
		"short token": {nil, func(b *bench) error {
			_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: other, SecretString: aws.String("x"), ClientRequestToken: aws.String("short")})
			return err
		}, "InvalidParameterException", "ClientRequestToken must be 32-64 characters long."},
		"marked for deletion": {func(t *testing.T, b *bench) {
			must[*sm.DeleteSecretOutput](t)(b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: other}))
		}, func(b *bench) error {
			_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: other, SecretString: aws.String("x")})
			return err
		}, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion."},
		"name scheduled for deletion": {func(t *testing.T, b *bench) {
			must[*sm.DeleteSecretOutput](t)(b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: other}))
		}, func(b *bench) error {
			_, err := b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: other, SecretString: aws.String("x")})
			return err
		}, "InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion."},
		"name taken": {nil, func(b *bench) error {
			_, err := b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: other, SecretString: aws.String("x")})
			return err
		}, "ResourceExistsException", "The operation failed because the secret " + name + " already exists."},
		"managed by another service": {func(t *testing.T, b *bench) {
			check1(t, b.world.SecretsManager.SetOwner(sandbox.Home, name, "rds", start))
		}, func(b *bench) error { return move(b, "x", "", b.world.Secret(name).Labels["AWSCURRENT"]) }, "InvalidRequestException", ""},
		"KMS key disabled, write": {func(t *testing.T, b *bench) { withKey(t, b, store.Disabled) }, func(b *bench) error {
			_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: other, SecretString: aws.String("x")})
			return err
		}, "EncryptionFailure", ""},
		"KMS key disabled, read": {func(t *testing.T, b *bench) { withKey(t, b, store.Disabled) }, func(b *bench) error {
			_, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: other})
			return err
		}, "DecryptionFailure", ""},
		"no right on the KMS key": {func(t *testing.T, b *bench) { withKey(t, b, store.Forbidden) }, func(b *bench) error {
			_, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: other})
			return err
		}, "AccessDeniedException", "Access to KMS is not allowed"},
		"denied": {func(t *testing.T, b *bench) {
			b.world.Deny("*", "secretsmanager:PutSecretValue", "arn:*:secret:rekey/dev/*")
		}, func(b *bench) error {
			_, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: other, SecretString: aws.String("x")})
			return err
		}, "AccessDeniedException", ""},
		"bad page token": {nil, func(b *bench) error {
			_, err := b.sm.ListSecrets(ctx, &sm.ListSecretsInput{NextToken: aws.String("junk")})
			return err
		}, "InvalidNextTokenException", ""},
		"throttled": {func(_ *testing.T, b *bench) {
			b.world.Fail(func(c sandbox.Call) error { return sandbox.Throttled(c) })
		}, func(b *bench) error {
			_, err := b.sm.ListSecrets(ctx, &sm.ListSecretsInput{})
			return err
		}, "ThrottlingException", "Rate exceeded"},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			if c.before != nil {
				c.before(t, b)
			}
			refused(t, c.call(b), 400, c.code, c.text)
			calls := b.world.Calls()
			if last := calls[len(calls)-1]; last.Code != c.code {
				t.Errorf("recorded as %+v", last)
			}
		})
	}
}

func check1(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func withKey(t *testing.T, b *bench, state store.KeyState) {
	t.Helper()
	check1(t, b.world.SecretsManager.SetKmsKey(sandbox.Home, name, "arn:aws:kms:us-east-1:111111111111:key/1", start))
	b.world.SecretsManager.SetKeyState("arn:aws:kms:us-east-1:111111111111:key/1", state)
}

func TestReplicasAreReadOnlyAndFollow(t *testing.T) {
	b := newBench(t)
	check1(t, b.world.SecretsManager.Replicate(sandbox.Home, name, store.Replica{Region: "eu-west-1", Status: "InSync"}, start))
	there := b.in("eu-west-1")
	_, err := there.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String(name), SecretString: aws.String("x")})
	refused(t, err, 400, "InvalidRequestException", "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
	put(t, b, 1)
	v := must[*sm.GetSecretValueOutput](t)(there.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(name)}))
	if *v.SecretString != "value 1" || !strings.Contains(*v.ARN, ":eu-west-1:") {
		t.Errorf("the replica shows %q as %s", *v.SecretString, *v.ARN)
	}
	d := must[*sm.DescribeSecretOutput](t)(b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)}))
	if *d.PrimaryRegion != "us-east-1" || d.ReplicationStatus[0].Status != types.StatusTypeInSync {
		t.Errorf("primary %v, replicas %v", d.PrimaryRegion, d.ReplicationStatus)
	}
	_, err = b.in("eu-north-1").sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)})
	refused(t, err, 400, "ResourceNotFoundException", "")
}

func TestTagsAndDates(t *testing.T) {
	b := newBench(t)
	describe := func() *sm.DescribeSecretOutput {
		return must[*sm.DescribeSecretOutput](t)(b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)}))
	}
	if d := describe(); d.Tags != nil || d.LastAccessedDate != nil || d.LastRotatedDate != nil || d.RotationEnabled != nil {
		t.Errorf("before the first tag and the first read: %+v", d)
	}
	b.clock.Move(90 * time.Minute)
	must[*sm.GetSecretValueOutput](t)(b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(name)}))
	must[*sm.TagResourceOutput](t)(b.sm.TagResource(ctx, &sm.TagResourceInput{SecretId: aws.String(name), Tags: []types.Tag{{Key: aws.String("version"), Value: aws.String("20261123")}}}))
	d := describe()
	if !d.LastAccessedDate.Equal(start.Truncate(24*time.Hour)) || !d.LastChangedDate.Equal(start.Add(90*time.Minute)) || !d.CreatedDate.Equal(start) {
		t.Errorf("dates: accessed %v, changed %v, created %v", d.LastAccessedDate, d.LastChangedDate, d.CreatedDate)
	}
	must[*sm.UntagResourceOutput](t)(b.sm.UntagResource(ctx, &sm.UntagResourceInput{SecretId: aws.String(name), TagKeys: []string{"version"}}))
	if d := describe(); d.Tags == nil || len(d.Tags) != 0 {
		t.Errorf("after the last untag Tags is %v, want an empty list", d.Tags)
	}
}

func TestUnlabelledVersionsArePrunedOverAHundredAfterADay(t *testing.T) {
	b := newBench(t)
	for i := range 120 {
		put(t, b, i)
	}
	if n := len(b.world.Secret(name).Versions); n != 121 {
		t.Errorf("%d versions on the first day, want all 121", n)
	}
	b.clock.Move(25 * time.Hour)
	put(t, b, 121)
	if n := len(b.world.Secret(name).Versions); n != 100 {
		t.Errorf("%d versions a day later, want 100", n)
	}
	if l := labels(t, b); l["AWSCURRENT"] != *token(121) || l["AWSPREVIOUS"] != *token(119) {
		t.Errorf("labels %v", l)
	}
}

func TestSecretsAreFoundByNameARNAndPartialARN(t *testing.T) {
	b := newBench(t)
	arn := b.world.Secret(name).ARN
	for _, ref := range []string{name, arn, arn[:len(arn)-7]} {
		d := must[*sm.DescribeSecretOutput](t)(b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: &ref}))
		if *d.ARN != arn {
			t.Errorf("%s finds %s", ref, *d.ARN)
		}
	}
}

func TestListingPagesEvenEmptyOnes(t *testing.T) {
	b := newBench(t)
	for _, empty := range []bool{false, true} {
		b.world.SecretsManager.SetEmptyPages(empty)
		var names []string
		pages := sm.NewListSecretsPaginator(b.sm, &sm.ListSecretsInput{MaxResults: aws.Int32(1)})
		n := 0
		for ; pages.HasMorePages(); n++ {
			for _, s := range must[*sm.ListSecretsOutput](t)(pages.NextPage(ctx)).SecretList {
				names = append(names, *s.Name)
			}
		}
		want := slices.Sorted(maps.Values(b.scenario.Secrets))
		slices.Sort(names)
		if diff := cmp.Diff(want, names); diff != "" || n != map[bool]int{false: 3, true: 6}[empty] {
			t.Errorf("%d pages: %s", n, diff)
		}
	}
}

func TestVersionsArePaged(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		put(t, b, i)
	}
	var ids []string
	pages := sm.NewListSecretVersionIdsPaginator(b.sm, &sm.ListSecretVersionIdsInput{SecretId: aws.String(name), MaxResults: aws.Int32(2), IncludeDeprecated: aws.Bool(true)})
	for pages.HasMorePages() {
		for _, v := range must[*sm.ListSecretVersionIdsOutput](t)(pages.NextPage(ctx)).Versions {
			ids = append(ids, *v.VersionId)
			if v.KmsKeyIds[0] != store.DefaultKey {
				t.Errorf("under %v", v.KmsKeyIds)
			}
		}
	}
	if len(ids) != 5 || ids[4] != *token(3) {
		t.Errorf("listed %v", ids)
	}
}

func TestDeletedSecretsComeBackUntilTheirDay(t *testing.T) {
	b := newBench(t)
	must[*sm.DeleteSecretOutput](t)(b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String(name), RecoveryWindowInDays: aws.Int64(7)}))
	must[*sm.RestoreSecretOutput](t)(b.sm.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: aws.String(name)}))
	put(t, b, 1)
	must[*sm.DeleteSecretOutput](t)(b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String(name), RecoveryWindowInDays: aws.Int64(7)}))
	b.clock.Move(7 * 24 * time.Hour)
	_, err := b.sm.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: aws.String(name)})
	refused(t, err, 400, "ResourceNotFoundException", "")
	out := must[*sm.CreateSecretOutput](t)(b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String(name), SecretBinary: []byte{0, 1}, ClientRequestToken: token(5)}))
	again := must[*sm.CreateSecretOutput](t)(b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String(name), SecretBinary: []byte{0, 1}, ClientRequestToken: token(5)}))
	if *out.ARN != *again.ARN {
		t.Errorf("the same create twice made %s and %s", *out.ARN, *again.ARN)
	}
	v := must[*sm.GetSecretValueOutput](t)(b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(name)}))
	if string(v.SecretBinary) != "\x00\x01" || v.SecretString != nil {
		t.Errorf("binary value came back as %q %v", v.SecretBinary, v.SecretString)
	}
}

func TestUpdateSecret(t *testing.T) {
	b := newBench(t)
	in := &sm.UpdateSecretInput{SecretId: aws.String(name), SecretString: aws.String("u"), ClientRequestToken: token(7), KmsKeyId: aws.String("alias/k"), Description: aws.String("d")}
	must[*sm.UpdateSecretOutput](t)(b.sm.UpdateSecret(ctx, in))
	if s := b.world.Secret(name); s.At("AWSCURRENT").Text != "u" || s.At("AWSPREVIOUS").KmsKey != "alias/k" {
		t.Error("UpdateSecret didn't store the value and re-encrypt the labelled versions")
	}
	_, err := b.sm.UpdateSecret(ctx, in)
	refused(t, err, 400, "ResourceExistsException", "")
}
