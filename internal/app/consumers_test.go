package app_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/ssm"
)

const stored = "rekey/dev/app-database"

// newCompany is a town whose secret in dev is used by a service, a function that reads it when it starts, and by whoever
// goes by a parameter, or by a parameter's label; an alarm watches them.
func newCompany(t *testing.T) *town {
	w := newShop(t, ecs.Spec{})
	at := "dev:\n  target: {secret: " + stored + ", key: password}\n"
	w.write("ops/config/registry.md", strings.ReplaceAll(strings.Replace(page, at, at+`  consumers:
    - {ecs: {cluster: shop, service: web}, name: web}
    - {lambda: {function: orders, refresh: true}, name: orders}
    - {parameter: {name: /shop/version}, name: pointer}
    - {parameter: {name: /shop/versions, label: live}, name: label}
  checks:
    - {cloudwatch: {alarms: [errors]}, name: alarms}
`, 1), "~~~", "```"))
	w.world.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "orders", Environment: map[string]string{"SECRET": stored}}, w.clock.Now())
	w.world.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: "/shop/version", Value: w.live()}, w.clock.Now())
	w.world.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: "/shop/versions", Value: w.live(), Label: "live"}, w.clock.Now())
	w.world.CloudWatch.MakeAlarm(sandbox.Home, "errors", false, w.clock.Now())
	w.world.CloudWatch.SetState(sandbox.Home, "errors", "OK", w.clock.Now())
	w.clock.Move(time.Hour)
	w.uses(w.live())
	return w
}

func (w *town) live() string { return w.world.Secret(stored).Labels["AWSCURRENT"] }

// uses holds that everything that runs does so with a version.
func (w *town) uses(version string) {
	w.t.Helper()
	for _, task := range w.world.ECS.Tasks(sandbox.Home, "shop", "web", w.clock.Now()) {
		for _, v := range task.Versions {
			if v != version {
				w.t.Errorf("a task runs with %s, want %s", v, version)
			}
		}
	}
	if v := w.world.Lambda.Invoke(sandbox.Home, "orders", "$LATEST", w.clock.Now(), w.live); v != version {
		w.t.Errorf("the function runs with %s, want %s", v, version)
	}
	if all := w.world.SSM.Values(sandbox.Home, "/shop/version"); all[len(all)-1] != version {
		w.t.Errorf("the parameter says %s, want %s", all, version)
	}
	if _, says := w.world.SSM.Labelled(sandbox.Home, "/shop/versions", "live"); says != version {
		w.t.Errorf("the parameter's label is on %s, want %s", says, version)
	}
}

func TestAllConsumersTakeUpWhatIsLive(t *testing.T) {
	w := newCompany(t)
	w.watched(stored, w.kept, nil)
	was := w.live()
	w.want("dev", "2026-11-23-db", plan.Deferred)
	if w.live() == was {
		t.Fatal("nothing was promoted")
	}
	w.uses(w.live())
	w.clock.Move(49 * time.Hour)
	w.want("dev", "2026-11-23-db", plan.Finished)
	w.uses(w.live())
}

// However far a rotation came when its alarm goes red, everything that runs does so with the old version in the end, and
// nothing of the new one is in force.
func TestAllConsumersGoBackTogether(t *testing.T) {
	for _, at := range []string{"UpdateService", "UpdateFunctionConfiguration", "PutParameter", "LabelParameterVersion", "DescribeAlarmHistory"} {
		t.Run(at, func(t *testing.T) {
			w := newCompany(t)
			was := w.live()
			var red atomic.Bool // calls arrive together
			w.watched(stored, w.kept, func(c sandbox.Call) error {
				if c.Operation == at && w.live() != was && red.CompareAndSwap(false, true) {
					w.world.CloudWatch.SetState(sandbox.Home, "errors", "ALARM", w.clock.Now())
				}
				return nil
			})
			green := func() {
				w.world.CloudWatch.SetState(sandbox.Home, "errors", "OK", w.clock.Now())
			}
			var states []string
			for range 12 {
				state := w.apply("dev", app.Options{ByHand: true})["2026-11-23-db"]
				states = append(states, fmt.Sprint(state))
				if state == plan.RolledBack {
					break
				}
				green() // people see to it, once the old version is live again
				w.clock.Move(time.Hour)
			}
			if !red.Load() || states[len(states)-1] != string(plan.RolledBack) {
				t.Fatalf("red %t, states %v", red.Load(), states)
			}
			if w.live() != was {
				t.Errorf("%s is live, want %s", w.live(), was)
			}
			w.uses(was)
		})
	}
}

// What the registry lists is found where it names the secret, what it doesn't list as well, and both are on record.
func TestWhoUsesTheSecretIsOnRecordAndHeldAgainstTheRegistry(t *testing.T) {
	w := newCompany(t)
	w.world.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "reports", Environment: map[string]string{"S": w.world.Secret(stored).ARN}}, w.clock.Now())
	w.world.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "other", Environment: map[string]string{"S": "rekey/stage/app-database"}}, w.clock.Now())
	a := w.process()
	tasks, err := a.Tasks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	results, err := a.Apply(t.Context(), tasks, app.Options{Environment: "dev", ByHand: true})
	if err != nil {
		t.Fatal(err)
	}
	users, ok := a.Views(results)[0].Environments[0].Users()
	var got []string
	for _, r := range users.Rows {
		got = append(got, r.Called()+": "+string(r.Standing))
	}
	if want := "[ECS service shop/web: listed and found Lambda function orders: listed and found parameter /shop/version: listed and found parameter /shop/versions: listed and found Lambda function reports: found, not listed]"; !ok || fmt.Sprint(got) != want || len(users.Gaps) > 0 {
		t.Errorf("%t %v, want %s; %v", ok, got, want, users.Gaps)
	}
}
