package apply_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A service is what several secrets' rotations restart. As a consumer does, each has on record how often it was restarted
// before it asks for that, and takes a later restart for its own.
type service struct {
	mu       sync.Mutex
	restarts []time.Duration // since the beginning
	takes    time.Duration
}

// ask is one step that is asked; looked is whether this process had asked it before.
func (s *service) ask(begin time.Time, looked bool, st rotation.Step, past rotation.Past) (rotation.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, own := past.Fact(st.Key, "before"), past.Fact(st.Key, "own")
	switch n := len(s.restarts); {
	case before == "", own == "" && !looked && before == strconv.Itoa(n):
		return rotation.Result{Facts: map[string]string{"before": strconv.Itoa(n)}, Wait: "it to be on record"}, nil
	case own == "":
		if before == strconv.Itoa(n) {
			s.restarts, n = append(s.restarts, time.Since(begin)), n+1
		}
		return rotation.Result{Facts: map[string]string{"own": strconv.Itoa(n)}, Wait: "it to be on record"}, nil
	default:
		i, _ := strconv.Atoi(own)
		if left := s.restarts[i-1] + s.takes - time.Since(begin); left > 0 {
			return rotation.Result{Wait: "tasks to start", Again: min(left, 10*time.Second)}, nil
		}
	}
	return rotation.Result{}, nil
}

// A run is several secrets' rotations in one process.
type run struct {
	h        *house
	begin    time.Time
	services map[string]*service
	create   func(secret string) (rotation.Result, error) // nil: done
	jobs     []apply.Job
	said     map[string][]string // what is seen of each secret's deploy/web
}

func (h *house) together() *run {
	return &run{h: h, begin: time.Now(), services: map[string]*service{}, said: map[string][]string{}}
}

// add is another secret, whose consumers are these, in order.
func (r *run) add(secret string, services ...string) {
	j := r.h.jobs("2026-11-23-"+secret, func(in *plan.Input) {
		in.Secret = secret
		for i := range in.Targets {
			for _, s := range services {
				in.Targets[i].Consumers = append(in.Targets[i].Consumers, plan.Use{Name: s, Uses: "consumer/toy", With: []byte(`{}`), Within: rotation.Duration(20 * time.Minute), Shared: s})
			}
		}
	})["dev"]
	r.jobs = append(r.jobs, j)
	for _, s := range services {
		if r.services[s] == nil {
			r.services[s] = &service{}
		}
	}
}

// process runs all of them at once and answers how each stands.
func (r *run) process(ctx context.Context) map[string]plan.State {
	runner := r.h.runner()
	kinds, _ := runner.Handlers(ctx, nil)
	done := func(context.Context, rotation.Step, rotation.Past) (rotation.Result, error) {
		return rotation.Result{}, nil
	}
	var asked sync.Map
	roll := func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
		if past.Fact(s.Key, "own") == "" { // who waits keeps the lease
			if err := rotation.FenceOf(ctx).Pass(time.Minute); err != nil {
				return rotation.Result{}, err
			}
		}
		_, looked := asked.LoadOrStore(s.ID, true)
		return r.services[s.Shared].ask(r.begin, looked, s, past)
	}
	runner.Handlers = func(_ context.Context, c *rotation.Claim) (map[string]rotation.Handler, error) {
		kind := rotation.Handler{}
		for name := range kinds["kind/toy"] {
			kind[name] = done
		}
		kind["create"] = func(context.Context, rotation.Step, rotation.Past) (rotation.Result, error) {
			if r.create == nil {
				return rotation.Result{}, nil
			}
			return r.create(c.Plan.Secret)
		}
		return map[string]rotation.Handler{"kind/toy": kind, "consumer/toy": {"preflight": done, "deploy": roll, "back": roll, "adopted": done}}, nil
	}
	var saying sync.Mutex
	runner.Progress = func(p *rotation.Plan, rec rotation.Record) {
		saying.Lock()
		defer saying.Unlock()
		if rec.Step == "deploy/web" {
			r.said[p.Secret] = append(r.said[p.Secret], string(rec.Outcome)+": "+rec.Text)
		}
	}
	runner.Barrier = apply.NewBarrier()
	runner.Barrier.Expect(len(r.jobs))
	var mu sync.Mutex
	var all sync.WaitGroup
	states := map[string]plan.State{}
	for _, j := range r.jobs {
		all.Go(func() {
			st, err := runner.Run(ctx, j)
			mu.Lock()
			defer mu.Unlock()
			if states[j.Claim.Plan.Secret] = st.Decision.State; err != nil {
				r.h.t.Logf("%s: %v", j.Claim.Plan.Secret, err)
			}
		})
	}
	all.Wait()
	return states
}

func (r *run) want(states map[string]plan.State, want plan.State, but ...string) {
	r.h.t.Helper()
	for secret, state := range states {
		if (state != want) != slices.Contains(but, secret) {
			r.h.t.Errorf("%s is %s", secret, state)
		}
	}
}

func (r *run) restarted(service string, at ...time.Duration) {
	r.h.t.Helper()
	if got := r.services[service].restarts; !slices.Equal(got, at) {
		r.h.t.Errorf("%s was restarted at %v, want %v", service, got, at)
	}
}

