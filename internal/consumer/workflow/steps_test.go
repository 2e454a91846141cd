package workflow

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

// An hour later is another process.
func (l *lab) later() *lab {
	l.clock.Move(time.Hour)
	return l.restart()
}

func TestARunWithTheNewVersionAndOnTheWayBackOneWithTheOld(t *testing.T) {
	l := newLab(t, nil).want(looked, nil)
	l.want(deploy, errLeft) // at once: nobody can have started it
	if !l.clock.Now().Equal(start) {
		t.Errorf("waited until %s", l.clock.Now())
	}
	l.ran()
	first := l.asked(deploy)
	l.restart().want(deploy, errLeft)
	if got := l.clock.Now().Sub(start); got < appears || got > 2*appears {
		t.Errorf("another process waited %s for a run that may be about to be listed", got)
	}
	if diff := maps.Equal(l.asked(deploy).Inputs, first.Inputs); !diff {
		t.Errorf("asked for another: %v, %v", l.asked(deploy), first)
	}
	id := l.begin(deploy, bot, "main")
	l.later().want(deploy, errBusy)
	l.hub.SetJob(id, "deploy", "in_progress", "")
	l.want(deploy, errBusy)
	l.hub.SetEnvironment(world.Environment{Name: "shop-dev", Reviewers: []string{"li-pay"}})
	l.hub.SetJob(id, "deploy", "waiting", "")
	l.hub.WaitFor(id, "shop-dev")
	l.want(deploy, errLeft)
	l.hub.EndRun(id, "success")
	l.want(deploy, nil).later().want(adopted, nil)
	l.later().want(deploy, nil) // asked again whether that holds
	l.hub.Rerun(id)
	l.want(adopted, errLeft)
	l.hub.EndRun(id, "failure")
	l.want(adopted, errLeft)
	l.fails(deploy)

	l.later().want(back, errLeft)
	l.begin(back, bot, "main")
	l.hub.EndRun(l.hub.Runs("")[1].ID, "success")
	l.later().want(back, nil).want(back, nil)
	l.ran("NEW failure", "OLD success")
	run := l.hub.Runs("")[0]
	if run.Inputs["environment"] != "dev" || run.Inputs["region"] != "eu-central-1" || run.Inputs["rekey"] != first.Key() || len(run.Inputs) != 4 || run.Title != "deploy "+first.Key() {
		t.Errorf("the run has %q, is called %q", run.Inputs, run.Title)
	}
	if l.asked(back).Key() == first.Key() {
		t.Error("the way back has the same key")
	}
	goldentest.Equal(t, "steps.txt", strings.Join(l.said, "\n")+"\n")
}

func TestARunThatDoesNotSucceedFailsTheStepAndTheWayBackIsTriedUntilItDoes(t *testing.T) {
	var all strings.Builder
	for _, conclusion := range []string{"failure", "cancelled", "timed_out", "skipped", "startup_failure", "deleted"} {
		l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
		id := l.begin(deploy, bot, "main")
		l.later().want(deploy, errBusy) // seen under way
		if conclusion == "deleted" {
			l.hub.DeleteRun(id)
		} else {
			l.hub.EndRun(id, conclusion)
		}
		l.fails(deploy)
		fmt.Fprintln(&all, l.said[len(l.said)-1])
		for range 2 {
			l.later().want(back, errLeft)
			l.hub.EndRun(l.begin(back, bot, "main"), "failure")
			l.later().fails(back)
			fmt.Fprintln(&all, l.said[len(l.said)-1])
		}
		l.later().want(back, errLeft)
		gone := l.begin(back, bot, "main")
		l.want(back, errBusy)
		l.hub.DeleteRun(gone)
		l.fails(back)
		l.later().want(back, errLeft)
		l.hub.EndRun(l.begin(back, bot, "main"), "success")
		l.later().want(back, nil)
		want := []string{"NEW " + conclusion, "OLD failure", "OLD failure", "OLD success"}
		if conclusion == "deleted" {
			want = want[1:]
		}
		l.ran(want...)
	}
	goldentest.Equal(t, "failures.txt", all.String())
}

// A run counts only where it is Rekey's own, or the operator's.
func TestSomebodyElsesRunDoesNotCount(t *testing.T) {
	l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	l.hub.Commit("patch", "mallory", "Do nothing", nil)
	for _, one := range [][2]string{{"mallory", "main"}, {bot, "patch"}} {
		l.hub.EndRun(l.begin(deploy, one[0], one[1]), "success")
		l.later().want(deploy, errLeft)
	}
	goldentest.Equal(t, "foreign.txt", l.said[len(l.said)-1]+"\n")
	failed, second := l.begin(deploy, "li-pay", "main"), l.begin(deploy, bot, "main")
	l.hub.EndRun(failed, "failure")
	l.hub.EndRun(second, "success")
	l.later().fails(deploy) // of two, the first counts
}

