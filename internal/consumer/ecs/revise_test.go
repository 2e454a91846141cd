package ecs

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
)

// newPinned is a lab whose service runs with web:2, which has all sorts of things and pins the live version thrice.
func newPinned(t *testing.T, spec own.Spec) *lab {
	t.Helper()
	l := newLab(t, spec, nil)
	pin := l.arn + ":password::" + l.old
	_, err := l.client().RegisterTaskDefinition(rotation.WithFence(t.Context(), open{}), &ecs.RegisterTaskDefinitionInput{Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"),
		NetworkMode: types.NetworkModeAwsvpc, ExecutionRoleArn: aws.String("arn:aws:iam::111111111111:role/start"), TaskRoleArn: aws.String("arn:aws:iam::111111111111:role/shop"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, EphemeralStorage: &types.EphemeralStorage{SizeInGiB: 30},
		Volumes: []types.Volume{{Name: aws.String("data"), Host: &types.HostVolumeProperties{SourcePath: aws.String("/data")}}},
		Tags:    []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}, {Key: aws.String(stepTag), Value: aws.String("of an earlier rotation")}},
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("shop/app:7"), Essential: aws.Bool(true), Command: []string{"serve", l.old},
			Environment: []types.KeyValuePair{{Name: aws.String("MODE"), Value: aws.String("never shown")}},
			Secrets:     []types.Secret{{Name: aws.String("DB"), ValueFrom: &pin}, {Name: aws.String("LIVE"), ValueFrom: aws.String(l.arn + ":user::")}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverSplunk, Options: map[string]string{"splunk-url": "https://logs.example"},
				SecretOptions: []types.Secret{{Name: aws.String("splunk-token"), ValueFrom: aws.String(l.arn[:len(l.arn)-7] + ":::" + l.old)}}}},
			{Name: aws.String("proxy"), Image: aws.String("shop/proxy:1"), Secrets: []types.Secret{{Name: aws.String("DB"), ValueFrom: &pin}}}}})
	l.ok(err)
	return l.deployed("web:2").revises()
}

// deployed is what somebody has deployed, to the end.
func (l *lab) deployed(definition string) *lab {
	l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", definition, l.clock.Now())
	l.others++
	l.clock.Move(10 * time.Minute)
	return l
}

// revises writes revision: true.
func (l *lab) revises() *lab {
	for i := range l.plan.Steps {
		l.plan.Steps[i].With = json.RawMessage(`{"cluster":"shop","service":"web","revision":true}`)
	}
	return l
}

func (l *lab) revisions() int { return l.world.ECS.Revisions(sandbox.Home, "web") }

// reads says that every task runs, and reads that version of the secret wherever it reads it.
func (l *lab) reads(version string) {
	l.t.Helper()
	all := l.tasks()
	if len(all) != 4 {
		l.t.Errorf("%d tasks", len(all))
	}
	for _, task := range all {
		found := 0
		for from, v := range task.Versions {
			if !strings.HasPrefix(from, l.arn[:len(l.arn)-7]) {
				continue
			}
			if found++; v != version || !task.Running {
				l.t.Errorf("the task %s reads %s as %s", task.ID, l.names(from), l.names(v))
			}
		}
		if found == 0 {
			l.t.Errorf("the task %s doesn't read %s", task.ID, l.secret)
		}
	}
}

// pinned says which version every task has of what is pinned.
func (l *lab) pinned(version string) {
	l.t.Helper()
	for _, task := range l.tasks() {
		for from, v := range task.Versions {
			if strings.Count(from, ":") == 9 && !strings.HasSuffix(from, ":") && v != version {
				l.t.Errorf("the task %s reads %s as %s", task.ID, l.names(from), l.names(v))
			}
		}
	}
}

