package typesense

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

	"github.com/rastup/rekey/internal/rotation"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A clock goes when it is told to.
type clock struct{ at time.Time }

func (c *clock) Now() time.Time { return c.at }

// A lab is one key, and a rotation of it that is gone through step by step, as the loop would.
type lab struct {
	t *testing.T
	*store
	clock   *clock
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	seen    func(r *http.Request, body []byte, answer *http.Response, said []byte) // of all calls to Typesense; nil: nothing
	mu      sync.Mutex
	said    []string
	sent    []string // calls
	values  [][]byte
}

func newLab(t *testing.T, change func(*Target)) *lab {
	t.Helper()
	l := &lab{t: t, clock: &clock{start}}
	l.store = newStore(l.clock.Now, Target{})
	if change != nil {
		key := l.target.Key
		if change(&l.target); l.target.Key != key {
			must(l.aws.PutByHand(stored, l.content(l.first.Value)))
		}
	}
	l.plan = planOf(t, l.target, 1)
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	d, err := deps(l, func(b []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.values = append(l.values, b)
	}, l.clock.Now)
	l.ok(err)
	l.handler = New(d)
	return l
}

func planOf(t *testing.T, target Target, attempt int) rotation.Plan {
	t.Helper()
	with, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	p := rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "search/key"}, Rotation: "2026-11-25-search", Attempt: attempt, Reason: "scheduled"}
	for _, s := range Kind().Recipe(&target) {
		p.Steps = append(p.Steps, rotation.Step{ID: fmt.Sprintf("2026-11-25-search/search~key/dev/%d/%s", attempt, s.Name), Key: s.Name, Name: s.Name, Phase: s.Phase, Looks: s.Looks, With: with, Reads: s.Reads})
	}
	return p
}

// RoundTrip serves AWS and Typesense in this process.
func (l *lab) RoundTrip(r *http.Request) (res *http.Response, err error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	in := r.Clone(r.Context())
	in.Body, in.RequestURI, in.Host = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI(), r.URL.Host
	l.mu.Lock()
	l.sent = append(l.sent, called(r))
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
	l.aws.Handler().ServeHTTP(out, in)
	res = out.Result()
	if !ofAWS(r) && l.seen != nil {
		l.seen(r, body, res, out.Body.Bytes())
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

var forward = []string{"preflight", "create", "set", "test", "promote", "decommission", "refused"}

// named puts names in the place of what chance made.
func (l *lab) named(text string) string {
	var pairs []string
	for i, v := range l.look().Versions {
		pairs = append(pairs, v.ID, fmt.Sprintf("VERSION-%d", i+1), v.ID[:13]+"…", fmt.Sprintf("VERSION-%d", i+1), v.ID[:8], fmt.Sprintf("V%d", i+1))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// silent fails when a value shows in what came out.
func (l *lab) silent() {
	l.t.Helper()
	all := strings.Join(l.said, "\n")
	var values [][]byte
	for _, k := range l.ts.Keys() {
		values = append(values, []byte(k.Value), []byte(`"`+k.Value[:4]), []byte(" "+k.Value[:4]))
	}
	for _, v := range append(l.values, values...) {
		if len(v) > 3 && strings.Contains(all, string(v)) {
			l.t.Errorf("a value shows in:\n%s", all)
		}
	}
}
