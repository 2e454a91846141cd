package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sethvargo/go-githubactions"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// hostile is a line that would be a workflow command at the beginning of one.
const hostile = "x\n::set-output name=a::b\r\n::add-mask::c%0A::error::d"

func runner(t *testing.T, env map[string]string) (*githubactions.Action, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	return githubactions.New(githubactions.WithWriter(&b), githubactions.WithGetenv(func(k string) string { return env[k] })), &b
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
	annotate(a, &l)
	if got := commands(b.String()); strings.Join(got, " ") != "error error" || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%q:\n%s", got, b)
	}
	if !strings.Contains(b.String(), "line=3") || !strings.Contains(b.String(), "file=rotations/a%2Cline=9%3A%3Aerror%3A%3A.yaml") {
		t.Errorf("%s", b)
	}
}

func TestProgressCanNotSpeakToTheRunner(t *testing.T) {
	a, b := runner(t, nil)
	show := muted(a, func(_ *rotation.Plan, r rotation.Record) { b.WriteString(r.Text + "\n") })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { show(&rotation.Plan{}, rotation.Record{Text: hostile}) })
	}
	all.Wait()
	if got := commands(b.String()); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	if got := oneLine(hostile); strings.ContainsAny(got, "\r\n") {
		t.Errorf("%q", got)
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
	t.Chdir(dir)
	a, b := runner(t, map[string]string{"REKEY_COMMAND": "lint"})
	if err := run(context.Background(), a); err == nil {
		t.Error("no error")
	}
	if !strings.Contains(b.String(), "::error col=9,file=rotations/2026/11/2026-11-23-a.yaml,line=1,title=unknown-secret::") {
		t.Errorf("%s", b)
	}
	if err := os.Remove(filepath.Join(dir, "rotations/2026/11/2026-11-23-a.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), a); err != nil {
		t.Error(err)
	}
}
