package rdsmaster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/rds"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

func TestARotationFromEndToEnd(t *testing.T) {
	var all strings.Builder
	for _, target := range []Target{{Instance: "shop"}, {Cluster: "shop", Key: "pass"}} {
		for _, steps := range [][]string{forward, append(slices.Clone(forward[:5]), restore, "discard")} {
			l := newLab(t, target).run(steps...)
			l.silent()
			fmt.Fprintf(&all, "# %s: %s\n%s\n\n", target.called(), strings.Join(steps, ", "), l.named(strings.Join(slices.Compact(l.said), "\n")))
		}
	}
	l := newLab(t, Target{})
	s, _ := l.plan.Step(preflight)
	res, err := l.handler["preview"](t.Context(), s, rotation.PastOf(l.records).For(s))
	l.ok(err)
	fmt.Fprintf(&all, "# preview\n%s\n", l.named(res.Text))
	if l.count("GetSecretValue") > 0 {
		t.Error("preview reads a value")
	}
	goldentest.Equal(t, "texts.txt", all.String())
}

func (l *lab) inForce(label string) {
	l.t.Helper()
	if v := l.look().At(label); !l.accepts(v) {
		l.t.Errorf("what %s is on isn't in force", label)
	}
}

// faults makes the nth change of the password go wrong.
func (l *lab) faults(nth int, how error) {
	n := 0
	l.aws.Fail(func(c sandbox.Call) error {
		if c.Operation == "ModifyDBInstance" {
			if n++; n == nth {
				return how
			}
		}
		return nil
	})
}

// What may be lost around the call that sets the password: where it isn't on record that RDS took it, the next process
// sends the same one again; where it is, it waits for that to be applied.
func TestSetAfterACrash(t *testing.T) {
	for _, tt := range []struct {
		name  string
		crash func(*lab)
		again int
	}{
		{"before the call", func(l *lab) {}, 1},
		{"answer lost", func(l *lab) {
			l.faults(1, sandbox.ErrLost)
			if _, err := l.once(set); err == nil || errors.As(err, new(*rotation.Failure)) {
				t.Errorf("got %v, want an unknown outcome", err)
			}
		}, 1},
		{"taken, not recorded", func(l *lab) { _, err := l.ask(t.Context(), set); l.ok(err) }, 1},
		{"being applied, not recorded", func(l *lab) {
			_, err := l.ask(t.Context(), set)
			l.ok(err)
			l.time.at = l.time.at.Add(25 * time.Second)
		}, 1},
		{"taken and recorded", func(l *lab) { l.run(set) }, 0},
		{"being applied", func(l *lab) { l.run(set); l.time.at = l.time.at.Add(25 * time.Second) }, 0},
		{"seen to be applied", func(l *lab) { l.run(set); _, err := l.once(test); l.ok(err); l.time.at = l.time.at.Add(time.Hour) }, 0},
	} {
		for _, later := range []time.Duration{0, 12 * time.Minute} {
			l := newLab(t, Target{}).run(preflight, create)
			tt.crash(l)
			l.time.at = l.time.at.Add(later)
			before := l.count("ModifyDBInstance")
			if l.restart(); tt.again > 0 {
				l.run(set)
			}
			l.run(test)
			l.inForce(sm.Pending)
			if n := l.count("ModifyDBInstance") - before; n != tt.again {
				t.Errorf("%s, %s later: the next process sent %d times", tt.name, later, n)
			}
			l.run(forward[4:]...)
			l.inForce(sm.Current)
			l.silent()
		}
	}
}

