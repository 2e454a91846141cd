package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// program is the action, built once, and a go that builds it by pointing to it.
var program = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "rekey-action")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "action"), "../../action").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	text := "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nexec ln -s " + dir + "/action \"$2\"\n"
	return dir, os.WriteFile(filepath.Join(dir, "go"), []byte(text), 0o755)
})

var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// A company is a town whose jobs run the built action through its start script, as processes of their own.
type company struct {
	*town.Town
	t    *testing.T
	dir  string
	tool string // folder of the action and of a go that builds it
	aws  string // addresses of the watched services
	hub  string
	all  bool // every step is a process; otherwise those that rotate

	mu   sync.Mutex
	ran  []ran
	dirs map[string]string // checkouts by job
	n    int
	// started sees each process that has begun.
	started func(workflow.Step, *exec.Cmd)
	// after is called once the next process has ended.
	after func()
}

// A ran step is what a process left.
type ran struct {
	step   workflow.Step
	out    string // both of its streams
	code   int
	folder string // files of the runner, and whatever else came to lie there
}

const companyRules = `environments:
  - {name: dev, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-dev", approval: none, preview: "arn:aws:iam::111111111111:role/rekey-preview"}
  - {name: stage, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-stage", continue_environment: rekey-stage-continue}
  - {name: prod, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-prod", continue_environment: rekey-prod-continue}
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  role: arn:aws:iam::111111111111:role/rekey-evidence
  reader: arn:aws:iam::111111111111:role/rekey-reader
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
tickets: {github: rastup/shop}
`

// found makes a company; checks is dev's in the registry, with ENDPOINT for the application. wrap may watch the services.
func found(t *testing.T, checks string, more map[string]string, wrap func(name string, h http.Handler) http.Handler) *company {
	t.Helper()
	c := &company{t: t, dir: t.TempDir(), dirs: map[string]string{}}
	var err error
	c.tool, err = program()
	c.ok(err)
	key, err := signingKey()
	c.ok(err)
	files := map[string]string{".github/rekey.yml": companyRules,
		"ops/config/registry.md": table + "```yaml\ndev:\n  target: {secret: rekey/dev/app-database, key: password}\n" + checks + "```\n"}
	maps.Copy(files, more)
	c.Town, err = town.New(t.Context(), town.Options{Root: filepath.Join(c.dir, "town"), Start: time.Now().UTC().Truncate(time.Second), Files: files, Wrap: c.wrap, GitHub: github.Options{Key: key}})
	c.ok(err)
	aws, hub := httptest.NewServer(wrap("AWS", c.AWS.Handler())), httptest.NewServer(wrap("GitHub", c.GitHub.Handler()))
	t.Cleanup(aws.Close)
	t.Cleanup(hub.Close)
	c.aws, c.hub = aws.URL, hub.URL
	c.ok(c.Init(t.Context()))
	c.GitHub.OpenIssue("li-pay", "Rotate the database login", "")
	return c
}

func (c *company) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// request is asked for, reviewed and merged, without a workflow: the next run sees it.
func (c *company) request(text string) (pull int) {
	c.GitHub.Commit("asked", "li-pay", "Rotate app/database", map[string]string{requestPath(): text})
	pull = c.GitHub.OpenPull("li-pay", "Rotate app/database", "", "asked", "main", false)
	c.GitHub.Review(pull, "ana-sec", "APPROVED")
	c.GitHub.Merge(pull, "ana-sec")
	return pull
}

// wrap does steps of the action as processes.
func (c *company) wrap(next workflow.Do) workflow.Do {
	return func(ctx context.Context, s workflow.Step) (map[string]string, error) {
		apart := c.all || s.With["command"] == "apply"
		switch {
		case strings.HasPrefix(s.Uses, "actions/checkout@"):
			if err := c.checkout(s); err != nil {
				return nil, err
			}
			return next(ctx, s)
		case s.Uses == "./" && apart:
			return c.process(s)
		}
		return next(ctx, s)
	}
}