func TestAPinnedVersionTakesANewRevision(t *testing.T) {
	l := newPinned(t, own.Spec{Breaker: true, Rollback: true}).run(looked).promote().run(deploy)
	l.reads(l.new)
	l.clock.Move(48 * time.Hour)
	l.run(adopted)
	if n := l.world.Count(); l.begun() != 1 || n["ecs:UpdateService"] != 1 || n["ecs:RegisterTaskDefinition"] != 2 || l.revisions() != 3 {
		t.Errorf("%d deployments, %d revisions, calls %v", l.begun(), l.revisions(), n)
	}
	var got []*ecs.DescribeTaskDefinitionOutput
	for _, arn := range []string{"web:2", "web:3"} {
		out, err := l.client().DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
		l.ok(err)
		got = append(got, out)
	}
	diff := cmp.Diff(*registration(got[0]), *registration(got[1]), cmpopts.IgnoreUnexported(ecs.RegisterTaskDefinitionInput{}, types.Tag{}, types.ContainerDefinition{}, types.KeyValuePair{},
		types.Secret{}, types.LogConfiguration{}, types.Volume{}, types.HostVolumeProperties{}, types.EphemeralStorage{}))
	goldentest.Equal(t, "revision.txt", l.all()+"\n")
	var changed []string
	for line := range strings.Lines(l.names(diff)) {
		if at := strings.TrimSpace(strings.ReplaceAll(line, "\u00a0", " ")); at[0] == '-' || at[0] == '+' {
			changed = append(changed, strings.Join(strings.Fields(at), " "))
		}
	}
	if len(changed) != 8 || strings.Count(strings.Join(changed, "\n"), "- ") != 4 {
		t.Errorf("what the revision differs in:\n%s", strings.Join(changed, "\n"))
	}
}

func TestTheWayBackFromARevision(t *testing.T) {
	l := newPinned(t, own.Spec{}).run(looked).promote().run(deploy).restore().run(back)
	l.reads(l.old)
	if now := l.definition(); l.begun() != 2 || l.revisions() != 3 || now != "web:2" {
		t.Errorf("%d deployments, %d revisions, runs with %s", l.begun(), l.revisions(), now)
	}
	goldentest.Equal(t, "revision-back.txt", l.all()+"\n")

	l = newPinned(t, own.Spec{}).run(looked).promote().restore() // deploy never did anything
	l.world.ECS.DeregisterByHand(sandbox.Home, "web:2")          // which goes on running
	l.run(back)
	l.reads(l.old)
	if l.begun() != 1 || l.revisions() != 2 {
		t.Errorf("%d deployments, %d revisions", l.begun(), l.revisions())
	}

	l = newPinned(t, own.Spec{}).run(looked).promote().run(deploy).restore()
	l.world.ECS.DeregisterByHand(sandbox.Home, "web:2")
	l.run(back)
	l.reads(l.old)
	if now := l.definition(); now != "web:4" {
		t.Errorf("runs with %s", now)
	}

	l = newPinned(t, own.Spec{}).run(looked).promote().run(deploy).restore()
	_, err := l.once(back) // has put on record that web:2 is to be deployed
	l.ok(err)
	l.world.ECS.DeregisterByHand(sandbox.Home, "web:2")
	l.run(back)
	l.reads(l.old)
}

// definition is the task definition that the service runs with.
func (l *lab) definition() string {
	h := &handler{ecs: l.client()}
	all, err := h.look(l.t.Context(), Shape{Cluster: "shop", Service: "web"})
	l.ok(err)
	return called(aws.ToString(all.TaskDefinition))
}

// Wherever a process ends, or an answer is lost, there is one new deployment and at most one revision more.
func TestCrashPointsOfARevision(t *testing.T) {
	type point struct {
		name, operation string
		with            func(sandbox.Call) error
		asks            int  // how often the step is asked before the process ends
		forgets         bool // what the last one found never got to the journal
	}
	var all []point
	for n := range 6 {
		all = append(all, point{fmt.Sprintf("ends after %d", n), "", nil, n, false}, point{fmt.Sprintf("ends after %d, unrecorded", n+1), "", nil, n + 1, true})
		for _, op := range []string{"RegisterTaskDefinition", "UpdateService"} {
			all = append(all, point{op + " lost", op, lost, n, false}, point{op + " refused by a fault of AWS", op, broken, n, false})
		}
	}
	for _, p := range all {
		for _, key := range []string{deploy, back} {
			l := newPinned(t, own.Spec{}).run(looked).promote()
			deployments, revisions, version := 1, 3, l.new
			if key == back {
				l.run(deploy).restore()
				l.world.ECS.DeregisterByHand(sandbox.Home, "web:2") // else there is nothing to register
				deployments, revisions, version = 2, 4, l.old
			}
			if p.with != nil {
				l.fail(p.operation, 1, p.with)
			}
			for range p.asks {
				_, _ = l.once(key) // an error is what the point is about
			}
			if p.forgets {
				l.records = l.records[:len(l.records)-1]
			}
			if p.asks > 0 {
				l.clock.Move(20 * time.Second)
				l.restart()
			}
			l.run(key)
			l.reads(version)
			if l.begun() != deployments || l.revisions() != revisions {
				t.Errorf("%s, %s: %d deployments, want %d; %d revisions, want %d\n%s", key, p.name, l.begun(), deployments, l.revisions(), revisions, l.all())
			}
		}
	}
}

