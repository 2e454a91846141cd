//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

func TestItRunsWithWhatIsLiveBothWays(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name  string
		shape Shape
		log   string
	}{
		{"run alone", Shape{}, "deploy NEW\nback OLD\n"},
		{"with look, diff and back", Shape{Look: []string{"./look"}, Diff: []string{"sh", "-c", `echo "diff $REKEY_STEP"`}, Back: []string{"./deploy", "--hotswap=false"}}, "deploy NEW\nback OLD --hotswap=false\n"},
	} {
		l := newLab(t, tt.shape).run(looked, deploy, adopted)
		if got := l.read("runs"); got != newVersion {
			t.Errorf("%s: runs with %s", tt.name, got)
		}
		l.run(back)
		if got := l.read("runs"); got != oldVersion || l.log() != tt.log {
			t.Errorf("%s: runs with %s; told\n%s", tt.name, got, l.log())
		}
		fmt.Fprintf(&all, "== %s\n%s\n", tt.name, strings.Join(l.said, "\n"))
	}
	goldentest.Equal(t, "steps.txt", all.String())
}

func TestACommandIsToldWhatIsLiveAndNeverAValue(t *testing.T) {
	t.Setenv("AWS_SESSION_TOKEN", planted)
	l := newLab(t, Shape{Run: []string{"sh", "-c", "env | grep -v ^PWD= | sort >env"}, Set: map[string]string{"STAGE": "a b"}}).run(looked, deploy)
	token := rotation.PastOf(l.records).Token(deploy, "command")
	var got []string
	for line := range strings.Lines(l.read("env")) {
		if name, _, _ := strings.Cut(line, "="); !slices.Contains([]string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHLVL", "_", "OLDPWD"}, name) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{"REKEY_ENVIRONMENT=dev", "REKEY_ROTATION=2026-11-25-api", "REKEY_SECRET_ARN=" + secretARN, "REKEY_SECRET_NAME=shop/api",
		"REKEY_STEP=deploy", "REKEY_TOKEN=" + token, "REKEY_VERSION=" + newVersion, "STAGE=a b"}
	if !slices.Equal(got, want) || len(token) != 64 {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A run is on record before it begins, in every process, and one whose end nobody saw is begun again under the same token.
func TestARunWhoseEndNobodySawIsRepeated(t *testing.T) {
	for _, look := range [][]string{nil, {"./look"}} {
		l := newLab(t, Shape{Look: look}).run(looked)
		l.script("deploy", tells+"kill -9 $$\n")
		if res, err := l.once(deploy); err != nil || res.Facts["runs"] != "1" || l.read("log") != "" {
			t.Fatalf("%v %v: begun before it was on record", res, err)
		}
		var f *rotation.Failure
		if _, err := l.once(deploy); err == nil || errors.As(err, &f) {
			t.Fatalf("%v", err)
		}
		l.script("deploy", deploys)
		l.restart().run(deploy)
		if l.log() != "deploy NEW\ndeploy NEW\n" || l.read("runs") != newVersion {
			t.Errorf("told\n%s", l.log())
		}
		goldentest.Equal(t, fmt.Sprintf("again-%d.txt", len(look)), strings.Join(l.said, "\n")+"\n")
	}
}

// Where a look shows that it came about, nothing is run again.
func TestALookSparesARun(t *testing.T) {
	l := newLab(t, Shape{Look: []string{"./look"}}).run(looked)
	l.script("deploy", deploys+"kill -9 $$\n")
	_, _ = l.once(deploy)
	_, _ = l.once(deploy)
	l.restart().run(deploy)
	if l.log() != "deploy NEW\n" {
		t.Errorf("told\n%s", l.log())
	}
}

func TestItWaitsUntilEverythingRunsWithIt(t *testing.T) {
	l := newLab(t, Shape{Look: []string{"./look"}}).run(looked)
	l.script("deploy", tells)
	for range 2 {
		if err := l.drive(deploy); err == nil || !strings.HasPrefix(err.Error(), "waits: ") {
			t.Fatalf("%v", err)
		}
		l.restart()
	}
	if l.log() != "deploy NEW\n" {
		t.Errorf("run again while it came about:\n%s", l.log())
	}
	l.write("runs", newVersion)
	l.run(deploy, adopted)
	l.write("runs", oldVersion)
	if err := l.drive(adopted); err == nil || !strings.HasPrefix(err.Error(), "waits: ") {
		t.Errorf("adopted: %v", err)
	}
	if err := l.drive(back); err != nil { // asked whatever look says: a deployment broken off may yet come about
		t.Fatal(err)
	}
	if l.log() != "deploy NEW\nback OLD\n" {
		t.Errorf("told\n%s", l.log())
	}
	goldentest.Equal(t, "waits.txt", strings.Join(l.said, "\n")+"\n")
}

func TestNothingIsTakenBackThatWasNeverBegun(t *testing.T) {
	l := newLab(t, Shape{}).run(looked, back)
	if l.log() != "\n" {
		t.Errorf("told\n%s", l.log())
	}
}

// A validation by another runner asks deploy again, without a fence.
func TestAskedAgainWithoutALeaseItOnlyLooks(t *testing.T) {
	for _, look := range [][]string{nil, {"./look"}} {
		l := newLab(t, Shape{Look: look}).run(looked, deploy)
		l.fence.refuse = rotation.ErrNoLease
		l.restart().run(deploy)
		if look != nil {
			l.write("runs", oldVersion)
			if _, err := l.once(deploy); !errors.Is(err, rotation.ErrNoLease) {
				t.Errorf("%v", err)
			}
		}
		if l.log() != "deploy NEW\n" {
			t.Errorf("told\n%s", l.log())
		}
	}
}

func TestNothingRunsBeforeTheValuesAreKnownAndTheLeaseIsThere(t *testing.T) {
	for name, spoil := range map[string]func(*lab){
		"unarmed":  func(l *lab) { l.armErr = errors.New("access denied") },
		"no lease": func(l *lab) { l.fence.refuse = rotation.ErrNoLease },
	} {
		l := newLab(t, Shape{}).run(looked)
		spoil(l)
		var f *rotation.Failure
		if err := l.drive(deploy); err == nil || errors.As(err, &f) || l.log() != "\n" {
			t.Errorf("%s: %v, told %s", name, err, l.log())
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		shape  Shape
		change func(*lab)
		step   string
	}{
		{"no such program", Shape{Run: []string{"no-such-program"}}, nil, looked},
		{"no such program for the way back", Shape{Back: []string{"./no-such"}}, nil, looked},
		{"a file that may not be run", Shape{}, func(l *lab) {
			l.write("plain", "")
			_ = os.Rename(filepath.Join(l.root, "plain"), filepath.Join(l.root, "deploy"))
		}, looked},
		{"no such directory", Shape{Dir: "infra"}, nil, looked},
		{"it runs with something else already", Shape{Look: []string{"./look"}}, func(l *lab) { l.write("runs", "else") }, looked},
		{"look can't tell", Shape{Look: []string{"sh", "-c", "echo who knows; exit 3"}}, nil, looked},
		{"something is pending", Shape{Diff: []string{"sh", "-c", "echo 1 stack differs; exit 1"}}, nil, looked},
		{"it fails", Shape{}, func(l *lab) { l.script("deploy", tells+"echo no rights for "+planted+"; exit 9\n") }, deploy},
		{"it fails on the way back", Shape{Back: []string{"sh", "-c", "exit 4"}}, func(l *lab) { l.run(looked, deploy) }, back},
	} {
		l := newLab(t, tt.shape)
		if tt.change != nil {
			tt.change(l)
		}
		var f *rotation.Failure
		if err := l.drive(tt.step); !errors.As(err, &f) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		fmt.Fprintf(&all, "%s\n  %s\n", tt.name, strings.ReplaceAll(l.said[len(l.said)-1], "\n", "\n  "))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestALookThatCantTellIsNoNo(t *testing.T) {
	l := newLab(t, Shape{Look: []string{"./look"}}).run(looked)
	l.script("look", "#!/bin/sh\nexit 5\n")
	for _, step := range []string{deploy, adopted} {
		var f *rotation.Failure
		if _, err := l.once(step); err == nil || errors.As(err, &f) {
			t.Errorf("%s: %v", step, err)
		}
	}
	if l.log() != "\n" {
		t.Errorf("told\n%s", l.log())
	}
}

func TestARunBrokenOffIsAnUnknownOutcome(t *testing.T) {
	l := newLab(t, Shape{Within: rotation.Duration(200 * time.Millisecond)}).run(looked)
	l.script("deploy", "#!/bin/sh\nexec sleep 300\n")
	_, _ = l.once(deploy)
	res, err := l.once(deploy)
	var f *rotation.Failure
	if err == nil || errors.As(err, &f) || len(res.Files) != 1 || len(res.Files[0].Data) > 0 {
		t.Errorf("%v %v", res, err)
	}
	goldentest.Equal(t, "late.txt", strings.Join(l.said, "\n")+"\n")
}

// A pull request could have changed the scripts: nothing of it is run.
func TestAPreviewRunsNothing(t *testing.T) {
	l := newLab(t, Shape{Look: []string{"./deploy"}, Diff: []string{"./deploy"}})
	s, _ := l.plan.Step(looked)
	res, err := l.handler["preview"](context.Background(), s, rotation.PastOf(l.records).For(s))
	if err != nil || l.log() != "\n" || l.armed > 0 || res.Text != "./deploy was not looked at: nothing of a pull request is run" {
		t.Errorf("%+v %v, told %s", res, err, l.log())
	}
}

func TestShapes(t *testing.T) {
	var all strings.Builder
	for _, text := range []string{
		"run: [npx, cdk, deploy, --require-approval, never]\nwithin: 1h\nlook: [./look]\nnot_yet: 3\n",
		"run: [cdk deploy]\nlook: []\nback: ['']\n",
		"run: [cdk]\nnot_yet: 2\nwithin: 2h\nenv: [AWS_SESSION_TOKEN, REKEY_X]\nset: {DB_PASSWORD: a}\ndir: ../other\n",
		"run: [cdk]\nlook: [./look]\nnot_yet: 0\ndiff: [a b]\n",
	} {
		var list problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the consumer", Text: []byte(text)}, new(Shape), &list)
		fmt.Fprintf(&all, "%s-- %d problems\n%s\n", text, list.Len(), list.String())
	}
	goldentest.Equal(t, "shapes.txt", all.String())
}
