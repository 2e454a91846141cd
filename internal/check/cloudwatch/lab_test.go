package cloudwatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/check/cloudwatch"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

var (
	start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	home  = sandbox.Home
)

const (
	group  = "/shop/app"
	secret = "arn:aws:secretsmanager:us-east-1:111111111111:secret:shop/database-AbCdEf"
	key    = "1234abcd-12ab-34cd-56ef-1234567890ab"
	// planted is in every line that is logged: nothing may show it.
	planted = "hunter22-in-the-line"
)

// lab is the check against the sandbox, by the real SDK and the session's fence. promote was done at start, a consumer
// deployed two minutes later; it is start.
type lab struct {
	t       *testing.T
	clock   *sandbox.Clock
	world   *sandbox.World
	session *cloud.Session
	handler rotation.Handler
	records []rotation.Record
	told    strings.Builder
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, clock: sandbox.NewClock(start)}
	l.world = sandbox.New(l.clock)
	l.world.AddKey("AKIATEST", "k", "arn:aws:iam::111111111111:user/rekey")
	server := httptest.NewServer(l.world.Handler())
	t.Cleanup(server.Close)
	var err error
	l.session, err = cloud.Open(t.Context(), cloud.Options{Region: home.Region, Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "k", ""),
		Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })})
	if err != nil {
		t.Fatal(err)
	}
	l.handler = cloudwatch.New(check.Deps{Now: l.clock.Now, CloudWatch: l.session.CloudWatch(), Logs: l.session.Logs()})
	plan := rotation.Plan{Kind: "secretsmanager", Steps: []rotation.Step{{Key: "promote"}}}
	l.records = []rotation.Record{{Outcome: rotation.Claimed, At: start.Add(-time.Hour), Claim: &rotation.Claim{Plan: plan}}}
	l.done("preflight", start.Add(-time.Hour), map[string]string{"arn": secret, "kms_key": "alias/shop", "old": "5b1e"})
	l.done("create", start.Add(-time.Minute), map[string]string{"new": "9c2f"})
	l.world.Logs.MakeGroup(home, group, start.Add(-24*time.Hour))
	_, err = l.session.Logs().CreateLogStream(rotation.WithFence(t.Context(), open{}), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String("s")})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// open is a lease for what the test does itself.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

func (l *lab) done(step string, at time.Time, facts map[string]string) {
	l.records = append(l.records, rotation.Record{Step: step, Outcome: rotation.Done, At: at, Facts: facts})
}

func (l *lab) log(at time.Time, text string) { l.put(at, text+" password="+planted) }

// event is one of CloudTrail's, told now.
func (l *lab) event(at time.Time, source, code, about string) {
	l.put(l.clock.Now(), fmt.Sprintf(`{"eventVersion":"1.11","eventTime":%q,"eventSource":"%s.amazonaws.com","errorCode":%q,%s,"userAgent":%q}`,
		at.Format(time.RFC3339), source, code, about, planted))
}

func (l *lab) put(at time.Time, line string) {
	l.t.Helper()
	_, err := l.session.Logs().PutLogEvents(rotation.WithFence(l.t.Context(), open{}), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String("s"),
		LogEvents: []types.InputLogEvent{{Timestamp: aws.Int64(at.UnixMilli()), Message: &line}}})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) alarm(name string, composite bool, state string) {
	l.world.CloudWatch.MakeAlarm(home, name, composite, start.Add(-24*time.Hour))
	l.world.CloudWatch.SetState(home, name, state, start.Add(-24*time.Hour))
}

// errors are the values of a metric in the minutes from begin.
func (l *lab) errors(begin time.Time, values ...float64) {
	for i, v := range values {
		l.world.CloudWatch.Put(home, "AWS/Lambda", "Errors", begin.Add(time.Duration(i)*time.Minute), v, "FunctionName=shop")
	}
}

func metric(most float64) []cloudwatch.Metric {
	return []cloudwatch.Metric{{Namespace: "AWS/Lambda", Metric: "Errors", Stat: "Sum", Most: &most, Dimensions: map[string]string{"FunctionName": "shop"}}}
}

// look asks once: without a fence, since it only reads.
func (l *lab) look(s rotation.Step, p cloudwatch.Shape) (rotation.Result, error) {
	l.t.Helper()
	with, err := json.Marshal(p)
	if err != nil {
		l.t.Fatal(err)
	}
	s.With = with
	return l.handler[s.Name](context.Background(), s, rotation.PastOf(l.records).For(s))
}

var (
	baseline = rotation.Step{Key: "baseline/watch", Name: "baseline", Phase: rotation.Preconditions, Reads: []string{"preflight", "create"}}
	validate = rotation.Step{Key: "validate/watch", Name: "validate", Phase: rotation.Validate, Reads: []string{"preflight", "create", "promote", "deploy/shop"}}
	restored = rotation.Step{Key: "after-restore/watch", Name: "validate", Phase: rotation.Rollback, Reads: []string{"preflight", "create", "promote", "restore", "back/shop"}}
)

// outcome is what a look says, in one line or two.
func outcome(res rotation.Result, err error) string {
	var f *rotation.Failure
	switch {
	case errors.As(err, &f) && f.Hint != "":
		return "fails: " + f.Msg + "\n    hint: " + f.Hint
	case errors.As(err, &f):
		return "fails: " + f.Msg
	case err != nil:
		return "unknown: " + err.Error()
	case res.Wait != "":
		return fmt.Sprintf("waits for %s (again in %s)", res.Wait, res.Again)
	}
	return "passes: " + res.Text + " [" + res.Facts["proven"] + "]"
}

// tell looks and keeps what comes of it for the golden file.
func (l *lab) tell(title string, s rotation.Step, p cloudwatch.Shape) string {
	l.t.Helper()
	said := outcome(l.look(s, p))
	if strings.Contains(said, planted) {
		l.t.Errorf("%s: a log line is shown: %s", title, said)
	}
	fmt.Fprintf(&l.told, "%s, at %s\n  %s\n", title, l.clock.Now().Format("15:04:05"), said)
	return said
}