// Two secrets of one service are pinned, and their rotations go on at once, the second a few asks later: each keeps what
// the other did, forward and back.
func TestTwoPinnedSecretsOfOneService(t *testing.T) {
	for late := range 9 {
		a := newLab(t, own.Spec{}, nil)
		other := *a
		b := &other
		b.secret, b.said = "app/api", nil
		b.old = b.put("old-value")
		b.arn = b.world.Secret(b.secret).ARN
		b.records = []rotation.Record{a.records[0], {Step: "preflight", Outcome: rotation.Done, Facts: map[string]string{"arn": b.arn, "old": b.old}}}
		b.plan.Steps = slices.Clone(a.plan.Steps)
		for i := range b.plan.Steps {
			b.plan.Steps[i].ID = strings.Replace(b.plan.Steps[i].ID, "app", "api", 1)
		}
		b.restart()
		a.world.ECS.RegisterByHand(sandbox.Home, own.Definition{Family: "web", Containers: []own.Container{{Name: "app", Secrets: []own.Secret{
			{Name: "DB", ValueFrom: a.arn + ":::" + a.old}, {Name: "API", ValueFrom: b.arn + ":::" + b.old}}}}})
		a.deployed("web:2")
		for _, l := range []*lab{a, b} {
			l.revises().run(looked).promote()
		}
		both := func(key string) (failed [2]bool) {
			var done [2]bool
			for n := 0; !done[0] || !done[1]; n++ {
				for i, l := range []*lab{a, b} {
					if done[i] || i == 1 && n < late {
						continue
					}
					res, err := l.once(key)
					var f *rotation.Failure
					if failed[i] = errors.As(err, &f); err != nil && !failed[i] {
						t.Fatal(err)
					}
					done[i] = failed[i] || res.Wait == ""
				}
				if n > 3 {
					a.clock.Move(every)
				}
				if n > 500 {
					t.Fatalf("no end:\n%s\n%s", a.all(), b.all())
				}
			}
			return failed
		}
		failed := both(deploy)
		if failed != [2]bool{} {
			t.Errorf("%d late: failed: %v\n%s\n%s", late, failed, a.all(), b.all())
		}
		a.reads(a.new)
		b.reads(b.new)
		a.restore()
		b.restore()
		if failed := both(back); failed != [2]bool{} {
			t.Errorf("%d late: back failed: %v\n%s\n%s", late, failed, a.all(), b.all())
		}
		a.reads(a.old)
		b.reads(b.old)
		if n := a.revisions(); n > 7 {
			t.Errorf("%d late: %d revisions", late, n)
		}
	}
}

// A read without an answer is no answer, and nothing is registered without a lease or a version.
func TestARevisionIsNotRegisteredOnAGuess(t *testing.T) {
	for _, key := range []string{deploy, back} {
		l := newPinned(t, own.Spec{}).run(looked).promote()
		if key == back {
			l.run(deploy).restore()
			l.world.ECS.DeregisterByHand(sandbox.Home, "web:2")
		}
		was := l.revisions()
		for _, op := range []string{"DescribeTaskDefinition", "ListTaskDefinitions"} {
			for _, with := range []func(sandbox.Call) error{lost, broken} {
				l.fail(op, 9, with)
				_, err := l.once(key)
				var f *rotation.Failure
				if err == nil || errors.As(err, &f) {
					t.Errorf("%s, %s: %v", key, op, err)
				}
			}
		}
		l.world.Fail(nil)
		_, err := l.once(key)
		l.ok(err)
		if _, err = l.ask(t.Context(), key); !errors.Is(err, rotation.ErrNoLease) || l.revisions() != was {
			t.Errorf("%s: %v, %d revisions, were %d", key, err, l.revisions(), was)
		}
		for i, r := range l.records { // what no kind does
			if r.Step == "create" || key == back && r.Step == "preflight" {
				l.records[i].Facts = map[string]string{"arn": l.arn}
			}
		}
		if _, err = l.once(key); err == nil || l.revisions() != was {
			t.Errorf("%s without a version: %v, %d revisions, were %d", key, err, l.revisions(), was)
		}
	}
}

// Not only what the service is deployed with counts, but what its tasks run with.
func TestATaskOfAnEarlierRevisionIsWaitedFor(t *testing.T) {
	l := newPinned(t, own.Spec{}).run(looked).promote().run(deploy)
	l.deployed("web:2").deployed("web:1")
	l.run(adopted)
	l.deployed("web:2")
	l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", "web:3", l.clock.Now())
	l.clock.Move(30 * time.Second)
	if res, err := l.once(adopted); err != nil || !strings.Contains(res.Wait, "of web:2 to read the live version") {
		t.Errorf("%+v, %v", res, err)
	}
	l.clock.Move(10 * time.Minute)
	l.run(adopted)
}

