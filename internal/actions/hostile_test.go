package actions

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// hostile is a line that would be a workflow command at the beginning of one.
const hostile = "x\n::set-output name=a::b\r\n::add-mask::c%0A::error::d"

func runner(t *testing.T, env map[string]string) (*job, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	if env == nil {
		env = map[string]string{}
	}
	if env["GITHUB_STEP_SUMMARY"] == "" {
		env["GITHUB_STEP_SUMMARY"], env["GITHUB_OUTPUT"] = filepath.Join(t.TempDir(), "summary"), filepath.Join(t.TempDir(), "output")
	}
	j, err := newJob(Process{Getenv: func(k string) string { return env[k] }, Out: &b, Root: t.TempDir(), Clock: apply.Machine{Time: time.Now}, Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	return j, &b
}

// commands are the workflow commands that the runner would read from out.
func commands(out string) (names []string) {
	stopped := ""
	for line := range strings.Lines(out) {
		m := regexp.MustCompile(`^::([\w-]+)(?: [^:]*)?::(.*)\n?$`).FindStringSubmatch(line)
		switch {
		case m == nil, stopped != "" && m[1] != stopped:
		case m[1] == stopped:
			stopped = ""
		case m[1] == "stop-commands":
			stopped = m[2]
		default:
			names = append(names, m[1])
		}
	}
	return names
}

func TestAnnotationsOfHostileTextAreOneCommandEach(t *testing.T) {
	a, b := runner(t, nil)
	var l problem.List
	l.Add(problem.Pos{File: "rotations/a,line=9::error::.yaml", Line: 3, Col: 7}, "rule", hostile, "%s", hostile)
	l.Add(problem.Pos{File: "b.md"}, "rule", "", "whole file")
	a.annotate(&l)
	if got := commands(b.String()); strings.Join(got, " ") != "error error" {
		t.Errorf("%q:\n%s", got, b)
	}
	if !strings.Contains(b.String(), "line=3") || !strings.Contains(b.String(), "file=rotations/a%2Cline=9%3A%3Aerror%3A%3A.yaml") {
		t.Errorf("%s", b)
	}
}

func TestProgressCanNotSpeakToTheRunner(t *testing.T) {
	a, b := runner(t, nil)
	show := muted(a.gha, func(_ *rotation.Plan, r rotation.Record) { b.WriteString(r.Text + "\n") })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { show(&rotation.Plan{}, rotation.Record{Text: hostile}) })
	}
	all.Wait()
	if got := commands(b.String()); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestAnErrorIsOneCommand(t *testing.T) {
	a, b := runner(t, nil)
	a.fail(rotation.Failf(hostile, "%s", hostile))
	a.warn(hostile)
	if got := commands(b.String()); strings.Join(got, " ") != "error warning" || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%q:\n%s", got, b)
	}
}

// The library ends a value with a line that is always the same.
func TestAnOutputIsOneLine(t *testing.T) {
	a, _ := runner(t, nil)
	if err := a.output("environments", "{}\n_GitHubActionsFileCommandDelimeter_\nexpired<<x\n[1]\nx"); err == nil {
		t.Error("no error")
	}
	a.app.Hide("hunter2-hunter2")
	if err := a.output("environments", `{"a":"hunter2-hunter2"}`); err == nil {
		t.Error("a secret went into an output")
	}
	if err := a.output("environments", "{}"); err != nil {
		t.Error(err)
	}
}

func TestLintAnnotatesAndFails(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		".github/rekey.yml":                   "environments: [{name: dev}]\nevidence: {store: \"file://evidence\"}\n",
		"ops/config/registry.md":              "| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n| app/db | secretsmanager | @me | 90d |\n",
		"rotations/2026/11/2026-11-23-a.yaml": "secret: app/dbb\nticket: SEC-1\n",
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	env := map[string]string{"REKEY_COMMAND": "lint", "GITHUB_STEP_SUMMARY": filepath.Join(t.TempDir(), "summary")}
	p := Process{Getenv: func(k string) string { return env[k] }, Out: &b, Root: dir, Clock: apply.Machine{Time: time.Now}, Nonce: "n"}
	if err := Run(t.Context(), p); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"]); err != nil || !strings.Contains(string(got), "unknown-secret") {
		t.Errorf("%s, %v", got, err)
	}
	if !strings.Contains(b.String(), "::error col=9,file=rotations/2026/11/2026-11-23-a.yaml,line=1,title=unknown-secret::") {
		t.Errorf("%s", b.String())
	}
	if err := os.Remove(filepath.Join(dir, "rotations/2026/11/2026-11-23-a.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), p); err != nil {
		t.Error(err)
	}
}

func TestASummaryThatCanNotBeKeptIsAWarning(t *testing.T) {
	a, b := runner(t, map[string]string{"GITHUB_STEP_SUMMARY": filepath.Join(t.TempDir(), "gone", "summary"), "GITHUB_OUTPUT": filepath.Join(t.TempDir(), "gone", "output")})
	a.summary("text")
	if got := commands(b.String()); strings.Join(got, " ") != "warning" {
		t.Errorf("%q", got)
	}
	if err := a.output("environments", "{}"); err == nil {
		t.Error("an output that wasn't kept is no error")
	}
}
