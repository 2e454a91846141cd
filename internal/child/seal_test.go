//go:build linux

package child_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/child"
)

const (
	role   = "CHILD_TEST_ROLE"
	canary = "tok-canary-8123"
)

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		os.Exit(play(r))
	}
	os.Exit(m.Run())
}

// play is this test binary as a program that holds a token and runs a command that looks for it.
func play(role string) int {
	if role == "killed" {
		_, err := child.Run(context.Background(), child.Command{Args: []string{"/bin/sh", "-c", "echo $$; exec sleep 300"},
			Dir: "/", Within: time.Hour, Clean: unclean, Now: time.Now, Live: os.Stdout})
		fmt.Println(err)
		return 0
	}
	if strings.Contains(role, "sealed") {
		for range 2 {
			if err := child.Seal(); err != nil {
				fmt.Println("seal:", err)
				return 1
			}
		}
	}
	fmt.Println("own lookup:", os.Getenv("AWS_SESSION_TOKEN"))
	res, err := child.Run(context.Background(), child.Command{
		Args: []string{"/bin/sh", "-c", `echo "child looks"; tr '\\0' '\\n' </proc/$PPID/environ; env; dd if=/proc/$PPID/mem count=0 && echo memory is open`},
		Dir:  "/", Env: []string{"PATH=/usr/bin:/bin"}, Within: time.Minute, Clean: unclean, Now: time.Now,
	})
	fmt.Printf("%s%v\n", res.Output, err)
	return 0
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func unclean(w io.Writer) io.WriteCloser { return nopCloser{w} }

func playAs(t *testing.T, part string, uid uint32) string {
	t.Helper()
	cmd := exec.Command(program(t))
	cmd.Env = []string{role + "=" + part, "AWS_SESSION_TOKEN=" + canary, "PATH=/usr/bin:/bin", "OTHER=x"}
	cmd.Dir = "/"
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// program is this binary where any user can run it.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "program (with) spaces") // a name that would mislead a reader of /proc/self/stat
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASealedProcessShowsItsVariablesToNobody(t *testing.T) {
	users := map[string]uint32{"this user": 0}
	if os.Getuid() == 0 {
		users["an ordinary user"] = 65534
	}
	for name, uid := range users {
		t.Run(name, func(t *testing.T) {
			// Shows that the look can find it, else the rest would prove nothing.
			_, open, _ := strings.Cut(playAs(t, "open", uid), "child looks")
			if !strings.Contains(open, canary) {
				t.Fatalf("without Seal the command doesn't see the token either:\n%s", open)
			}
			sealed := playAs(t, "sealed", uid)
			own, looked, _ := strings.Cut(sealed, "child looks")
			if !strings.Contains(own, "own lookup: "+canary) {
				t.Errorf("the process itself has lost it:\n%s", sealed)
			}
			if strings.Contains(looked, canary) || strings.Contains(looked, "AWS_SESSION") || strings.Contains(looked, "OTHER") {
				t.Errorf("the command sees it:\n%s", looked)
			}
			if ordinary := uid != 0 || os.Getuid() != 0; ordinary {
				if !strings.Contains(open, "memory is open") || strings.Contains(looked, "memory is open") {
					t.Errorf("memory: unsealed\n%s\nsealed\n%s", open, looked)
				}
			}
		})
	}
}

func TestACommandEndsWhenItsRunnerIsKilled(t *testing.T) {
	cmd := exec.Command(program(t))
	cmd.Env = []string{role + "=killed"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, strings.TrimSpace(pid))
}
