package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/wire"
	"github.com/rastup/rekey/internal/staging"
	"golang.org/x/time/rate"
)

const (
	account = "111122223333"
	region  = "eu-central-1"
	user    = "arn:aws:iam::111122223333:user/runner"
	role    = "arn:aws:iam::111122223333:role/rekey"
	name    = "app/key"
	first   = "first-planted-value-of-this-secret"
)

var (
	here  = wire.Place{Account: account, Region: region}
	start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
)

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A lab is one secret, and a rotation of it that is gone through step by step, as the loop would.
type lab struct {
	t       *testing.T
	world   *sandbox.World
	handler rotation.Handler
	deps    kind.Deps
	labels  *staging.Labels
	plan    rotation.Plan
	records []rotation.Record
	person  *secretsmanager.Client
	alter   func(operation string, answer []byte) []byte // what AWS can do and the sandbox can't; nil: nothing
	said    []string                                     // all texts that came out
	mu      sync.Mutex
	values  [][]byte   // all values that were announced
	redact  redact.Set // knows them
}

func newLab(t *testing.T, target Target) *lab {
	t.Helper()
	l := &lab{t: t, world: sandbox.New(sandbox.NewClock(start))}
	l.world.STS.Outlast()
	l.world.AddKey("AKIDREKEY", "key", user)
	l.world.STS.AddRole(sts.Role{ARN: role, Trust: []string{user}, Created: start})
	if target.Secret == "" {
		target.Secret = name
	}
	l.put(first)
	l.plan = planOf(t, target, 1)
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed,
		Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	l.in(region)
	return l
}

func planOf(t *testing.T, target Target, attempt int) (p rotation.Plan) {
	t.Helper()
	with, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Kind().Recipe(&target) {
		p.Steps = append(p.Steps, rotation.Step{ID: fmt.Sprintf("r1/app/dev/%d/%s", attempt, s.Name), Key: s.Name, Name: s.Name, With: with, Reads: s.Reads})
	}
	return p
}

// in opens the clients in a region.
func (l *lab) in(region string) {
	server, err := sandbox.Serve(l.t.Context(), l.world, "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	o := cloud.Options{Region: region, Endpoint: server.URL(), Transport: l,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDREKEY", "key", ""), Writes: rate.NewLimiter(rate.Inf, 1)}
	byHand := o
	byHand.Unfenced = true
	o.Role = role
	session, err := cloud.Open(l.t.Context(), o)
	l.ok(err)
	person, err := cloud.Open(l.t.Context(), byHand)
	l.ok(err)
	l.person = person.SecretsManager()
	deps := kind.On(session, func(b []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.values = append(l.values, b)
		l.redact.Add(b)
	})
	l.deps, l.handler = deps, New(deps)
	l.labels = &staging.Labels{Client: deps.SecretsManager, Keep: deps.Keep}
}

func (l *lab) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || l.alter == nil {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	b = l.alter(operation, b)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	res.Header.Del("Content-Length")
	return res, err
}

func (l *lab) put(value string, labels ...string) string {
	l.t.Helper()
	id, err := l.world.SecretsManager.PutByHand(here, name, value, l.world.Now(), labels...)
	l.ok(err)
	return id
}

func (l *lab) move(label, version string) {
	l.t.Helper()
	l.ok(l.world.SecretsManager.MoveByHand(here, name, label, version, l.world.Now()))
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) secret() sm.Secret {
	s, _ := l.world.SecretsManager.Secret(here, name, l.world.Now())
	return s
}

func (l *lab) fact(step, key string) string { return rotation.PastOf(l.records).Fact(step, key) }

// ask calls a step's function once, without recording what comes of it.
func (l *lab) ask(ctx context.Context, step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := fmt.Sprintf("%s: text=%q wait=%q facts=%q", step, res.Text, res.Wait, res.Facts)
	if err != nil {
		said = fmt.Sprintf("%s: %v", step, err)
		var f *rotation.Failure
		if errors.As(err, &f) {
			said = fmt.Sprintf("%s: %s\n    hint: %s", step, f.Msg, f.Hint)
		}
	}
	l.said = append(l.said, said)
	return res, err
}

// try runs a step under a lease until it no longer waits, and records what it says.
func (l *lab) try(step string) error {
	l.t.Helper()
	for range 9 {
		res, err := l.ask(rotation.WithFence(l.t.Context(), open{}), step)
		if err != nil {
			return err
		}
		outcome := rotation.Done
		if res.Wait != "" {
			outcome = rotation.Noted
		}
		l.records = append(l.records, rotation.Record{Step: step, Outcome: outcome, Facts: res.Facts, Text: res.Text})
		if res.Wait == "" {
			return nil
		}
	}
	return errors.New("still waits: " + l.said[len(l.said)-1])
}

func (l *lab) run(steps ...string) *lab {
	l.t.Helper()
	for _, s := range steps {
		if err := l.try(s); err != nil {
			l.t.Fatalf("%s: %v", s, err)
		}
	}
	return l
}

// state is the labels and tags in words.
func (l *lab) state() string {
	s := l.secret()
	var out []string
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		out = append(out, label+"="+s.Labels[label])
	}
	for _, tag := range slices.Sorted(maps.Keys(s.Tags)) {
		out = append(out, tag+":"+s.Tags[tag])
	}
	return strings.Join(out, " ")
}

// silent fails when a value shows in what came out.
func (l *lab) silent() {
	l.t.Helper()
	all := strings.Join(l.said, "\n")
	for _, r := range l.records {
		b, _ := json.Marshal(r.Facts)
		all += string(b)
	}
	for _, v := range append(l.values, []byte(first)) {
		if len(v) > 3 && strings.Contains(all, string(v)) {
			l.t.Errorf("a value shows in:\n%s", all)
		}
	}
}

// changes are the calls so far that may have changed something, as AWS would have seen them.
func (l *lab) changes() (n int) {
	for _, c := range l.world.Calls() {
		if c.Service == "secretsmanager" && !cloud.Reads("Secrets Manager", c.Operation) {
			n++
		}
	}
	return n
}
