package lambda

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/lambda"
)

const (
	looks, deploy, adopted, back = "consumer/shop", "deploy/shop", "adopted/shop", "back/shop"
)

// ways are the three ways in which a function is had to take up a version.
var ways = []struct {
	name  string
	shape Shape
	f     own.Function
}{
	{"cache", Shape{}, own.Function{Cache: 5 * time.Minute}},
	{"refresh", Shape{Refresh: true}, own.Function{}},
	{"alias", Shape{Refresh: true, Alias: "live"}, own.Function{}},
}

func TestTheFunctionRunsWithTheNewVersionAndOnTheWayBackWithTheOld(t *testing.T) {
	var all strings.Builder
	for _, way := range ways {
		l := newLab(t, way.shape, way.f)
		before := l.env("")
		l.run(looks)
		if got := l.invoke(); got != "old" {
			t.Errorf("%s: runs with %s before", way.name, got)
		}
		l.run("promote", deploy, adopted)
		if got := l.invoke(); got != "new" {
			t.Errorf("%s: runs with %s after deploy", way.name, got)
		}
		l.run("restore", back)
		if got := l.invoke(); got != "old" {
			t.Errorf("%s: runs with %s after the way back", way.name, got)
		}
		if !maps.Equal(before, l.env("")) {
			t.Errorf("%s: another environment than before", way.name)
		}
		fmt.Fprintf(&all, "== %s\n%s\n", way.name, l.named(strings.Join(l.said, "\n")))
	}
	goldentest.Equal(t, "steps.txt", all.String())
}

// Each changing call is stopped before it, or its answer is lost, or what came of it isn't recorded.
func TestEveryCrashPointEndsTheSame(t *testing.T) {
	for _, way := range ways[1:] {
		for n := range 5 {
			for how, fault := range map[string]error{"before": sandbox.Broken(sandbox.Call{Service: "lambda"}), "lost": sandbox.ErrLost} {
				l := newLab(t, way.shape, way.f)
				count, again := 0, 0
				l.aws.Fail(func(c sandbox.Call) error {
					if strings.HasPrefix(c.Operation, "Get") || strings.HasPrefix(c.Operation, "List") {
						return nil
					}
					if count++; count == n+1 && again < 1 {
						again++
						return fault
					}
					return nil
				})
				l.run(looks, "promote", deploy)
				if res, err := l.ask(deploy); err != nil || res.Wait != "" { // done, and not recorded
					t.Errorf("%s, call %d %s: asked again: %q, %v", way.name, n, how, res.Wait, err)
				}
				if got := l.invoke(); got != "new" {
					t.Errorf("%s, call %d %s: runs with %s", way.name, n, how, got)
				}
				l.run(adopted, "restore", back)
				if res, err := l.ask(back); err != nil || res.Wait != "" {
					t.Errorf("%s, call %d %s: back asked again: %q, %v", way.name, n, how, res.Wait, err)
				}
				published, aliases := l.aws.Lambda.Versions(sandbox.Home, "shop")
				if got := l.invoke(); got != "old" || l.env("")[Variable] != "" || len(published) > 2 || aliases["live"] != map[bool]string{true: "1"}[way.shape.Alias != ""] {
					t.Errorf("%s, call %d %s: runs with %s, %v, %v", way.name, n, how, got, published, aliases)
				}
			}
		}
	}
}

// Deploy is stopped for good after each of its changing calls, and the rotation goes back.
func TestTheWayBackFromHalfADeploy(t *testing.T) {
	for _, way := range ways[1:] {
		for n := range 5 {
			l := newLab(t, way.shape, way.f)
			l.run(looks, "promote")
			count := 0
			l.aws.Fail(func(c sandbox.Call) error {
				if strings.HasPrefix(c.Operation, "Get") || strings.HasPrefix(c.Operation, "List") {
					return nil
				}
				if count++; count > n {
					return sandbox.Broken(c)
				}
				return nil
			})
			_ = l.try(deploy)
			if way.shape.Alias == "" {
				l.invoke() // starts with the new version, whatever deploy came to
			}
			l.aws.Fail(nil)
			l.run("restore", back)
			if got := l.invoke(); got != "old" {
				t.Errorf("%s after %d calls: runs with %s", way.name, n, got)
			}
		}
	}
}

func refused(t *testing.T, err error) *rotation.Failure {
	t.Helper()
	var f *rotation.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return f
}

