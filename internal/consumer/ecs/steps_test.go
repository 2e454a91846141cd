package ecs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
)

func TestARotationThatGoesWell(t *testing.T) {
	l := newLab(t, own.Spec{Breaker: true, Rollback: true}, nil).run(looked).promote().run(deploy)
	l.every(l.new)
	l.clock.Move(48 * time.Hour)
	l.run(adopted)
	if l.begun() != 1 || l.world.Count()["ecs:UpdateService"] != 1 {
		t.Errorf("%d deployments, calls %v", l.begun(), l.world.Count())
	}
	goldentest.Equal(t, "forward.txt", l.all()+"\n")
}

func TestTheWayBack(t *testing.T) {
	l := newLab(t, own.Spec{}, nil).run(looked).promote().run(deploy).restore().run(back)
	l.every(l.old)
	if l.begun() != 2 {
		t.Errorf("%d deployments", l.begun())
	}
	goldentest.Equal(t, "back.txt", l.all()+"\n")
}

// Even where deploy never did anything: a task may have been replaced while the new version was live.
func TestBackRestartsWhatStartedByItself(t *testing.T) {
	l := newLab(t, own.Spec{}, nil).run(looked).promote()
	l.world.ECS.Replace(sandbox.Home, "shop", "web", l.clock.Now())
	l.restore().run(back)
	l.every(l.old)
	if l.begun() != 1 {
		t.Errorf("%d deployments", l.begun())
	}
}

// Wherever a process ends, or an answer is lost, the next one leads to exactly one new deployment.
func TestCrashPoints(t *testing.T) {
	type point struct {
		name string
		with func(sandbox.Call) error // befalls the call
		asks int                      // how often the step is asked before the process ends
	}
	for _, p := range []point{
		{"before anything", nil, 0}, {"with the intent on record", nil, 1}, {"before the deployment is on record", nil, -2}, {"with it on record", nil, 2},
		{"answer lost", lost, 0}, {"answer lost, and the process ends", lost, 2}, {"refused by a fault of AWS", broken, 0}, {"so, and the process ends", broken, 2},
	} {
		for _, key := range []string{deploy, back} {
			l := newLab(t, own.Spec{}, nil).run(looked).promote()
			want, version := 1, l.new
			if key == back {
				l.run(deploy).restore()
				want, version = 2, l.old
			}
			if p.with != nil {
				l.fail("UpdateService", 1, p.with)
			}
			for range max(p.asks, -p.asks) {
				_, _ = l.once(key) // an error is what the point is about
			}
			if p.asks < 0 { // what the last one found never got to the journal
				l.records = l.records[:len(l.records)-1]
			}
			if p.asks != 0 {
				l.clock.Move(20 * time.Second)
				l.restart()
			}
			l.run(key)
			l.every(version)
			if l.begun() != want {
				t.Errorf("%s, %s: %d deployments, want %d\n%s", key, p.name, l.begun(), want, l.all())
			}
		}
	}
}

func TestARolloutThatHangsFailsInTimeAndGoesBack(t *testing.T) {
	l := newLab(t, own.Spec{}, nil).run(looked).promote()
	l.fault(own.Fault{Good: 1, Hang: true, Deployments: 1})
	l.said = nil
	err := l.drive(deploy)
	var f *rotation.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v", err)
	}
	l.said = append(l.said, f.Msg)
	l.restore().run(back)
	l.every(l.old)
	if l.begun() != 2 {
		t.Errorf("%d deployments", l.begun())
	}
	goldentest.Equal(t, "hang.txt", l.all()+"\n")
}

func TestTheCircuitBreaker(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name string
		spec own.Spec
	}{{"off", own.Spec{}}, {"on", own.Spec{Breaker: true}}, {"on, and it rolls back", own.Spec{Breaker: true, Rollback: true}},
		{"on, and it revives the former deployment", own.Spec{Breaker: true, Rollback: true, Revives: true}}} {
		l := newLab(t, tt.spec, nil).run(looked).promote()
		l.fault(own.Fault{Good: 1, Stopped: "Essential container in task exited", Deployments: 1})
		l.said = nil
		err := l.drive(deploy)
		var f *rotation.Failure
		if !errors.As(err, &f) {
			t.Fatalf("%s: %v", tt.name, err)
		}
		l.said = append(l.said, f.Msg)
		if tt.spec.Rollback { // what ECS starts by itself reads the new version
			l.clock.Move(2 * time.Minute)
			if !tt.spec.Revives { // else the former tasks that are left stay
				l.every(l.new)
			}
		}
		l.restore().run(back)
		l.every(l.old)
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.all())
	}
	goldentest.Equal(t, "breaker.txt", all.String())
}