func (c *company) checkout(s workflow.Step) error {
	ref := strings.TrimPrefix(s.With["ref"], "refs/heads/")
	if ref == "" {
		ref = s.Env["GITHUB_SHA"]
	}
	c.mu.Lock()
	c.n++
	dir := filepath.Join(c.dir, fmt.Sprintf("%03d-checkout", c.n))
	c.dirs[fmt.Sprint(s.Run, s.Attempt, s.JobName)] = dir
	c.mu.Unlock()
	for path, text := range c.GitHub.Files(ref) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if to, ok := strings.CutPrefix(text, symlink); ok && err == nil {
			err = os.Symlink(to, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// symlink begins the text of a file that is one, which the sandbox's repositories don't know.
const symlink = "symlink to "

// commandFiles are the runner's, by variable, as FileCommandManager.cs of github.com/actions/runner names them.
var commandFiles = map[string]string{"GITHUB_OUTPUT": "set_output_1", "GITHUB_STEP_SUMMARY": "step_summary_1", "GITHUB_ENV": "set_env_1",
	"GITHUB_PATH": "add_path_1", "GITHUB_STATE": "save_state_1"}

// process is the composite action: its start script with the variables that action.yml and the runner give it.
func (c *company) process(s workflow.Step) (map[string]string, error) {
	c.mu.Lock()
	c.n++
	folder := filepath.Join(c.dir, fmt.Sprintf("%03d-%s", c.n, strings.ReplaceAll(s.JobName, "/", "of")))
	root := c.dirs[fmt.Sprint(s.Run, s.Attempt, s.JobName)]
	c.mu.Unlock()
	env := map[string]string{"PATH": c.tool + ":" + os.Getenv("PATH"), "HOME": "/nonexistent", "RUNNER_TEMP": filepath.Join(folder, "temp"), "AWS_ENDPOINT_URL": c.aws,
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"REKEY_CONFIG": ".github/rekey.yml", "REKEY_TOKEN": s.Token, "REKEY_BOT": "github-actions[bot]", "INPUT_TOKEN": s.Token}
	hub := s.Env["GITHUB_API_URL"]
	for name, value := range s.Env {
		env[name] = strings.ReplaceAll(value, hub, c.hub)
	}
	for name, value := range s.With {
		env["REKEY_"+strings.ToUpper(name)] = value
	}
	path := func(name string) string { return filepath.Join(folder, "temp", "_runner_file_commands", name) }
	if err := os.MkdirAll(path(""), 0o755); err != nil {
		return nil, err
	}
	for name, file := range commandFiles {
		env[name] = path(file)
		if err := os.WriteFile(path(file), nil, 0o644); err != nil {
			return nil, err
		}
	}
	env["GITHUB_EVENT_PATH"] = filepath.Join(folder, "event.json")
	if err := os.WriteFile(env["GITHUB_EVENT_PATH"], s.Payload, 0o600); err != nil {
		return nil, err
	}
	action, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	env["GITHUB_ACTION_PATH"] = action
	// As action.yml has it.
	cmd := exec.Command("bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", `exec "$GITHUB_ACTION_PATH/action/start"`)
	cmd.Dir, cmd.Env = root, []string{}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if c.started != nil {
		c.started(s, cmd)
	}
	err = cmd.Wait()
	if c.after != nil {
		c.after()
	}
	c.mu.Lock()
	c.ran = append(c.ran, ran{s, out.String(), cmd.ProcessState.ExitCode(), folder})
	c.mu.Unlock()
	outputs, parseErr := readPairs(path(commandFiles["GITHUB_OUTPUT"]))
	return outputs, errors.Join(err, parseErr)
}

// story is what all processes said.
func (c *company) story() string {
	var b strings.Builder
	for _, r := range c.ran {
		fmt.Fprintf(&b, "--- %s ended with %d:\n%s", r.step.JobName, r.code, r.out)
	}
	return b.String()
}