func TestARunFromBeforeItWasAskedForDoesNotCount(t *testing.T) {
	l := newLab(t, nil).want(looked, nil)
	probe := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	l.records = append(l.records, rotation.Record{Outcome: rotation.Noted, Step: deploy, Facts: map[string]string{dispatch.Fact: probe.asked(deploy).Text()}})
	l.hub.EndRun(l.begin(deploy, bot, "main"), "success")
	l.records = l.records[:len(l.records)-1]
	l.later().want(deploy, errLeft)
	if l.asked(deploy).Key() != probe.asked(deploy).Key() {
		t.Fatal("the key differs: nothing was tried")
	}
	l.later().want(deploy, errLeft)
}

// What was started with the new version must be over before the old one is started.
func TestTheWayBackWaitsForTheRunWithTheNewVersion(t *testing.T) {
	l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	first, second := l.begin(deploy, bot, "main"), l.begin(deploy, bot, "main") // two jobs at the same time
	l.later().want(back, errBusy)
	l.hub.EndRun(first, "cancelled")
	l.want(back, errBusy)
	if l.asked(back).Key() != "" {
		t.Fatal("asked for the old one while a run with the new one goes on")
	}
	goldentest.Equal(t, "back.txt", l.said[len(l.said)-1]+"\n")
	l.hub.EndRun(second, "success")
	l.want(back, errLeft)
	if l.asked(back).Key() == "" {
		t.Error("nothing was asked for")
	}
}

func TestTheWayBackWaitsForARunThatMayComeToLight(t *testing.T) {
	l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	l.later()
	before := l.clock.Now()
	l.want(back, errLeft)
	if got := l.asked(back).At.Sub(before); got < settled {
		t.Errorf("asked after %s", got)
	}
	l = newLab(t, nil).want(looked, nil)
	l.want(back, nil) // nothing was asked for
	l.ran()
}

func TestALookThatFailsIsNoNo(t *testing.T) {
	l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	l.begin(deploy, bot, "main")
	l.want(deploy, errBusy)
	l.home.Fail(func(world.Call) error { return world.Broken(502) })
	for _, step := range []string{looked, deploy, adopted, back} {
		var f *rotation.Failure
		if _, err := l.ask(step); err == nil && step != back || errors.As(err, &f) {
			t.Errorf("%s: %v", step, err)
		}
	}
}

func TestWithoutATokenItIsRefusedBeforeAnythingAndWaitsAfterwards(t *testing.T) {
	l := newLab(t, nil).want(looked, nil).want(deploy, errLeft)
	l.handler = New(consumer.Deps{Now: l.clock.Now})
	l.want(deploy, errLeft).want(back, errLeft).want(adopted, errLeft).fails(looked)
	goldentest.Equal(t, "token.txt", strings.Join(l.said[2:], "\n")+"\n")
}

