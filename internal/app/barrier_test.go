package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/lambda"
)

const tenth = "2026-11-23-ten"

// newTen is a town where ten secrets are read by one service of four tasks, and by one function.
func newTen(t *testing.T) *town {
	w := newTown(t)
	rows, blocks := "", ""
	var from []ecs.Secret
	environment := map[string]string{}
	for i := range 10 {
		name := fmt.Sprintf("rekey/dev/ten-%d", i)
		if _, err := w.world.PutByHand(name, fmt.Sprintf("the-first-value-of-%d", i)); err != nil {
			t.Fatal(err)
		}
		rows += fmt.Sprintf("| ten/s%d | secretsmanager | @rastup/platform | 90 days | 2026-08-18 | ten |\n", i)
		blocks += fmt.Sprintf("\n## ten/s%d\n\n~~~yaml\ndev:\n  target: {secret: %s}\n  consumers: [{ecs: {cluster: shop, service: web, within: 1h}, name: web}, {lambda: {function: orders, refresh: true, within: 1h}, name: orders}]\n~~~\n", i, name)
		from = append(from, ecs.Secret{Name: fmt.Sprintf("S%d", i), ValueFrom: w.world.Secret(name).ARN})
		environment[fmt.Sprintf("S%d", i)] = name
	}
	w.write("ops/config/registry.md", strings.ReplaceAll("| Secret | Kind | Owner | Interval | Last rotated | Tags |\n| --- | --- | --- | --- | --- | --- |\n"+rows+blocks, "~~~", "```"))
	spec := ecs.Spec{Cluster: "shop", Name: "web", Desired: 4, TaskDefinition: w.world.ECS.RegisterByHand(sandbox.Home, ecs.Definition{Family: "web", Containers: []ecs.Container{{Name: "app", Secrets: from}}})}
	if err := w.world.ECS.MakeByHand(sandbox.Home, spec, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.world.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "orders", Environment: environment}, w.clock.Now())
	w.clock.Move(time.Hour)
	w.request(tenth, "tags: [ten]\nticket: SEC-1\nenvironments: [dev]\n")
	return w
}

// all applies until each of the ten is as wanted, and answers their states by secret.
func (w *town) all(change ...func(*app.World)) map[string]plan.State {
	w.t.Helper()
	a := w.process(change...)
	tasks, err := a.Tasks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	results, err := a.Apply(w.t.Context(), tasks, app.Options{Environment: "dev", ByHand: true})
	if err != nil {
		w.t.Fatal(err)
	}
	states := map[string]plan.State{}
	for _, r := range results {
		states[r.Status.Plan.Secret] = r.Status.Decision.State
		if r.Err != nil {
			w.t.Logf("%s: %v", r.Status.Plan.Secret, r.Err)
		}
	}
	return states
}

func (w *town) stand(states map[string]plan.State, want plan.State, but ...string) {
	w.t.Helper()
	if len(states) != 10 {
		w.t.Errorf("%d rotations", len(states))
	}
	for secret, state := range states {
		if (state != want) != strings.Contains(strings.Join(but, " "), secret) {
			w.t.Errorf("%s is %q, want %q but for %v", secret, state, want, but)
		}
	}
}

// running says that all tasks run with what is live of each secret.
func (w *town) running() {
	w.t.Helper()
	for _, task := range w.world.ECS.Tasks(sandbox.Home, "shop", "web", w.clock.Now()) {
		for from, v := range task.Versions {
			name := from[strings.LastIndex(from, ":secret:")+len(":secret:") : len(from)-7]
			if live := w.world.Secret(name).Labels["AWSCURRENT"]; v != live {
				w.t.Errorf("a task runs with %s of %s, want %s", v, name, live)
			}
		}
	}
}

func (w *town) restarts(service, function int) {
	w.t.Helper()
	n := w.world.Count()
	if got := n["ecs:UpdateService"]; got != service {
		w.t.Errorf("the service was restarted %d times, want %d", got, service)
	}
	if got := n["lambda:UpdateFunctionConfiguration"]; got != function {
		w.t.Errorf("the function was changed %d times, want %d", got, function)
	}
}

func TestTenSecretsOfAServiceRestartItOnce(t *testing.T) {
	t.Parallel()
	w := newTen(t)
	w.stand(w.all(), plan.Deferred)
	w.restarts(1, 1)
	w.running()
	w.clock.Move(49 * time.Hour)
	w.stand(w.all(), plan.Finished)
	w.restarts(1, 1)
	w.verified()
}

func TestOneOfTenThatFailsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newTen(t)
	w.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "PutSecretValue" && strings.Contains(c.Target, "ten-3") {
			return &sandbox.Error{Status: 400, Code: "EncryptionFailure", Message: "Secrets Manager can't encrypt the protected secret text using the provided KMS key."}
		}
		return nil
	})
	states := w.all()
	w.stand(states, plan.Deferred, "ten/s3")
	if states["ten/s3"] != plan.RolledBack {
		t.Errorf("%q", states["ten/s3"])
	}
	w.restarts(1, 1)
	w.running()
}

// The process dies while nine wait for the tenth, or at the restart that the first one asks for, which is made or isn't; the
// next process goes on with all ten.
func TestTenSecretsWhoseProcessDiesRestartTheirServiceOnceMore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call  string
		nth   int
		after bool
		most  int // restarts in all
	}{
		"while they wait":    {".PutSecretValue", 10, false, 1},
		"before the restart": {".UpdateService", 1, false, 1},
		"after the restart":  {".UpdateService", 1, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTen(t)
			n := 0
			d := &death{clock: standing{w.clock}, after: tt.after, when: func(call string) bool { // one call at a time
				if strings.HasSuffix(call, tt.call) {
					n++
				}
				return n == tt.nth
			}}
			w.all(d.stands)
			if !d.gone() {
				t.Fatal("it didn't die")
			}
			w.clock.Move(20 * time.Minute)
			w.stand(w.all(), plan.Deferred)
			if n := w.world.Count()["ecs:UpdateService"]; n > tt.most {
				t.Errorf("the service was restarted %d times, want %d at most", n, tt.most)
			}
			w.running()
			w.verified()
		})
	}
}

// Its tasks don't start with the new versions: all ten go back, and it runs with the old ones.
func TestTenSecretsOfAServiceGoBackTogether(t *testing.T) {
	t.Parallel()
	w := newTen(t)
	was := map[string]string{}
	for i := range 10 {
		name := fmt.Sprintf("rekey/dev/ten-%d", i)
		was[name] = w.world.Secret(name).Labels["AWSCURRENT"]
	}
	w.world.ECS.SetByHand(sandbox.Home, "shop", "web", w.clock.Now(), func(s *ecs.Spec) { s.Breaker = true })
	w.world.ECS.Break(sandbox.Home, "shop", "web", ecs.Fault{Stopped: "Essential container in task exited", Deployments: 1}, w.clock.Now())
	w.stand(w.all(), plan.RolledBack)
	for name, version := range was {
		if live := w.world.Secret(name).Labels["AWSCURRENT"]; live != version {
			t.Errorf("%s is live of %s, want %s", live, name, version)
		}
	}
	w.running()
	w.verified()
	if n := w.world.Count()["ecs:UpdateService"]; n > 5 { // one there; and back once, but for who notices it much later
		t.Errorf("%d restarts in all", n)
	}
}
