package acttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root     = "../.."
	rotate   = ".github/workflows/rotate.yml"
	planning = ".github/workflows/rotation-plan.yml"
	daily    = ".github/workflows/rotation-overdue.yml"
	appToken = "actions/create-github-app-token@bcd2ba49218906704ab6c1aa796996da409d3eb1"
	checkout = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
)

// A bench is a repository with our workflows, our action.yml and start script, and a program of the test's in the
// place of the built one.
type bench struct {
	t    *testing.T
	dir  string
	act  string
	Env  map[string]string // for every step
	Vars map[string]string // repository variables
	more []string          // arguments
}

// newBench: start builds the program with go, and finds ours, which makes program the result.
func newBench(t *testing.T, program string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), act: component(t, "act"), Env: map[string]string{}, Vars: map[string]string{}}
	for _, name := range []string{rotate, planning, daily, ".github/workflows/ci.yml", ".github/rekey.yml", "action.yml", "action/start"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		b.write("repository/"+name, string(text))
	}
	b.write("bin/go", "#!/usr/bin/env bash\nset -euo pipefail\nwhile [ \"$1\" != -o ]; do shift; done\ncp "+b.dir+"/program \"$2\"\n")
	b.write("program", program)
	b.write("checkout/action.yml", checkoutYML)
	b.write("app/action.yml", appTokenYML)
	b.git("init", "-q", "-b", "main")
	b.git("remote", "add", "origin", "https://github.com/rastup/rekey.git")
	b.commit()
	return b
}

func (b *bench) git(args ...string) {
	b.t.Helper()
	cmd := exec.Command(component(b.t, "git"), args...)
	cmd.Dir, cmd.Env = filepath.Join(b.dir, "repository"), append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

// commit takes what was written to the repository to its branch, and to the other names the events know it by.
func (b *bench) commit() {
	b.t.Helper()
	b.git("add", "-A")
	b.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "a")
	b.git("update-ref", "refs/pull/12/merge", "HEAD")
	b.git("update-ref", "refs/heads/gh-readonly-queue/main/pr-12-0123456", "HEAD")
}

// checkoutYML stands for actions/checkout: it takes what ref says from the repository, as deep as asked, and nothing
// from the working directory act was started in. Where there is a runner it begins the job there first. That an
// input's default sees the matrix is act's; GitHub's sees nothing there.
const checkoutYML = `name: checkout
inputs:
  ref: {default: ""}
  persist-credentials: {default: "true"}
  fetch-depth: {default: "1"}
  matrix: {default: "${{ toJSON(matrix) }}"}
runs:
  using: composite
  steps:
    - shell: bash --noprofile --norc -euo pipefail {0}
      env: {REF: "${{ inputs.ref }}", KEEP: "${{ inputs.persist-credentials }}", DEPTH: "${{ inputs.fetch-depth }}", MATRIX: "${{ inputs.matrix }}"}
      run: |
        [ -z "${RUNNER_SERVICE:-}" ] || curl -sS --fail --max-time 30 --data-urlencode "job=$GITHUB_JOB" \
          --data-urlencode "matrix=$MATRIX" "$RUNNER_SERVICE" >>"$GITHUB_ENV"
        [ "$KEEP" = false ]
        git init -q .
        git fetch -q --depth "$DEPTH" "file://$BENCH/repository" "${REF:-$GITHUB_REF}"
        git checkout -q FETCH_HEAD
        [ ! -f "$BENCH/head" ] || cp "$BENCH/head" .git/HEAD
`

// appTokenYML stands for actions/create-github-app-token: it takes one key.
const appTokenYML = `name: app token
inputs:
  client-id: {required: true}
  private-key: {required: true}
outputs:
  token: {value: "${{ steps.made.outputs.token }}"}
  app-slug: {value: "${{ steps.made.outputs.slug }}"}
runs:
  using: composite
  steps:
    - id: made
      shell: bash --noprofile --norc -euo pipefail {0}
      env: {ID: "${{ inputs.client-id }}", KEY: "${{ inputs.private-key }}"}
      run: |
        [ "$ID $KEY" = "Iv23 right" ]
        echo "token=of-the-app" >>"$GITHUB_OUTPUT"
        echo "slug=shop-bot" >>"$GITHUB_OUTPUT"
`

