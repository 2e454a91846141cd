package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// A shelf is a place to run the S3 suite: the sandbox, or versitygw.
type shelf struct {
	s3     *s3.Client
	now    time.Time // of its clock, about
	bucket string    // with Object Lock
	real   bool      // it follows AWS where versitygw is known not to
}

func (s shelf) put(key, body string, more func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(body)}
	if more != nil {
		more(in)
	}
	return s.s3.PutObject(ctx, in)
}

// refused compares texts to the letter with AWS's only: versitygw ends some with a full stop.
func (s shelf) refused(t *testing.T, err error, status int, code, text string) {
	t.Helper()
	if !s.real {
		text = ""
	}
	refused(t, err, status, code, text)
}

func locked(mode types.ObjectLockMode, until time.Time) func(*s3.PutObjectInput) {
	return func(in *s3.PutObjectInput) {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ChecksumAlgorithm = mode, &until, types.ChecksumAlgorithmSha256
	}
}

func absent(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }

func TestS3OfTheSandbox(t *testing.T) {
	b := newBench(t)
	suiteS3(t, shelf{b.s3, start, b.scenario.Bucket, true})
}

// TestS3OfVersityGW runs the same suite against an independent implementation, which keeps the suite honest.
func TestS3OfVersityGW(t *testing.T) {
	suiteS3(t, versitygw(t))
}

func suiteS3(t *testing.T, s shelf) {
	t.Run("conditions", func(t *testing.T) { conditionsS3(t, s) })
	t.Run("one of 32 writers wins", func(t *testing.T) { raceS3(t, s) })
	t.Run("locks", func(t *testing.T) { locksS3(t, s) })
	t.Run("versions", func(t *testing.T) { versionsS3(t, s) })
	t.Run("missing things", func(t *testing.T) { missingS3(t, s) })
	t.Run("checksums", func(t *testing.T) { checksumsS3(t, s) })
}