func TestWhatIsRefused(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		shape  Shape
		change func(*lab)
		step   string
	}{
		{"no such function", Shape{}, func(l *lab) {
			l.plan.Steps[0].With = nil
			for i := range l.plan.Steps {
				l.plan.Steps[i].With = []byte(`{"function":"other"}`)
			}
		}, looks},
		{"not active", Shape{}, func(l *lab) { l.change(func(f *own.Function) { f.State = "Inactive" }) }, looks},
		{"names the old version", Shape{}, func(l *lab) {
			l.change(func(f *own.Function) { f.Environment["PIN"] = secretARN + "?" + oldVersion + planted })
		}, looks},
		{"environment not shown", Shape{Refresh: true}, func(l *lab) { l.change(func(f *own.Function) { f.Hidden = true }) }, looks},
		{"variable of somebody else", Shape{Refresh: true}, func(l *lab) { l.change(func(f *own.Function) { f.Environment[Variable] = planted }) }, looks},
		{"environment full", Shape{Refresh: true}, func(l *lab) {
			l.change(func(f *own.Function) { f.Environment["BIG"] = strings.Repeat("x", 4000) })
		}, looks},
		{"alias shares calls", Shape{Refresh: true, Alias: "live"}, func(l *lab) {
			l.change(func(f *own.Function) { f.Environment["X"] = "1" })
			l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "other", "", nil)
			l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "live", "1", map[string]float64{"2": 0.1})
		}, looks},
		{"alias of $LATEST", Shape{Refresh: true, Alias: "live"}, func(l *lab) { l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "live", own.Latest, nil) }, looks},
		{"$LATEST isn't what is served", Shape{Refresh: true, Alias: "live"}, func(l *lab) {
			l.change(func(f *own.Function) { f.Code, f.Environment["TOKEN"] = "other", planted+"2" })
		}, looks},
		{"$LATEST changed since", Shape{Refresh: true, Alias: "live"}, func(l *lab) {
			l.run(looks, "promote")
			l.change(func(f *own.Function) { f.Code = "other" })
		}, deploy},
		{"alias moved since", Shape{Refresh: true, Alias: "live"}, func(l *lab) {
			l.run(looks, "promote")
			l.change(func(f *own.Function) { f.Environment["X"] = "1" })
			l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "live", "", nil)
			l.change(func(f *own.Function) { delete(f.Environment, "X") })
		}, deploy},
		{"the update fails", Shape{Refresh: true}, func(l *lab) { l.run(looks, "promote"); l.aws.Lambda.SetPace(time.Second, true) }, deploy},
		{"the environment grew since", Shape{Refresh: true}, func(l *lab) {
			l.run(looks, "promote")
			l.change(func(f *own.Function) { f.Environment["BIG"] = planted + strings.Repeat("x", 4000) })
		}, deploy},
	} {
		l := newLab(t, tt.shape, own.Function{})
		tt.change(l)
		f := refused(t, l.try(tt.step))
		fmt.Fprintf(&all, "%s\n  %s\n  hint: %s\n", tt.name, f.Msg, f.Hint)
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestWhatSomebodyElseDoesMeanwhileStays(t *testing.T) {
	l := newLab(t, Shape{Refresh: true}, own.Function{}).run(looks, "promote")
	l.change(func(f *own.Function) { f.Environment["NEW"] = "theirs" })
	once := false
	l.aws.Fail(func(c sandbox.Call) error { // between the look and the call
		if c.Operation == "UpdateFunctionConfiguration" && !once {
			once = true
			l.change(func(f *own.Function) { f.Environment["NEWER"] = "theirs" })
		}
		return nil
	})
	l.run(deploy)
	if env := l.env(""); env["NEW"] != "theirs" || env["NEWER"] != "theirs" || env["TOKEN"] != planted || env[Variable] == "" {
		t.Errorf("%d variables", len(env))
	}
	// Another secret's rotation changes the variable: that doesn't undo what this one did.
	l.change(func(f *own.Function) { f.Environment[Variable] = strings.Repeat("a", 32) })
	l.run(deploy, adopted, "restore", back)
	if got := l.invoke(); got != "old" {
		t.Errorf("runs with %s", got)
	}
}

func TestAnAliasThatSomebodyElseMoved(t *testing.T) {
	l := newLab(t, Shape{Refresh: true, Alias: "live"}, own.Function{}).run(looks, "promote", deploy)
	l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "live", "1", nil)
	if err := l.try(adopted); err == nil || !strings.HasPrefix(err.Error(), "later: alias live") {
		t.Errorf("moved back: %v", err)
	}
	l.change(func(f *own.Function) { f.Code = "next" })
	next := l.aws.Lambda.AliasByHand(sandbox.Home, "shop", "live", "", nil)
	l.run(adopted, "restore", back)
	if _, aliases := l.aws.Lambda.Versions(sandbox.Home, "shop"); aliases["live"] != next {
		t.Errorf("the way back moved somebody else's alias to %s", aliases["live"])
	}
}

