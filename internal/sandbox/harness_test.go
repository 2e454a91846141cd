package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rastup/rekey/internal/sandbox"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// A bench is a seeded world with the real SDK's clients against it. Every answer is held against AWS's own
// description of the operation.
type bench struct {
	clock    *sandbox.Clock
	world    *sandbox.World
	scenario sandbox.Scenario
	url      string
	sm       *secretsmanager.Client
	s3       *s3.Client
	logs     *cloudwatchlogs.Client
	sts      *sts.Client
	iam      *iam.Client
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{clock: sandbox.NewClock(start)}
	b.world = sandbox.New(b.clock)
	var err error
	if b.scenario, err = sandbox.Seed(b.world); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(described(t, b.world.Handler()))
	t.Cleanup(server.Close)
	b.url = server.URL
	b.use(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))
	return b
}

func (b *bench) use(c aws.Config) {
	b.sm = secretsmanager.NewFromConfig(c)
	b.s3 = s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	b.logs = cloudwatchlogs.NewFromConfig(c)
	b.sts = sts.NewFromConfig(c)
	b.iam = iam.NewFromConfig(c)
}

// in is the same world from another Region.
func (b *bench) in(region string) *bench {
	other := *b
	c := config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, "")
	c.Region = region
	other.use(c)
	return &other
}

func config(url, id, secret, token string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
		HTTPClient: &http.Client{}, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// refused fails the test unless err is AWS's refusal with this status, code and text; text "" is not compared.
func refused(t *testing.T, err error, status int, code, text string) {
	t.Helper()
	var api smithy.APIError
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &answer) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if api.ErrorCode() != code || answer.HTTPStatusCode() != status {
		t.Errorf("got %d %s, want %d %s (%s)", answer.HTTPStatusCode(), api.ErrorCode(), status, code, api.ErrorMessage())
	}
	if text != "" && api.ErrorMessage() != text {
		t.Errorf("%s says\n\t%q, want\n\t%q", code, api.ErrorMessage(), text)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var ctx = context.Background()
