package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/rastup/rekey/internal/rotation"
	"golang.org/x/time/rate"
)

// Defaults of Options.
const (
	DefaultCallLimit = 20 * time.Second
	// DefaultWriteRate is in changing calls a second: Secrets Manager takes 50 a second of all writes of an
	// account together (AWS Secrets Manager quotas), and the account has other users.
	DefaultWriteRate = 10
)

// Options of a Session. The zero Options are the standard AWS configuration: environment, profile, SSO, container
// and instance role, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>.
type Options struct {
	Region         string // default: the standard configuration's
	Role           string // ARN to assume from there; "" acts as what is there
	SessionName    string // of the assumed role; characters STS doesn't take become "-"
	SourceIdentity string // likewise: the person. The role's trust policy must allow sts:SetSourceIdentity
	// WebIdentity fetches a fresh OIDC token, which Entry, or without it Role, is taken for.
	WebIdentity func(context.Context) (string, error)
	Entry       string                  // ARN of the role a token is exchanged for; Role is then assumed from it
	Credentials aws.CredentialsProvider // instead of the standard configuration's
	Endpoint    string                  // of every service, instead of the standard configuration's
	Transport   http.RoundTripper       // instead of the SDK's, below the fence; not for finding credentials
	Writes      *rate.Limiter           // shared by all sessions of one account; nil makes one of DefaultWriteRate
	Paces       *Paces                  // likewise; nil makes them
	Backoff     retry.BackoffDelayer    // the wait before a call is tried again; nil: the SDK's, which grows to 20 s
	CallLimit   time.Duration           // time limit of one attempt of a call; 0 means DefaultCallLimit
	// Unfenced lets changing calls leave without a lease. Only for the evidence store and its log copy: there
	// the conditional write decides who may go on, so it can't wait for that decision.
	Unfenced bool
	// UnfencedCall lets one operation leave without a lease, like "CloudWatch PutMetricData", and no other. Only for what
	// no rotation depends on.
	UnfencedCall string
}

// A Session is one environment's clients. They may be used by many goroutines and share connections,
// credentials, rate and limits.
type Session struct {
	cfg      aws.Config
	turn     *semaphore.Weighted // one asks who we are, others wait for that as long as their contexts do
	identity string
}

// Open reads the configuration. It calls no service: credentials are fetched with the first call that needs
// them, and renewed by themselves.
func Open(ctx context.Context, o Options) (*Session, error) {
	cfg, err := config.LoadDefaultConfig(ctx, o.load()...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	// Not handed to the loading: a configured certificate bundle refuses any transport but the SDK's own.
	if o.Transport != nil {
		cfg.HTTPClient = &http.Client{Transport: o.Transport}
	}
	if o.CallLimit == 0 {
		o.CallLimit = DefaultCallLimit
	}
	if o.Writes == nil {
		o.Writes = rate.NewLimiter(DefaultWriteRate, DefaultWriteRate)
	}
	if o.Paces == nil {
		o.Paces = NewPaces()
	}
	if cfg.Credentials, err = o.actAs(cfg); err != nil {
		return nil, err
	}
	cfg.HTTPClient = &http.Client{
		Transport: &fence{base: base(cfg.HTTPClient), limit: o.CallLimit, writes: o.Writes, paces: o.Paces, open: o.Unfenced, opens: o.UnfencedCall},
		// A signed call, which may carry a value, goes to its endpoint and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	cfg.Retryer = func() aws.Retryer { return standard(o.Backoff) }
	cfg.Logger = logging.Nop{} // the SDK's own words go past the redactor, to standard error
	return &Session{cfg: cfg, turn: semaphore.NewWeighted(1)}, nil
}

func (o Options) load() []func(*config.LoadOptions) error {
	load := []func(*config.LoadOptions) error{
		// Off AWS the instance role's address doesn't answer, and the SDK's patience there is minutes.
		config.WithEC2RoleCredentialOptions(func(e *ec2rolecreds.Options) {
			e.Client = imds.New(imds.Options{Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Timeout: 2 * time.Second}})
		}),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(o.Credentials))
	}
	if o.Endpoint != "" {
		load = append(load, config.WithBaseEndpoint(o.Endpoint))
	}
	return load
}

