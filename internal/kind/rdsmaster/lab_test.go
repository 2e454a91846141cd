package rdsmaster

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
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/rds"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A clock goes when it is told to.
type labClock struct{ at time.Time }

func (c *labClock) Now() time.Time { return c.at }

// A lab is one database, and a rotation of its master password that is gone through step by step, as the loop would.
type lab struct {
	t *testing.T
	*store
	time    *labClock
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	mu      sync.Mutex
	said    []string
	sent    []string // calls
	values  [][]byte
}

func newLab(t *testing.T, target Target) *lab {
	t.Helper()
	l := &lab{t: t, time: &labClock{start}}
	if target.Instance == "" && target.Cluster == "" {
		target.Instance = "shop"
	}
	l.store = newStore(l.time.Now, target)
	l.claim(1)
	return l.restart()
}

// change is a person who changes what the target or the database is, before anything begins.
func (l *lab) change(target func(*Target), db func(*rds.Database)) *lab {
	if target != nil {
		target(&l.target)
		l.claim(1)
	}
	if db != nil {
		l.aws.RDS.SetByHand(sandbox.Home, l.target.Cluster != "", "shop", l.time.at, db)
	}
	return l
}

func (l *lab) claim(attempt int) {
	with, err := json.Marshal(l.target)
	l.ok(err)
	l.plan = rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "shop/master"}, Rotation: "2026-11-25-shop", Attempt: attempt, Reason: "scheduled"}
	for _, s := range recipe() {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: fmt.Sprintf("2026-11-25-shop/shop~master/dev/%d/%s", attempt, s.Name), Key: s.Name, Name: s.Name, Phase: s.Phase, Looks: s.Looks, With: with, Reads: s.Reads})
	}
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
}

// restart is a new process.
func (l *lab) restart() *lab {
	d, err := deps(l, func(b []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.values = append(l.values, b)
	})
	l.ok(err)
	l.handler = New(d)
	return l
}

// RoundTrip serves AWS in this process.
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
	return out.Result(), nil
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) fact(step, key string) string { return rotation.PastOf(l.records).Fact(step, key) }

func (l *lab) count(op string) (n int) {
	for _, c := range l.sent {
		if c == op {
			n++
		}
	}
	return n
}

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

// once asks a step, and records what it says.
func (l *lab) once(step string) (done bool, err error) {
	l.t.Helper()
	res, err := l.ask(l.t.Context(), step)
	if err != nil {
		return false, err
	}
	outcome := rotation.Done
	if res.Wait != "" {
		outcome = rotation.Noted
		l.time.at = l.time.at.Add(res.Again)
	}
	l.records = append(l.records, rotation.Record{Step: step, Outcome: outcome, Facts: res.Facts, Text: res.Text})
	return res.Wait == "", nil
}

// try runs a step until it no longer waits.
func (l *lab) try(step string) error {
	l.t.Helper()
	for range 40 {
		if done, err := l.once(step); done || err != nil {
			return err
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

var forward = []string{preflight, create, set, test, promote, "decommission"}

// named puts names in the place of what chance made.
func (l *lab) named(text string) string {
	var pairs []string
	for i, v := range l.look().Versions {
		pairs = append(pairs, v.ID, fmt.Sprintf("VERSION-%d", i+1), v.ID[:13]+"…", fmt.Sprintf("VERSION-%d", i+1), v.ID[:8], fmt.Sprintf("V%d", i+1))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// silent fails when a password shows in what came out.
func (l *lab) silent() {
	l.t.Helper()
	all := strings.Join(l.said, "\n")
	for _, r := range l.records {
		all += fmt.Sprint(r.Facts)
	}
	for _, v := range append(l.values, []byte("planted")) {
		if len(v) > 3 && strings.Contains(all, string(v)) {
			l.t.Errorf("a value shows in:\n%s", all)
		}
	}
}
