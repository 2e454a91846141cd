package kindtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	aws_sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

// A mutant is a fault that the suite must catch: it breaks one thing that the design relies on. by is what catches
// it: a scenario, one of its acts, and a disturbance.
type mutant struct {
	twist
	scenario string
	act      int
	by       disturbance
}

var mutants = []mutant{
	{twist{name: "no fence", onHandler: fenced(func(f rotation.Fence) rotation.Fence { return openFence{f} })}, "refused by validation", 0, disturbance{mode: stalledIn, all: true}},
	{twist{name: "no quiet wait", onHandler: fenced(func(f rotation.Fence) rotation.Fence { return deafFence{f} })}, "refused by validation", 0, disturbance{mode: lateEnd}},
	{twist{name: "lease ignored", storeAhead: time.Hour}, "refused by validation", 0, disturbance{mode: stalled}},
	{twist{name: "create not idempotent", onHandler: instead("create", randomToken)}, "rotation", 0, disturbance{mode: after}},
	{twist{name: "promote without compare and swap", onHandler: instead("promote", pushy)}, "rotation", 0, disturbance{mode: promoted}},
	{twist{name: "decommission that searches", onHandler: instead("decommission", searching)}, "rotation", 2, disturbance{mode: lost}},
	{twist{name: "discard of whatever is pending", onHandler: instead("discard", greedy)}, "refused by validation", 0, disturbance{mode: begun}},
	{twist{name: "restore that doesn't look", onHandler: instead("restore", blind)}, "refused by validation", 0, disturbance{mode: promoted}},
	{twist{name: "store that writes over", overwrites: true}, "rotation", 0, disturbance{mode: stalled}},
	{twist{name: "done before it is done", onHandler: instead("promote", hasty)}, "rotation", 0, disturbance{mode: before}},
	{twist{name: "redactor not armed", unarmed: true}, "rotation", 0, disturbance{mode: before}},
}

// TestMutants: what nobody catches isn't tested.
func TestMutants(t *testing.T) {
	var mu sync.Mutex
	caught := map[string][]string{}
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				by := hunt(t, m)
				mu.Lock()
				defer mu.Unlock()
				caught[m.name] = by
				if len(by) == 0 {
					t.Errorf("%s: no disturbance catches it", m.name)
				}
			})
		}
	})
	var table strings.Builder
	for _, m := range mutants {
		fmt.Fprintf(&table, "%-34s %s\n", m.name, strings.Join(caught[m.name], "; "))
	}
	t.Logf("mutant and what caught it:\n%s", table.String())
}

// hunt lists the disturbances that catch m: the one it is known by, or with REKEY_FULL all.
func hunt(t *testing.T, m mutant) (by []string) {
	for _, sc := range scenarios {
		if sc.name == m.scenario {
			if _, bad := each(t, wholeValue, m.twist, sc, m.act, m.by, 1); bad != nil {
				what, _, _ := strings.Cut(bad.what, "\n")
				by = append(by, m.by.String()+" ("+what+")")
			}
		}
	}
	if !Full() {
		return by
	}
	for _, d := range disturbances {
		for _, sc := range scenarios {
			if _, bad := each(t, wholeValue, m.twist, sc, 0, d, 13); bad != nil && (d.with == nil || sc.acts[0].rival) {
				by = append(by, d.String())
				break
			}
		}
	}
	return by
}

type openFence struct{ rotation.Fence }

func (openFence) Pass(time.Duration) error { return nil }

type deafFence struct{ rotation.Fence }

func (deafFence) Unanswered() {}

// fenced puts another fence before every step that has one.
func fenced(wrap func(rotation.Fence) rotation.Fence) func(rotation.Handler, http.RoundTripper) rotation.Handler {
	return func(h rotation.Handler, _ http.RoundTripper) rotation.Handler {
		out := rotation.Handler{}
		for name, f := range h {
			out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
				if !s.Looks {
					ctx = rotation.WithFence(ctx, wrap(rotation.FenceOf(ctx)))
				}
				return f(ctx, s, past)
			}
		}
		return out
	}
}

// A fake is a step done wrongly; real is the step as it should be.
type fake func(ctx context.Context, c *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error)

