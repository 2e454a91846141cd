package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
)

var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

const (
	looked, deploy, adopted, back = "consumer/web", "deploy/web", "adopted/web", "back/web"
	runner                        = "arn:aws:iam::111111111111:user/runner"
	accessKey                     = "AKIAECSTEST000000001"
	secretKey                     = "ecstest/never-a-real-key"
)

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A lab is one service whose tasks run with one secret, and the steps of a rotation of that.
type lab struct {
	t             *testing.T
	clock         *sandbox.Clock
	world         *sandbox.World
	url           string
	handler       rotation.Handler
	plan          rotation.Plan
	records       []rotation.Record
	secret        string // its name
	arn, old, new string
	others        int // deployments before
	said          []string
}

// newLab makes the service; the definition says DB from the secret's full ARN unless define gives another.
func newLab(t *testing.T, spec own.Spec, define func(arn string) own.Definition) *lab {
	t.Helper()
	l := &lab{t: t, clock: sandbox.NewClock(start), secret: "app/db"}
	l.world = sandbox.New(l.clock)
	l.world.AddKey(accessKey, secretKey, runner)
	l.old = l.put("old-value")
	l.arn = l.world.Secret(l.secret).ARN
	if define == nil {
		define = plain
	}
	definition := l.world.ECS.RegisterByHand(sandbox.Home, define(l.arn))
	if spec.Desired == 0 {
		spec.Desired = 4
	}
	spec.Cluster, spec.Name, spec.TaskDefinition, spec.Desired = "shop", "web", definition, max(spec.Desired, 0)
	l.ok(l.world.ECS.MakeByHand(sandbox.Home, spec, start))
	l.clock.Move(time.Hour)
	reads := []string{"preflight", "create", "promote", looked, deploy}
	with := json.RawMessage(`{"cluster":"shop","service":"web"}`)
	for key, function := range map[string]string{looked: "preflight", deploy: "deploy", adopted: "adopted", back: "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "r1/app/dev/1/" + key, Key: key, Name: function, Uses: "consumer/ecs", With: with, Reads: reads})
	}
	l.records = []rotation.Record{{At: l.clock.Now(), Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan}},
		{Step: "preflight", Outcome: rotation.Done, Facts: map[string]string{"arn": l.arn, "old": l.old}}}
	server, err := sandbox.Serve(t.Context(), l.world, "127.0.0.1:0")
	l.ok(err)
	l.url = server.URL()
	return l.restart()
}

func plain(arn string) own.Definition {
	return own.Definition{Family: "web", Containers: []own.Container{{Name: "app", Secrets: []own.Secret{{Name: "DB", ValueFrom: arn}}}}}
}

// restart is another process.
func (l *lab) restart() *lab {
	l.handler = New(consumer.Deps{ECS: l.client(), Now: l.clock.Now})
	return l
}

func (l *lab) client() *ecs.Client {
	session, err := cloud.Open(l.t.Context(), cloud.Options{Region: sandbox.Home.Region, Endpoint: l.url,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1), Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })})
	l.ok(err)
	return session.ECS()
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) put(value string) string {
	id, err := l.world.PutByHand(l.secret, value)
	l.ok(err)
	return id
}

// promote makes a new version the live one, as the kind does.
func (l *lab) promote() *lab {
	l.new = l.put("new-value")
	l.records = append(l.records, rotation.Record{Step: "create", Outcome: rotation.Done, Facts: map[string]string{"new": l.new}},
		rotation.Record{At: l.clock.Now(), Step: "promote", Outcome: rotation.Done})
	l.clock.Move(3 * time.Second)
	return l
}

// restore makes the old one live again.
func (l *lab) restore() *lab {
	l.ok(l.world.SecretsManager.MoveByHand(sandbox.Home, l.secret, "AWSCURRENT", l.old, l.clock.Now()))
	l.clock.Move(3 * time.Second)
	return l
}

