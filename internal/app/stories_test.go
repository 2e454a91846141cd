package app_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/ssm"
)

// A story is one thing that goes wrong with a consumer or a check, and what comes of it.
type story struct {
	name    string
	checks  string                          // lines of the registry in place of the alarm's
	before  func(*town)                     // what is so before the rotation begins
	at      string                          // the operation before whose first call after the promotion ...
	happens func(*town, sandbox.Call) error // ... this happens; its error is the call's answer
	but     []string                        // whose fault it is; see watch
	states  []plan.State                    // of each run, an hour after the one before
	old     bool                            // all that runs does so with the old version in the end
}

const (
	smoke  = "    - {command: {run: [sh, tools/smoke.sh]}, name: smoke}\n"
	metric = "    - {cloudwatch: {metrics: [{namespace: Shop, metric: Orders, stat: Sum, least: 1}]%s}, name: orders}\n"
)

// minutes have the metric a value in each of so many minutes before now.
func minutes(w *town, n int) {
	for i := range n {
		w.world.CloudWatch.Put(sandbox.Home, "Shop", "Orders", w.clock.Now().Add(-time.Duration(i+1)*time.Minute).Truncate(time.Minute), 3)
	}
}

func breaks(fault ecs.Fault, spec ecs.Spec) func(*town) {
	return func(w *town) {
		w.world.ECS.SetByHand(sandbox.Home, "shop", "web", w.clock.Now(), func(s *ecs.Spec) { s.Breaker, s.Rollback = spec.Breaker, spec.Rollback })
		w.world.ECS.Break(sandbox.Home, "shop", "web", fault, w.clock.Now())
	}
}

var (
	backAtOnce = []plan.State{plan.RolledBack}
	goesOn     = []plan.State{plan.Deferred}
	refused    = []plan.State{plan.Refused}
)

var stories = []story{
	{name: "a rollout hangs until its deadline", before: breaks(ecs.Fault{Good: 2, Hang: true, Deployments: 1}, ecs.Spec{}), states: backAtOnce, old: true},
	{name: "a circuit breaker rolls back by itself", before: breaks(ecs.Fault{Stopped: "Essential container in task exited", Deployments: 1}, ecs.Spec{Breaker: true, Rollback: true}),
		states: backAtOnce, old: true},
	{name: "a smoke test fails after the change", checks: smoke, states: backAtOnce, old: true, before: func(w *town) {
		w.lookup = os.LookupEnv
		w.write("tools/smoke.sh", "echo run >> runs\n[ $(wc -l < runs) -ne 2 ] || { echo 'POST /orders: 502'; exit 3; }\necho 'orders work'\n")
	}},
	{name: "an alarm is red before", states: refused, old: true, before: func(w *town) {
		w.world.CloudWatch.SetState(sandbox.Home, "errors", "ALARM", w.clock.Now())
	}},
	{name: "a metric without data is a failure", checks: fmt.Sprintf(metric, ""), states: refused, old: true},
	{name: "a metric without data is a warning", checks: fmt.Sprintf(metric, ", missing: warn"), states: goesOn},
	{name: "a metric has no data any more", checks: fmt.Sprintf(metric, ""), old: true,
		before: func(w *town) { minutes(w, 30) },
		states: []plan.State{plan.Stuck, plan.RolledBack}},
	{name: "Lambda refuses the update", at: "UpdateFunctionConfiguration", states: backAtOnce, old: true, happens: func(*town, sandbox.Call) error {
		return &sandbox.Error{Status: 400, Code: "InvalidParameterValueException", Message: "Lambda was unable to configure your environment variables"}
	}},
	{name: "somebody changes the function at the same moment", at: "UpdateFunctionConfiguration", states: goesOn, happens: func(w *town, _ sandbox.Call) error {
		w.world.Lambda.ChangeByHand(sandbox.Home, "orders", w.clock.Now(), func(f *lambda.Function) { f.Environment["LOG"] = "debug" })
		return nil
	}},
	{name: "somebody overwrites the parameter", at: "UpdateService", states: backAtOnce, old: true, but: []string{"parameter"}, happens: func(w *town, _ sandbox.Call) error {
		w.world.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: "/shop/version", Value: "written by bo"}, w.clock.Now())
		return nil
	}},
}

// Each story is read as a person reads it at a terminal.
func TestWhatGoesWrongWithConsumersAndChecks(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			w := newCompany(t)
			if s.checks != "" {
				w.change("ops/config/registry.md", "    - {cloudwatch: {alarms: [errors]}, name: alarms}\n", s.checks)
			}
			if s.before != nil {
				s.before(w)
			}
			was := w.live()
			var happened atomic.Bool
			l := w.watched(stored, w.kept, func(c sandbox.Call) error {
				if s.happens != nil && c.Operation == s.at && w.live() != was && happened.CompareAndSwap(false, true) {
					return s.happens(w, c)
				}
				return nil
			})
			l.but = s.but
			var b bytes.Buffer
			w.progress = terminal.Progress(&b, terminal.Style{})
			for i, want := range s.states {
				if i > 0 {
					w.clock.Move(time.Hour)
					minutes(w, 60) // people have seen to it
					fmt.Fprintln(&b, "\nAn hour later:")
				}
				w.want("dev", "2026-11-23-db", want)
			}
			if s.happens != nil && !happened.Load() {
				t.Error("it didn't happen")
			}
			if live := w.live(); (live == was) != s.old {
				t.Errorf("%s is live, was %s", live, was)
			}
			if len(s.but) == 0 {
				w.uses(w.live())
			}
			if s.states[0] == plan.Refused && len(w.world.Secret(stored).Versions) != 1 {
				t.Error("something was made")
			}
			goldentest.Equal(t, strings.ReplaceAll(s.name, " ", "-")+".txt", b.String())
		})
	}
}

// change replaces a text in a file.
func (w *town) change(path, old, now string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, path))
	if err != nil || !bytes.Contains(text, []byte(old)) {
		w.t.Fatalf("%s: %v, or it has no %q", path, err, old)
	}
	w.write(path, strings.Replace(string(text), old, now, 1))
}
