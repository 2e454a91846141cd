package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/lambda"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

const (
	planted    = "planted-hunter2"
	oldVersion = "11111111-1111-4111-a111-111111111111"
	newVersion = "22222222-2222-4222-a222-222222222222"
	secretARN  = "arn:aws:secretsmanager:us-east-1:111111111111:secret:shop/stripe-AbCdEf"
)

type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A lab is one function and a rotation of the secret it reads, gone through step by step.
type lab struct {
	t       *testing.T
	clock   *sandbox.Clock
	aws     *sandbox.World
	client  *lambda.Client
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    []string
	live    string // what the function reads
}

func newLab(t *testing.T, shape Shape, f own.Function) *lab {
	t.Helper()
	l := &lab{t: t, clock: sandbox.NewClock(start), live: "old"}
	l.aws = sandbox.New(l.clock)
	l.aws.AddKey(sandbox.AccessKeyID, sandbox.SecretAccessKey, "arn:aws:iam::111111111111:user/rekey")
	server := httptest.NewServer(l.aws.Handler())
	t.Cleanup(server.Close)
	s, err := cloud.Open(t.Context(), cloud.Options{Region: sandbox.Home.Region, Endpoint: server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, ""), Backoff: instantly{}})
	l.ok(err)
	l.client = s.Lambda()
	l.handler = New(consumer.Deps{Lambda: l.client, Now: l.clock.Now})
	f.Name = "shop"
	if f.Environment == nil {
		f.Environment = map[string]string{"SECRET": "shop/stripe", "TOKEN": planted}
	}
	l.aws.Lambda.MakeByHand(sandbox.Home, f, l.clock.Now())
	if shape.Alias != "" {
		l.aws.Lambda.AliasByHand(sandbox.Home, "shop", shape.Alias, "", nil)
	}
	shape.Function = "shop"
	with, err := json.Marshal(shape)
	l.ok(err)
	reads := []string{"preflight", "create", "promote", "consumer/shop", "deploy/shop"}
	for key, name := range map[string]string{"consumer/shop": "preflight", "deploy/shop": "deploy", "adopted/shop": "adopted", "back/shop": "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "2026-11-25-shop/shop~stripe/dev/1/" + key, Key: key, Name: name, With: with, Reads: reads, Looks: name == "preflight" || name == "adopted"})
	}
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan}},
		{At: start, Outcome: rotation.Done, Step: "preflight", Facts: map[string]string{"arn": secretARN, "old": oldVersion}},
		{At: start, Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": newVersion}}}
	return l
}

type instantly struct{}

func (instantly) BackoffDelay(int, error) (time.Duration, error) { return 0, nil }

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// promote makes another version the live one.
func (l *lab) promote() {
	l.live = "new"
	l.records = append(l.records, rotation.Record{At: l.clock.Now(), Outcome: rotation.Done, Step: "promote"})
}

func (l *lab) restore() { l.live = "old" }

func (l *lab) invoke() string {
	return l.aws.Lambda.Invoke(sandbox.Home, "shop", l.shape().Alias, l.clock.Now(), func() string { return l.live })
}

func (l *lab) shape() (s Shape) {
	l.ok(l.plan.Steps[0].Into(&s))
	return s
}

func (l *lab) fact(step, key string) string { return rotation.PastOf(l.records).Fact(step, key) }

// ask calls a step's function once, without recording what comes of it.
func (l *lab) ask(step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	ctx := context.Context(l.t.Context())
	if !s.Looks {
		ctx = rotation.WithFence(ctx, open{})
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := fmt.Sprintf("%s: text=%q wait=%q facts=%q", step, res.Text, res.Wait, res.Facts)
	var f *rotation.Failure
	switch {
	case errors.As(err, &f):
		said = fmt.Sprintf("%s: refused: %s\n    hint: %s", step, f.Msg, f.Hint)
	case err != nil:
		said = fmt.Sprintf("%s: unknown: %v", step, err)
	}
	if l.said = append(l.said, said); strings.Contains(said+fmt.Sprintf("%v %+v", err, err), planted) {
		l.t.Errorf("a value of the environment shows: %s", said)
	}
	return res, err
}

// try asks a step until it is done, fails or is left to later; an error that is no refusal is tried again a few times.
func (l *lab) try(step string) error {
	l.t.Helper()
	var err error
	for tries := 0; tries < 3; {
		var res rotation.Result
		res, err = l.ask(step)
		var f *rotation.Failure
		switch {
		case errors.As(err, &f):
			return err
		case err != nil:
			tries++
			continue
		case res.Again == rotation.Later:
			return errors.New("later: " + res.Wait)
		}
		rec := rotation.Record{At: l.clock.Now(), Step: step, Outcome: rotation.Done, Facts: res.Facts, Text: res.Text}
		if res.Wait != "" {
			rec.Outcome = rotation.Noted
			l.clock.Move(res.Again)
		}
		if l.records = append(l.records, rec); res.Wait == "" {
			return nil
		}
		if len(l.records) > 200 {
			l.t.Fatalf("%s waits for ever: %s", step, res.Wait)
		}
	}
	return err
}

func (l *lab) run(steps ...string) *lab {
	l.t.Helper()
	for _, s := range steps {
		if s == "promote" {
			l.promote()
			continue
		}
		if s == "restore" {
			l.restore()
			continue
		}
		if err := l.try(s); err != nil {
			l.t.Fatalf("%s: %v", s, err)
		}
	}
	return l
}

func (l *lab) env(qualifier string) map[string]string {
	return l.aws.Lambda.Environment(sandbox.Home, "shop", qualifier)
}

func (l *lab) change(change func(*own.Function)) {
	l.aws.Lambda.ChangeByHand(sandbox.Home, "shop", l.clock.Now(), change)
}

// named puts names in the place of what chance made.
func (l *lab) named(text string) string {
	var pairs []string
	for _, f := range []string{factRevision, factInForce} {
		for _, step := range []string{"consumer/shop", "deploy/shop"} {
			if v := l.fact(step, f); v != "" {
				pairs = append(pairs, v, "REVISION")
			}
		}
	}
	for _, step := range []string{"deploy/shop", "back/shop"} {
		pairs = append(pairs, rotation.PastOf(l.records).Token(step, Variable)[:32], "TOKEN-OF-"+strings.ToUpper(step[:4]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