func secrets(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("s%d", i))
	}
	return all
}

// each is how much longer than the one before a secret takes to make its credential.
const each = 45 * time.Second

func oneAfterTheOther(secret string) (rotation.Result, error) {
	n, _ := strconv.Atoi(secret[1:])
	time.Sleep(time.Duration(n) * each)
	return rotation.Result{}, nil
}

func TestTenSecretsRestartTheirServiceOnce(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		for _, s := range secrets(10) {
			r.add(s, "web")
		}
		r.create = oneAfterTheOther
		r.want(r.process(t.Context()), plan.Deferred)
		r.restarted("web", 9*each)
		for i := range r.jobs {
			r.jobs[i].RollBack = "ana"
		}
		r.want(r.process(t.Context()), plan.RolledBack)
		r.restarted("web", 9*each, 9*each)
	})
}

func TestWhoIsWaitedForIsSaid(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		r.add("s0", "web")
		r.add("s4", "web")
		r.add("s30", "web")
		r.create = oneAfterTheOther
		r.process(t.Context())
		want := []string{"noted: it to be on record", "waiting: 2 other rotations of this run, to restart it once for all",
			"waiting: one other rotation of this run, to restart it once for all", "noted: still at it", "noted: still at it",
			"noted: one other rotation of this run could restart the same and took too long to be waited for", "noted: it to be on record", "done: "}
		if diff := cmp.Diff(want, r.said["s0"]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoEndsIsNotWaitedFor(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		for _, s := range secrets(4) {
			r.add(s, "web")
		}
		r.create = func(secret string) (rotation.Result, error) {
			switch secret {
			case "s1":
				time.Sleep(2 * time.Minute)
				return rotation.Result{}, rotation.Failf("", "no")
			case "s2":
				time.Sleep(3 * time.Minute)
				return rotation.Result{Wait: "a person", Again: rotation.Later}, nil
			}
			return rotation.Result{}, nil
		}
		states := r.process(t.Context())
		r.want(states, plan.Deferred, "s1", "s2")
		if states["s1"] != plan.RolledBack || states["s2"] != plan.Waiting {
			t.Errorf("%v", states)
		}
		r.restarted("web", 3*time.Minute)
	})
}

func TestOtherServicesAreNotWaitedFor(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		r.add("s0", "web")
		r.add("s5", "worker")
		r.create = oneAfterTheOther
		r.want(r.process(t.Context()), plan.Deferred)
		r.restarted("web", 0)
		r.restarted("worker", 5*each)
	})
}

// The old credential of s0 is refused since its new one was made: what runs with it can't wait.
func TestWithoutAnOverlapNobodyIsWaitedFor(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		r.add("s0", "web")
		r.add("s1", "web")
		r.add("s5", "web")
		steps := r.jobs[0].Claim.Plan.Undo
		steps[slices.IndexFunc(steps, func(s rotation.Step) bool { return s.Name == "restore" })].Undoes = "create"
		r.create = oneAfterTheOther
		r.want(r.process(t.Context()), plan.Deferred)
		r.restarted("web", 0, 5*each)
	})
}

// Who is waited for in vain takes nothing of the time that a rollout has, and asks for one of its own.
func TestNobodyIsWaitedForLongerThanEightMinutes(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		r.add("s0", "web")
		r.add("s30", "web")
		r.create = oneAfterTheOther
		r.services["web"].takes = 15 * time.Minute
		r.want(r.process(t.Context()), plan.Deferred)
		r.restarted("web", 8*time.Minute, 30*each)
	})
}

func TestTwoThatRestartTheSameInAnotherOrderDoNotWaitForEachOther(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		r.add("s0", "web", "worker")
		r.add("s1", "worker", "web")
		r.want(r.process(t.Context()), plan.Deferred)
		for _, s := range []string{"web", "worker"} {
			if n := len(r.services[s].restarts); n < 1 || n > 2 || r.services[s].restarts[n-1] > 0 {
				t.Errorf("%s was restarted at %v", s, r.services[s].restarts)
			}
		}
	})
}

func TestOneServiceAfterTheOtherIsRestartedOnceEach(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		for _, s := range secrets(10) {
			r.add(s, "web", "worker")
		}
		r.create = oneAfterTheOther
		r.services["web"].takes = 3 * time.Minute
		r.want(r.process(t.Context()), plan.Deferred)
		r.restarted("web", 9*each)
		r.restarted("worker", 9*each+3*time.Minute)
	})
}

// A process is stopped while nine wait for the tenth; the next one goes on with all of them.
func TestStoppedWhileTheyWaitTheNextRunMeetsAgain(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		r := h.together()
		for _, s := range secrets(10) {
			r.add(s, "web")
		}
		r.create = oneAfterTheOther
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		r.process(ctx)
		r.restarted("web")
		r.create = nil
		time.Sleep(20 * time.Minute)
		r.want(r.process(t.Context()), plan.Deferred)
		if n := len(r.services["web"].restarts); n != 1 {
			t.Errorf("restarted %d times", n)
		}
	})
}
