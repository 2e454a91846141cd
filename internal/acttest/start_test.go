package acttest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// starting runs action/start with a go that builds program once something is written to the file hold; said are the
// lines that the two print.
func starting(t *testing.T, program string) (cmd *exec.Cmd, said *bufio.Scanner, hold string) {
	t.Helper()
	component(t, "bash")
	dir := t.TempDir()
	hold = filepath.Join(dir, "hold")
	if err := syscall.Mkfifo(hold, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"program": program,
		"go":      fmt.Sprintf("set -euo pipefail\necho building\nread -r word <%s\n[ \"$word\" = good ]\nwhile [ \"$1\" != -o ]; do shift; done\ncp %s/program \"$2\"\n", hold, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/usr/bin/env bash\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	start, err := filepath.Abs(filepath.Join(root, "action/start"))
	if err != nil {
		t.Fatal(err)
	}
	// As action.yml has it.
	cmd = exec.Command("bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", "exec "+start)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GITHUB_ACTION_PATH=" + dir, "RUNNER_TEMP=" + dir, "REKEY_COMMAND=lint",
		"INPUT_COMMAND=lint", "INPUT_TOKEN=ghs_canary", "INPUTS=kept"}
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	said = bufio.NewScanner(r)
	if !said.Scan() || said.Text() != "building" {
		t.Fatalf("%q instead of the build", said.Text())
	}
	return cmd, said, hold
}

func release(t *testing.T, hold, word string) {
	t.Helper()
	if err := os.WriteFile(hold, []byte(word+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The runner signals the first process only: it has to become the program.
func TestStartBecomesTheProgram(t *testing.T) {
	cmd, said, hold := starting(t, "echo $$; env | grep -c ^INPUT_; env | grep ^INPUTS; trap 'exit 7' INT; kill -INT $$; exit 1\n")
	release(t, hold, "good")
	var lines []string
	for said.Scan() {
		lines = append(lines, said.Text())
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("ended with %v, not as the program did", err)
	}
	if want := []string{strconv.Itoa(cmd.Process.Pid), "0", "INPUTS=kept"}; strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("the program says %q, not %q", lines, want)
	}
}

// What is cancelled while it is built never begins.
func TestStartStopsWhileItBuilds(t *testing.T) {
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		cmd, said, hold := starting(t, "echo begun\n")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != status {
			t.Errorf("%v: ended with %v", sig, err)
		}
		release(t, hold, "good") // only now is it built
		if said.Scan() {
			t.Errorf("%v: the program says %q", sig, said.Text())
		}
	}
}

func TestStartFailsWithTheBuild(t *testing.T) {
	cmd, said, hold := starting(t, "echo begun\n")
	release(t, hold, "bad")
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || said.Scan() {
		t.Errorf("ended with %v, said %q", err, said.Text())
	}
}
