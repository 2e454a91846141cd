package stripewebhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/stripe"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A clock goes when it is told to.
type clock struct{ at time.Time }

func (c *clock) Now() time.Time { return c.at }

// A lab is one endpoint, and a rotation of it that is gone through step by step, as the loop would.
type lab struct {
	t *testing.T
	*store
	clock     *clock
	processor *stripe.Processor
	deps      kind.Deps
	handler   rotation.Handler
	plan      rotation.Plan
	records   []rotation.Record
	alter     func(r *http.Request, body []byte) []byte                 // of Stripe's answers; nil: nothing
	seen      func(r *http.Request, body []byte, answer *http.Response) // of all calls to Stripe; nil: nothing
	answers   func() int                                                // the processor's status, 0 none; nil: its own
	mu        sync.Mutex
	said      []string
	sent      []string // calls, by host
	values    [][]byte
}

func newLab(t *testing.T, change func(*Target)) *lab {
	t.Helper()
	l := &lab{t: t, clock: &clock{start}}
	w := sandbox.New(l.clock)
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	l.store = &store{aws: w, stripe: w.Stripe, clock: l.clock.Now}
	l.stripe.AddKey(apiKey, stripe.Write)
	l.first = l.stripe.Add(stripe.Endpoint{URL: hookURL, Events: []string{"charge.succeeded", "charge.refunded"}, APIVersion: "2023-10-16",
		Description: "the shop's", Metadata: map[string]string{"team": "payments"}})
	target := Target{Secret: stored, URL: hookURL, APIKey: Key{Secret: apiKeyAt}, APIBase: "https://stripe.test"}
	if change != nil {
		change(&target)
	}
	l.key = target.Key
	must(w.PutByHand(apiKeyAt, apiKey))
	must(w.PutByHand(stored, l.content(l.first.Secret)))
	l.processor = &stripe.Processor{Clock: l.clock, Secrets: l.known}
	l.plan = planOf(t, target, 1)
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	d, err := deps(l, func(b []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.values = append(l.values, b)
	}, l.clock.Now)
	l.ok(err)
	l.deps, l.handler = d, New(d)
	return l
}

func planOf(t *testing.T, target Target, attempt int) rotation.Plan {
	t.Helper()
	with, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	p := rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "payments/stripe"}, Rotation: "2026-11-25-stripe", Attempt: attempt, Reason: "scheduled"}
	for _, s := range Kind().Recipe(&target) {
		p.Steps = append(p.Steps, rotation.Step{ID: fmt.Sprintf("2026-11-25-stripe/payments~stripe/dev/%d/%s", attempt, s.Name), Key: s.Name, Name: s.Name, Phase: s.Phase, Looks: s.Looks, With: with, Reads: s.Reads})
	}
	return p
}

// RoundTrip serves AWS, Stripe and the processor in this process.
func (l *lab) RoundTrip(r *http.Request) (res *http.Response, err error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	in := r.Clone(r.Context())
	in.Body, in.RequestURI, in.Host = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI(), r.URL.Host
	l.mu.Lock()
	l.sent = append(l.sent, r.URL.Host+" "+called(r))
	l.mu.Unlock()
	out := httptest.NewRecorder()
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			res, err = nil, errors.New("connection reset by peer")
		default:
			panic(p)
		}
	}()
	switch r.URL.Host {
	case "stripe.test":
		l.stripe.ServeHTTP(out, in)
	case "sandbox.test":
		l.aws.Handler().ServeHTTP(out, in)
	case "shop.test":
		if l.answers != nil {
			if l.answers() == 0 {
				return nil, errors.New("connection reset by peer")
			}
			out.WriteHeader(l.answers())
			break
		}
		l.processor.ServeHTTP(out, in)
	default:
		return nil, errors.New("no such host")
	}
	res = out.Result()
	if r.URL.Host == "stripe.test" && l.seen != nil {
		l.seen(r, body, res)
	}
	if r.URL.Host == "stripe.test" && l.alter != nil {
		b, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(bytes.NewReader(l.alter(r, b)))
	}
	return res, nil
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) fact(step, key string) string { return rotation.PastOf(l.records).Fact(step, key) }

// ask calls a step's function once, without recording what comes of it.
func (l *lab) ask(ctx context.Context, step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	if !s.Looks {
		ctx = rotation.WithFence(ctx, open{})
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

// try runs a step until it no longer waits for something to be recorded or for a little while, and records what it says.
func (l *lab) try(step string) error {
	l.t.Helper()
	for range 9 {
		res, err := l.ask(l.t.Context(), step)
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
		l.clock.at = l.clock.at.Add(res.Again)
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

var forward = []string{"preflight", "create", "test", "promote", "accepted", "disable", "decommission", "refused"}

// named puts names in the place of what chance made.
func (l *lab) named(text string) string {
	var pairs []string
	for i, e := range l.stripe.Endpoints() {
		pairs = append(pairs, e.ID, fmt.Sprintf("we_%d", i+1))
	}
	for i, v := range l.look().Versions {
		pairs = append(pairs, v.ID, fmt.Sprintf("VERSION-%d", i+1), v.ID[:13]+"…", fmt.Sprintf("VERSION-%d", i+1), v.ID[:8], fmt.Sprintf("V%d", i+1))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// silent fails when a value shows in what came out.
func (l *lab) silent() {
	l.t.Helper()
	all := strings.Join(l.said, "\n")
	values := [][]byte{[]byte(apiKey)}
	for _, e := range l.stripe.Endpoints() {
		values = append(values, []byte(e.Secret))
	}
	for _, v := range append(l.values, values...) {
		if len(v) > 3 && strings.Contains(all, string(v)) {
			l.t.Errorf("a value shows in:\n%s", all)
		}
	}
}
