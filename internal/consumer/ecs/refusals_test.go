package ecs

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
)

func one(c own.Container) func(string) own.Definition {
	return func(arn string) own.Definition {
		for i := range c.Secrets {
			c.Secrets[i].ValueFrom = strings.NewReplacer("ARN", arn, "SHORT", arn[:len(arn)-7]).Replace(c.Secrets[i].ValueFrom)
		}
		for i := range c.LogSecrets {
			c.LogSecrets[i].ValueFrom = strings.ReplaceAll(c.LogSecrets[i].ValueFrom, "ARN", arn)
		}
		c.Repository = strings.ReplaceAll(c.Repository, "ARN", arn)
		return own.Definition{Family: "web", Containers: []own.Container{{Name: "proxy"}, c}}
	}
}

func from(ref string) own.Container {
	return own.Container{Name: "app", Secrets: []own.Secret{{Name: "DB", ValueFrom: ref}}}
}

// What preflight says of every service: refusals with their hints, what it waits for, and what is fine. It changes nothing.
func TestPreflight(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		spec   own.Spec
		define func(string) own.Definition
		world  func(*lab)
		want   string // fine, waits, refused
	}{
		{"named by its ARN", own.Spec{}, nil, nil, "fine"},
		{"without the suffix", own.Spec{}, one(from("SHORT")), nil, "fine"},
		{"a JSON key", own.Spec{}, one(from("ARN:password::")), nil, "fine"},
		{"the stage that is live", own.Spec{Breaker: true}, one(from("ARN:password:AWSCURRENT:")), nil, "fine"},
		{"for logs", own.Spec{}, one(own.Container{Name: "app", LogSecrets: []own.Secret{{Name: "splunk-token", ValueFrom: "ARN"}}}), nil, "fine"},
		{"for the registry of images", own.Spec{}, one(own.Container{Name: "app", Repository: "ARN"}), nil, "fine"},
		{"by name in a variable", own.Spec{}, one(own.Container{Name: "app", Environment: []own.Variable{{Name: "SECRET_ID", Value: "app/db"}}}), nil, "fine"},
		{"no tasks are wanted", own.Spec{}, nil, func(l *lab) { l.set(func(s *own.Spec) { s.Desired = 0 }) }, "fine"},
		{"not in Secrets Manager", own.Spec{}, one(own.Container{Name: "app"}), func(l *lab) {
			l.records[1].Facts = map[string]string{"old": "arn:aws:kms:us-east-1:111111111111:key/1"}
		}, "fine"},
		{"a fixed version", own.Spec{}, nil, func(l *lab) {
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", l.world.ECS.RegisterByHand(sandbox.Home, plain(l.arn+":password::"+l.old)), l.clock.Now())
			l.clock.Move(10 * time.Minute)
		}, "refused"},
		{"another stage", own.Spec{}, nil, func(l *lab) {
			l.ok(l.world.SecretsManager.MoveByHand(sandbox.Home, "app/db", "BLUE", l.old, l.clock.Now()))
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", l.world.ECS.RegisterByHand(sandbox.Home, plain(l.arn+"::BLUE:")), l.clock.Now())
			l.clock.Move(10 * time.Minute)
		}, "refused"},
		{"not named at all", own.Spec{}, one(own.Container{Name: "app"}), nil, "refused"},
		{"a secret whose name begins alike", own.Spec{}, one(own.Container{Name: "app", Environment: []own.Variable{{Name: "SECRET_ID", Value: "app/db-other"}}}), nil, "refused"},
		{"no such service", own.Spec{}, nil, func(l *lab) { l.world.ECS.Remove(sandbox.Home, "shop", "web", true, l.clock.Now()) }, "refused"},
		{"deleted", own.Spec{}, nil, func(l *lab) { l.world.ECS.Remove(sandbox.Home, "shop", "web", false, l.clock.Now()) }, "refused"},
		{"no such cluster", own.Spec{}, nil, func(l *lab) {
			for i := range l.plan.Steps {
				l.plan.Steps[i].With = []byte(`{"cluster":"shopp","service":"web"}`)
			}
		}, "refused"},
		{"CodeDeploy", own.Spec{Controller: "CODE_DEPLOY"}, nil, nil, "refused"},
		{"blue and green", own.Spec{Strategy: "BLUE_GREEN"}, nil, nil, "refused"},
		{"may not look", own.Spec{}, nil, func(l *lab) { l.world.Deny(runner, "ecs:DescribeServices", "*") }, "refused"},
		{"may not look at task definitions", own.Spec{}, nil, func(l *lab) { l.world.Deny(runner, "ecs:DescribeTaskDefinition", "*") }, "refused"},
		{"a rollout is under way", own.Spec{}, nil, func(l *lab) {
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", "", l.clock.Now())
			l.clock.Move(40 * time.Second)
		}, "waits"},
		{"the last one failed", own.Spec{Breaker: true}, nil, func(l *lab) {
			l.fault(own.Fault{Stopped: "exited"})
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", "", l.clock.Now())
			l.clock.Move(10 * time.Minute)
		}, "refused"},
		{"tasks are missing", own.Spec{}, nil, func(l *lab) { l.set(func(s *own.Spec) { s.Desired = 5 }) }, "waits"},
	} {
		l := newLab(t, tt.spec, tt.define)
		if tt.world != nil {
			tt.world(l)
		}
		before := l.begun()
		res, err := l.ask(t.Context(), looked)
		var f *rotation.Failure
		got := map[bool]string{true: "waits", false: "fine"}[res.Wait != "" && res.Again == rotation.Later]
		if errors.As(err, &f) && f.Hint != "" {
			got = "refused"
		} else if err != nil {
			got = err.Error()
		}
		if got != tt.want || l.begun() != before {
			t.Errorf("%s: %s, want %s; %d deployments, were %d", tt.name, got, tt.want, l.begun(), before)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.all())
	}
	goldentest.Equal(t, "preflight.txt", all.String())
}