// What somebody else has deployed meanwhile is what the revision is made of, or it is refused.
func TestSomebodyElseDeploysWhatPins(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name, ref string
		asks      int // so often the step was asked before: after three there is an intent, after five it is watched
		key       string
		fails     bool
	}{
		{"another that pins the old version", "ARN:other::OLD", 0, deploy, false},
		{"one that pins the new version", "ARN:::NEW", 0, deploy, false},
		{"one that pins the new version, with the intent on record", "ARN:::NEW", 3, deploy, false},
		{"one that pins a third version", "ARN:::11111111-2222-3333-4444-555555555555", 0, deploy, true},
		{"one that pins none", "ARN", 0, deploy, true},
		{"one that pins the old version, while it is watched", "ARN:::OLD", 5, deploy, true},
		{"one that pins the old version", "ARN:::OLD", 0, back, false},
		{"another that pins the new version", "ARN:other::NEW", 0, back, false},
		{"one that pins the new version, while it is watched", "ARN:::NEW", 5, back, false},
		{"one that pins none", "ARN", 0, back, false},
	} {
		l := newPinned(t, own.Spec{}).run(looked).promote()
		if tt.key == back {
			l.run(deploy).restore()
		}
		other := l.world.ECS.RegisterByHand(sandbox.Home, plain(strings.NewReplacer("ARN", l.arn, "OLD", l.old, "NEW", l.new).Replace(tt.ref)))
		l.said = nil
		for range tt.asks {
			_, err := l.once(tt.key)
			l.ok(err)
			l.clock.Move(5 * time.Second)
		}
		l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", other, l.clock.Now())
		if tt.asks == 0 && !strings.Contains(tt.ref, "1111") {
			l.clock.Move(5 * time.Minute)
		}
		if strings.Contains(tt.ref, "1111") { // none of its tasks can start
			l.world.ECS.SetByHand(sandbox.Home, "shop", "web", l.clock.Now(), func(s *own.Spec) { s.Desired = 0 })
			l.clock.Move(5 * time.Minute)
		}
		err := l.drive(tt.key)
		var f *rotation.Failure
		if errors.As(err, &f) != tt.fails || err != nil && !tt.fails {
			t.Errorf("%s %s: %v", tt.key, tt.name, err)
		}
		if !tt.fails {
			l.reads(map[string]string{deploy: l.new, back: l.old}[tt.key])
		}
		fmt.Fprintf(&all, "# %s: %s\n%s\n\n", tt.key, tt.name, l.all())
		if tt.fails && !strings.Contains(tt.ref, "1111") {
			l.restore().restart().run(back)
			l.reads(l.old)
		}
	}
	goldentest.Equal(t, "revision-others.txt", all.String())
}

func TestTheCircuitBreakerOfARevision(t *testing.T) {
	var all strings.Builder
	for _, spec := range []own.Spec{{}, {Breaker: true}, {Breaker: true, Rollback: true}, {Breaker: true, Rollback: true, Revives: true}} {
		for _, key := range []string{deploy, back} {
			if key == back && !spec.Breaker {
				continue // ECS goes on trying for ever
			}
			l := newPinned(t, spec).run(looked).promote()
			if key == back {
				l.run(deploy).restore()
			}
			l.fault(own.Fault{Good: 1, Stopped: "Essential container in task exited", Deployments: 1})
			l.said = nil
			var f *rotation.Failure
			if err := l.drive(key); !errors.As(err, &f) {
				t.Fatalf("%s, %+v: %v", key, spec, err)
			}
			if key == deploy {
				l.clock.Move(5 * time.Minute)
				if spec.Rollback { // what ECS starts by itself pins the old version; what isn't pinned is live
					l.pinned(l.old)
				}
				l.restore()
			}
			l.restart().run(back)
			l.reads(l.old)
			if now := l.definition(); now != "web:2" || l.revisions() != 3 {
				t.Errorf("%s, %+v: runs with %s of %d", key, spec, now, l.revisions())
			}
			fmt.Fprintf(&all, "# %s, %s\n%s\n\n", key, map[bool]string{true: "it rolls back", false: "it doesn't roll back"}[spec.Rollback], l.all())
		}
	}
	goldentest.Equal(t, "revision-breaker.txt", all.String())
}

