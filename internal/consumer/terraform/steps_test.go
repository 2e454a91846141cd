//go:build unix

package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
)

func TestItRunsWithTheNewVersionAndGitFollows(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	if got := l.log(); got != "version init plan-unlocked plan-unlocked" {
		t.Errorf("preflight asked for %s", got)
	}
	l.run(deploy).runs(newVersion)
	goldentest.Equal(t, "evidence.txt", l.kept)
	if got := l.log(); got != "init plan plan-unlocked apply plan-unlocked" {
		t.Errorf("deploy asked for %s", got)
	}
	l.leaves(adopted)
	if got := l.log(); got != "" {
		t.Errorf("adopted asked for %s", got)
	}
	l.merge(newVersion)
	l.run(adopted)
	goldentest.Equal(t, "forward.txt", l.all())
}

func TestTheWayBackIsOverOnceGitAgrees(t *testing.T) {
	l := newLab(t, Shape{}).run(looked, deploy, back)
	l.runs(oldVersion)
	goldentest.Equal(t, "back.txt", l.all())

	l = newLab(t, Shape{}).run(looked, deploy)
	l.merge(newVersion)
	l.leaves(back).runs(oldVersion)
	l.log()
	l.restart().leaves(back)
	if got := l.log(); got != "" {
		t.Errorf("asked for %s while it waits for people", got)
	}
	l.merge(oldVersion)
	l.run(back).runs(oldVersion)
	goldentest.Equal(t, "back-after-merge.txt", l.all())
}

func TestWhatTheVariableCanHold(t *testing.T) {
	const oldKey, newKey = "arn:aws:kms:us-east-1:111111111111:key/11111111-1111-4111-a111-111111111111", "arn:aws:kms:us-east-1:111111111111:key/22222222-2222-4222-a222-222222222222"
	for _, tt := range []struct{ arn, old, made, before, after string }{
		{secretARN, oldVersion, newVersion, secretARN + ":::" + oldVersion, secretARN + ":::" + newVersion},
		{"", oldKey, newKey, oldKey, newKey},
	} {
		l := newLab(t, Shape{Holds: consumer.HoldsARN, VarFile: "env/prod.tfvars.json", VarFiles: []string{"common.tfvars"}})
		l.ok(os.Remove(filepath.Join(l.root, "infra/prod.auto.tfvars")))
		l.write("infra/common.tfvars", "region = \"eu-central-1\"\n")
		l.write("infra/env/prod.tfvars.json", "{\n  \"v\": \""+tt.before+"\"\n}\n")
		l.state(map[string]string{"aws_ecs_service.web": tt.before, "aws_ecs_task_definition.web": tt.before, "aws_sqs_queue.jobs": "jobs"})
		l.kind(tt.arn, tt.old, tt.made)
		l.run(looked, deploy).runs(tt.after)
		l.run(back).runs(tt.before)
	}
}

func TestAnApplyThatLeavesSomethingToChangeFails(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.fail(fakeFault{"apply", "forgetful", 1})
	var f *rotation.Failure
	if err := l.drive(deploy); !errors.As(err, &f) || f.Msg != "terraform applied it in infra, and would still replace aws_ecs_task_definition.web" {
		t.Errorf("%v", err)
	}
	l.run(back).runs(oldVersion)
}

func TestTheWorkspaceAndTheRestOfTheBackend(t *testing.T) {
	l := newLab(t, Shape{Workspace: "prod", BackendConfig: []string{"prod.tfbackend"}}).run(looked)
	if got := l.log(); got != "version prod init prod -backend-config=prod.tfbackend plan-unlocked prod plan-unlocked prod" {
		t.Errorf("asked for %s", got)
	}
}

