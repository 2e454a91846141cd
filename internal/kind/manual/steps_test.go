package manual_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/vaulttest"
	"github.com/rastup/rekey/internal/kind/manual"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

// direct serves calls in this process.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	d.h.ServeHTTP(out, in)
	return out.Result(), nil
}

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A lab is a rotation gone through step by step, as the loop would.
type lab struct {
	t       *testing.T
	v       *vaulttest.Vault
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    strings.Builder
}

const oldValue = "old-value-11111111"

func newLab(t *testing.T, old string, target manual.Target) *lab {
	l := &lab{t: t}
	var err error
	l.v, err = vaulttest.New(func() time.Time { return start }, "oldest-value-0000", old, "partner-value-0000")
	l.ok(err)
	s, _, err := vaulttest.Session(direct{l.v.World.Handler()}, func([]byte) {})
	l.ok(err)
	l.handler = manual.New(kind.On(s, func([]byte) {}))
	target.Secret = vaulttest.Name
	with, err := json.Marshal(target)
	l.ok(err)
	plans, err := plan.Build(plan.Input{Rotation: "2026-11-25-x", Date: start, Secret: "x", Kind: "manual", Targets: []plan.Target{
		{Environment: "dev", Requested: true, With: with, Recipe: manual.Kind().Recipe(&target)}}})
	l.ok(err)
	l.plan = plans[0]
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	return l
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// ask asks a step once, and records what it says where it is done.
func (l *lab) ask(step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	ctx := l.t.Context()
	if !s.Looks {
		ctx = rotation.WithFence(ctx, open{})
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	var f *rotation.Failure
	switch {
	case errors.As(err, &f):
		fmt.Fprintf(&l.said, "  %s refused: %s\n    hint: %s\n", step, f.Msg, f.Hint)
	case err != nil:
		fmt.Fprintf(&l.said, "  %s: %v\n", step, err)
	case res.Wait != "":
		fmt.Fprintf(&l.said, "  %s waits for %s\n", step, res.Wait)
		if len(res.Facts) > 0 {
			l.records = append(l.records, rotation.Record{Step: step, Outcome: rotation.Noted, Facts: res.Facts})
		}
	default:
		fmt.Fprintf(&l.said, "  %s: %s\n", step, res.Text)
		l.records = append(l.records, rotation.Record{Step: step, Outcome: rotation.Done, Facts: res.Facts, Text: res.Text})
	}
	return res, err
}

func (l *lab) run(steps ...string) {
	l.t.Helper()
	for _, s := range steps {
		for res, err := l.ask(s); res.Wait != "" || err != nil; res, err = l.ask(s) {
			l.ok(err)
			if res.Again == rotation.Later {
				l.t.Fatalf("%s waits", s)
			}
		}
	}
}

// does lets a person do what a step asks for, with a value.
func (l *lab) does(step, value string) {
	s, _ := l.plan.Step(step)
	l.v.Run(s.Asks().Run, value)
}

func (l *lab) put(value string, labels ...string) {
	l.t.Helper()
	_, err := l.v.World.SecretsManager.PutByHand(sandbox.Home, vaulttest.Name, value, start, labels...)
	l.ok(err)
}

func TestWhatPeopleRead(t *testing.T) {
	asked := manual.Target{Steps: []string{"Ask for one."}, Revoke: []string{"Revoke it."}}
	var all strings.Builder
	for _, c := range []struct {
		name   string
		old    string
		target manual.Target
		does   func(*lab)
	}{
		{"all well", oldValue, asked, func(l *lab) {
			l.run("preflight")
			_, _ = l.ask("create")
			l.does("create", "handed-over-1")
			l.run("create", "test", "promote", "decommission")
			_, _ = l.ask("revoked")
			l.does("revoked", "")
			l.run("revoked")
		}},
		{"nobody is asked to revoke", oldValue, manual.Target{Steps: asked.Steps}, func(l *lab) {
			l.run("preflight")
			l.does("create", "handed-over-1")
			l.run("create", "test", "promote", "decommission")
		}},
		{"somebody's value is pending before", oldValue, asked, func(l *lab) {
			l.put("somebody's", sm.Pending)
			_, _ = l.ask("preflight")
		}},
		{"a value under another ID", oldValue, asked, func(l *lab) {
			l.run("preflight")
			l.put("somebody's", sm.Pending)
			_, _ = l.ask("create")
			l.does("create", "handed-over-1") // takes the label
			l.run("create")
		}},
		{"live at once", oldValue, asked, func(l *lab) {
			l.run("preflight")
			l.put("in the console")
			_, _ = l.ask("create")
			l.run("discard")
		}},
		{"the old value again", oldValue, asked, func(l *lab) {
			l.run("preflight")
			l.does("create", oldValue)
			l.run("create")
			_, _ = l.ask("test")
			l.run("discard")
		}},
		{"a line break at its end", oldValue, asked, func(l *lab) {
			l.run("preflight")
			l.does("create", "handed-over-1\n")
			l.run("create")
			_, _ = l.ask("test")
		}},
		{"a line break as before", oldValue + "\n", asked, func(l *lab) {
			l.run("preflight")
			l.does("create", "handed-over-1\n")
			l.run("create", "test")
		}},
		{"JSON with the same keys", `{"id":"a","key":"b"}`, asked, func(l *lab) {
			l.run("preflight")
			l.does("create", `{ "key": "c", "id": "a" }`)
			l.run("create", "test")
		}},
		{"JSON with other keys", `{"id":"a","key":"b"}`, asked, func(l *lab) {
			l.run("preflight")
			l.does("create", `{"id":"a","kay":"c"}`)
			l.run("create")
			_, _ = l.ask("test")
		}},
		{"no JSON where JSON was", `{"id":"a","key":"b"}`, asked, func(l *lab) {
			l.run("preflight")
			l.does("create", `handed-over-1`)
			l.run("create")
			_, _ = l.ask("test")
		}},
		{"nothing stored, taken back", oldValue, asked, func(l *lab) {
			l.run("preflight")
			_, _ = l.ask("create")
			l.run("discard")
		}},
		{"stored too late to be recorded", oldValue, asked, func(l *lab) {
			l.run("preflight")
			_, _ = l.ask("create")
			l.does("create", "handed-over-1")
			l.run("discard")
		}},
		{"another rotation's word", oldValue, asked, func(l *lab) {
			l.ok(l.v.World.SecretsManager.TagByHand(sandbox.Home, vaulttest.Name, start, sm.Tag{Key: "rekey-revoked", Value: strings.Repeat("0", 64)}))
			l.run("preflight")
			l.does("create", "handed-over-1")
			l.run("create", "test", "promote", "decommission")
			_, _ = l.ask("revoked")
		}},
	} {
		l := newLab(t, c.old, c.target)
		c.does(l)
		fmt.Fprintf(&all, "%s\n%s\n", c.name, &l.said)
		for _, v := range []string{oldValue, "handed-over-1", "somebody's"} {
			if strings.Contains(l.said.String(), v) {
				t.Errorf("%s: a value shows", c.name)
			}
		}
	}
	goldentest.Equal(t, "texts.txt", all.String())
}

func TestWhatIsAsked(t *testing.T) {
	l := newLab(t, oldValue, manual.Target{Steps: []string{"Ask the partner for a key (ticket queue KEYS)."}, Revoke: []string{"Have the old key revoked."}})
	var all strings.Builder
	for _, s := range l.plan.Steps {
		fmt.Fprintf(&all, "%s %s looks=%v within=%s\n", s.Phase, s.Key, s.Looks, s.Within)
		if a := s.Asks(); a != nil {
			fmt.Fprintf(&all, "    %s\n    %s\n", strings.Join(a.Do, "\n    "), a.Run)
		}
	}
	goldentest.Equal(t, "plan.txt", all.String())
}