// However far set came, the old password is in force in the end, and what consumers read.
func TestRestoreAfterACrash(t *testing.T) {
	for name, before := range map[string]func(*lab){
		"set not sent":           func(l *lab) {},
		"set's answer lost":      func(l *lab) { l.faults(1, sandbox.ErrLost); _, _ = l.once(set) },
		"set not applied":        func(l *lab) { _, err := l.once(set); l.ok(err) },
		"set being applied":      func(l *lab) { l.run(set); l.time.at = l.time.at.Add(25 * time.Second) },
		"tested":                 func(l *lab) { l.run(set, test) },
		"promoted":               func(l *lab) { l.run(set, test, promote) },
		"restore's answer lost":  func(l *lab) { l.run(set, test, promote); l.faults(1, sandbox.ErrLost); _, _ = l.once(restore) },
		"restore being applied":  func(l *lab) { l.run(set, test, promote); _, err := l.once(restore); l.ok(err) },
		"restored, not recorded": func(l *lab) { l.run(set, test, promote, restore); l.records = l.records[:len(l.records)-1] },
	} {
		l := newLab(t, Target{}).run(preflight, create)
		before(l)
		l.restart().run(restore, "discard")
		if err := l.restored(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		l.silent()
	}
}

// The loop asks an undo step again where a call without an answer may have arrived after it was done. It can't be seen
// whether one did: the password is set again.
func TestRestoreAskedAgainSetsAgain(t *testing.T) {
	l := newLab(t, Target{}).run(preflight, create, set, test, promote, restore)
	if res, err := l.ask(t.Context(), restore); err != nil || res.Wait != "" {
		t.Errorf("at the same time: %+v, %v", res, err)
	}
	late := l.value(l.look().Version(l.fact(create, "new"))) // set's call arrives after all
	l.aws.RDS.SetByHand(sandbox.Home, false, "shop", l.time.at, func(d *rds.Database) { d.Password = late })
	l.time.at = l.time.at.Add(4 * time.Minute)
	l.run(restore, "discard")
	if err := l.restored(); err != nil {
		t.Error(err)
	}
}

// "available" just after the call is no proof: its status may come later, or not be seen at all.
func TestTheProofWaitsForWhatLags(t *testing.T) {
	for _, tt := range []struct {
		pace  rds.Pace
		after time.Duration
	}{
		{rds.Pace{Seen: 50 * time.Second, Begins: 50 * time.Second, InForce: 58 * time.Second}, 60 * time.Second},
		{rds.Pace{Seen: time.Hour, Begins: time.Hour, InForce: 59 * time.Second}, 60 * time.Second}, // never seen
		{rds.Pace{Seen: 0, Begins: 4 * time.Minute, InForce: 8 * time.Minute}, 8 * time.Minute},
		{rds.Pace{Seen: 0, Begins: 0, InForce: 10 * time.Second}, 10 * time.Second},
	} {
		l := newLab(t, Target{}).run(preflight, create)
		l.aws.RDS.SetPace(tt.pace)
		begin := l.time.at
		l.run(set)
		for range 200 {
			done, err := l.once(test)
			l.ok(err)
			if done {
				break
			}
		}
		l.inForce(sm.Pending)
		if took := l.time.at.Sub(begin); took != tt.after {
			t.Errorf("%+v: took %s, want %s", tt.pace, took, tt.after)
		}
	}
}

func TestSetWaitsUntilTheDatabaseIsAvailable(t *testing.T) {
	l := newLab(t, Target{}).run(preflight, create)
	status := func(s string) func(*rds.Database) { return func(d *rds.Database) { d.Status = s } }
	l.change(nil, status("backing-up"))
	if done, err := l.once(set); done || err != nil || l.count("ModifyDBInstance") != 0 {
		t.Errorf("done %t, %v", done, err)
	}
	l.change(nil, status(rds.Available))
	l.faults(1, &sandbox.Error{Status: 400, Code: "InvalidDBInstanceState", Message: "Database instance is not in available state."})
	if done, err := l.once(set); done || err != nil || !strings.Contains(l.said[len(l.said)-1], "to take a change") {
		t.Errorf("done %t, %v: %s", done, err, l.said[len(l.said)-1])
	}
	l.run(forward[2:]...)
	l.inForce(sm.Current)
}

// A backup that begins and ends before the change is seen isn't the change.
func TestTheProofIsNotMisledByABackup(t *testing.T) {
	l := newLab(t, Target{}).run(preflight, create)
	l.aws.RDS.SetPace(rds.Pace{Seen: 30 * time.Second, Begins: 30 * time.Second, InForce: 50 * time.Second})
	l.run(set)
	for i := range 20 {
		status := rds.Available
		if i == 1 || i == 2 {
			status = "backing-up"
		}
		l.change(nil, func(d *rds.Database) { d.Status = status })
		done, err := l.once(test)
		l.ok(err)
		if done {
			break
		}
	}
	l.inForce(sm.Pending)
}

// What waits for an instance's maintenance window goes on waiting.
func TestNothingElseIsAppliedWithThePassword(t *testing.T) {
	l := newLab(t, Target{}).change(nil, func(d *rds.Database) { d.Upgrade = "16.4" }).run(forward[:5]...).run(restore)
	if is := l.db().Upgrade; is != "16.4" {
		t.Errorf("the upgrade was applied: %q", is)
	}
}

func TestPreflightLeavesABusyDatabaseToALaterRun(t *testing.T) {
	l := newLab(t, Target{}).change(nil, func(d *rds.Database) { d.Status = "modifying" })
	res, err := l.ask(t.Context(), preflight)
	if err != nil || res.Again != rotation.Later || res.Wait != "instance shop to be available again: it is modifying" {
		t.Errorf("%+v, %v", res, err)
	}
}
