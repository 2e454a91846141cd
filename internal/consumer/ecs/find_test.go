package ecs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/usage"
)

// runs makes a service of its own with that task definition, which may name the secret as it likes.
func (l *lab) runs(cluster, service string, c own.Container) {
	l.t.Helper()
	c.Name = "app"
	arn := l.world.ECS.RegisterByHand(sandbox.Home, own.Definition{Family: service, Containers: []own.Container{c}})
	l.ok(l.world.ECS.MakeByHand(sandbox.Home, own.Spec{Cluster: cluster, Name: service, TaskDefinition: arn}, l.clock.Now()))
}

func (l *lab) found(f consumer.Finder) (all []string) {
	l.t.Helper()
	found, err := f(l.t.Context(), usage.Secret{ARN: l.arn, Version: l.old})
	l.ok(err)
	for _, u := range found.Users {
		all = append(all, fmt.Sprintf("%s %s: %s; %s", u.What, u.Name, strings.Join(u.Found, ", "), u.Now))
	}
	for _, g := range found.Gaps {
		all = append(all, "not looked at: "+g.What+" ("+g.Why+")")
	}
	return all
}

func (l *lab) calls() map[string]int {
	n := map[string]int{}
	for _, c := range l.world.Calls() {
		n[c.Operation]++
	}
	return n
}

func TestFindKnowsEverySpelling(t *testing.T) {
	l := newLab(t, own.Spec{}, nil)
	short := strings.TrimSuffix(l.arn, l.arn[len(l.arn)-7:])
	secret := func(from string) own.Container {
		return own.Container{Secrets: []own.Secret{{Name: "DB", ValueFrom: from}}}
	}
	l.runs("shop", "a-short", secret(short))
	l.runs("shop", "b-key", secret(l.arn+":password::"))
	l.runs("shop", "c-stage", secret(l.arn+"::AWSPREVIOUS:"))
	l.runs("shop", "d-version", secret(l.arn+":::"+l.old))
	l.runs("shop", "e-logs", own.Container{LogSecrets: []own.Secret{{Name: "token", ValueFrom: l.arn}}})
	l.runs("shop", "f-pull", own.Container{Repository: l.arn})
	l.runs("shop", "g-name", own.Container{Environment: []own.Variable{{Name: "SECRET", Value: "app/db"}, {Name: "JSON", Value: `{"id":"` + l.arn + `"}`}, {Name: "PLAIN", Value: "planted-hunter2"}}})
	l.runs("shop", "h-other", own.Container{Environment: []own.Variable{{Name: "SECRET", Value: "app/db-replica"}}})
	l.runs("jobs", "worker", secret(l.arn))
	l.ok(l.world.ECS.RunByHand(sandbox.Home, "jobs", "worker:1", l.clock.Now()))
	l.ok(l.world.ECS.RunByHand(sandbox.Home, "jobs", "worker:1", l.clock.Now()))
	got := l.found(Find(consumer.Deps{ECS: l.client(), Now: l.clock.Now}))
	if d := cmp.Diff([]string{
		"ECS service jobs/worker: app (DB); worker:1, 0 tasks",
		"ECS task of no service jobs/worker: app (DB); worker:1, 2 tasks",
		"ECS service shop/a-short: app (DB); a-short:1, 0 tasks",
		"ECS service shop/b-key: app (DB); b-key:1, 0 tasks",
		"ECS service shop/c-stage: app (DB), stage AWSPREVIOUS; c-stage:1, 0 tasks",
		"ECS service shop/d-version: app (DB), a fixed version; d-version:1, 0 tasks",
		"ECS service shop/e-logs: app (log option token); e-logs:1, 0 tasks",
		"ECS service shop/f-pull: app (repository credentials); f-pull:1, 0 tasks",
		"ECS service shop/g-name: app (by name in SECRET), app (by name in JSON); g-name:1, 0 tasks",
		"ECS service shop/web: app (DB); web:1, 4 tasks",
	}, got); d != "" {
		t.Error(d)
	}
}