func TestALookThatFailsIsNoNo(t *testing.T) {
	for _, way := range ways[1:] {
		l := newLab(t, way.shape, way.f).run(looks, "promote")
		l.aws.Fail(func(c sandbox.Call) error { return sandbox.Broken(c) })
		var f *rotation.Failure
		for _, step := range []string{looks, deploy, back} {
			if _, err := l.ask(step); err == nil || errors.As(err, &f) {
				t.Errorf("%s %s: %v", way.name, step, err)
			}
		}
		l.aws.Fail(nil)
		l.change(func(f *own.Function) { f.Hidden = true })
		if _, err := l.ask(deploy); err == nil || errors.As(err, &f) {
			t.Errorf("%s, not shown: %v", way.name, err)
		}
		if n := l.aws.Count()["lambda:UpdateFunctionConfiguration"]; n > 0 {
			t.Errorf("%s: an environment that wasn't read was written", way.name)
		}
	}
}

func TestAnUpdateOfSomebodyElsesIsWaitedFor(t *testing.T) {
	l := newLab(t, Shape{Refresh: true}, own.Function{}).run(looks, "promote")
	l.aws.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateFunctionConfiguration" && l.aws.Count()["lambda:UpdateFunctionConfiguration"] == 1 {
			return &sandbox.Error{Status: 409, Code: "ResourceConflictException", Message: "An update is in progress for resource: x"}
		}
		return nil
	})
	l.run(deploy)
	if n := l.aws.Count()["lambda:UpdateFunctionConfiguration"]; n != 2 {
		t.Errorf("%d updates", n)
	}
}

// AWS quotes an environment that it doesn't take.
func TestARefusalThatQuotesTheEnvironmentIsNotQuoted(t *testing.T) {
	for _, code := range []string{"InvalidParameterValueException", "ValidationException", "SomethingNewException"} {
		l := newLab(t, Shape{Refresh: true}, own.Function{}).run(looks, "promote")
		l.aws.Fail(func(c sandbox.Call) error {
			if c.Operation == "UpdateFunctionConfiguration" {
				return &sandbox.Error{Status: 400, Code: code, Message: "String measured: {\"TOKEN\":\"" + planted + "\"}"}
			}
			return nil
		})
		if l.try(deploy) == nil { // the lab fails when it shows
			t.Errorf("%s: no error", code)
		}
	}
}

// Another secret's rotation has the same function changed, after this one had put on record what there was: both go by that.
func TestAChangeThatAnotherRotationMadeSinceIsTakenForItsOwn(t *testing.T) {
	for _, alias := range []string{"", "live"} {
		l := newLab(t, Shape{Refresh: true, Alias: alias}, own.Function{}).run(looks)
		l.invoke()
		l.run("promote")
		res, err := l.ask(deploy)
		l.ok(err)
		l.records = append(l.records, rotation.Record{Step: deploy, Outcome: rotation.Noted, Facts: res.Facts})
		l.change(func(f *own.Function) { f.Environment[Variable] = strings.Repeat("a", 32) })
		if alias != "" {
			l.aws.Lambda.AliasByHand(sandbox.Home, "shop", alias, "", nil)
		}
		before := len(l.aws.Calls())
		l.run(deploy, adopted)
		for _, c := range l.aws.Calls()[before:] {
			if strings.HasPrefix(c.Operation, "Update") {
				t.Errorf("alias %q: %s", alias, c.Operation)
			}
		}
		if got := l.invoke(); got != "new" {
			t.Errorf("alias %q: runs with %s", alias, got)
		}
		l.run("restore", back)
		if got := l.invoke(); got != "old" {
			t.Errorf("alias %q: runs with %s on the way back", alias, got)
		}
	}
}
