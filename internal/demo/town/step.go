package town

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/rastup/rekey/internal/actions"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// do does a step as a runner would.
func (t *Town) do(ctx context.Context, s workflow.Step) (map[string]string, error) {
	switch {
	case strings.HasPrefix(s.Uses, "actions/checkout@"):
		return nil, t.checkout(s)
	case s.Uses == "./":
		return t.rekey(ctx, s)
	case s.Job == "expire":
		return nil, t.expire(s)
	}
	return nil, fmt.Errorf("step %q: the town doesn't know how to do that", s.Name)
}

func job(s workflow.Step) string { return fmt.Sprintf("%d/%d/%s", s.Run, s.Attempt, s.JobName) }

// checkout writes the tip of a branch, or the commit of the run.
func (t *Town) checkout(s workflow.Step) error {
	ref := strings.TrimPrefix(cmp.Or(s.With["ref"], s.Env["GITHUB_SHA"]), "refs/heads/")
	sha := cmp.Or(t.GitHub.Head(ref), ref)
	t.mu.Lock()
	dir, known := t.trees[sha] // nobody writes into one
	if known {
		t.alive[job(s)] = dir
	}
	t.mu.Unlock()
	if known {
		return nil
	}
	dir, err := t.folder("checkout")
	if err != nil {
		return err
	}
	files := t.GitHub.Files(sha)
	files[".git/HEAD"] = sha + "\n"
	for path, text := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alive[job(s)], t.trees[sha] = dir, dir
	return nil
}

// rekey is the action: its inputs as action.yml hands them over, its files as the runner makes them.
func (t *Town) rekey(ctx context.Context, s workflow.Step) (map[string]string, error) {
	dir, err := t.folder("runner")
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	root := t.alive[job(s)]
	nonce := fmt.Sprint(t.steps)
	t.mu.Unlock()
	env := map[string]string{"REKEY_CONFIG": ".github/rekey.yml", "REKEY_TOKEN": s.Token, "REKEY_BOT": "github-actions[bot]"}
	maps.Copy(env, s.Env)
	for name, value := range s.With {
		env["REKEY_"+strings.ToUpper(name)] = value
	}
	for name, file := range map[string]string{"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_EVENT_PATH": "event.json"} {
		env[name] = filepath.Join(dir, file)
	}
	if err := os.WriteFile(env["GITHUB_EVENT_PATH"], s.Payload, 0o600); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	p := actions.Process{Getenv: func(k string) string { return env[k] }, Lookup: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
		Clock: t.Clock, Root: root, Nonce: nonce, Out: &out, Cloud: cloud.Options{Endpoint: t.cloudURL}, Checks: t.checks(), Services: t.Services(), Dial: t.Dial}
	p.Cloud.Transport, p.Transport = t.reach, t.reach
	if t.o.Transport != nil {
		p.Cloud.Transport, p.Transport = t.o.Transport(s, t.reach)
	}
	p.Cloud.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil }) // the machine's time isn't the town's
	err = actions.Run(ctx, p)
	outputs, readErr := readOutputs(env["GITHUB_OUTPUT"])
	err = errors.Join(err, readErr)
	if t.o.Log != nil {
		t.o.Log(s, out.String(), err)
	}
	return outputs, err
}

var heredoc = regexp.MustCompile(`(?s)^([\w-]+)<<(\S+)\n(.*?)\n(\S+)\n`)

// readOutputs reads the runner's file of outputs.
func readOutputs(name string) (map[string]string, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	outputs, rest := map[string]string{}, strings.ReplaceAll(string(b), "\r\n", "\n")
	for err == nil && rest != "" {
		m := heredoc.FindStringSubmatch(rest)
		if m == nil || m[2] != m[4] {
			return nil, fmt.Errorf("the file of outputs can't be read at %.40q", rest)
		}
		outputs[m[1]], rest = m[3], rest[len(m[0]):]
	}
	return outputs, err
}

// expire is what the shell in rotate.yml does: cancel the runs it is told.
func (t *Town) expire(s workflow.Step) error {
	var runs []int64
	if err := json.Unmarshal([]byte(s.Env["RUNS"]), &runs); err != nil {
		return err
	}
	for _, id := range runs {
		if err := t.Engine.Cancel(id); err != nil {
			return err
		}
	}
	return nil
}
