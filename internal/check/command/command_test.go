//go:build unix

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/check/command"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

const value = "hunter22-correct-horse"

// job is a run of the check as app wires it, with what it asked for in order.
type job struct {
	check.Deps
	vars   map[string]string
	asked  []string
	refuse error // of the fence
	armErr error
}

func (j *job) Pass(limit time.Duration) error {
	j.asked = append(j.asked, "pass "+limit.String())
	return j.refuse
}

func (j *job) Unanswered() {}

func newJob(t *testing.T) *job {
	j := &job{vars: map[string]string{"PATH": "/usr/bin:/bin", "HOME": "/root", "AWS_SESSION_TOKEN": value, "API_BASE": "http://a", "API_TOKEN": value}}
	j.Deps = check.Deps{Now: time.Now, Redact: new(redact.Set), Checkout: t.TempDir(),
		Lookup: func(name string) (string, bool) { v, ok := j.vars[name]; return v, ok },
		Arm: func(_ context.Context, past rotation.Past) error {
			j.asked = append(j.asked, "arm "+past.Fact("create", "new"))
			j.Redact.Add([]byte(value))
			return j.armErr
		}}
	return j
}

func (j *job) run(t *testing.T, ctx context.Context, p command.Shape) (rotation.Result, error) {
	t.Helper()
	with, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	step := rotation.Step{Key: "validate/smoke", With: with, Reads: []string{"preflight", "create"}}
	plan := rotation.Plan{Chain: rotation.Chain{Environment: "stage", Secret: "app/database"}, Rotation: "2026-11-23-app-database", Steps: []rotation.Step{step}}
	past := rotation.PastOf([]rotation.Record{{Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: plan}},
		{Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": "v2"}}}).For(step)
	return command.New(j.Deps)["validate"](rotation.WithFence(ctx, j), step, past)
}

func sh(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

var took = regexp.MustCompile(`after [0-9.]+m?s`)

func texts(res rotation.Result, err error) (text, hint string) {
	var f *rotation.Failure
	if errors.As(err, &f) {
		return took.ReplaceAllString(f.Msg, "after T"), f.Hint
	}
	return took.ReplaceAllString(res.Text, "after T"), ""
}

func output(t *testing.T, res rotation.Result) string {
	t.Helper()
	if len(res.Files) != 1 || res.Files[0].Name != "output.txt" {
		t.Fatalf("files %v", res.Files)
	}
	return string(res.Files[0].Data)
}

func TestTheExitStatusDecides(t *testing.T) {
	for _, c := range []struct {
		p          command.Shape
		text, hint string
		failed     bool
	}{
		{p: command.Shape{Run: []string{"true"}}, text: "true ended with 0 after T; no output"},
		{p: command.Shape{Run: []string{"echo", "two words", "*"}}, text: "echo \"two words\" \"*\" ended with 0 after T; last lines:\n| two words *"},
		{p: command.Shape{Run: []string{"false"}}, text: "false ended with 1 after T; no output", hint: "see output.txt in the evidence", failed: true},
		{p: command.Shape{Run: []string{"false"}, Expect: []int{1, 2}}, text: "false ended with 1 after T; no output"},
		{p: command.Shape{Run: []string{"true"}, Expect: []int{1}}, text: "true ended with 0 after T; no output", hint: "see output.txt in the evidence", failed: true},
		{p: command.Shape{Run: []string{"sleep", "300"}, Within: rotation.Duration(200 * time.Millisecond)},
			text: "sleep 300 was stopped after its limit of 200ms; no output", hint: "see output.txt in the evidence; give it more time with within", failed: true},
		{p: command.Shape{Run: []string{"no-such-program", "-x"}}, text: "no-such-program -x can't be started: no such program, or it may not be run",
			hint: "check run and dir, and that the job installs it before", failed: true},
		{p: command.Shape{Run: []string{"true"}, Dir: "missing"}, text: `there is no directory "missing" in the repository`, hint: "name a directory of the repository", failed: true},
		{p: command.Shape{Run: sh("kill -9 $$")}, text: `sh -c "kill -9 $$" sh was ended by a signal (killed) after T; no output`, hint: "see output.txt in the evidence", failed: true},
	} {
		res, err := newJob(t).run(t, context.Background(), c.p)
		var f *rotation.Failure
		text, hint := texts(res, err)
		if failed := errors.As(err, &f); failed != c.failed || err != nil && !failed {
			t.Errorf("%v: %v", c.p.Run, err)
		}
		if text != c.text || hint != c.hint {
			t.Errorf("%v:\n got %q, %q\nwant %q, %q", c.p.Run, text, hint, c.text, c.hint)
		}
	}
}

func TestTheCommandGetsExactlyTheVariablesNamed(t *testing.T) {
	j := newJob(t)
	t.Setenv("LEAK", value)
	res, err := j.run(t, context.Background(), command.Shape{Run: []string{"env"}, Env: []string{"API_BASE", "NOT_SET"}, Set: map[string]string{"MODE": "smoke test", "LANG": "C"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "API_BASE=http://a\nHOME=/root\nLANG=C\nMODE=smoke test\nPATH=/usr/bin:/bin\nREKEY_ENVIRONMENT=stage\nREKEY_ROTATION=2026-11-23-app-database\nREKEY_SECRET_NAME=app/database\n"
	if got := output(t, res); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, p := range []command.Shape{{Env: []string{"AWS_SESSION_TOKEN"}}, {Env: []string{"actions_id_token_request_token"}}, {Set: map[string]string{"REKEY_ENVIRONMENT": "prod"}}, {Env: []string{"A=B"}}} {
		p.Run = []string{"env"}
		res, err := j.run(t, context.Background(), p)
		if f := (*rotation.Failure)(nil); !errors.As(err, &f) || len(res.Files) > 0 {
			t.Errorf("%+v: %v", p, err)
		}
	}
	res, err = j.run(t, context.Background(), command.Shape{Run: []string{"env"}, Env: []string{"API_TOKEN"}})
	if err != nil || !strings.Contains(output(t, res), "API_TOKEN=[redacted]\n") {
		t.Errorf("%v %v", res, err)
	}
}

func TestNoValueIsInTextOrEvidence(t *testing.T) {
	res, err := newJob(t).run(t, context.Background(), command.Shape{Run: sh(
		`v=$(cat); for i in 1 2 3; do echo "$i $1"; printf '%s' "$1" | base64; done; printf 'hun\033[1mter22-correct-horse\n'; exit 3`, value)})
	text, _ := texts(res, err)
	_, text, _ = strings.Cut(text, "ended with") // the argument stands in the test's own command line
	for _, s := range []string{text, output(t, res)} {
		if strings.Contains(s, "hunter22") || strings.Contains(s, "aHVudGVy") || !strings.Contains(s, "3 [redacted]") {
			t.Errorf("%s", s)
		}
	}
	if !strings.HasSuffix(text, "\n| [redacted]") {
		t.Errorf("joined by taking out colours: %q", text)
	}
}

func TestOutputIsWithheldWhileAValueIsTooShortToBeFound(t *testing.T) {
	j := newJob(t)
	j.Redact.Add([]byte("abc"))
	res, err := j.run(t, context.Background(), command.Shape{Run: []string{"echo", "the word is abc"}})
	const why = "output withheld: 1 of the secrets known here have fewer characters than can be told from ordinary text, and it might hold them"
	if text, _ := texts(res, err); text != `echo "the word is abc" ended with 0 after T; `+why {
		t.Errorf("%q", text)
	}
	if got := output(t, res); got != why+"\n" {
		t.Errorf("%q", got)
	}
}

func TestNothingRunsBeforeTheValuesAreKnownAndTheLeaseIsLongEnough(t *testing.T) {
	mark := func(j *job) string { return filepath.Join(j.Checkout, "ran") }
	shape := func(j *job) command.Shape {
		return command.Shape{Run: []string{"touch", mark(j)}, Within: rotation.Duration(20 * time.Second)}
	}
	j := newJob(t)
	if _, err := j.run(t, context.Background(), shape(j)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark(j)); err != nil || strings.Join(j.asked, ", ") != "arm v2, pass 20s" {
		t.Errorf("%v, asked %q", err, j.asked)
	}
	for name, spoil := range map[string]func(*job){
		"unarmed": func(j *job) { j.armErr = errors.New("access denied") }, "no lease": func(j *job) { j.refuse = rotation.ErrNoLease },
	} {
		j := newJob(t)
		spoil(j)
		res, err := j.run(t, context.Background(), shape(j))
		var f *rotation.Failure
		if _, ran := os.Stat(mark(j)); ran == nil || err == nil || errors.As(err, &f) || len(res.Files) > 0 || j.refuse != nil && !errors.Is(err, rotation.ErrNoLease) {
			t.Errorf("%s: %v", name, err)
		}
	}
	j = newJob(t)
	if _, err := command.New(j.Deps)["baseline"](context.Background(), rotation.Step{With: []byte(`{"run":["touch","ran"]}`)}, rotation.Past{}); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("without a fence: %v", err)
	}
	long := newJob(t)
	if _, err := long.run(t, context.Background(), command.Shape{Run: []string{"true"}, Within: rotation.Duration(30 * time.Minute)}); err != nil || long.asked[1] != "pass 1m0s" {
		t.Errorf("%v, asked %q", err, long.asked)
	}
}

func TestARunBrokenOffIsAnUnknownOutcomeThatKeepsItsOutput(t *testing.T) {
	j := newJob(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("lease lost")
	fifo := filepath.Join(j.Checkout, "fifo")
	go func() { // the command is under way once it opens this
		if res, err := newJob(t).run(t, context.Background(), command.Shape{Run: sh(`until [ -p "$1" ]; do :; done; read x <"$1"`, fifo)}); err != nil {
			t.Errorf("%v %v", res, err)
		}
		cancel(why)
	}()
	res, err := j.run(t, ctx, command.Shape{Run: sh(`echo begun; mkfifo "$1"; echo up >"$1"; exec sleep 300`, fifo)})
	var f *rotation.Failure
	if !errors.Is(err, why) || errors.As(err, &f) || output(t, res) != "begun\n" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestADirectoryCannotEscapeTheCheckout(t *testing.T) {
	j := newJob(t)
	if err := os.Mkdir(filepath.Join(j.Checkout, "tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"out": "/etc", "up": "..", "in": "tools"} {
		if err := os.Symlink(to, filepath.Join(j.Checkout, link)); err != nil {
			t.Fatal(err)
		}
	}
	for dir, inside := range map[string]bool{"": true, "tools": true, "in": true, "tools/../tools": true, "out": false, "up": false, "..": false, "/etc": false, "tools/../..": false} {
		res, err := j.run(t, context.Background(), command.Shape{Run: []string{"pwd"}, Dir: dir})
		var f *rotation.Failure
		if inside && (err != nil || !strings.HasPrefix(output(t, res), j.Checkout)) || !inside && (!errors.As(err, &f) || len(res.Files) > 0) {
			t.Errorf("%q: %v, %v", dir, res, err)
		}
	}
}

func TestLastLinesCanStandInAnyText(t *testing.T) {
	res, err := newJob(t).run(t, context.Background(), command.Shape{Run: sh(`for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done; printf '10%%\r20%%\rdone\n\n \n::add-mask::x\n\033[31mred\033[0m\ttab\n\033]0;title\007 \342\200\256gnp\n%0300d\n' 1`)})
	text, _ := texts(res, err)
	_, lines, _ := strings.Cut(text, "; last lines:\n")
	want := "| line 8\n| line 9\n| line 10\n| line 11\n| line 12\n| done\n| ::add-mask::x\n| red    tab\n| \\u001b]0;title\\u0007 \\u202egnp\n| " + strings.Repeat("0", 200) + "…"
	if lines != want {
		t.Errorf("got\n%s\nwant\n%s", lines, want)
	}
}

func TestKeptOutputIsLimited(t *testing.T) {
	res, err := newJob(t).run(t, context.Background(), command.Shape{Run: sh(`yes line | head -n 100000; echo end`), MaxOutput: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if out := output(t, res); len(out) > 2100 || !strings.Contains(out, "… 498,004 bytes left out …\n") || !strings.HasSuffix(out, "line\nend\n") {
		t.Errorf("%d bytes: %s", len(out), out)
	}
}

func TestParametersAreChecked(t *testing.T) {
	for in, want := range map[string]string{
		"run: [npm, test, --, 'security:smoke']\nenv: [API_BASE]\nset: {MODE: smoke}\ndir: tools\nwithin: 30m\nexpect: [0, 3]\nmax_output: 4096": "",
		"run: []":                     "x.yml:1:6: run names no program [command]\n    hint: write it like [npm, test, --, \"security:smoke\"]\n",
		"run: ['']":                   "x.yml:1:6: run names no program [command]\n    hint: write it like [npm, test, --, \"security:smoke\"]\n",
		"run: ['npm test']":           "x.yml:1:7: the program \"npm test\" has white space in its name [command]\n    hint: make each argument an item of the list: there is no shell that would split it\n",
		"run: [a]\ndir: ../other":     "x.yml:2:6: dir \"../other\" is not in the repository [outside-repository]\n    hint: write it relative to the repository's root, like tools/smoke\n",
		"run: [a]\ndir: /etc":         "x.yml:2:6: dir \"/etc\" is not in the repository [outside-repository]\n    hint: write it relative to the repository's root, like tools/smoke\n",
		"run: [a]\nwithin: 31m":       "x.yml:2:9: within is longer than 30 minutes [out-of-range]\n    hint: give it at most 30m, or split it\n",
		"run: [a]\nenv: [X, X]":       "x.yml:2:10: \"X\" is given twice [variable]\n    hint: keep one of the two\n",
		"run: [a]\nenv: [a-b]":        "x.yml:2:7: \"a-b\" is no name of a variable [variable]\n    hint: leave it out\n",
		"run: [a]\nenv: [GH_TOKEN]":   "x.yml:2:7: \"GH_TOKEN\" would let the command act as the job [variable]\n    hint: leave it out\n",
		"run: [a]\nset: {REKEY_X: a}": "x.yml:2:16: \"REKEY_X\" is set by this program [variable]\n    hint: leave it out\n",
		"run: [a]\nset: {API_KEY: a}": "x.yml:2:16: \"API_KEY\" looks like a secret, which doesn't belong in a file [secret-in-file]\n    hint: let the command fetch it itself, with rights of its own\n",
		"run: [a]\nenv: [AWS_SECRET_ACCESS_KEY]\nwithin: 1h": "x.yml:2:7: \"AWS_SECRET_ACCESS_KEY\" would hand the rotation's cloud rights to the command [variable]\n    hint: leave it out\n" +
			"x.yml:3:9: within is longer than 30 minutes [out-of-range]\n    hint: give it at most 30m, or split it\n",
	} {
		var l problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the check", Text: []byte(in)}, command.Check().Shape(), &l)
		if got := l.String(); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
	for in, rule := range map[string]string{"dir: x": "[missing-key]", "run: npm test": "[type]", "run: [a]\nexpect: [256]": "[value]", "run: [a]\nmax_output: 10": "[value]", "run: [a]\nshell: bash": "[unknown-key]"} {
		var l problem.List
		if problem.Decode(problem.Source{File: "x.yml", Text: []byte(in)}, command.Check().Shape(), &l); !strings.Contains(l.String(), rule) {
			t.Errorf("%s: %q", in, l.String())
		}
	}
}

func TestParametersMarshalCanonically(t *testing.T) {
	b, err := json.Marshal(command.Shape{Run: []string{"a"}, Set: map[string]string{"B": "1", "A": "2"}, Within: rotation.Duration(time.Minute)})
	if want := `{"run":["a"],"set":{"A":"2","B":"1"},"within":"1m0s"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	if got := (&command.Shape{}).Deadline(); got != rotation.Duration(10*time.Minute) {
		t.Errorf("default deadline %s", got)
	}
}
