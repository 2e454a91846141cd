package cloud

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// callers call each operation that is paced, and one that isn't.
var callers = map[string]func(context.Context, *Session) error{
	"ListSecretVersionIds": func(ctx context.Context, s *Session) error {
		_, err := s.SecretsManager().ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: aws.String("a")})
		return err
	},
	"ListSecrets": func(ctx context.Context, s *Session) error {
		_, err := s.SecretsManager().ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
		return err
	},
	"SimulatePrincipalPolicy": func(ctx context.Context, s *Session) error {
		_, err := s.IAM().SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("a"), ActionNames: []string{"b"}})
		return err
	},
	"GetRole": func(ctx context.Context, s *Session) error {
		_, err := s.IAM().GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("a")})
		return err
	},
	"GetLogEvents": func(ctx context.Context, s *Session) error {
		_, err := s.Logs().GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s")})
		return err
	},
	"CreateLogStream": func(ctx context.Context, s *Session) error {
		_, err := s.Logs().CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s")})
		return err
	},
	"CreateKey": func(ctx context.Context, s *Session) error {
		_, err := s.KMS().CreateKey(ctx, &kms.CreateKeyInput{})
		return err
	},
	"UpdateAlias": func(ctx context.Context, s *Session) error {
		_, err := s.KMS().UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: aws.String("alias/a"), TargetKeyId: aws.String("b")})
		return err
	},
	"ListResourceTags": func(ctx context.Context, s *Session) error {
		_, err := s.KMS().ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: aws.String("b")})
		return err
	},
	"LookupEvents": func(ctx context.Context, s *Session) error {
		_, err := s.CloudTrail().LookupEvents(ctx, &cloudtrail.LookupEventsInput{})
		return err
	},
	"DescribeSecret": func(ctx context.Context, s *Session) error {
		_, err := s.SecretsManager().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")})
		return err
	},
}

// left is when each of n calls left, of the operations in turn and by two sessions of one account in turn.
func left(t *testing.T, n int, operations ...string) (at []time.Time) {
	t.Helper()
	var mu sync.Mutex
	note := trip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		at = append(at, time.Now())
		mu.Unlock()
		body := "{}"
		if r.Header.Get("X-Amz-Target") == "" {
			body = `<R><SimulatePrincipalPolicyResult/><GetRoleResult/></R>`
		}
		return status(200, body)(r)
	})
	paces := NewPaces()
	var sessions [2]*Session
	for i := range sessions {
		sessions[i], _ = answers(t, Options{Paces: paces, Unfenced: true}, note)
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			op := operations[i/2%len(operations)]
			if err := callers[op](t.Context(), sessions[i%2]); err != nil {
				t.Errorf("%s: %v", op, err)
			}
		})
	}
	all.Wait()
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// busiest is the most calls within any second.
func busiest(at []time.Time) (most int) {
	first := 0
	for last := range at {
		for at[last].Sub(at[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

func TestNoSecondSeesMoreCallsThanThePace(t *testing.T) {
	for _, p := range paced {
		synctest.Test(t, func(t *testing.T) {
			const n = 100
			at := left(t, n, p.operations...)
			if most := busiest(at); most > p.most || len(at) != n {
				t.Errorf("%v: %d of %d calls in a second, at most %d may be", p.operations, most, len(at), p.most)
			}
			// Nor does it take much longer than it must.
			if took := at[n-1].Sub(at[0]); took > time.Duration(n)*time.Second/time.Duration(max(1, p.most*4/5)) {
				t.Errorf("%v: %d calls took %s", p.operations, n, took)
			}
		})
	}
}

func TestOtherReadsWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if at := left(t, 300, "DescribeSecret"); at[299].Sub(at[0]) != 0 {
			t.Errorf("took %s", at[299].Sub(at[0]))
		}
	})
}

func TestACallThatWaitsForItsTurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent := answers(t, Options{}, status(200, "{}"))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := callers["GetLogEvents"](ctx, s); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		before := sent.Load()
		cancel()
		all.Wait()
		if n := sent.Load(); n != before || n == 0 || n > 20 {
			t.Errorf("%d calls left, %d of them after the end", n, n-before)
		}
	})
}

func TestAPacedOperationIsOneThatIsTried(t *testing.T) {
	for _, p := range paced {
		for _, op := range p.operations {
			if callers[op] == nil || p.most < 1 {
				t.Errorf("%s %s: %d a second", p.service, op, p.most)
			}
		}
	}
}
