package sandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rastup/rekey/internal/sandbox"
	store "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

func TestAPersonsHands(t *testing.T) {
	b := newBench(t)
	w := b.world
	old := w.Secret(name).Labels["AWSCURRENT"]
	fresh := must[string](t)(w.PutByHand(name, "by hand", "AWSPENDING"))
	check1(t, w.SecretsManager.MoveByHand(sandbox.Home, name, "AWSCURRENT", fresh, start))
	check1(t, w.SecretsManager.MoveByHand(sandbox.Home, name, "AWSPENDING", "", start))
	check1(t, w.SecretsManager.TagByHand(sandbox.Home, name, start, store.Tag{Key: "a", Value: "1"}, store.Tag{Key: "a", Value: "2"}))
	check1(t, w.SecretsManager.SetRotation(sandbox.Home, name, true, start))
	if err := w.SecretsManager.MoveByHand(sandbox.Home, name, "x", "nothing", start); err == nil {
		t.Error("moved a label to a version that isn't there")
	}
	if err := w.SecretsManager.TagByHand(sandbox.Home, "nothing", start); err == nil {
		t.Error("tagged a secret that isn't there")
	}
	s := w.Secret(name)
	if s.At("AWSCURRENT").Text != "by hand" || s.Labels["AWSPREVIOUS"] != old || len(s.Labels) != 2 || s.Tags["a"] != "2" {
		t.Errorf("labels %v, tags %v", s.Labels, s.Tags)
	}
	d := must[*sm.DescribeSecretOutput](t)(b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)}))
	if !aws.ToBool(d.RotationEnabled) {
		t.Error("rotation isn't shown")
	}
	if calls := w.Calls(); len(calls) != 1 {
		t.Errorf("%d calls are recorded, want the one that was made", len(calls))
	}
	if w.Secret("nothing").Name != "" {
		t.Error("a secret that isn't there was found")
	}
	w.DropKey(sandbox.AccessKeyID)
	_, err := b.sm.ListSecrets(ctx, &sm.ListSecretsInput{})
	refused(t, err, 400, "UnrecognizedClientException", "The security token included in the request is invalid.")
}

func TestListSecretsFilters(t *testing.T) {
	b := newBench(t)
	check1(t, b.world.SecretsManager.TagByHand(sandbox.Home, name, start, store.Tag{Key: "team", Value: "payments"}))
	check1(t, b.world.SecretsManager.SetOwner(sandbox.Home, "rekey/prod/app-database", "rds", start))
	for _, c := range []struct {
		key  types.FilterNameStringType
		text string
		want int
	}{
		{"name", "rekey/dev", 1}, {"name", "rekey/", 3}, {"name", "!rekey/dev", 2}, {"tag-key", "team", 1}, {"tag-value", "pay", 1},
		{"tag-value", "x", 0}, {"owning-service", "rds", 1}, {"description", "x", 0}, {"primary-region", "us-east-1", 3},
	} {
		l := must[*sm.ListSecretsOutput](t)(b.sm.ListSecrets(ctx, &sm.ListSecretsInput{SortOrder: types.SortOrderTypeDesc, Filters: []types.Filter{{Key: c.key, Values: []string{c.text}}}}))
		if len(l.SecretList) != c.want {
			t.Errorf("%s %q finds %d, want %d", c.key, c.text, len(l.SecretList), c.want)
		}
	}
	_, err := b.sm.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "all", Values: []string{"x"}}}})
	refused(t, err, 400, "InvalidParameterException", "")
}

func TestMoreSecretsManagerRefusals(t *testing.T) {
	b := newBench(t)
	id := aws.String(name)
	fifty := func(n int) (l []types.Tag) {
		for i := range n {
			l = append(l, types.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
		}
		return l
	}
	tag := func(l ...types.Tag) error {
		_, err := b.sm.TagResource(ctx, &sm.TagResourceInput{SecretId: id, Tags: l})
		return err
	}
	put := func(in sm.PutSecretValueInput) error {
		in.SecretId = id
		_, err := b.sm.PutSecretValue(ctx, &in)
		return err
	}
	destroy := func(in sm.DeleteSecretInput) error {
		in.SecretId = id
		_, err := b.sm.DeleteSecret(ctx, &in)
		return err
	}
	current := b.world.Secret(name).Labels["AWSCURRENT"]
	check1(t, tag(fifty(50)...))
	for what, c := range map[string]struct {
		err        error
		code, text string
	}{
		"51 tags":              {tag(types.Tag{Key: aws.String("more"), Value: aws.String("v")}), "InvalidParameterException", ""},
		"reserved tag":         {tag(types.Tag{Key: aws.String("aws:x"), Value: aws.String("v")}), "InvalidParameterException", ""},
		"duplicate tag":        {tag(fifty(1)[0], fifty(1)[0]), "InvalidParameterException", ""},
		"no value":             {put(sm.PutSecretValueInput{}), "InvalidRequestException", "You must provide either SecretString or SecretBinary."},
		"two values":           {put(sm.PutSecretValueInput{SecretString: aws.String("x"), SecretBinary: []byte("x")}), "InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret."},
		"long label":           {put(sm.PutSecretValueInput{SecretString: aws.String("x"), VersionStages: []string{strings.Repeat("l", 257)}}), "InvalidParameterException", ""},
		"short window":         {destroy(sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(1)}), "InvalidParameterException", ""},
		"window and force":     {destroy(sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)}), "InvalidParameterException", ""},
		"move nothing":         {move(b, "AWSCURRENT", "", ""), "InvalidParameterException", ""},
		"move to no version":   {move(b, "AWSCURRENT", current, *token(9)), "ResourceNotFoundException", ""},
		"drop what isn't held": {move(b, "free", current, ""), "InvalidParameterException", ""},
	} {
		t.Run(what, func(t *testing.T) { refused(t, c.err, 400, c.code, c.text) })
	}
	if err := move(b, "AWSCURRENT", "", current); err != nil {
		t.Errorf("a label moved to where it is: %v", err)
	}
	b.world.Fail(func(c sandbox.Call) error { return sandbox.Broken(c) })
	refused(t, tag(fifty(1)...), 500, "InternalServiceError", "")
	b.world.Fail(nil)
	check1(t, destroy(sm.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}))
	refused(t, tag(fifty(1)...), 400, "ResourceNotFoundException", "")
}

