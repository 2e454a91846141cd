package sandbox_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rastup/rekey/internal/sandbox"
)

func TestS3OnlyTheSandbox(t *testing.T) {
	b := newBench(t)
	s := shelf{b.s3, start, b.scenario.Bucket, true}
	t.Run("dates are the world's", func(t *testing.T) {
		b.clock.Move(1500 * time.Millisecond)
		must[*s3.PutObjectOutput](t)(s.put("d", "x", nil))
		o := must[*s3.HeadObjectOutput](t)(b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("d")}))
		l := must[*s3.ListObjectsV2Output](t)(b.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String("d")}))
		if !o.LastModified.Equal(start.Add(time.Second)) || !l.Contents[0].LastModified.Equal(start.Add(1500*time.Millisecond)) {
			t.Errorf("head says %v, the listing %v", o.LastModified, l.Contents[0].LastModified)
		}
		r := must[*http.Response](t)(http.Get(b.url))
		defer func() { _ = r.Body.Close() }()
		if r.Header.Get("Date") != "Mon, 23 Nov 2026 10:00:01 GMT" {
			t.Errorf("Date is %s", r.Header.Get("Date"))
		}
	})
	t.Run("a lock ends by the world's clock", func(t *testing.T) {
		out := must[*s3.PutObjectOutput](t)(s.put("ends", "x", locked(types.ObjectLockModeCompliance, start.Add(time.Hour))))
		b.clock.Move(time.Hour)
		must[*s3.DeleteObjectOutput](t)(b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("ends"), VersionId: out.VersionId}))
	})
	t.Run("the bucket's default", func(t *testing.T) {
		days := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}
		must[*s3.PutObjectLockConfigurationOutput](t)(b.s3.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: &s.bucket, ObjectLockConfiguration: days}))
		got := must[*s3.GetObjectLockConfigurationOutput](t)(b.s3.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket}))
		if r := got.ObjectLockConfiguration.Rule.DefaultRetention; *r.Days != 1 || r.Mode != types.ObjectLockRetentionModeGovernance {
			t.Errorf("the rule came back as %+v", r)
		}
		must[*s3.PutObjectOutput](t)(s.put("default", "x", nil))
		o := must[*s3.HeadObjectOutput](t)(b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("default")}))
		if o.ObjectLockMode != types.ObjectLockModeGovernance || !o.ObjectLockRetainUntilDate.Equal(b.clock.Now().AddDate(0, 0, 1).Truncate(time.Millisecond)) {
			t.Errorf("locked %s until %v", o.ObjectLockMode, o.ObjectLockRetainUntilDate)
		}
	})
	t.Run("a legal hold holds", func(t *testing.T) {
		out := must[*s3.PutObjectOutput](t)(s.put("hold", "x", func(in *s3.PutObjectInput) {
			in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatusOn
		}))
		_, err := b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("hold"), VersionId: out.VersionId, BypassGovernanceRetention: aws.Bool(true)})
		refused(t, err, 403, "AccessDenied", "Access Denied because object protected by object lock.")
		must[*s3.PutObjectLegalHoldOutput](t)(b.s3.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: &s.bucket, Key: aws.String("hold"), LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff}}))
		h := must[*s3.GetObjectLegalHoldOutput](t)(b.s3.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: &s.bucket, Key: aws.String("hold")}))
		if h.LegalHold.Status != types.ObjectLockLegalHoldStatusOff {
			t.Error("the hold stayed on")
		}
	})
	t.Run("a plain bucket", func(t *testing.T) {
		plain := aws.String("plain-bucket")
		must[*s3.CreateBucketOutput](t)(b.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: plain}))
		_, err := b.s3.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: plain})
		refused(t, err, 404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
		_, err = b.s3.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: plain, ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}})
		refused(t, err, 409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		p := shelf{b.s3, start, *plain, true}
		_, err = p.put("x", "x", locked(types.ObjectLockModeCompliance, start.Add(48*time.Hour)))
		refused(t, err, 400, "InvalidRequest", "Bucket is missing ObjectLockConfiguration")
		must[*s3.PutObjectOutput](t)(p.put("x", "x", nil))
		_, err = b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: plain, Key: aws.String("x"), BypassGovernanceRetention: aws.Bool(true)})
		refused(t, err, 400, "InvalidArgument", "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.")
		_, err = b.s3.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: plain, Key: aws.String("x")})
		refused(t, err, 400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
		v := must[*s3.GetBucketVersioningOutput](t)(b.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: plain}))
		if v.Status != "" {
			t.Errorf("versioning is %q before it was ever set", v.Status)
		}
	})
	t.Run("no lock on the object", func(t *testing.T) {
		fresh := newBench(t)
		p := shelf{fresh.s3, start, fresh.scenario.Bucket, true}
		must[*s3.PutObjectOutput](t)(p.put("free", "x", nil))
		_, err := fresh.s3.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &p.bucket, Key: aws.String("free")})
		refused(t, err, 404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
	})
	t.Run("permissions", func(t *testing.T) {
		b.world.Deny("*", "s3:BypassGovernanceRetention", "*")
		out := must[*s3.PutObjectOutput](t)(s.put("p", "x", locked(types.ObjectLockModeGovernance, start.Add(48*time.Hour))))
		_, err := b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("p"), VersionId: out.VersionId, BypassGovernanceRetention: aws.Bool(true)})
		refused(t, err, 403, "AccessDenied", `User: arn:aws:iam::111111111111:user/operator is not authorized to perform: s3:BypassGovernanceRetention on resource: "arn:aws:s3:::rekey-evidence/p" with an explicit deny in an identity-based policy`)
		b.world.Deny("*", "s3:ListBucket", "*")
		_, err = b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("none")})
		refused(t, err, 403, "AccessDenied", "Access Denied")
		b.world.Permit("*", "s3:ListBucket", "*")
		_, err = b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("none")})
		refused(t, err, 404, "NoSuchKey", "")
		_, err = b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String("e"), Body: strings.NewReader("x"), ExpectedBucketOwner: aws.String("222222222222")})
		refused(t, err, 403, "AccessDenied", "Access Denied")
	})
	t.Run("what it doesn't know", func(t *testing.T) {
		_, err := b.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &s.bucket, Key: aws.String("copy"), CopySource: aws.String(s.bucket + "/d")})
		refused(t, err, 501, "NotImplemented", "")
		_, err = s.put("t", "x", func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=b") })
		refused(t, err, 501, "NotImplemented", "")
		_, err = b.s3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &s.bucket})
		refused(t, err, 501, "NotImplemented", "")
	})
	t.Run("another Region", func(t *testing.T) {
		_, err := b.in("eu-west-1").s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("d")})
		refused(t, err, 400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'")
	})
	t.Run("a bucket elsewhere", func(t *testing.T) {
		there, far := b.in("eu-west-1"), aws.String("far-bucket")
		in := &s3.CreateBucketInput{Bucket: far, ObjectLockEnabledForBucket: aws.Bool(true)}
		_, err := there.s3.CreateBucket(ctx, in)
		refused(t, err, 400, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}
		must[*s3.CreateBucketOutput](t)(there.s3.CreateBucket(ctx, in))
		_, err = there.s3.CreateBucket(ctx, in)
		refused(t, err, 409, "BucketAlreadyOwnedByYou", "")
		h := must[*s3.HeadBucketOutput](t)(there.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: far}))
		l := must[*s3.GetBucketLocationOutput](t)(there.s3.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: far}))
		v := must[*s3.GetBucketVersioningOutput](t)(there.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: far}))
		if *h.BucketRegion != "eu-west-1" || l.LocationConstraint != "eu-west-1" || v.Status != types.BucketVersioningStatusEnabled {
			t.Errorf("it lies in %s, %s, versioning %s", *h.BucketRegion, l.LocationConstraint, v.Status)
		}
	})
	t.Run("the bucket in the host name", func(t *testing.T) {
		_, port, _ := strings.Cut(strings.TrimPrefix(b.url, "http://"), ":")
		c := config("http://localhost:"+port, sandbox.AccessKeyID, sandbox.SecretAccessKey, "")
		var host string
		c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host = addr
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		}}}
		must[*s3.HeadObjectOutput](t)(s3.NewFromConfig(c).HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("d")}))
		if host != s.bucket+".localhost:"+port {
			t.Errorf("the SDK asked %s: this test proves nothing any more", host)
		}
	})
	t.Run("ranges", func(t *testing.T) {
		must[*s3.PutObjectOutput](t)(s.put("range", "0123456789", nil))
		for asked, want := range map[string]string{"bytes=0-3": "0123", "bytes=-2": "89", "bytes=8-": "89", "bytes=3-1": "0123456789"} {
			o := must[*s3.GetObjectOutput](t)(b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("range"), Range: &asked}))
			if got := must[[]byte](t)(io.ReadAll(o.Body)); string(got) != want {
				t.Errorf("%s is %q, want %q", asked, got, want)
			}
		}
		_, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("range"), Range: aws.String("bytes=100-200")})
		refused(t, err, 416, "InvalidRange", "The requested range is not satisfiable")
	})
	if n := b.world.Count()["s3:PutObject"]; n == 0 {
		t.Error("no put was recorded")
	}
	var lost error
	b.world.Fail(func(sandbox.Call) error { return sandbox.ErrLost })
	if _, lost = s.put("lost", "x", absent); lost == nil {
		t.Error("a lost answer was answered")
	}
	b.world.Fail(nil)
	_, err := s.put("lost", "x", absent)
	refused(t, err, 412, "PreconditionFailed", "")
}