func TestWhatPreflightRefuses(t *testing.T) {
	edit := func(old, to string) func(*lab) {
		return func(l *lab) {
			if !strings.Contains(deployFile, old) {
				t.Fatalf("no %q in the file", old)
			}
			l.hub.Commit("main", "li-pay", "Edit", map[string]string{file: strings.Replace(deployFile, old, to, 1)})
		}
	}
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		shape  func(*Shape)
		change func(*lab)
	}{
		{"no such workflow", func(s *Shape) { s.Workflow = "gone.yml" }, nil},
		{"no such repository", func(s *Shape) { s.Repository = "rastup/gone" }, nil},
		{"no such branch", func(s *Shape) { s.Ref = "gone" }, nil},
		{"turned off", nil, func(l *lab) { l.hub.DisableWorkflow("deploy.yml", true) }},
		{"no dispatch", nil, edit("  workflow_dispatch:\n    inputs:", "  workflow_call:\n    inputs:")},
		{"no key", nil, edit("rekey: {type: string, required: true}", "other: {type: string}")},
		{"no run-name", nil, edit("run-name: deploy ${{ inputs.rekey }}\n", "")},
		{"a run-name without the key", nil, edit("${{ inputs.rekey }}", "${{ inputs.environment }} rekey")},
		{"an input it hasn't", func(s *Shape) { s.Inputs["zone"] = "b" }, nil},
		{"a required input", func(s *Shape) { s.Inputs = nil }, nil},
		{"an environment that is no option", nil, edit("[dev, prod]", "[test, prod]")},
		{"a token that may not see it", nil, func(l *lab) { l.hub.AddToken("reads", bot, map[string]string{"contents": "read"}) }},
		{"a token that may not read files", nil, func(l *lab) { l.hub.AddToken("reads", bot, map[string]string{"actions": "read"}) }},
	} {
		l := newLab(t, tt.shape)
		if tt.change != nil {
			tt.change(l)
		}
		l.fails(looked)
		fmt.Fprintf(&all, "== %s\n%s\n", tt.name, strings.Join(l.said, "\n"))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestTheWorkflowMayBeInTheSameRepositoryAndTakeLittle(t *testing.T) {
	l := newLab(t, func(s *Shape) { *s = Shape{Workflow: "deploy.yml"} })
	l.hub = l.home
	l.hub.Commit("main", "li-pay", "Less", map[string]string{file: "run-name: \"${{ inputs.rekey }}\"\non: {workflow_dispatch: {inputs: {rekey: {}}}}\njobs: {}\n"})
	l.want(looked, nil).want(deploy, errLeft)
	l.hub.EndRun(l.begin(deploy, bot, "main"), "success")
	l.later().want(deploy, nil)
	if r := l.hub.Runs("")[0]; len(r.Inputs) != 1 {
		t.Errorf("inputs %q", r.Inputs)
	}
}

// The workflow that people are told to copy is one that can be started, with all that a run is given.
func TestTheDocumentedWorkflowFits(t *testing.T) {
	page, err := os.ReadFile("../../../docs/consumers.md")
	_, text, ok := strings.Cut(string(page), "```yml\nname: deploy\n")
	text, _, closed := strings.Cut(text, "```")
	if err != nil || !ok || !closed {
		t.Fatal("docs/consumers.md shows no workflow", err)
	}
	l := newLab(t, func(s *Shape) { s.Inputs = nil })
	l.hub.Commit("main", "li-pay", "As documented", map[string]string{file: "name: deploy\n" + text})
	l.want(looked, nil).want(deploy, errLeft)
	l.hub.EndRun(l.begin(deploy, bot, "main"), "success")
	l.later().want(deploy, nil)
	if r := l.hub.Runs("")[0]; len(r.Inputs) != 4 || r.Inputs["secret"] != "shop/token" || r.Inputs["environment"] != "dev" {
		t.Errorf("inputs %q", r.Inputs)
	}
}

func TestShapesThatCantBeRight(t *testing.T) {
	var all strings.Builder
	long := strings.Repeat("x", 65000)
	many := "{workflow: deploy.yml, inputs: {" + strings.TrimSuffix(func() (s string) {
		for i := range 22 {
			s += fmt.Sprintf("i%d: a, ", i)
		}
		return s
	}(), ", ") + "}}"
	for _, text := range []string{
		"{workflow: deploy.yml}", "{workflow: deploy.yaml, repository: rastup/shop, ref: release/2, inputs: {region: eu}, within: 30m}",
		"{}", "{workflow: .github/workflows/deploy.yml}", "{workflow: deploy}", "{workflow: deploy.yml, repository: shop}", "{workflow: deploy.yml, repository: https://github.com/rastup/shop}",
		"{workflow: deploy.yml, ref: refs/heads/main}", "{workflow: deploy.yml, ref: \"\"}", "{workflow: deploy.yml, ref: a..b}", "{workflow: deploy.yml, inputs: {Version: \"1\"}}", "{workflow: deploy.yml, inputs: {\"a b\": \"1\"}}",
		many, "{workflow: deploy.yml, inputs: {a: " + long + "}}", "{workflow: deploy.yml, within: 5m}", "{workflow: deploy.yml, within: 25h}", "{workflow: deploy.yml, token: x}",
	} {
		all.WriteString(strings.ReplaceAll(text, long, "65,000 characters") + "\n")
		var l problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the consumer", Text: []byte(text)}, new(Shape), &l)
		if l.Len() > 0 {
			all.WriteString(l.String() + "\n")
		}
	}
	goldentest.Equal(t, "shapes.txt", all.String())
	if (&Shape{}).Deadline() != DefaultWithin || (&Shape{Within: LeastWithin}).Deadline() != LeastWithin {
		t.Error("other defaults")
	}
}