// What preflight says with revision: true, and a definite no to what changes something.
func TestRefusedRevisions(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name, key string
		world     func(*lab)
	}{
		{"nothing is pinned", looked, func(l *lab) { l.deployed("web:1") }},
		{"not in Secrets Manager", looked, func(l *lab) {
			l.records[1].Facts = map[string]string{"old": "arn:aws:kms:us-east-1:111111111111:key/1"}
		}},
		{"another version is pinned", looked, func(l *lab) {
			l.put("newer")
			l.records[1].Facts["old"] = l.world.Secret(l.secret).Labels["AWSCURRENT"]
		}},
		{"another stage", looked, func(l *lab) {
			l.ok(l.world.SecretsManager.MoveByHand(sandbox.Home, l.secret, "BLUE", l.old, l.clock.Now()))
			l.deployed(l.world.ECS.RegisterByHand(sandbox.Home, plain(l.arn+"::BLUE:")))
		}},
		{"no tasks are wanted", "", func(l *lab) { l.set(func(s *own.Spec) { s.Desired = 0 }) }},
		{"may not register", deploy, func(l *lab) { l.world.Deny(runner, "ecs:RegisterTaskDefinition", "*") }},
		{"may not tag", deploy, func(l *lab) { l.world.Deny(runner, "ecs:TagResource", "*") }},
		{"may not list", deploy, func(l *lab) { l.world.Deny(runner, "ecs:ListTaskDefinitions", "*") }},
		{"may not pass the role", deploy, func(l *lab) { l.world.Deny(runner, "iam:PassRole", "arn:aws:iam::111111111111:role/shop") }},
		{"deregistered as it is to be deployed", deploy, func(l *lab) {
			l.world.Fail(func(c sandbox.Call) error {
				if c.Operation == "UpdateService" {
					l.world.ECS.DeregisterByHand(sandbox.Home, "web:3")
				}
				return nil
			})
		}},
	} {
		l := newPinned(t, own.Spec{})
		if tt.key == deploy {
			l.run(looked).promote()
		}
		tt.world(l)
		l.said = nil
		switch tt.key {
		case "":
			l.run(looked).promote().run(deploy)
			l.clock.Move(time.Hour)
			l.run(adopted).restore().run(back)
			fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.all())
			continue
		}
		var f *rotation.Failure
		if err := l.drive(tt.key); !errors.As(err, &f) {
			t.Errorf("%s: %v", tt.name, err)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.names(l.said[len(l.said)-1]))
		if tt.key == deploy {
			l.world.Fail(nil)
			for i := range l.said {
				if strings.Contains(l.said[i], "never shown") {
					t.Errorf("%s", l.said[i])
				}
			}
		}
	}
	goldentest.Equal(t, "revision-refusals.txt", all.String())
}

// What can be registered of a task definition is registered; the rest AWS adds by itself. A later SDK may know more.
func TestEverythingOfATaskDefinitionIsCopied(t *testing.T) {
	adds := []string{"Compatibilities", "DeleteRequestedAt", "DeregisteredAt", "RegisteredAt", "RegisteredBy", "RequiresAttributes", "Revision", "Status", "TaskDefinitionArn"}
	in, d := reflect.TypeFor[ecs.RegisterTaskDefinitionInput](), reflect.TypeFor[types.TaskDefinition]()
	for i := range d.NumField() {
		name := d.Field(i).Name
		if _, ok := in.FieldByName(name); ok == slices.Contains(adds, name) && d.Field(i).IsExported() {
			t.Errorf("%s can be registered: %v", name, ok)
		}
	}
	for i := range in.NumField() {
		f := in.Field(i)
		if !f.IsExported() || f.Name == "Tags" {
			continue
		}
		var full types.TaskDefinition
		v := reflect.ValueOf(&full).Elem().FieldByName(f.Name)
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		default:
			v.Set(reflect.New(v.Type().Elem()))
		}
		if got := reflect.ValueOf(registration(&ecs.DescribeTaskDefinitionOutput{TaskDefinition: &full})).Elem().FieldByName(f.Name); got.IsZero() {
			t.Errorf("%s isn't copied", f.Name)
		}
	}
	out := registration(&ecs.DescribeTaskDefinitionOutput{TaskDefinition: &types.TaskDefinition{}, Tags: []types.Tag{{Key: aws.String("aws:cloudformation:stack-name")}, {Key: aws.String("team")}}})
	if len(out.Tags) != 1 || *out.Tags[0].Key != "team" {
		t.Errorf("%v", out.Tags)
	}
}