// header sets a header before the request is signed.
func header(name, value string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error { return smithyhttp.AddHeaderValue(name, value)(stack) })
	}
}

func TestMoreS3Refusals(t *testing.T) {
	b := newBench(t)
	bucket, key := &b.scenario.Bucket, aws.String("k")
	put := func(more ...func(*s3.Options)) error {
		_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x")}, more...)
		return err
	}
	check1(t, put())
	_, noVersion := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: aws.String(strings.Repeat("v", 32))})
	_, badVersion := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("v")})
	_, badMode := b.s3.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: bucket, Key: key, Retention: &s3types.ObjectLockRetention{Mode: "NONE", RetainUntilDate: aws.Time(start.Add(time.Hour))}})
	_, half := b.s3.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: bucket, Key: key, Retention: &s3types.ObjectLockRetention{Mode: "GOVERNANCE"}})
	_, marker := b.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket, VersionIdMarker: aws.String("x")})
	_, token := b.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, ContinuationToken: aws.String("!")})
	_, bucketName := b.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("Not_A_Bucket")})
	_, long := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(strings.Repeat("k", 1025)), Body: strings.NewReader("x")})
	for what, c := range map[string]struct {
		err    error
		status int
		code   string
		text   string
	}{
		"no such version":         {noVersion, 404, "NoSuchVersion", "The specified version does not exist."},
		"no version id":           {badVersion, 400, "InvalidArgument", "Invalid version id specified"},
		"no mode of a lock":       {badMode, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"},
		"half a retention":        {half, 400, "MalformedXML", ""},
		"a version without a key": {marker, 400, "InvalidArgument", "A version-id marker cannot be specified without a key marker."},
		"no page":                 {token, 400, "InvalidArgument", "The continuation token provided is incorrect"},
		"no bucket name":          {bucketName, 400, "InvalidBucketName", "The specified bucket is not valid."},
		"a long key":              {long, 400, "KeyTooLongError", ""},
		"another body's MD5":      {put(header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")), 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		"no MD5":                  {put(header("Content-MD5", "x")), 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		"two checksums":           {put(header("X-Amz-Checksum-Sha1", "EfatjsUqKYSrqv18O1FlA3hcIHI="), header("X-Amz-Checksum-Crc32", "jNFnTA==")), 400, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
		"another bucket's owner":  {put(header("X-Amz-Expected-Bucket-Owner", "2")), 403, "AccessDenied", "Access Denied"},
	} {
		t.Run(what, func(t *testing.T) { refused(t, c.err, c.status, c.code, c.text) })
	}
}

func TestSuspendedVersioningKeepsOneNullVersion(t *testing.T) {
	b := newBench(t)
	bucket, key := aws.String("plain-bucket"), aws.String("k")
	must[*s3.CreateBucketOutput](t)(b.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	for i, status := range []s3types.BucketVersioningStatus{"", s3types.BucketVersioningStatusEnabled, s3types.BucketVersioningStatusSuspended} {
		if status != "" {
			must[*s3.PutBucketVersioningOutput](t)(b.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: status}}))
		}
		must[*s3.PutObjectOutput](t)(b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(fmt.Sprint(i))}))
	}
	v := b.world.S3.Versions(*bucket, "")
	if len(v) != 2 || v[0].ID != "null" || string(v[0].Body) != "2" || v[1].ID == "null" || string(v[1].Body) != "1" {
		t.Errorf("versions %+v", v)
	}
	forged := b.world.S3.PutByHand(b.scenario.Bucket, "journal/1.json", []byte("forged"), start)
	if l := b.world.S3.Versions(b.scenario.Bucket, "journal/"); len(l) != 1 || l[0].ID != forged {
		t.Errorf("put by hand: %+v", l)
	}
}
