package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
)

// A contender is one way to rotate; its command runs in a folder that holds the inputs.
type contender struct {
	name    string
	command []string
}

func contenders(rekey string) []contender {
	all := []contender{{"rekey apply", []string{rekey, "apply", "--environment", "dev", "--actor", "kim", request}}}
	here, _ := filepath.Abs("bench")
	if _, err := exec.LookPath("aws"); err == nil {
		all = append(all, contender{"AWS CLI", []string{filepath.Join(here, "runbook.sh")}})
	}
	if exec.Command("python3", "-c", "import boto3").Run() == nil {
		all = append(all, contender{"boto3", []string{"python3", filepath.Join(here, "runbook.py")}})
	}
	return all
}

type measurement struct {
	took         time.Duration
	calls, chain int
}

// A span is one call, as the server saw it.
type span struct{ from, to time.Time }

// measure runs c once in a world of its own.
func measure(c contender) (measurement, error) {
	w := sandbox.New(sandbox.NewClock(time.Now().UTC()))
	s, err := sandbox.Seed(w)
	if err != nil {
		return measurement{}, err
	}
	w.Allow(s.Principal, "*", "*")
	var mu sync.Mutex
	var spans []span
	handler := w.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		from := time.Now()
		handler.ServeHTTP(rw, r)
		mu.Lock()
		defer mu.Unlock()
		spans = append(spans, span{from, time.Now()})
	}))
	defer server.Close()

	dir, err := os.MkdirTemp("", "rekey-bench-inputs")
	if err != nil {
		return measurement{}, err
	}
	defer os.RemoveAll(dir)
	if err := writeInputs(dir, s); err != nil {
		return measurement{}, err
	}
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_REGION="+s.Region, "AWS_DEFAULT_REGION="+s.Region,
		"AWS_ACCESS_KEY_ID="+sandbox.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+sandbox.SecretAccessKey, "AWS_PAGER=",
		"SECRET="+s.Secrets["dev"], "BUCKET="+s.Bucket, "LOG_GROUP="+s.LogGroup)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	before := w.Secret(s.Secrets["dev"])
	begun := time.Now()
	err = cmd.Run()
	took := time.Since(begun)
	if err != nil {
		return measurement{}, fmt.Errorf("%w\n%s", err, &output)
	}
	if after := w.Secret(s.Secrets["dev"]); fmt.Sprint(after) == fmt.Sprint(before) {
		return measurement{}, fmt.Errorf("ended well without rotating anything\n%s", &output)
	}
	mu.Lock()
	defer mu.Unlock()
	return measurement{took, len(spans), longest(spans)}, nil
}

// longest is how many calls must have followed one another: the most that don't overlap.
func longest(spans []span) int {
	slices.SortFunc(spans, func(a, b span) int { return a.to.Compare(b.to) })
	n, end := 0, time.Time{}
	for _, s := range spans {
		if s.from.After(end) {
			n, end = n+1, s.to
		}
	}
	return n
}

const request = "rotations/2026/11/2026-11-23-app-database.yaml"

func writeInputs(dir string, s sandbox.Scenario) error {
	for name, text := range map[string]string{
		request: "secret: app/database\nticket: SEC-7\nreason: scheduled\nenvironments: [dev]\n",
		".github/rekey.yml": fmt.Sprintf("environments:\n  - {name: dev, region: %s}\nevidence:\n  store: s3://%s\n  region: %s\n"+
			"  lock: {mode: COMPLIANCE, retain: 7y}\n  log_group: %s\npolicy:\n  ticket: 'SEC-\\d+'\n  retain: 48h\n",
			s.Region, s.Bucket, s.Region, s.LogGroup),
		"ops/config/registry.md": fmt.Sprintf("| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n"+
			"| `app/database` | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |\n\n## `app/database`\n\n```yaml\n"+
			"dev:\n  target: {secret: %s, key: password, generate: {length: 32}}\n```\n", s.Secrets["dev"]),
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
