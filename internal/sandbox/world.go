// Package sandbox is a small AWS inside the process: it speaks the real protocols over loopback HTTP, so that the
// real SDKs, the AWS CLI and Terraform can work against it, and refuses what AWS refuses, with AWS's codes and
// texts. Tests, the demo and `rekey sandbox` share it.
//
// It owns the world's clock, its principals and their permissions, the verification of signatures, dispatch and the
// record of calls; each service is a package of its own. It must never answer an operation it doesn't know, never
// listen on anything but loopback, and never be friendlier than AWS: what a test may do here it may do there.
//
// Known differences: the age of a signature isn't checked, since SDKs sign by the machine's clock and the world has
// its own; everything is consistent at once; presigned URLs and signed chunks (STREAMING-AWS4-HMAC-SHA256-PAYLOAD)
// are refused.
package sandbox

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/cloudtrail"
	"github.com/rastup/rekey/internal/sandbox/cloudwatch"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/iam"
	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/logs"
	"github.com/rastup/rekey/internal/sandbox/rds"
	"github.com/rastup/rekey/internal/sandbox/s3"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/ssm"
	"github.com/rastup/rekey/internal/sandbox/stripe"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/typesense"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Error is a refusal in a service's own words; return one from a Fail hook to inject it.
type Error = wire.Error

// A Call is one request that carried a valid signature, or AssumeRoleWithWebIdentity, which needs none.
type Call struct {
	At             time.Time         // by the world's clock
	Service        string            // "secretsmanager", "s3", "logs", "sts", "iam", "kms", "cloudtrail", "rds", "monitoring" (CloudWatch), "lambda", "ssm", "ecs"
	Operation      string            // "PutSecretValue"
	Principal      string            // ARN of who signed it; "" of nobody
	SourceIdentity string            // of the session that signed it: the person behind it
	Tags           map[string]string // of that session
	Target         string            // as the caller named it: a secret, "bucket/key", "group:stream", a role
	Region         string            //
	Code           string            // of the refusal; "" when it was granted
}

// A World is accounts, principals, services and their state. Safe for concurrent use.
type World struct {
	SecretsManager *secretsmanager.Service
	KMS            *kms.Service
	CloudTrail     *cloudtrail.Service
	CloudWatch     *cloudwatch.Service
	S3             *s3.Service
	Logs           *logs.Service
	STS            *sts.Service
	IAM            *iam.Service
	RDS            *rds.Service
	Lambda         *lambda.Service
	SSM            *ssm.Service
	ECS            *ecs.Service       // its tasks read their secrets from SecretsManager
	Stripe         *stripe.Service    // has keys, calls and faults of its own
	Typesense      *typesense.Service // likewise; its bootstrap key is TypesenseKey

	clock  wire.Clock
	random *wire.Random

	mu    sync.Mutex
	keys  map[string]key
	rules []rule
	fail  func(Call) error
	calls []Call
}

type key struct {
	secret, token string
	who           wire.Identity
}

// TypesenseKey is the bootstrap key of every world's Typesense. It opens nothing but a sandbox.
const TypesenseKey = "sandbox-only-typesense-bootstrap"

// New makes an empty world that lives by clock: no key, no secret, no bucket. See Seed.
func New(clock wire.Clock) *World {
	// Each service invents its names by itself: what one calls a thing doesn't depend on how calls to others arrive.
	w := &World{clock: clock, random: wire.NewRandom(1), keys: map[string]key{}}
	w.SecretsManager = secretsmanager.New(wire.NewRandom(4))
	w.KMS = kms.New(wire.NewRandom(5))
	w.CloudTrail = cloudtrail.New(w.KMS.Uses)
	w.CloudWatch = cloudwatch.New()
	w.S3 = s3.New(wire.NewRandom(6))
	w.Logs = logs.New(wire.NewRandom(7))
	w.STS = sts.New(wire.NewRandom(8), w.addSession)
	w.IAM = iam.New(w.STS, w.decide)
	w.RDS = rds.New(wire.NewRandom(9))
	w.Lambda = lambda.New(wire.NewRandom(10))
	w.SSM = ssm.New()
	w.ECS = ecs.New(wire.NewRandom(11), w.pull)
	w.Stripe = stripe.New(clock, wire.NewRandom(2))
	w.Typesense = typesense.New(clock, wire.NewRandom(3), TypesenseKey, "products")
	return w
}

// pull is what a container's start reads of a secret.
func (w *World) pull(p wire.Place, secret, stage, version string, now time.Time) (id string, err error) {
	s, ok := w.SecretsManager.Secret(p, secret, now)
	if !ok || s.Deleted {
		return "", errors.New("ResourceNotFoundException: Secrets Manager can't find the specified secret")
	}
	if version == "" {
		version = s.Labels[cmp.Or(stage, secretsmanager.Current)]
	}
	if s.Version(version).ID == "" {
		return "", errors.New("ResourceNotFoundException: Secrets Manager can't find the specified secret value")
	}
	return version, nil
}

// AddKey makes an access key of a user or role, known to every service.
func (w *World) AddKey(id, secret, principalARN string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[id] = key{secret: secret, who: wire.Identity{ARN: principalARN, UserID: "AIDA" + id[max(0, len(id)-16):]}}
}

// DropKey takes a key away: what is signed with it from now on is refused.
func (w *World) DropKey(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, id)
}

func (w *World) addSession(id, secret, token string, who wire.Identity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[id] = key{secret: secret, token: token, who: who}
}

// Fail asks f about every call after its signature was verified and before it has any effect. What f returns is
// the answer: an *Error as it is, ErrLost after the call had its effect, any other error as a 500. nil lets it pass.
// Calls arrive together: what f remembers between them has to stand that.
func (w *World) Fail(f func(Call) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

// Calls are all calls so far, in the order of their arrival.
func (w *World) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Count is how often each "service:Operation" was called.
func (w *World) Count() map[string]int {
	n := map[string]int{}
	for _, c := range w.Calls() {
		n[c.Service+":"+c.Operation]++
	}
	return n
}

// Now is the world's time.
func (w *World) Now() time.Time { return w.clock.Now().UTC() }

func (w *World) arrive(c Call) (number int, injected error) {
	w.mu.Lock()
	w.calls = append(w.calls, c)
	number, f := len(w.calls)-1, w.fail
	w.mu.Unlock()
	if f != nil {
		injected = f(c)
	}
	return number, injected
}

func (w *World) answered(number int, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[number].Code = code
}
