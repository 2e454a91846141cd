package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/typesense"
)

const search = "rekey/dev/search"

// newSearch is a town whose search has a key that a service of four tasks and a function read when they start. Their
// deadlines are longer than a lease, so that a run that dies leaves the next one time.
func newSearch(t *testing.T) *town {
	w := newTown(t)
	w.write("ops/config/registry.md", strings.ReplaceAll(`| Secret | Kind | Owner | Interval | Last rotated |
| --- | --- | --- | --- | --- |
| app/search | typesense | @rastup/platform | 90 days | 2026-08-18 |

## app/search

~~~yaml
dev:
  target:
    secret: `+search+`
    nodes: ["`+w.url+`"]
    admin: {secret: rekey/dev/admin}
    proof: /collections/products/documents/search?q=*&query_by=name
  consumers:
    - {ecs: {cluster: shop, service: web, within: 1h}, name: web}
    - {lambda: {function: orders, refresh: true, within: 1h}, name: orders}
~~~
`, "~~~", "```"))
	key := w.world.Typesense.Add(typesense.Key{Value: "sandbox-only-typesense-search-01", Description: "search", Actions: []string{"documents:search"}, Collections: []string{"products"}})
	for name, value := range map[string]string{search: key.Value, "rekey/dev/admin": sandbox.TypesenseKey} {
		if _, err := w.world.PutByHand(name, value); err != nil {
			t.Fatal(err)
		}
	}
	spec := ecs.Spec{Cluster: "shop", Name: "web", Desired: 4, TaskDefinition: w.world.ECS.RegisterByHand(sandbox.Home, ecs.Definition{Family: "web",
		Containers: []ecs.Container{{Name: "app", Secrets: []ecs.Secret{{Name: "SEARCH_KEY", ValueFrom: w.world.Secret(search).ARN}}}}})}
	if err := w.world.ECS.MakeByHand(sandbox.Home, spec, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.world.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "orders", Environment: map[string]string{"SECRET": search}}, w.clock.Now())
	w.clock.Move(time.Hour)
	w.request(searching, "secret: app/search\nticket: SEC-1\nenvironments: [dev]\n")
	return w
}

const searching = "2026-11-23-search"

// A death ends a process at one of its calls, before it leaves or when its answer comes. Nothing of it is heard afterwards.
type death struct {
	clock standing
	at    int // from 1; 0: it lives
	after bool
	when  func(call string) bool // instead of at; nil: at

	mu    sync.Mutex
	calls []string
	dead  bool
}

var errDead = errors.New("the process is dead")

func (d *death) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// RoundTrip is http.RoundTripper.
func (d *death) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		return nil, errDead
	}
	call := r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Amz-Target")
	d.calls = append(d.calls, call)
	here := len(d.calls) == d.at || d.when != nil && d.when(call)
	d.dead = here
	d.mu.Unlock()
	if here && !d.after {
		return nil, errDead
	}
	out, err := http.DefaultTransport.RoundTrip(r)
	if here && err == nil {
		_ = out.Body.Close()
		return nil, errDead
	}
	return out, err
}

func (d *death) Now() time.Time                       { return d.clock.Now() }
func (d *death) After(time.Duration) <-chan time.Time { return nil }
func (d *death) Sleep(ctx context.Context, by time.Duration) error {
	if d.gone() {
		return errDead
	}
	return d.clock.Sleep(ctx, by)
}

type atOnce struct{}

func (atOnce) BackoffDelay(int, error) (time.Duration, error) { return 0, nil }

// stands puts a process where d befalls it.
func (d *death) stands(w *app.World) {
	w.Clock, w.Cloud.Transport, w.Cloud.Backoff, w.Services = d, d, atOnce{}, d
	w.Warn = func(string) {} // who is dead can't reach the log group either
}

// until has a process die at one of its calls, and others go on, each twenty minutes later or when it is due, until the
// rotation is as wanted.
func (w *town) until(name string, want plan.State, d *death) {
	w.t.Helper()
	var state plan.State
	for range 6 {
		var stands []func(*app.World)
		if !d.gone() {
			stands = append(stands, d.stands)
		}
		a := w.process(stands...)
		tasks, err := a.Tasks(w.t.Context())
		var results []app.Result
		if err == nil {
			results, err = a.Apply(w.t.Context(), tasks, app.Options{Environment: "dev", ByHand: true})
		}
		if err != nil && !d.gone() {
			w.t.Fatal(err)
		}
		for _, r := range results {
			state = r.Status.Decision.State
		}
		if state == want && !d.gone() || state == want && len(stands) == 0 {
			return
		}
		if state == plan.Deferred {
			w.clock.Move(48 * time.Hour)
		}
		w.clock.Move(20 * time.Minute)
	}
	w.t.Fatalf("%s is %q in the end, want %q", name, state, want)
}

// However far a process came when it died, the next one ends the rotation as if nothing had happened, and at no call of
// either does anything run with a key that Typesense doesn't take.
func TestNobodyEverRunsWithAKeyThatDoesNotWork(t *testing.T) {
	t.Parallel()
	const cases = 20 // of each way
	for name, way := range map[string]struct {
		fault ecs.Fault
		want  plan.State
	}{
		"forward": {ecs.Fault{}, plan.Finished},
		"back":    {ecs.Fault{Good: 2, Hang: true, Deployments: 1}, plan.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play := func(t *testing.T, d *death) *death {
				w := newSearch(t)
				was := w.world.Secret(search).Labels["AWSCURRENT"]
				w.watched(search, w.accepted, nil)
				w.world.ECS.Break(sandbox.Home, "shop", "web", way.fault, w.clock.Now())
				d.clock = standing{w.clock}
				w.until(searching, way.want, d)
				live := w.world.Secret(search).Labels["AWSCURRENT"]
				if (live == was) != (way.want == plan.RolledBack) {
					t.Errorf("%s is live, and %s was", live, was)
				}
				w.run(live)
				var left []int64
				for _, k := range w.world.Typesense.Keys() {
					if !k.Deleted {
						left = append(left, k.ID)
					}
				}
				if len(left) != 1 {
					t.Errorf("keys %d are left, want one", left)
				}
				return d
			}
			var calls []string
			t.Run("undisturbed", func(t *testing.T) { calls = play(t, &death{}).calls })
			var moments []int // but for the search for what is open, which begins every run, and looks at a rollout again and again
			for i, call := range calls {
				if !strings.HasPrefix(call, "GET /rekey-evidence ") && (i == 0 || call != calls[i-1]) {
					moments = append(moments, i+1)
				}
			}
			for i := range cases {
				d := &death{at: moments[i*len(moments)/cases], after: i%2 == 1}
				t.Run(fmt.Sprintf("call %d after=%t", d.at, d.after), func(t *testing.T) { play(t, d) })
			}
			t.Logf("%d calls, dead at %d of %d", len(calls), cases, len(moments))
		})
	}
}

// run says that all that runs does so with a version.
func (w *town) run(version string) {
	w.t.Helper()
	for _, task := range w.world.ECS.Tasks(sandbox.Home, "shop", "web", w.clock.Now()) {
		for _, v := range task.Versions {
			if v != version {
				w.t.Errorf("a task runs with %s, want %s", v, version)
			}
		}
	}
	for _, v := range w.world.Lambda.Running(sandbox.Home, "orders") {
		if v != version {
			w.t.Errorf("the function runs with %s, want %s", v, version)
		}
	}
}
