package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/rastup/rekey/internal/rotation"
	"golang.org/x/time/rate"
)

// gate is a fence that lets through as often as it has passes left.
type gate struct {
	mu         sync.Mutex
	left       int
	asked      []time.Duration
	unanswered int
}

func (g *gate) Pass(limit time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, limit)
	if g.left == 0 {
		return rotation.ErrNoLease
	}
	g.left--
	return nil
}

func (g *gate) Unanswered() { g.mu.Lock(); g.unanswered++; g.mu.Unlock() }

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answers makes a session whose calls get these answers in turn, the last one again and again; sent counts them.
func answers(t *testing.T, o Options, list ...trip) (s *Session, sent *atomic.Int32) {
	t.Helper()
	sent = new(atomic.Int32)
	o.Region, o.Endpoint = "eu-central-1", "http://aws.test"
	o.Credentials = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", "")
	o.Writes = rate.NewLimiter(rate.Inf, 1)
	o.Transport = trip(func(r *http.Request) (*http.Response, error) {
		return list[min(int(sent.Add(1)), len(list))-1](r)
	})
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s, sent
}

func status(code int, body string) trip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{"X-Amzn-Requestid": {"req-1"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func broken(err error) trip { return func(*http.Request) (*http.Response, error) { return nil, err } }

func put(ctx context.Context, s *Session) error {
	_, err := s.SecretsManager().PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("hunter2")})
	return err
}

func TestNoChangingCallLeavesWithoutALease(t *testing.T) {
	for name, call := range map[string]func(context.Context, *Session) error{
		"PutSecretValue": put,
		"UpdateSecretVersionStage": func(ctx context.Context, s *Session) error {
			_, err := s.SecretsManager().UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: aws.String("x")})
			return err
		},
		"TagResource": func(ctx context.Context, s *Session) error {
			_, err := s.SecretsManager().TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("a"), Tags: []smtypes.Tag{}})
			return err
		},
		"PutObject": func(ctx context.Context, s *Session) error {
			_, err := s.S3().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("x")})
			return err
		},
		"PutLogEvents": func(ctx context.Context, s *Session) error {
			_, err := s.Logs().PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s"),
				LogEvents: []logstypes.InputLogEvent{{Message: aws.String("m"), Timestamp: aws.Int64(1)}}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, sent := answers(t, Options{}, status(200, "{}"))
			err := call(t.Context(), s)
			if !errors.Is(err, rotation.ErrNoLease) {
				t.Errorf("got %v, want ErrNoLease", err)
			}
			if !errors.Is(Judge(err, "try"), rotation.ErrNoLease) {
				t.Errorf("Judge loses ErrNoLease: %v", Judge(err, "try"))
			}
			if n := sent.Load(); n != 0 {
				t.Errorf("%d calls left", n)
			}
			if err := call(rotation.WithFence(t.Context(), &gate{left: 1}), s); err != nil {
				t.Errorf("with a lease: %v", err)
			}
		})
	}
}

func TestReadsLeaveWithoutALease(t *testing.T) {
	s, sent := answers(t, Options{}, status(200, "{}"))
	if _, err := s.SecretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	if sent.Load() != 1 {
		t.Errorf("%d calls left, want 1", sent.Load())
	}
}

func TestUnfencedEvidenceLeavesWithoutALease(t *testing.T) {
	s, sent := answers(t, Options{Unfenced: true}, status(200, ""), broken(io.ErrUnexpectedEOF))
	if _, err := s.S3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	if sent.Load() != 1 {
		t.Errorf("%d calls left, want 1", sent.Load())
	}
	g := &gate{}
	_, _ = s.S3().PutObject(rotation.WithFence(t.Context(), g), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("x")},
		func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	if sent.Load() != 2 || len(g.asked)+g.unanswered != 0 {
		t.Errorf("%d calls left, want 2; the rotation's fence was asked %d times and told %d times", sent.Load(), len(g.asked), g.unanswered)
	}
}

// A session that is let one operation through is let no other.
func TestOneUnfencedCallLeavesWithoutALease(t *testing.T) {
	s, sent := answers(t, Options{UnfencedCall: "CloudWatch PutMetricData"}, status(200, ""))
	_, _ = s.CloudWatch().PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Rekey"), MetricData: []cloudwatchtypes.MetricDatum{}},
		func(o *cloudwatch.Options) { o.Retryer = aws.NopRetryer{} })
	if sent.Load() != 1 {
		t.Errorf("%d calls left, want 1", sent.Load())
	}
	if err := put(t.Context(), s); !errors.Is(err, rotation.ErrNoLease) || sent.Load() != 1 {
		t.Errorf("another call: %v, %d left", err, sent.Load())
	}
	if _, err := s.CloudWatch().PutDashboard(t.Context(), &cloudwatch.PutDashboardInput{DashboardName: aws.String("a"), DashboardBody: aws.String("{}")}); !errors.Is(err, rotation.ErrNoLease) || sent.Load() != 1 {
		t.Errorf("another call of the service: %v, %d left", err, sent.Load())
	}
}

func TestEveryAttemptPassesTheFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the SDK waits between attempts
		s, sent := answers(t, Options{CallLimit: 7 * time.Second}, status(500, `{"__type":"InternalServiceError"}`))
		g := &gate{left: 2}
		err := put(rotation.WithFence(t.Context(), g), s)
		if !errors.Is(err, rotation.ErrNoLease) {
			t.Errorf("got %v, want ErrNoLease at the third attempt", err)
		}
		if sent.Load() != 2 || len(g.asked) != 3 {
			t.Errorf("%d attempts left after %d questions, want 2 after 3", sent.Load(), len(g.asked))
		}
		for _, limit := range g.asked {
			if limit != 7*time.Second {
				t.Errorf("asked for %s, want the call's limit", limit)
			}
		}
		if g.unanswered != 0 {
			t.Errorf("a complete 500 was reported as unanswered")
		}
	})
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (cutOff) Close() error             { return nil }

func TestUnansweredIsWhatLeftAndGotNoCompleteAnswer(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	hang := trip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	half := trip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: cutOff{}}, nil
	})
	for _, tt := range []struct {
		name   string
		answer trip
		want   int // of three attempts
	}{
		{"connection reset", broken(reset), 3},
		{"time limit", hang, 3},
		{"answer cut off", half, 3},
		{"never connected", broken(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), 0},
		{"200", status(200, "{}"), 0},
		{"400", status(400, `{"__type":"InvalidRequestException","Message":"no"}`), 0},
		{"500", status(500, ""), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := answers(t, Options{}, tt.answer)
				g := &gate{left: 9}
				_ = put(rotation.WithFence(t.Context(), g), s)
				if g.unanswered != tt.want {
					t.Errorf("%d unanswered, want %d", g.unanswered, tt.want)
				}
			})
		})
	}
}

func TestOnceRepeatsOnlyWhatAWSDidNotTake(t *testing.T) {
	for _, tt := range []struct {
		name        string
		answer      trip
		once, retry int32
	}{
		{"lost answer", broken(io.ErrUnexpectedEOF), 1, 3},
		{"server error", status(500, ""), 1, 3},
		{"throttled", status(400, `{"__type":"ThrottlingException"}`), 3, 3},
		{"exhausted quota", status(400, `{"__type":"LimitExceededException"}`), 1, 1},
		{"refused", status(400, `{"__type":"InvalidParameterException"}`), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for name, o := range map[string]func(*secretsmanager.Options){"once": func(o *secretsmanager.Options) { o.Retryer = Once() }, "retry": func(*secretsmanager.Options) {}} {
					s, sent := answers(t, Options{}, tt.answer)
					_, _ = s.SecretsManager().TagResource(rotation.WithFence(t.Context(), &gate{left: 9}),
						&secretsmanager.TagResourceInput{SecretId: aws.String("a"), Tags: []smtypes.Tag{}}, o)
					want := map[string]int32{"once": tt.once, "retry": tt.retry}[name]
					if sent.Load() != want {
						t.Errorf("%s: %d attempts, want %d", name, sent.Load(), want)
					}
				}
			})
		})
	}
}

func TestASignedCallIsNotSentToWhereARedirectSays(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the value went elsewhere") }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	s, err := Open(t.Context(), Options{Region: "eu-central-1", Endpoint: here.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(rotation.WithFence(t.Context(), &gate{left: 9}), s); err == nil {
		t.Error("a redirect counts as success")
	}
}

func TestWritesWaitForTheirTurnBeforeTheFence(t *testing.T) {
	s, sent := answers(t, Options{}, status(200, "{}"))
	s.cfg.HTTPClient.(*http.Client).Transport.(*fence).writes = rate.NewLimiter(rate.Every(time.Hour), 1)
	g := &gate{left: 9}
	ctx, cancel := context.WithTimeout(rotation.WithFence(t.Context(), g), time.Minute)
	defer cancel()
	if err := put(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, s); err == nil || sent.Load() != 1 || len(g.asked) != 1 {
		t.Errorf("error %v, %d calls left, fence asked %d times; want the second refused before the fence", err, sent.Load(), len(g.asked))
	}
	if _, err := s.SecretsManager().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")}); err != nil {
		t.Errorf("a read waits for the writes' turn: %v", err)
	}
}

func TestEveryReadOfTheListExistsInItsService(t *testing.T) {
	clients := map[string]any{"Secrets Manager": &secretsmanager.Client{}, "S3": &s3.Client{}, "CloudWatch Logs": &cloudwatchlogs.Client{},
		"KMS": &kms.Client{}, "CloudTrail": &cloudtrail.Client{}, "ECS": &ecs.Client{}}
	for service, c := range clients {
		for _, op := range reads[service] {
			if !hasMethod(c, op) {
				t.Errorf("%s has no operation %s", service, op)
			}
		}
	}
	for _, id := range []string{secretsmanager.ServiceID, s3.ServiceID, cloudwatchlogs.ServiceID, kms.ServiceID, cloudtrail.ServiceID, ecs.ServiceID} {
		if len(reads[id]) == 0 {
			t.Error(fmt.Sprint("no reads listed for service ID ", id))
		}
	}
	if Reads("Secrets Manager", "PutSecretValue") || Reads("", "") || Reads("KMS", "DisableKey") {
		t.Error("what isn't listed counts as a read")
	}
}