func conditionsS3(t *testing.T, s shelf) {
	first := must[*s3.PutObjectOutput](t)(s.put("c/1", "one", absent))
	_, err := s.put("c/1", "one", absent)
	s.refused(t, err, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	_, err = s.put("c/1", "two", func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"0123"`) })
	s.refused(t, err, 412, "PreconditionFailed", "")
	must[*s3.PutObjectOutput](t)(s.put("c/1", "two", func(in *s3.PutObjectInput) { in.IfMatch = first.ETag }))
	if !s.real {
		return
	}
	for what, more := range map[string]func(*s3.PutObjectInput){
		"another value": func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String(`"0123"`) },
		"If-Match: *":   func(in *s3.PutObjectInput) { in.IfMatch = aws.String("*") },
		"both":          func(in *s3.PutObjectInput) { in.IfMatch, in.IfNoneMatch = first.ETag, aws.String("*") },
	} {
		_, err := s.put("c/1", what, more)
		s.refused(t, err, 501, "NotImplemented", "A header you provided implies functionality that is not implemented")
	}
	must[*s3.DeleteObjectOutput](t)(s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("c/1")}))
	_, err = s.put("c/1", "x", func(in *s3.PutObjectInput) { in.IfMatch = first.ETag })
	s.refused(t, err, 404, "NoSuchKey", "The specified key does not exist.")
	must[*s3.PutObjectOutput](t)(s.put("c/1", "after the marker", absent))
}

func raceS3(t *testing.T, s shelf) {
	var won, lost sync.Map
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			out, err := s.put("race", fmt.Sprint(i), absent)
			var api smithy.APIError
			switch {
			case err == nil:
				won.Store(i, *out.VersionId)
			case errors.As(err, &api) && (api.ErrorCode() == "PreconditionFailed" || api.ErrorCode() == "ConditionalRequestConflict"):
				lost.Store(i, true)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	l := must[*s3.ListObjectVersionsOutput](t)(s.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: aws.String("race")}))
	if n != 1 || len(l.Versions) != 1 {
		t.Errorf("%d writers won, %d versions are stored", n, len(l.Versions))
	}
}

func locksS3(t *testing.T, s shelf) {
	until := s.now.Add(48 * time.Hour).Truncate(time.Second)
	put := must[*s3.PutObjectOutput](t)(s.put("l/1", "kept", locked(types.ObjectLockModeCompliance, until)))
	destroy := func(key string, version *string, bypass bool) error {
		in := &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key, VersionId: version}
		if bypass {
			in.BypassGovernanceRetention = &bypass
		}
		_, err := s.s3.DeleteObject(ctx, in)
		return err
	}
	retain := func(key string, version *string, mode types.ObjectLockRetentionMode, until time.Time, bypass bool) error {
		in := &s3.PutObjectRetentionInput{Bucket: &s.bucket, Key: &key, VersionId: version, Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}}
		if bypass {
			in.BypassGovernanceRetention = &bypass
		}
		_, err := s.s3.PutObjectRetention(ctx, in)
		return err
	}
	const text = "Access Denied because object protected by object lock."
	s.refused(t, destroy("l/1", put.VersionId, false), 403, "AccessDenied", text)
	s.refused(t, destroy("l/1", put.VersionId, true), 403, "AccessDenied", text)
	s.refused(t, retain("l/1", put.VersionId, types.ObjectLockRetentionModeCompliance, until.Add(-time.Hour), true), 403, "AccessDenied", text)
	s.refused(t, retain("l/1", put.VersionId, types.ObjectLockRetentionModeGovernance, until.Add(time.Hour), true), 403, "AccessDenied", text)
	check1(t, retain("l/1", put.VersionId, types.ObjectLockRetentionModeCompliance, until.Add(time.Hour), false))
	got := must[*s3.GetObjectRetentionOutput](t)(s.s3.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.bucket, Key: aws.String("l/1"), VersionId: put.VersionId}))
	if got.Retention.Mode != types.ObjectLockRetentionModeCompliance || !got.Retention.RetainUntilDate.Equal(until.Add(time.Hour)) {
		t.Errorf("retention is %s until %v", got.Retention.Mode, got.Retention.RetainUntilDate)
	}
	governed := must[*s3.PutObjectOutput](t)(s.put("l/2", "kept", locked(types.ObjectLockModeGovernance, until)))
	s.refused(t, destroy("l/2", governed.VersionId, false), 403, "AccessDenied", text)
	s.refused(t, retain("l/2", governed.VersionId, types.ObjectLockRetentionModeGovernance, until.Add(-time.Hour), false), 403, "AccessDenied", text)
	check1(t, retain("l/2", governed.VersionId, types.ObjectLockRetentionModeGovernance, until.Add(-time.Hour), true))
	check1(t, destroy("l/2", governed.VersionId, true))
	_, err := s.put("l/3", "x", locked(types.ObjectLockModeCompliance, s.now.Add(-time.Hour)))
	if s.real {
		s.refused(t, err, 400, "InvalidArgument", "The retain until date must be in the future!")
		s.refused(t, retain("l/1", put.VersionId, types.ObjectLockRetentionModeCompliance, s.now.Add(-time.Hour), false), 400, "InvalidArgument", "The retain until date must be in the future!")
		_, err = s.put("l/3", "x", func(in *s3.PutObjectInput) { in.ObjectLockMode = types.ObjectLockModeCompliance })
		s.refused(t, err, 400, "InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
		check1(t, destroy("l/1", nil, false))
		s.refused(t, retain("l/1", nil, types.ObjectLockRetentionModeCompliance, until.Add(2*time.Hour), false), 405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	} else if err == nil {
		t.Error("a lock that ended in the past was accepted")
	}
	_, err = s.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &s.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
	status := http.StatusConflict
	if !s.real {
		status = http.StatusBadRequest // AWS's 409 is recorded
	}
	s.refused(t, err, status, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
}

func versionsS3(t *testing.T, s shelf) {
	for i := range 3 {
		must[*s3.PutObjectOutput](t)(s.put("v/a", fmt.Sprint(i), nil))
	}
	must[*s3.PutObjectOutput](t)(s.put("v/b/1", "b", nil))
	must[*s3.DeleteObjectOutput](t)(s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("v/a")}))
	var seen []string
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: aws.String("v/"), MaxKeys: aws.Int32(2)}
	for pages := s3.NewListObjectVersionsPaginator(s.s3, in); pages.HasMorePages(); {
		page := must[*s3.ListObjectVersionsOutput](t)(pages.NextPage(ctx))
		for _, m := range page.DeleteMarkers {
			seen = append(seen, fmt.Sprint(*m.Key, " marker ", *m.IsLatest))
		}
		for _, v := range page.Versions {
			o := must[*s3.GetObjectOutput](t)(s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: v.Key, VersionId: v.VersionId}))
			body := must[[]byte](t)(io.ReadAll(o.Body))
			seen = append(seen, fmt.Sprint(*v.Key, " ", string(body), " ", *v.IsLatest))
		}
	}
	if got, want := strings.Join(seen, ", "), "v/a marker true, v/a 2 false, v/a 1 false, v/a 0 false, v/b/1 b true"; got != want {
		t.Errorf("listed %s\nwant %s", got, want)
	}
	l := must[*s3.ListObjectsV2Output](t)(s.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String("v/"), Delimiter: aws.String("/")}))
	if len(l.Contents) != 0 || len(l.CommonPrefixes) != 1 || *l.CommonPrefixes[0].Prefix != "v/b/" {
		t.Errorf("with a delimiter: %d keys, %d prefixes", len(l.Contents), len(l.CommonPrefixes))
	}
	strange := "v/é +&<>?#%.json"
	must[*s3.PutObjectOutput](t)(s.put(strange, "x", nil))
	l = must[*s3.ListObjectsV2Output](t)(s.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String("v/é")}))
	if len(l.Contents) != 1 || *l.Contents[0].Key != strange {
		t.Errorf("a strange key came back as %v", l.Contents)
	}
}

func missingS3(t *testing.T, s shelf) {
	get := func(bucket, key string, version *string) error {
		_, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: version})
		return err
	}
	s.refused(t, get("rekey-nowhere", "x", nil), 404, "NoSuchBucket", "The specified bucket does not exist")
	s.refused(t, get(s.bucket, "m/none", nil), 404, "NoSuchKey", "The specified key does not exist.")
	_, err := s.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("m/none")})
	s.refused(t, err, 404, "NotFound", "")
	must[*s3.PutObjectOutput](t)(s.put("m/gone", "x", nil))
	out := must[*s3.DeleteObjectOutput](t)(s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("m/gone")}))
	s.refused(t, get(s.bucket, "m/gone", nil), 404, "NoSuchKey", "")
	s.refused(t, get(s.bucket, "m/gone", out.VersionId), 405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

func checksumsS3(t *testing.T, s shelf) {
	for _, algorithm := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme} {
		must[*s3.PutObjectOutput](t)(s.put("sum", "body", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = algorithm }))
		h := must[*s3.HeadObjectOutput](t)(s.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("sum"), ChecksumMode: types.ChecksumModeEnabled}))
		got := map[types.ChecksumAlgorithm]*string{types.ChecksumAlgorithmCrc32: h.ChecksumCRC32, types.ChecksumAlgorithmSha256: h.ChecksumSHA256, types.ChecksumAlgorithmCrc64nvme: h.ChecksumCRC64NVME}[algorithm]
		if got == nil || *got == "" {
			t.Errorf("%s doesn't come back", algorithm)
		}
	}
	_, err := s.put("sum", "body", func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") })
	s.refused(t, err, 400, "BadDigest", "")
}

// versitygw starts one on an empty folder. Where it isn't installed the test says so, and fails under CI.
func versitygw(t *testing.T) shelf {
	t.Helper()
	path, err := exec.LookPath("versitygw")
	if err != nil {
		home, _ := os.UserHomeDir()
		path = filepath.Join(home, "go", "bin", "versitygw")
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("versitygw is not installed: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
			}
			t.Skip("versitygw is not installed")
		}
	}
	data, versions := t.TempDir(), t.TempDir()
	addr := freePort(t)
	life, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(life, path, "--port", addr, "--region", "us-east-1", "posix", "--versioning-dir", versions, data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=key", "ROOT_SECRET_KEY=secret")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	check1(t, cmd.Start())
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	awaitPort(t, addr)
	c := s3.NewFromConfig(config("http://"+addr, "key", "secret", ""), func(o *s3.Options) { o.UsePathStyle = true })
	_, err = c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("rekey-evidence"), ObjectLockEnabledForBucket: aws.Bool(true)})
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return shelf{c, time.Now(), "rekey-evidence", false}
}

func freePort(t *testing.T) string {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// awaitPort waits until somebody listens.
func awaitPort(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nobody listens on %s", addr)
		}
	}
}
