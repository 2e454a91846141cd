package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
)

// A contender is one way to rotate.
type contender struct {
	name    string
	ready   []string // runs before the clock; nil: nothing
	command []string
	one     bool // not for many secrets: minutes of starting processes, which the measure of one tells as well
}

func contenders(rekey string) []contender {
	all := []contender{{name: "`rekey apply`", ready: []string{rekey, "init"},
		command: []string{rekey, "apply", "--environment", "dev", "--actor", "kim", request}}}
	here, err := filepath.Abs("bench")
	if err != nil {
		return all
	}
	python, err := exec.Command("python3", "-c", "import boto3, sys; print(sys.executable)").Output()
	if err == nil { // the interpreter itself: a version manager's shim takes time
		all = append(all, contender{name: "boto3", command: []string{strings.TrimSpace(string(python)), filepath.Join(here, "runbook.py")}})
	}
	if _, err := exec.LookPath("aws"); err == nil {
		all = append(all, contender{name: "AWS CLI", command: []string{filepath.Join(here, "runbook.sh")}, one: true})
	}
	if len(all) < 3 {
		fmt.Fprintln(os.Stderr, "the AWS CLI or boto3 isn't installed: left out")
	}
	return all
}

type measurement struct {
	took                 time.Duration
	calls, chain, writes int
	connections          int64
	all                  []call
}

// secretsOf are names of secrets that a record of calls can be told apart by.
func secretsOf(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("rekey/dev/app-database-%03d", i))
	}
	return names
}

// measure runs c once in a world of its own.
func measure(w world, c contender, n int) (m measurement, err error) {
	secrets := secretsOf(n)
	handler, err := w.serve(secrets)
	if err != nil {
		return m, err
	}
	services, health, calls := open(handler, w.delay)
	defer services.Close()
	defer health.Close()
	dir, err := os.MkdirTemp("", "rekey-bench-inputs")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	if err := writeInputs(dir, secrets, health.URL); err != nil {
		return m, err
	}
	env := environment(services.URL, health.URL, secrets)
	if c.ready != nil {
		if _, err := process(c.ready, dir, env); err != nil {
			return m, err
		}
	}
	before, err := current(services.URL, secrets)
	if err != nil {
		return m, err
	}
	calls.take()
	if m.took, err = process(c.command, dir, env); err != nil {
		return m, err
	}
	m.connections = calls.connections.Load()
	m.all = calls.take()
	m.calls, m.chain, m.writes = len(m.all), critical(m.all), busiest(m.all)
	after, err := current(services.URL, secrets)
	for i := range after {
		if after[i] == before[i] {
			return m, fmt.Errorf("ended well without rotating %s", secrets[i])
		}
	}
	return m, err
}

func process(command []string, dir string, env []string) (time.Duration, error) {
	cmd := exec.Command(command[0], command[1:]...)
	var output bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &output, &output
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", command[0], err, &output)
	}
	return time.Since(begun), nil
}

// environment has nothing of one's own profile.
func environment(services, health string, secrets []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "GITHUB_") })
	// The AWS CLI itself: a version manager's shim takes time.
	if prefix, err := exec.Command("python3", "-c", "import sys; print(sys.prefix)").Output(); err == nil {
		env = append(env, "PATH="+filepath.Join(strings.TrimSpace(string(prefix)), "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	return append(env, "AWS_ENDPOINT_URL="+services, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_PAGER=",
		"AWS_ACCESS_KEY_ID="+sandbox.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+sandbox.SecretAccessKey, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"SECRET="+strings.Join(secrets, " "), "BUCKET="+bucket, "LOG_GROUP="+group, "HEALTH="+health)
}

var request = "rotations/" + time.Now().UTC().Format("2006/01/2006-01-02") + "-app-database.yaml"

func writeInputs(dir string, secrets []string, health string) error {
	var names, rows, blocks []string
	for _, at := range secrets {
		name := strings.Replace(strings.TrimPrefix(at, "rekey/dev/"), "-", "/", 1)
		names = append(names, name)
		rows = append(rows, fmt.Sprintf("| `%s` | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |\n", name))
		blocks = append(blocks, fmt.Sprintf("\n## `%s`\n\n```yaml\ndev:\n  target: {secret: %s, key: password, generate: {length: 32}}\n"+
			"  checks:\n    - http: {url: %q, latency: 10s, within: 1m}\n      name: health\n```\n", name, at, health))
	}
	which := "secret: " + names[0]
	if len(names) > 1 {
		which = "secrets: [" + strings.Join(names, ", ") + "]"
	}
	for name, text := range map[string]string{
		request: which + "\nticket: SEC-7\nreason: scheduled\nenvironments: [dev]\n",
		".github/rekey.yml": fmt.Sprintf("environments:\n  - {name: dev, region: %s, approval: none}\nevidence:\n  store: s3://%s\n  region: %s\n"+
			"  lock: {mode: COMPLIANCE, retain: 7y}\n  log_group: %s\npolicy:\n  ticket: 'SEC-\\d+'\n  retain: 48h\n", region, bucket, region, group),
		"ops/config/registry.md": "| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n" +
			strings.Join(rows, "") + strings.Join(blocks, ""),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
