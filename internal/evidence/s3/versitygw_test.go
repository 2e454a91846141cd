package s3_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/evidence/evidencetest"
)

// versitygw is another people's S3 server with Object Lock on a file system: what holds there and in the sandbox is
// less likely to be our own misunderstanding.
func TestConformanceOnVersitygw(t *testing.T) {
	binary := find(t, "versitygw")
	evidencetest.Run(t, evidencetest.Config{Now: time.Now, New: func(t *testing.T) evidencetest.Subject {
		return subject(t, versitygw(t, binary), time.Now, 3)
	}})
}

// find looks on PATH, in Go's bin folder, and in the repository's.
func find(t *testing.T, name string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	places := []string{filepath.Join("..", "..", "..", ".tools", "bin")}
	if out, err := exec.Command("go", "env", "GOPATH").Output(); err == nil {
		places = append(places, filepath.Join(strings.TrimSpace(string(out)), "bin"))
	}
	for _, dir := range places {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s isn't installed: CI must have it", name)
	}
	t.Skipf("%s isn't installed: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0", name)
	return ""
}

func versitygw(t *testing.T, binary string) (url string) {
	t.Helper()
	dir := t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o755), os.Mkdir(versions, 0o755)); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	var log strings.Builder
	cmd := exec.Command(binary, "--port", addr, "--region", "us-east-1", "--quiet", "posix", "--versioning-dir", versions, data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=AKIDTEST", "ROOT_SECRET_KEY=secret")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return "http://" + addr
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("versitygw ended: %v\n%s", err, log.String())
		case <-deadline:
			t.Fatal("versitygw doesn't answer")
		case <-tick.C:
		}
	}
}