func TestWhatIsReadOfTerraform(t *testing.T) {
	var e events
	for _, piece := range []string{`{"type":"planned_change","change":{"resource":{"addr":"a.b"},"act`, `ion":"update"}}` + "\n" + `{"type":"planned_change","change":{"resource":{"addr":"a.c"},"action":"noop"}}`,
		"\n" + `{"type":"planned_change","change":{"resource":{"addr":"data.a.d"},"action":"read"}}` + "\nnot JSON\n" + `{"type":"outputs","outputs":{"x":{"action":"update","value":"` + planted + `"},"y":{"action":"noop"}}}` + "\n",
		`{"type":"planned_change","change":{"resource":{"addr":"too.long"},"action":"update"},"x":"` + strings.Repeat("x", longest) + "\"}\n",
		`{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"deprecated"}}` + "\n", `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"no\n such\u001b[1m thing.","address":"a.b","range":{"filename":"main.tf","start":{"line":3}}}}` + "\n"} {
		if _, err := e.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(e.changes); got != "[update a.b update output.x]" {
		t.Errorf("%s", got)
	}
	if got := e.said(); got != `no such\u001b[1m thing (a.b, main.tf:3)` {
		t.Errorf("%s", got)
	}
	var c call
	if err := c.refused(slices.Repeat([]string{"update a"}, mostChanges)); err != nil {
		t.Error(err)
	}
	if err := c.refused(slices.Repeat([]string{"update a"}, mostChanges+1)); err == nil {
		t.Error("applied without a word")
	}
	for addr, want := range map[string]bool{`a.b`: true, `a.b[0]`: true, `a.b["x\"]"]`: true, `module.m["k"].a.b`: false, `a.bc`: false} {
		c.Replace = []string{"a.b"}
		if got := c.refused([]string{"replace " + addr}) == nil; got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
}

func TestAnApplyIsOnRecordBeforeItBegins(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.log()
	for _, step := range []string{deploy, back} {
		res, err := l.once(step)
		if err != nil || res.Facts[factRuns] != "1" || l.log() != "" {
			t.Errorf("%s: %+v %v", step, res, err)
		}
		l.run(step)
		l.log()
	}
}

// An apply is killed, or fails, after each of its resources; what it did isn't recorded, and another process goes on.
func TestEveryCrashPointOfAnApply(t *testing.T) {
	for after := range 2 {
		for _, then := range []string{deploy, back} {
			l := newLab(t, Shape{}).run(looked)
			l.fail(fakeFault{"apply", "killed", after})
			for range 2 {
				_, _ = l.once(deploy)
			}
			if n := len(l.values()); n != 3 {
				t.Fatalf("%d resources", n)
			}
			l.restart().run(then)
			l.runs(map[string]string{deploy: newVersion, back: oldVersion}[then])
			if then == back {
				continue
			}
			l.fail(fakeFault{"apply", "killed", after})
			for range 2 {
				_, _ = l.once(back)
			}
			l.restart().run(back).runs(oldVersion)
		}
	}
}

func TestAnApplyThatFailsIsDefiniteAndTakenBack(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.fail(fakeFault{"apply", "error", 1})
	var f *rotation.Failure
	if err := l.drive(deploy); !errors.As(err, &f) {
		t.Fatalf("%v", err)
	}
	l.run(back).runs(oldVersion)
	goldentest.Equal(t, "failed.txt", l.all())
}

// Nobody's lock is taken away: it is waited for, and says whose it is.
func TestALockIsWaitedFor(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.fail(fakeFault{"plan", "locked", 0}, fakeFault{"apply", "locked", 0})
	l.run(deploy).runs(newVersion)
	l.fail(fakeFault{"plan", "locked", 0}, fakeFault{"apply", "locked", 0})
	l.run(back).runs(oldVersion)
	goldentest.Equal(t, "locked.txt", l.all())
}

// A lock that can't be asked for is nobody's: nothing is known, and nothing was changed.
func TestALockThatCantBeHadIsAnUnknownOutcome(t *testing.T) {
	for _, command := range []string{"plan", "apply"} {
		l := newLab(t, Shape{}).run(looked)
		l.fail(fakeFault{command, "lockless", 0})
		_, _ = l.once(deploy)
		var f *rotation.Failure
		if _, err := l.once(deploy); err == nil || errors.As(err, &f) || !strings.Contains(err.Error(), isLocked) {
			t.Errorf("%s: %v", command, err)
		}
		l.run(deploy).runs(newVersion)
	}
}

// What changes the state between a plan and its apply makes terraform refuse that plan: another one is made.
func TestAPlanThatTheStateLeftBehindIsMadeAgain(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.fail(fakeFault{"apply", "stale", 0})
	l.log()
	l.run(deploy).runs(newVersion)
	if got := l.log(); got != "init plan plan-unlocked apply init plan plan-unlocked apply plan-unlocked" {
		t.Errorf("asked for %s", got)
	}
}

// What can't be seen changed nothing, and proves nothing.
func TestALookThatFailsIsNoNo(t *testing.T) {
	for _, command := range []string{"init", "plan"} {
		for _, how := range []string{"error", "killed"} {
			l := newLab(t, Shape{}).run(looked, deploy)
			l.merge(newVersion)
			for _, step := range []string{adopted, back} {
				l.fail(fakeFault{command, how, 0}, fakeFault{command, how, 0})
				_, err := l.once(step)
				if step == back && err == nil { // that one recorded that it begins
					_, err = l.once(step)
				}
				var f *rotation.Failure
				if err == nil || errors.As(err, &f) {
					t.Errorf("%s %s at %s: %v", command, how, step, err)
				}
			}
			l.runs(newVersion)
		}
	}
}

// A version that isn't there yet can't always be planned with: then what it changes is on record before it is applied.
func TestWhatItChangesIsOnRecordBeforeItDoes(t *testing.T) {
	l := newLab(t, Shape{})
	l.write("infra/needs", "there is no such version: "+standIn(oldVersion)) // a data source reads it
	l.run(looked)
	if rotation.PastOf(l.records).Fact(looked, factChanges) != "" {
		t.Fatal("changes are on record that nobody saw")
	}
	res, err := l.once(deploy)
	if err != nil || res.Facts[factChanges] == "" || l.values()["aws_ecs_service.web"] != oldVersion {
		t.Fatalf("%+v %v", res, err)
	}
	l.restart().run(deploy).runs(newVersion)
	l.run(back).runs(oldVersion)
	goldentest.Equal(t, "unforeseen.txt", l.all())
}

// A validation by another runner asks deploy again, without a fence.
func TestAskedAgainWithoutALeaseItOnlyLooks(t *testing.T) {
	l := newLab(t, Shape{}).run(looked, deploy)
	l.fence.refuse = rotation.ErrNoLease
	l.log()
	l.restart().run(deploy)
	l.state(map[string]string{"aws_ecs_service.web": oldVersion, "aws_ecs_task_definition.web": newVersion, "aws_sqs_queue.jobs": "jobs"})
	if _, err := l.once(deploy); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("%v", err)
	}
	if got := l.log(); got != "init plan-unlocked init plan-unlocked" {
		t.Errorf("asked for %s", got)
	}
}

func TestOthersChangesAreTheirs(t *testing.T) {
	l := newLab(t, Shape{}).run(looked, deploy)
	l.merge(newVersion)
	l.state(map[string]string{"aws_ecs_service.web": newVersion, "aws_ecs_task_definition.web": newVersion, "aws_sqs_queue.jobs": "other"})
	l.run(adopted) // what is pending is nothing of the rotation's
	var f *rotation.Failure
	if err := l.drive(back); !errors.As(err, &f) || l.values()["aws_ecs_service.web"] != newVersion {
		t.Errorf("%v", err)
	}
	l.state(map[string]string{"aws_ecs_service.web": oldVersion, "aws_ecs_task_definition.web": newVersion, "aws_sqs_queue.jobs": "jobs"})
	l.leaves(adopted)
	goldentest.Equal(t, "others.txt", l.all())
}

// What the rotation made is destroyed on the way back; what it only changed never is, whoever took it out of the
// configuration meanwhile.
func TestTheWayBackUndoesAndNoMore(t *testing.T) {
	config := map[string]fakeResource{"aws_ecs_service.web": {"var", "update"}, "aws_ecs_task_definition.web": {"var", "replace"}, "aws_sqs_queue.jobs": {"jobs", "update"}}
	l := newLab(t, Shape{}).run(looked, deploy)
	delete(config, "aws_ecs_service.web")
	l.config(config)
	var f *rotation.Failure
	if err := l.drive(back); !errors.As(err, &f) || !strings.HasSuffix(f.Msg, ": delete aws_ecs_service.web") {
		t.Errorf("%v", err)
	}
	l.runs(newVersion)

	foreseen := []string{"create a", "replace b", "update c", "update output.d"}
	for change, want := range map[string]bool{"delete a": true, "update a": true, "replace a": true, "create a": false, "create b": true, "replace b": true, "delete b": false,
		"update c": true, "replace c": false, "create c": false, "delete c": false, "update d": false, "delete output.d": true, "update output.e": false, "forget a": false, "move c": false} {
		if got := len(further([]string{change}, foreseen)) == 0; got != want {
			t.Errorf("%s: %t", change, got)
		}
	}
}

// While the redactor knows a value that it can't find, nothing is shown that may hold it.
func TestWhatTerraformSaysIsWithheldWhileAValueIsTooShort(t *testing.T) {
	l := newLab(t, Shape{})
	l.redact.Add([]byte("abc"))
	l.fail(fakeFault{"plan", "error", 0})
	res, err := l.once(looked)
	if err == nil || strings.Contains(err.Error(), "AccessDenied") || len(res.Files) != 1 || !strings.HasPrefix(string(res.Files[0].Data), "output withheld: ") {
		t.Errorf("%v %s", err, res.Files)
	}
}

func TestNothingIsTakenBackThatWasNeverApplied(t *testing.T) {
	l := newLab(t, Shape{}).run(looked)
	l.log()
	l.run(back)
	if got := l.log(); got != "" {
		t.Errorf("asked for %s", got)
	}
}

func TestAPreviewRunsNothing(t *testing.T) {
	l := newLab(t, Shape{})
	s, _ := l.plan.Step(looked)
	res, err := l.handler["preview"](t.Context(), s, rotation.PastOf(l.records).For(s))
	if got := l.log(); err != nil || got != "" || res.Text != "infra was not planned: nothing of a pull request is run" {
		t.Errorf("%+v %v, asked for %s", res, err, got)
	}
}