// A definite no to what changes something.
func TestRefusedDeployments(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name  string
		world func(*lab)
	}{
		{"may not", func(l *lab) { l.world.Deny(runner, "ecs:UpdateService", "*") }},
		{"deleted meanwhile", func(l *lab) { l.world.ECS.Remove(sandbox.Home, "shop", "web", false, l.clock.Now()) }},
		{"the new version can't be read", func(l *lab) {
			l.set(func(s *own.Spec) { s.Breaker = true })
			l.world.ECS.Break(sandbox.Home, "shop", "web", own.Fault{Stopped: "ResourceInitializationError: unable to pull secrets or registry auth"}, l.clock.Now())
		}},
	} {
		l := newLab(t, own.Spec{}, nil).run(looked).promote()
		tt.world(l)
		l.said = nil
		var f *rotation.Failure
		if err := l.drive(deploy); !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: %v", tt.name, err)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.names(l.said[len(l.said)-1]))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

// While a task may run with the old version, that is kept.
func TestAdopted(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name  string
		world func(*lab)
		waits bool
	}{
		{"a later deployment", func(l *lab) {
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", l.world.ECS.RegisterByHand(sandbox.Home, plain(l.arn)), l.clock.Now())
		}, false},
		{"a later one pins the old version", func(l *lab) {
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", l.world.ECS.RegisterByHand(sandbox.Home, plain(l.arn+":::"+l.old)), l.clock.Now())
		}, true},
		{"a later one no longer names it", func(l *lab) {
			l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", l.world.ECS.RegisterByHand(sandbox.Home, own.Definition{Family: "web"}), l.clock.Now())
		}, false},
		{"tasks from before", func(l *lab) { // as if they had outlived the rollout
			for i := range l.records {
				if l.records[i].Step == deploy && l.records[i].Facts[factSince] != "" {
					l.records[i].Facts[factSince] = l.clock.Now().Add(-time.Minute).Format(time.RFC3339Nano)
					l.records[i].Facts[factDeployment] = "ecs-svc/1"
				}
			}
		}, true},
		{"deleted", func(l *lab) { l.world.ECS.Remove(sandbox.Home, "shop", "web", true, l.clock.Now()) }, false},
	} {
		l := newLab(t, own.Spec{}, nil).run(looked).promote().run(deploy)
		l.clock.Move(time.Hour)
		tt.world(l)
		l.clock.Move(10 * time.Minute)
		if tt.name == "tasks from before" {
			l.clock.Move(-10 * time.Minute)
		}
		l.said = nil
		res, err := l.ask(t.Context(), adopted)
		if err != nil || (res.Wait != "") != tt.waits || tt.waits && res.Again != rotation.Later {
			t.Errorf("%s: %+v, %v", tt.name, res, err)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.all())
	}
	goldentest.Equal(t, "adopted.txt", all.String())
}

// A read without an answer is no answer: nothing fails, nothing is done, nothing is begun.
func TestAReadThatFailsIsNoNo(t *testing.T) {
	for _, key := range []string{looked, deploy, adopted, back} {
		for _, op := range []string{"DescribeServices", "DescribeTaskDefinition", "ListTasks", "DescribeTasks"} {
			for name, with := range map[string]func(sandbox.Call) error{"lost": lost, "broken": broken, "throttled": func(c sandbox.Call) error { return sandbox.Throttled(c) }} {
				l := newLab(t, own.Spec{}, nil)
				if key != looked {
					l.run(looked).promote()
				}
				if key == adopted {
					l.run(deploy)
				}
				var failed atomic.Bool // reads that need no other arrive together
				before := l.begun()
				l.world.Fail(func(c sandbox.Call) error {
					if c.Operation != op {
						return nil
					}
					failed.Store(true)
					return with(c)
				})
				res, err := l.once(key)
				var f *rotation.Failure
				if failed.Load() && (err == nil || errors.As(err, &f) || res.Wait+res.Text != "") || l.begun() != before {
					t.Errorf("%s, %s %s: %+v, %v", key, op, name, res, err)
				}
			}
		}
	}
}

func TestBadParametersAreReportedWhereTheyStand(t *testing.T) {
	var all strings.Builder
	for _, text := range []string{"{}", "cluster: shop\nservice: web\nwithin: 45m\n", "cluster: arn:aws:ecs:eu-central-1:111122223333:cluster/shop\nservice: web\n",
		"cluster: ''\nservice: ''\n", "cluster: my shop\nservice: shop/web\n", "cluster: arn:aws:ecs:eu-central-1:111122223333:service/shop/web\nservice: web\n",
		"cluster: shop\nservice: web\nwithin: 3h\n", "cluster: shop\nservice: web\nwithin: 5s\n", "cluster: shop\nservice: web\ntask_definition: web:3\n"} {
		var l problem.List
		problem.Decode(problem.Source{File: "registry.md", What: "the consumer", Text: []byte(text)}, new(Shape), &l)
		fmt.Fprintf(&all, "# %q\n%s\n", text, l.String())
	}
	goldentest.Equal(t, "parameters.txt", all.String())
	if (&Shape{}).Deadline() != DefaultWithin || (&Shape{Within: MostWithin}).Deadline() != MostWithin {
		t.Error("deadline")
	}
}
