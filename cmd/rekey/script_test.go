package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rastup/rekey/internal/sandbox"
)

var update = flag.Bool("update", false, "write the texts that scripts expect anew")

// clockVariable tells a rekey in a script what time it is. It stands still there, and moves by sleeping.
const clockVariable = "SCRIPT_NOW"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rekey": func() {
		at, err := time.Parse(time.RFC3339, os.Getenv(clockVariable))
		if err != nil {
			at = time.Now()
		}
		os.Exit(run(context.Background(), process{clock: sandbox.NewClock(at), out: os.Stdout, errs: os.Stderr}, os.Args[1:]))
	}})
}

// TestScripts is what a person sees at a terminal. A script's own commands are in stage_test.go; what rekey says is
// compared byte for byte, after masked took out what differs by its nature.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), UpdateScripts: *update, RequireUniqueNames: true,
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"run": runRekey, "sandbox": onStage(start), "at": onStage(at), "app": onStage(application), "secret": onStage(look),
			"byhand": onStage(byHand), "tamper": onStage(tamper), "deny": onStage(deny), "mark": onStage(mark), "unchanged": onStage(unchanged),
			"bucket": onStage(bucket), "folder": onStage(folderOfEvidence),
			"stuck": onStage(stuck), "head": onStage(head), "hub": onStage(serveHub),
		},
	})
}

func setup(e *testscript.Env) error {
	// Nothing of the machine's own configuration: no profile, no metadata service.
	e.Vars = append(e.Vars, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
		"USER=ana-sec", clockVariable+"=2026-11-23T09:21:00Z")
	e.Values[stageKey{}] = newStage(e)
	return nil
}

// handedOn are the variables of a script that rekey gets.
var handedOn = []string{"PATH", "HOME", "TMPDIR", "USER", "NO_COLOR", "REKEY_ACTOR", clockVariable, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
	"AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN", "GOCOVERDIR"}

// runRekey runs rekey, which must end with the status: run STATUS ARG...
// What it said, standard output and error as they came, is in the file "said".
func runRekey(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: run STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	c := command(ts, args[1:]...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said // one pipe: in the order it was said
	err = c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("said"), masked(said.Bytes(), ts.Getenv("WORK")), 0o644))
	if got := c.ProcessState.ExitCode(); got != want || bytes.Contains(said.Bytes(), []byte("\ngoroutine ")) {
		ts.Fatalf("rekey %q ended with %d, want %d:\n%s", args[1:], got, want, said.Bytes())
	}
}

// command is rekey with a script's variables and nothing else.
func command(ts *testscript.TestScript, args ...string) *exec.Cmd {
	path, err := exec.LookPath("rekey")
	ts.Check(err)
	c := exec.Command(path, args...)
	c.Dir, c.Env = ts.MkAbs("."), []string{}
	for _, name := range handedOn {
		if v := ts.Getenv(name); v != "" {
			c.Env = append(c.Env, name+"="+v)
		}
	}
	return c
}

// masks take out what differs from run to run. What they put in is as long, where a text may be wrapped by it.
var masks = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}`), "127.0.0.1:56789"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:d1935700000000000000000000000000000000000000000000000000000d1935"},
	{regexp.MustCompile(`ready: [0-9a-f]{32}`), "ready: 5708e5708e5708e5708e5708e5708e57"},
	{regexp.MustCompile(`[^\s"]+ pid \d+`), "host pid 4242"},
	{regexp.MustCompile(`request\s+[0-9a-f-]{36}`), "request …"},
	{regexp.MustCompile(`request "[0-9A-F]{16}"`), `request "…"`},
	{regexp.MustCompile(`"nonce":"[A-Z0-9]+"`), `"nonce":"…"`},
	{regexp.MustCompile(`files, \d+ kB`), "files, 50 kB"},
}

func masked(b []byte, work string) []byte {
	b = regexp.MustCompile(regexp.QuoteMeta(cmp.Or(work, "/no/work"))).ReplaceAll(b, []byte("$$WORK"))
	for _, m := range masks {
		b = m.find.ReplaceAll(b, []byte(m.put))
	}
	return b
}