// Found only after ECS had taken it back, with nothing of the deployment left to be seen.
func TestTakenBackWhileNobodyLooked(t *testing.T) {
	var all strings.Builder
	for _, key := range []string{deploy, back} {
		l := newLab(t, own.Spec{Breaker: true, Rollback: true, Revives: true}, nil).run(looked).promote()
		if key == back {
			l.restore()
		}
		l.fault(own.Fault{Good: 1, Stopped: "exited", Deployments: 1})
		l.said = nil
		for range 2 {
			_, err := l.once(key)
			l.ok(err)
		}
		l.clock.Move(30 * time.Minute)
		l.restart()
		err := l.drive(key)
		var f *rotation.Failure
		if key == deploy && !errors.As(err, &f) {
			t.Errorf("%v", err)
		}
		if key == back {
			l.ok(err)
			l.every(l.old)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", key, l.all())
	}
	goldentest.Equal(t, "taken-back.txt", all.String())
}

// The way back may fail, too: that is said, and a later run begins another deployment.
func TestBackIsTriedAgain(t *testing.T) {
	l := newLab(t, own.Spec{Breaker: true}, nil).run(looked).promote().run(deploy).restore()
	l.fault(own.Fault{Stopped: "CannotPullContainerError: no such image", Deployments: 1})
	l.said = nil
	var f *rotation.Failure
	if err := l.drive(back); !errors.As(err, &f) {
		t.Fatalf("%v", err)
	}
	l.restart().run(back)
	l.every(l.old)
	goldentest.Equal(t, "back-again.txt", l.all()+"\n")
}

func TestSomebodyElseDeploys(t *testing.T) {
	var all strings.Builder
	another := func(l *lab, valueFrom string) string {
		return l.world.ECS.RegisterByHand(sandbox.Home, plain(valueFrom))
	}
	byHand := func(l *lab, definition string) {
		l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", definition, l.clock.Now())
	}
	for _, tt := range []struct {
		name   string
		before func(*lab) // before deploy
		during func(*lab) // while it is watched
		fails  bool
	}{
		{"another task definition meanwhile", nil, func(l *lab) { byHand(l, another(l, l.arn)) }, true},
		{"the same task definition meanwhile", nil, func(l *lab) { byHand(l, "") }, false},
		{"another task definition before", func(l *lab) { byHand(l, another(l, l.arn)) }, nil, false},
		{"one that pins the old version before", func(l *lab) { byHand(l, another(l, l.arn+":::"+l.old)) }, nil, true},
	} {
		l := newLab(t, own.Spec{}, nil).run(looked).promote()
		if tt.before != nil {
			tt.before(l)
		}
		l.said = nil
		if tt.during != nil {
			for range 3 {
				_, err := l.once(deploy)
				l.ok(err)
			}
			l.clock.Move(20 * time.Second)
			tt.during(l)
		}
		err := l.drive(deploy)
		var f *rotation.Failure
		if errors.As(err, &f) != tt.fails || err != nil && !tt.fails {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !tt.fails {
			l.every(l.new)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.all())
		l.restore().restart().run(back)
		if tt.name != "one that pins the old version before" {
			l.every(l.old)
		}
	}
	goldentest.Equal(t, "others.txt", all.String())
}

// A deployment that was done is asked about again by a run that takes up the validation: it only looks.
func TestAskedAgainItOnlyLooks(t *testing.T) {
	l := newLab(t, own.Spec{}, nil).run(looked).promote().run(deploy)
	res, err := l.ask(t.Context(), deploy)
	if err != nil || res.Wait != "" {
		t.Errorf("%+v, %v", res, err)
	}
	l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", "", l.clock.Now())
	if res, err := l.ask(t.Context(), deploy); err != nil || res.Wait != "" {
		t.Errorf("after somebody's deployment: %+v, %v", res, err)
	}
}

func TestNothingChangesWithoutALease(t *testing.T) {
	for _, key := range []string{deploy, back} {
		l := newLab(t, own.Spec{}, nil).run(looked).promote()
		_, err := l.once(key)
		l.ok(err)
		if _, err = l.ask(t.Context(), key); !errors.Is(err, rotation.ErrNoLease) || l.begun() != 0 {
			t.Errorf("%s: %v, %d deployments", key, err, l.begun())
		}
		l.run(key) // the intent is still good
		if l.begun() != 1 {
			t.Errorf("%s: %d deployments", key, l.begun())
		}
	}
}

// Another secret's rotation has the same service deployed, after this one had put on record what there was: both go by that.
func TestADeploymentThatBeganSinceIsTakenForItsOwn(t *testing.T) {
	l := newLab(t, own.Spec{}, nil).run(looked).promote()
	for i, key := range []string{deploy, back} {
		if key == back {
			l.restore()
		}
		_, err := l.once(key)
		l.ok(err)
		l.world.ECS.DeployByHand(sandbox.Home, "shop", "web", "", l.clock.Now())
		l.run(key)
		if l.begun() != i+1 {
			t.Errorf("%s: %d deployments", key, l.begun())
		}
		l.every(map[string]string{deploy: l.new, back: l.old}[key])
	}
	l.run(adopted)
}
