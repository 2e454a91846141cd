package acttest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkStart is what a job of the action takes before it does its work, lint of one secret standing for that. The
// sources are this disk's: a job that downloads them, and a toolchain, takes that longer.
//
//	go test ./internal/acttest -run '^$' -bench Start -benchtime 3x -timeout 60m
func BenchmarkStart(b *testing.B) {
	actionPath, err := filepath.Abs(root)
	if err != nil {
		b.Fatal(err)
	}
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		b.Fatal(err)
	}
	proxy := "file://" + filepath.Join(strings.TrimSpace(string(modules)), "cache/download")
	dir, start := b.TempDir(), filepath.Join(actionPath, "action/start")
	for name, text := range map[string]string{".github/rekey.yml": "environments: [{name: dev, region: us-east-1}]\nevidence: {store: file:///evidence}\n",
		"ops/config/registry.md": strings.Replace(registry, dev+stage+prod, strings.ReplaceAll(dev, "APP", "http://localhost"), 1)} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var cpu time.Duration
	once := func(b *testing.B, program string, more ...string) {
		b.Helper()
		c := exec.Command(program)
		c.Dir, c.Env = dir, append(os.Environ(), "REKEY_COMMAND=lint", "GITHUB_ACTION_PATH="+actionPath, "RUNNER_TEMP="+b.TempDir())
		c.Env = append(c.Env, more...)
		if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("no problems")) {
			b.Fatalf("%v\n%s", err, out)
		}
		cpu += c.ProcessState.UserTime() + c.ProcessState.SystemTime() // of what it started and waited for, too
	}
	run := func(name, program string, prepare func(b *testing.B), more func(b *testing.B) []string) {
		b.Run(name, func(b *testing.B) {
			prepare(b)
			cpu = 0
			for b.Loop() {
				once(b, program, more(b)...)
			}
			b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
		})
	}
	none := func(*testing.B) {}
	nothing := func(*testing.B) []string { return nil }
	run("source,nothing-cached", start, none, func(b *testing.B) []string {
		return []string{"GOCACHE=" + b.TempDir(), "GOMODCACHE=" + b.TempDir(), "GOFLAGS=-modcacherw", "GOPROXY=" + proxy, "GOSUMDB=off"}
	})
	run("source,modules-cached", start, none, func(b *testing.B) []string { return []string{"GOCACHE=" + b.TempDir()} })
	run("source,all-cached", start, func(b *testing.B) { once(b, start) }, nothing)
	program := filepath.Join(b.TempDir(), "action")
	run("binary", program, func(b *testing.B) {
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./action")
		build.Dir, build.Env = root, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}, nothing)
}
