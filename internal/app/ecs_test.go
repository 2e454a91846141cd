package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ecs"
)

// newShop is a town whose secret in dev is read by a service of four tasks.
func newShop(t *testing.T, spec ecs.Spec) *town {
	w := newTown(t)
	at := "dev:\n  target: {secret: rekey/dev/app-database, key: password}\n"
	w.write("ops/config/registry.md", strings.ReplaceAll(strings.Replace(page, at, at+"  consumers: [{ecs: {cluster: shop, service: web}, name: web}]\n", 1), "~~~", "```"))
	spec.Cluster, spec.Name, spec.Desired = "shop", "web", 4
	spec.TaskDefinition = w.world.ECS.RegisterByHand(sandbox.Home, ecs.Definition{Family: "web", Containers: []ecs.Container{
		{Name: "app", Secrets: []ecs.Secret{{Name: "DB", ValueFrom: w.world.Secret("rekey/dev/app-database").ARN + ":password::"}}}}})
	if err := w.world.ECS.MakeByHand(sandbox.Home, spec, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.clock.Move(time.Hour)
	w.request("2026-11-23-db", "secret: app/database\nticket: SEC-1\nreason: scheduled\nenvironments: [dev]\n")
	return w
}

// taskRun says that all tasks run with the version that is live, after so many deployments.
func (w *town) taskRun(version string, deployments int) {
	w.t.Helper()
	tasks := w.world.ECS.Tasks(sandbox.Home, "shop", "web", w.clock.Now())
	for _, task := range tasks {
		for _, v := range task.Versions {
			if v != version {
				w.t.Errorf("a task runs with %s, want %s", v, version)
			}
		}
	}
	if n := w.world.ECS.Begun(sandbox.Home, "shop", "web", w.clock.Now()) - 1; len(tasks) != 4 || n != deployments {
		w.t.Errorf("%d tasks, %d deployments; want 4 and %d", len(tasks), n, deployments)
	}
}

func TestAServiceTakesUpANewVersion(t *testing.T) {
	w := newShop(t, ecs.Spec{})
	was, n := w.world.Secret("rekey/dev/app-database").Labels["AWSCURRENT"], 0
	w.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateService" {
			if n++; n == 1 {
				return sandbox.ErrLost
			}
		}
		return nil
	})
	w.want("dev", "2026-11-23-db", plan.Deferred)
	live := w.world.Secret("rekey/dev/app-database").Labels["AWSCURRENT"]
	if live == was {
		t.Fatal("nothing was promoted")
	}
	w.taskRun(live, 1)
	w.clock.Move(49 * time.Hour)
	w.want("dev", "2026-11-23-db", plan.Finished)
	w.taskRun(live, 1)
}

func TestAServiceThatCantTakeItUpGoesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		spec  ecs.Spec
		fault ecs.Fault
	}{
		"it hangs":               {ecs.Spec{}, ecs.Fault{Good: 2, Hang: true, Deployments: 1}},
		"its breaker rolls back": {ecs.Spec{Breaker: true, Rollback: true}, ecs.Fault{Stopped: "Essential container in task exited", Deployments: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShop(t, tt.spec)
			was := w.world.Secret("rekey/dev/app-database").Labels["AWSCURRENT"]
			w.world.ECS.Break(sandbox.Home, "shop", "web", tt.fault, w.clock.Now())
			w.want("dev", "2026-11-23-db", plan.RolledBack)
			forced := 2
			if tt.spec.Rollback {
				forced++ // ECS's own
			}
			w.taskRun(was, forced)
		})
	}
}

// What can't follow is refused before anything begins.
func TestAServiceThatPinsAVersionIsRefused(t *testing.T) {
	w := newShop(t, ecs.Spec{})
	s := w.world.Secret("rekey/dev/app-database")
	pinned := w.world.ECS.RegisterByHand(sandbox.Home, ecs.Definition{Family: "web", Containers: []ecs.Container{
		{Name: "app", Secrets: []ecs.Secret{{Name: "DB", ValueFrom: s.ARN + ":password::" + s.Labels["AWSCURRENT"]}}}}})
	w.world.ECS.DeployByHand(sandbox.Home, "shop", "web", pinned, w.clock.Now())
	w.clock.Move(10 * time.Minute)
	w.want("dev", "2026-11-23-db", plan.Refused)
	if now := w.world.Secret("rekey/dev/app-database"); len(now.Versions) != 1 {
		t.Errorf("%d versions", len(now.Versions))
	}
}

// A service whose task definition pins the version is deployed with a revision that pins the new one; where the alarm goes
// red after that, with its former one again.
func TestAServiceThatPinsAVersionTakesARevision(t *testing.T) {
	for _, red := range []bool{false, true} {
		w := newCustom(t, "{ecs: {cluster: shop, service: web, revision: true}, name: web}")
		was := w.live()
		spec := ecs.Spec{Cluster: "shop", Name: "web", Desired: 4, TaskDefinition: w.world.ECS.RegisterByHand(sandbox.Home, ecs.Definition{Family: "web", Containers: []ecs.Container{
			{Name: "app", Secrets: []ecs.Secret{{Name: "DB", ValueFrom: w.world.Secret(stored).ARN + ":password::" + was}}}}})}
		if err := w.world.ECS.MakeByHand(sandbox.Home, spec, w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.clock.Move(time.Hour)
		if red {
			w.redden()
			w.comesTo(plan.RolledBack)
			if w.live() != was {
				t.Errorf("%s is live, want %s", w.live(), was)
			}
			w.taskRun(was, 2)
		} else {
			w.comesTo(plan.Deferred)
			w.taskRun(w.live(), 1)
			w.clock.Move(49 * time.Hour)
			w.comesTo(plan.Finished)
			if w.live() == was {
				t.Error("nothing was promoted")
			}
			w.taskRun(w.live(), 1)
		}
		if n := w.world.ECS.Revisions(sandbox.Home, "web"); n != 2 {
			t.Errorf("%d revisions", n)
		}
	}
}