func (b *bench) write(name, text string) {
	b.t.Helper()
	name = filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

// A run is what became of an event.
type run struct {
	OK    bool
	Jobs  map[string][]string // results, by the job's id
	Calls []call              // in the order they began
	Log   string              // for people
	Raw   []byte              // all of it
}

// A call is the environment of the program in one job.
type call map[string]string

// String is what a call was asked to do.
func (c call) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", c["GITHUB_JOB"], c["REKEY_COMMAND"])
	for _, name := range []string{"ENVIRONMENT", "SHARD", "QUESTION", "REQUESTS", "AGAIN"} {
		if v := c["REKEY_"+name]; v != "" {
			fmt.Fprintf(&b, " %s=%s", strings.ToLower(name), v)
		}
	}
	return b.String()
}

// play runs a workflow on a recorded event, or on one that the test has written to a .json file.
func (b *bench) play(workflow, event, payload string) *run {
	b.t.Helper()
	if err := os.RemoveAll(filepath.Join(b.dir, "calls")); err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "calls"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	recorded := filepath.Join(b.dir, payload) // the test's own
	if filepath.Ext(payload) == "" {
		var err error
		if recorded, err = filepath.Abs("testdata/events/" + payload + ".json"); err != nil {
			b.t.Fatal(err)
		}
	}
	args := append([]string{event, "-W", workflow, "-e", recorded, "--json", "-P", "ubuntu-24.04=-self-hosted",
		"--no-cache-server", "--no-skip-checkout", "--pull=false", "--local-repository", checkout + "=" + filepath.Join(b.dir, "checkout"),
		"--local-repository", appToken + "=" + filepath.Join(b.dir, "app")}, b.more...)
	env := maps.Clone(b.Env)
	env["BENCH"], env["PATH"] = b.dir, filepath.Join(b.dir, "bin")+":"+os.Getenv("PATH")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		args = append(args, "--env", name+"="+env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(b.Vars)) {
		args = append(args, "--var", name+"="+b.Vars[name])
	}
	cmd := exec.Command(b.act, args...)
	cmd.Dir = filepath.Join(b.dir, "repository")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "XDG_CACHE_HOME=" + filepath.Join(b.dir, "cache")}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return &run{OK: err == nil, Jobs: results(out), Calls: b.calls(), Log: readable(out), Raw: out}
}

func results(log []byte) map[string][]string {
	jobs := map[string][]string{}
	for s := bufio.NewScanner(bytes.NewReader(log)); s.Scan(); {
		var line struct{ JobID, JobResult string }
		if json.Unmarshal(s.Bytes(), &line) == nil && line.JobResult != "" {
			jobs[line.JobID] = append(jobs[line.JobID], line.JobResult)
		}
	}
	return jobs
}

// readable is what each job said, without what act says of itself.
func readable(log []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(log) {
		var l struct{ Job, JobResult, Level, Msg, Raw string }
		switch err := json.Unmarshal(line, &l); {
		case err != nil:
			b.Write(line)
		case l.Raw != "", l.JobResult != "", l.Level == "error":
			fmt.Fprintf(&b, "%s: %s\n", strings.TrimSpace(l.Job), strings.TrimSpace(l.Msg))
		}
	}
	return b.String()
}

func (b *bench) calls() (all []call) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.dir, "calls"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		c := call{}
		for pair := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x00"), "\x00") {
			key, value, _ := strings.Cut(pair, "=")
			c[key] = value
		}
		all = append(all, c)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// component finds a program; without it the test is skipped, and fails in CI.
func component(t *testing.T, name string) string {
	t.Helper()
	ours, err := filepath.Abs(filepath.Join(root, ".tools/bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ours); err == nil {
		return ours
	}
	found, err := exec.LookPath(name)
	switch {
	case err == nil:
		return found
	case os.Getenv("CI") != "":
		t.Fatalf("%s is absent", name)
	}
	t.Skipf("%s is absent: make tools", name)
	return ""
}
