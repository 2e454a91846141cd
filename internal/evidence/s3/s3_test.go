package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/evidencetest"
	"github.com/rastup/rekey/internal/evidence/s3"
	"github.com/rastup/rekey/internal/sandbox"
)

const bucket = "rastup-audit"

// client speaks to a server on loopback; its retries don't wait.
func client(url string, via http.RoundTripper, attempts int) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &url, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
		HTTPClient:  &http.Client{Transport: via},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, time.Millisecond
		}),
	})
}

// A loser loses the answer to the first PUT that was carried out.
type loser struct{ lost atomic.Int32 }

func (l *loser) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && resp.StatusCode == 200 && l.lost.CompareAndSwap(0, 1) {
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return resp, err
}

func makeBucket(t *testing.T, c *sdk.Client) {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
}

func store(t *testing.T, c *sdk.Client, now func() time.Time) *s3.Store {
	t.Helper()
	s, err := s3.New(s3.Options{Client: c, Bucket: bucket, Prefix: "evidence", Mode: types.ObjectLockModeCompliance, Retain: 48 * time.Hour, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// subject is a store in a new bucket at url, and an outsider with the same rights.
func subject(t *testing.T, url string, now func() time.Time, attempts int) evidencetest.Subject {
	outsider := client(url, http.DefaultTransport, 1)
	makeBucket(t, outsider)
	key := func(name string) *string { return aws.String("evidence/" + name) }
	l := &loser{}
	t.Cleanup(func() {
		if strings.Contains(t.Name(), "lost") && l.lost.Load() == 0 {
			t.Error("no answer was lost: the test proves nothing")
		}
	})
	return evidencetest.Subject{
		Store: store(t, client(url, http.DefaultTransport, attempts), now),
		Lossy: store(t, client(url, l, attempts), now),
		Overwrite: func(name string, data []byte) error {
			_, err := outsider.PutObject(context.Background(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: key(name), Body: bytes.NewReader(data)})
			return err
		},
		Delete: func(name string) error {
			_, err := outsider.DeleteObject(context.Background(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: key(name)})
			return err
		},
		Destroy: func(name string) (versions, gone bool) {
			out, err := outsider.ListObjectVersions(context.Background(), &sdk.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: key(name)})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range out.Versions {
				_, err := outsider.DeleteObject(context.Background(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: v.Key, VersionId: v.VersionId})
				versions, gone = true, gone || err == nil
			}
			return versions, gone
		},
	}
}

func serve(t *testing.T) (url string, w *sandbox.World, clock *sandbox.Clock) {
	t.Helper()
	clock = sandbox.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	w = sandbox.New(clock)
	w.AddKey("AKIDTEST", "secret", "arn:aws:iam::111122223333:user/auditor")
	ctx, cancel := context.WithCancel(context.Background())
	srv, err := sandbox.Serve(ctx, w, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := srv.Wait(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL(), w, clock
}

func TestConformanceInSandbox(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d attempts", attempts), func(t *testing.T) {
			start := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
			evidencetest.Run(t, evidencetest.Config{Now: func() time.Time { return start }, New: func(t *testing.T) evidencetest.Subject {
				url, _, clock := serve(t)
				return subject(t, url, clock.Now, attempts)
			}})
		})
	}
}

func TestConcurrentWritesThatConflictAreTriedAgain(t *testing.T) {
	url, w, clock := serve(t)
	c := client(url, http.DefaultTransport, 3)
	makeBucket(t, c)
	var conflicts atomic.Int32
	w.Fail(func(call sandbox.Call) error {
		if call.Operation == "PutObject" && conflicts.Add(1) <= 2 {
			return &sandbox.Error{Status: 409, Code: "ConditionalRequestConflict", Message: "The conditional request cannot succeed due to a conflicting operation against this resource."}
		}
		return nil
	})
	if err := store(t, c, clock.Now).Create(t.Context(), "a/1", []byte("x")); err != nil || conflicts.Load() != 3 {
		t.Errorf("%v after %d tries", err, conflicts.Load())
	}
}

func TestARefusalShowsNoBody(t *testing.T) {
	url, w, clock := serve(t)
	c := client(url, http.DefaultTransport, 1)
	makeBucket(t, c)
	w.Fail(func(call sandbox.Call) error {
		return &sandbox.Error{Status: 403, Code: "AccessDenied", Message: "hunter2 from the body"}
	})
	s := store(t, c, clock.Now)
	_, readErr := s.Read(t.Context(), "a/1")
	_, listErr := s.List(t.Context(), "a/")
	for _, err := range []error{s.Create(t.Context(), "a/1", nil), readErr, listErr, s.Check(t.Context())} {
		var r *s3.Refusal
		if !errors.As(err, &r) || r.Code != "AccessDenied" || r.Status != 403 || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestCheckNamesWhatTheBucketLacks(t *testing.T) {
	url, _, clock := serve(t)
	c := client(url, http.DefaultTransport, 1)
	s := store(t, c, clock.Now)
	expect := func(want string) {
		t.Helper()
		if err := s.Check(t.Context()); err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	expect("evidence bucket rastup-audit: there is no such bucket")
	if _, err := c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	expect("evidence bucket rastup-audit: versioning is off")
	if _, err := c.PutBucketVersioning(t.Context(), &sdk.PutBucketVersioningInput{Bucket: aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	expect("evidence bucket rastup-audit: Object Lock is off")
	if _, err := c.PutObjectLockConfiguration(t.Context(), &sdk.PutObjectLockConfigurationInput{Bucket: aws.String(bucket),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}}); err != nil {
		t.Fatal(err)
	}
	expect("")
}

func TestAStoreWithoutLockTermsIsRefused(t *testing.T) {
	good := s3.Options{Client: &sdk.Client{}, Bucket: bucket, Mode: types.ObjectLockModeGovernance, Retain: 24 * time.Hour, Clock: time.Now}
	for name, spoil := range map[string]func(*s3.Options){
		"no mode":      func(o *s3.Options) { o.Mode = "" },
		"no retention": func(o *s3.Options) { o.Retain = 0 },
		"no clock":     func(o *s3.Options) { o.Clock = nil },
		"no bucket":    func(o *s3.Options) { o.Bucket = "" },
	} {
		o := good
		spoil(&o)
		if _, err := s3.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := s3.New(good); err != nil {
		t.Error(err)
	}
}

func TestEveryWriteIsConditionalLockedAndChecked(t *testing.T) {
	url, _, clock := serve(t)
	makeBucket(t, client(url, http.DefaultTransport, 1))
	var puts []http.Header
	c := client(url, roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			puts = append(puts, r.Header.Clone())
		} else if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		return http.DefaultTransport.RoundTrip(r)
	}), 1)
	s := store(t, c, clock.Now)
	if err := s.Create(t.Context(), "a/1.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), "a/1.json"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"If-None-Match":                       "*",
		"X-Amz-Object-Lock-Mode":              "COMPLIANCE",
		"X-Amz-Object-Lock-Retain-Until-Date": "2026-11-25T09:00:00Z",
		"X-Amz-Checksum-Sha256":               "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=",
		"Content-Type":                        "application/json",
	}
	for k, v := range want {
		if len(puts) != 1 || puts[0].Get(k) != v {
			t.Errorf("%s: %q, want %q", k, puts[0].Get(k), v)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnAnswerWithoutADateIsNoClock(t *testing.T) {
	c := client("http://127.0.0.1:1", roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader("<ListVersionsResult/>"))}, nil
	}), 1)
	if _, err := store(t, c, time.Now).List(t.Context(), "a/"); err == nil || !strings.Contains(err.Error(), "no Date") {
		t.Errorf("%v", err)
	}
}

var _ evidence.LockReader = (*s3.Store)(nil)