// A hundred secrets of a run, all at once, cost one reading: pages at their most, a task definition once for all who run
// with it.
func TestAHundredSecretsShareOneReading(t *testing.T) {
	l := newLab(t, own.Spec{}, nil)
	for i := range 100 {
		l.ok(l.world.ECS.MakeByHand(sandbox.Home, own.Spec{Cluster: "shop", Name: fmt.Sprintf("s%03d", i), TaskDefinition: "web:1"}, l.clock.Now()))
	}
	f := Find(consumer.Deps{ECS: l.client(), Now: l.clock.Now})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if n := len(l.found(f)); n != 101 {
				t.Errorf("%d users", n)
			}
		})
	}
	all.Wait()
	want := map[string]int{"ListClusters": 1, "ListServices": 2, "DescribeServices": 11, "ListTasks": 1, "DescribeTasks": 1, "DescribeTaskDefinition": 1}
	if d := cmp.Diff(want, l.calls()); d != "" {
		t.Error(d)
	}
	l.clock.Move(11 * time.Minute)
	if l.found(f); l.calls()["ListClusters"] != 2 {
		t.Error("what is eleven minutes old was taken for what there is")
	}
}

func TestWhatCantBeListedIsToldAndTheRestFound(t *testing.T) {
	for operation, want := range map[string][]string{
		"ListClusters":           {"not looked at: the clusters of Amazon ECS (ListClusters: AccessDeniedException)"},
		"ListServices":           {"ECS task of no service shop/web: app (DB); web:1, 1 task", "not looked at: the services of cluster shop (ListServices: AccessDeniedException)"},
		"DescribeServices":       {"ECS task of no service shop/web: app (DB); web:1, 1 task", "not looked at: the services of cluster shop (DescribeServices: AccessDeniedException)"},
		"ListTasks":              {"ECS service shop/web: app (DB); web:1, 4 tasks", "not looked at: the tasks of cluster shop (ListTasks: AccessDeniedException)"},
		"DescribeTasks":          {"ECS service shop/web: app (DB); web:1, 4 tasks", "not looked at: the tasks of cluster shop (DescribeTasks: AccessDeniedException)"},
		"DescribeTaskDefinition": {"not looked at: the task definition web:1 (DescribeTaskDefinition: AccessDeniedException)"},
	} {
		l := newLab(t, own.Spec{}, nil)
		l.ok(l.world.ECS.RunByHand(sandbox.Home, "shop", "web:1", l.clock.Now()))
		l.world.Deny("*", "ecs:"+operation, "*")
		if d := cmp.Diff(want, l.found(Find(consumer.Deps{ECS: l.client(), Now: l.clock.Now}))); d != "" {
			t.Errorf("%s:\n%s", operation, d)
		}
	}
	l := newLab(t, own.Spec{}, nil)
	l.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "ListServices" {
			return &sandbox.Error{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"}
		}
		return nil
	})
	if d := cmp.Diff([]string{"not looked at: the services of cluster shop (ListServices: ThrottlingException)"}, l.found(Find(consumer.Deps{ECS: l.client(), Now: l.clock.Now}))); d != "" {
		t.Error(d)
	}
}

// What ended since it was listed is nobody's gap; what ECS couldn't describe is one. A service that ECS doesn't deploy by
// itself says what it runs in its task sets.
func TestWhatECSDoesntDescribeIsToldAndTaskSetsAreLookedAt(t *testing.T) {
	v := &inventory{}
	v.failed("the services of cluster shop", []types.Failure{{Arn: aws.String("service/shop/a"), Reason: aws.String("MISSING")}, {Arn: aws.String("service/shop/b"), Reason: aws.String("BUSY")}})
	if d := cmp.Diff([]usage.Gap{{Uses: "ecs", What: "b of the services of cluster shop", Why: "BUSY"}}, v.gaps); d != "" {
		t.Error(d)
	}
	r := service("cluster/shop", types.Service{ServiceName: aws.String("web"), TaskSets: []types.TaskSet{{TaskDefinition: aws.String("web:8")}}, Deployments: []types.Deployment{{TaskDefinition: aws.String("web:7")}, {TaskDefinition: aws.String("web:8")}}})
	if d := cmp.Diff([]string{"web:7", "web:8"}, r.definitions); d != "" {
		t.Error(d)
	}
}