func (l *lab) ask(ctx context.Context, key string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(key)
	if !ok {
		l.t.Fatalf("no step %q", key)
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := key + ": " + res.Text
	if res.Wait != "" {
		said = key + " waits: " + res.Wait
	}
	var f *rotation.Failure
	if errors.As(err, &f) {
		said = fmt.Sprintf("%s: %s\n    hint: %s", key, f.Msg, f.Hint)
	} else if err != nil {
		said = fmt.Sprintf("%s: unknown: %v", key, err)
	}
	const again = "could not be started"
	switch n := len(l.said) - 1; {
	case n >= 0 && l.said[n] == said:
	case n >= 0 && res.Wait != "" && strings.Contains(l.said[n], again) && strings.Contains(said, again): // only the last of them
		l.said[n] = said
	default:
		l.said = append(l.said, said)
	}
	return res, err
}

// once asks a step and records what it found.
func (l *lab) once(key string) (rotation.Result, error) {
	l.t.Helper()
	res, err := l.ask(rotation.WithFence(l.t.Context(), open{}), key)
	if err == nil && (res.Wait == "" || len(res.Facts) > 0) {
		outcome := rotation.Done
		if res.Wait != "" {
			outcome = rotation.Noted
		}
		l.records = append(l.records, rotation.Record{At: l.clock.Now(), Step: key, Outcome: outcome, Facts: res.Facts, Text: res.Text})
	}
	return res, err
}

// drive runs a step as the loop does: it records, waits, asks again after an unknown outcome, and fails what is late.
func (l *lab) drive(key string) error {
	l.t.Helper()
	deadline := l.clock.Now().Add(time.Duration(DefaultWithin))
	for try := 0; try < 4; {
		res, err := l.once(key)
		var f *rotation.Failure
		switch {
		case errors.As(err, &f):
			return err
		case err != nil:
			try++
			l.clock.Move(time.Second << try)
			continue
		case res.Wait == "":
			return nil
		case len(res.Facts) > 0:
			continue
		case key == deploy && !l.clock.Now().Before(deadline):
			return rotation.Failf("", "not in time: %s", res.Wait)
		case res.Again == rotation.Later:
			return errors.New("left: " + res.Wait)
		}
		l.clock.Move(res.Again)
	}
	return errors.New("unknown outcome: " + l.said[len(l.said)-1])
}

func (l *lab) run(keys ...string) *lab {
	l.t.Helper()
	for _, key := range keys {
		if err := l.drive(key); err != nil {
			l.t.Fatalf("%s: %v\n%s", key, err, strings.Join(l.said, "\n"))
		}
	}
	return l
}

func (l *lab) tasks() []own.Task {
	return l.world.ECS.Tasks(sandbox.Home, "shop", "web", l.clock.Now())
}

func (l *lab) begun() int {
	return l.world.ECS.Begun(sandbox.Home, "shop", "web", l.clock.Now()) - 1 - l.others
}

func (l *lab) fault(f own.Fault) {
	l.world.ECS.Break(sandbox.Home, "shop", "web", f, l.clock.Now())
}

func (l *lab) set(f func(*own.Spec)) {
	l.world.ECS.SetByHand(sandbox.Home, "shop", "web", l.clock.Now(), f)
}

// every running task runs with that version, and there are as many as wanted.
func (l *lab) every(version string) {
	l.t.Helper()
	all := l.tasks()
	if len(all) != 4 {
		l.t.Errorf("%d tasks", len(all))
	}
	for _, task := range all {
		for _, v := range task.Versions {
			if v != version || !task.Running {
				l.t.Errorf("the task %s runs with %s, want %s", task.ID, v, version)
			}
		}
	}
}

// fail has something befall the next n calls of an operation.
func (l *lab) fail(operation string, n int, with func(sandbox.Call) error) {
	l.world.Fail(func(c sandbox.Call) error {
		if c.Operation == operation && n > 0 {
			n--
			return with(c)
		}
		return nil
	})
}

func lost(sandbox.Call) error     { return sandbox.ErrLost }
func broken(c sandbox.Call) error { return sandbox.Broken(c) }

var ids = regexp.MustCompile(`ecs-svc/[0-9]+`)

// names puts words in the place of IDs.
func (l *lab) names(s string) string {
	var seen []string
	s = ids.ReplaceAllStringFunc(s, func(id string) string {
		if !slices.Contains(seen, id) {
			seen = append(seen, id)
		}
		return fmt.Sprintf("DEPLOYMENT-%d", slices.Index(seen, id)+1)
	})
	s = strings.NewReplacer(l.old, "OLD", l.arn, "SECRET").Replace(s)
	if l.new != "" {
		s = strings.ReplaceAll(s, l.new, "NEW")
	}
	s = regexp.MustCompile(`http://127[^ ]*`).ReplaceAllString(s, "URL")
	return regexp.MustCompile(`\(request [^)]*\)`).ReplaceAllString(s, "(request ID)")
}

func (l *lab) all() string { return l.names(strings.Join(l.said, "\n")) }