func instead(step string, f fake) func(rotation.Handler, http.RoundTripper) rotation.Handler {
	return func(h rotation.Handler, rt http.RoundTripper) rotation.Handler {
		session, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
			Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
		if err != nil {
			panic(err)
		}
		out, real := rotation.Handler{}, h[step]
		for k, v := range h {
			out[k] = v
		}
		out[step] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			return f(ctx, session.SecretsManager(), real, s, past)
		}
		return out
	}
}

// randomToken lets create believe in another step ID each time.
func randomToken(ctx context.Context, _ *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	c, at := past.Claim()
	c.Plan.Steps = append([]rotation.Step{}, c.Plan.Steps...)
	for i := range c.Plan.Steps {
		b := make([]byte, 8)
		_, _ = rand.Read(b)
		c.Plan.Steps[i].ID += hex.EncodeToString(b)
	}
	found := rotation.Record{Step: "preflight", Outcome: rotation.Done, Facts: map[string]string{}}
	for _, k := range []string{"arn", "old", "previous", "kms_key", "tag_version", "tag_rotated_by", "tags"} {
		if v := past.Fact("preflight", k); v != "" {
			found.Facts[k] = v
		}
	}
	return real(ctx, s, rotation.PastOf([]rotation.Record{{Outcome: rotation.Claimed, Claim: &c, At: at}, found}).For(s))
}

func move(ctx context.Context, c *aws_sm.Client, arn, label, from, to string) error {
	in := &aws_sm.UpdateSecretVersionStageInput{SecretId: &arn, VersionStage: &label}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	if to != "" {
		in.MoveToVersionId = &to
	}
	_, err := c.UpdateSecretVersionStage(ctx, in)
	return cloud.Judge(err, "move")
}

// at is where labels are now.
func at(ctx context.Context, c *aws_sm.Client, arn string) (map[string]string, error) {
	out, err := c.DescribeSecret(ctx, &aws_sm.DescribeSecretInput{SecretId: &arn})
	if err != nil {
		return nil, cloud.Judge(err, "look")
	}
	labels := map[string]string{}
	for id, l := range out.VersionIdsToStages {
		for _, label := range l {
			labels[label] = id
		}
	}
	return labels, nil
}

func pushy(ctx context.Context, c *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	arn, to := past.Fact("preflight", "arn"), past.Fact("create", "new")
	labels, err := at(ctx, c, arn)
	if err == nil && labels["AWSCURRENT"] != to && labels["AWSCURRENT"] != past.Fact("preflight", "old") {
		err = move(ctx, c, arn, "AWSCURRENT", labels["AWSCURRENT"], to)
	}
	if err != nil {
		return rotation.Result{}, err
	}
	return real(ctx, s, past)
}

func searching(ctx context.Context, c *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	arn := past.Fact("preflight", "arn")
	labels, err := at(ctx, c, arn)
	for label, id := range labels {
		if err == nil && id != labels["AWSCURRENT"] {
			err = move(ctx, c, arn, label, id, "")
		}
	}
	if err != nil {
		return rotation.Result{}, err
	}
	return real(ctx, s, past)
}

func greedy(ctx context.Context, c *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	arn := past.Fact("preflight", "arn")
	labels, err := at(ctx, c, arn)
	if err == nil && labels["AWSPENDING"] != "" {
		err = move(ctx, c, arn, "AWSPENDING", labels["AWSPENDING"], "")
	}
	if err != nil {
		return rotation.Result{}, err
	}
	return real(ctx, s, past)
}

func blind(ctx context.Context, c *aws_sm.Client, real rotation.Func, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	arn, old := past.Fact("preflight", "arn"), past.Fact("preflight", "old")
	labels, err := at(ctx, c, arn)
	if err == nil && labels["AWSCURRENT"] != old {
		err = move(ctx, c, arn, "AWSCURRENT", labels["AWSCURRENT"], old)
	}
	if err != nil {
		return rotation.Result{}, err
	}
	return real(ctx, s, past)
}

func hasty(_ context.Context, _ *aws_sm.Client, _ rotation.Func, _ rotation.Step, past rotation.Past) (rotation.Result, error) {
	return rotation.Result{Text: "as good as done", Facts: map[string]string{"kept_by": aws.ToString(new("ROLLBACK-x"))}}, nil
}