// base is the transport of the client that the configuration made: with its proxy and certificates.
func base(c aws.HTTPClient) http.RoundTripper {
	switch c := c.(type) {
	case *awshttp.BuildableClient:
		return c.GetTransport()
	case *http.Client:
		if c.Transport != nil {
			return c.Transport
		}
	}
	return awshttp.NewBuildableClient().GetTransport()
}

// Ready fetches the credentials, so that a person who isn't logged in hears of that and not of a call that needed
// them.
func (s *Session) Ready(ctx context.Context) error {
	if s.cfg.Credentials == nil {
		return nil
	}
	_, err := s.cfg.Credentials.Retrieve(ctx)
	var op *smithy.OperationError
	for cause := err; errors.As(cause, &op); cause = op.Err {
		if op.ServiceID == "ec2imds" { // the standard configuration asks there last, when nothing else has any
			return rotation.Failf("log in (aws sso login), name a profile (AWS_PROFILE), or give the job its role", "there are no AWS credentials")
		}
	}
	return Judge(err, "get AWS credentials")
}

// Region is where the session's calls go.
func (s *Session) Region() string { return s.cfg.Region }

// SecretsManager is a client of AWS Secrets Manager.
func (s *Session) SecretsManager() *secretsmanager.Client { return secretsmanager.NewFromConfig(s.cfg) }

// S3 is a client of Amazon S3. A configured endpoint is addressed by path: other stores than AWS's seldom
// have a name for every bucket.
func (s *Session) S3() *s3.Client {
	return s3.NewFromConfig(s.cfg, func(o *s3.Options) { o.UsePathStyle = o.UsePathStyle || o.BaseEndpoint != nil })
}

// CloudWatch is a client of Amazon CloudWatch.
func (s *Session) CloudWatch() *cloudwatch.Client { return cloudwatch.NewFromConfig(s.cfg) }

// Logs is a client of Amazon CloudWatch Logs.
func (s *Session) Logs() *cloudwatchlogs.Client { return cloudwatchlogs.NewFromConfig(s.cfg) }

// IAM is a client of AWS IAM.
func (s *Session) IAM() *iam.Client { return iam.NewFromConfig(s.cfg) }

// KMS is a client of AWS KMS.
func (s *Session) KMS() *kms.Client { return kms.NewFromConfig(s.cfg) }

// RDS is a client of Amazon RDS.
func (s *Session) RDS() *rds.Client { return rds.NewFromConfig(s.cfg) }

// Lambda is a client of AWS Lambda.
func (s *Session) Lambda() *lambda.Client { return lambda.NewFromConfig(s.cfg) }

// SSM is a client of AWS Systems Manager.
func (s *Session) SSM() *ssm.Client { return ssm.NewFromConfig(s.cfg) }

// ECS is a client of Amazon ECS.
func (s *Session) ECS() *ecs.Client { return ecs.NewFromConfig(s.cfg) }

// CloudTrail is a client of AWS CloudTrail.
func (s *Session) CloudTrail() *cloudtrail.Client { return cloudtrail.NewFromConfig(s.cfg) }

// STS is a client of AWS STS.
func (s *Session) STS() *sts.Client { return sts.NewFromConfig(s.cfg) }

// Identity is the ARN that the session acts as. It asks STS once and remembers the answer.
func (s *Session) Identity(ctx context.Context) (string, error) {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer s.turn.Release(1)
	if s.identity == "" {
		out, err := s.STS().GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", Judge(err, "ask AWS who we are")
		}
		s.identity = aws.ToString(out.Arn)
	}
	return s.identity, nil
}
