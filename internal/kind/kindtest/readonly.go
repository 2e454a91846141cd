package kindtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/rotation"
)

// looksOnly holds what only looks to its word: a plan --live, a status, a refused run and every step asked without
// a fence change nothing, and no changing call even leaves.
func looksOnly(t *testing.T, w World) {
	synctest.Test(t, func(t *testing.T) {
		l, err := newLab(w, twist{}, chain)
		if err != nil {
			t.Fatal(err)
		}
		defer l.sweep()
		s := l.sites[chain]
		for i, a := range append([]act{{name: "nothing yet"}}, scenarios[0].acts...) {
			if i > 0 {
				if err := l.rest([]act{a}, false); err != nil {
					t.Fatal(err)
				}
			}
			was, stored, n := s.State(), len(l.mem.all()), len(l.faults)
			l.unfenced(plainly(l))
			if is := s.State(); is != was {
				t.Errorf("after %s: looking changed something:\n%s\nwas\n%s", a.name, is, was)
			}
			if len(l.mem.all()) != stored {
				t.Errorf("after %s: looking stored something", a.name)
			}
			if len(l.faults) > n {
				t.Errorf("after %s: %s", a.name, l.faults[n])
			}
		}
	})
}

// unfenced asks every step of j's plan without a fence, after a look at its status.
func (l *lab) unfenced(j apply.Job) {
	g := l.gate(none, 0, 0)
	defer close(g.ended)
	s := l.sites[chain]
	r, _ := l.runner(&process{g: g})
	st, err := r.Look(context.Background(), j)
	if err != nil {
		l.fault("look: %v", err)
		return
	}
	hs, err := r.Handlers(context.Background(), &rotation.Claim{Plan: st.Plan})
	if err != nil {
		l.fault("handlers: %v", err)
		return
	}
	past := st.Records
	if len(past) == 0 {
		past = []rotation.Record{{Outcome: rotation.Claimed, Claim: &j.Claim, At: start}}
	}
	for _, step := range append(st.Plan.Steps, st.Plan.Undo...) {
		_, err := hs[step.Uses][step.Name](context.Background(), step, rotation.PastOf(past).For(step))
		if step.Looks && errors.Is(err, rotation.ErrNoLease) {
			l.fault("%s says that it only looks, but it made a changing call", step.Key)
		}
	}
	if preview := hs["kind/"+st.Plan.Kind]["preview"]; preview != nil {
		n := len(g.calls)
		step, _ := st.Plan.Step("preflight")
		_, _ = preview(context.Background(), step, rotation.PastOf(past).For(step))
		for _, name := range g.calls[n:] {
			if strings.Contains(name, "GetSecretValue") {
				l.fault("preview read a value: %s", name)
			}
		}
	}
	for _, name := range g.calls {
		if s.changing[name] {
			l.fault("%s left without a fence", name)
		}
	}
}

// twice does every step of a rotation two times over, as after a lost record: the end must be the same.
func twice(t *testing.T, w World) {
	again := twist{onHandler: eachTwice}
	for _, sc := range scenarios {
		synctest.Test(t, func(t *testing.T) {
			l, err := newLab(w, again, chain)
			if err != nil {
				t.Fatal(err)
			}
			defer l.sweep()
			err = l.rest(sc.acts, false)
			if err == nil {
				err = l.judge(chain, sc.acts[len(sc.acts)-1].until, sc.attempts)
			}
			if err != nil {
				t.Errorf("each step twice: %s: %v\n%s", sc.name, err, strings.Join(l.story, "\n"))
			}
		})
	}
}

func eachTwice(h rotation.Handler, _ http.RoundTripper) rotation.Handler {
	out := rotation.Handler{}
	for name, f := range h {
		out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			if _, err := f(ctx, s, past); err != nil {
				return rotation.Result{}, err
			}
			return f(ctx, s, past)
		}
	}
	return out
}
