//go:build linux

package child_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/child"
	"github.com/rastup/rekey/internal/redact"
)

const path = "PATH=/usr/bin:/bin"

// sh is a command by way of a shell, which Run itself never uses.
func sh(script string, args ...string) child.Command {
	return child.Command{Args: append([]string{"sh", "-c", script, "sh"}, args...), Dir: "/", Env: []string{path},
		Within: time.Minute, Clean: unclean, Now: time.Now}
}

func run(t *testing.T, c child.Command) child.Result {
	t.Helper()
	res, err := child.Run(context.Background(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, res.Output)
	}
	return res
}

func TestOutputAndStatusComeBack(t *testing.T) {
	res := run(t, sh("echo one; echo two >&2; echo three; exit 7"))
	if string(res.Output) != "one\ntwo\nthree\n" || res.Code != 7 || res.Signal != "" || res.TimedOut || res.Truncated || res.Took <= 0 {
		t.Errorf("%+v %q", res, res.Output)
	}
	if res := run(t, sh("kill -9 $$")); res.Code != -1 || res.Signal != "killed" || res.TimedOut {
		t.Errorf("%+v", res)
	}
}

// TestAnAnswerIsKeptApart: standard output goes to who asked, as it is and nowhere else; all the rest as ever.
func TestAnAnswerIsKeptApart(t *testing.T) {
	c := sh("echo '{\"value\":\"s3cret\"}'; echo working >&2; printf end; exit 3")
	var answer bytes.Buffer
	c.Answer = &answer
	res := run(t, c)
	if got := answer.String(); got != "{\"value\":\"s3cret\"}\nend" || string(res.Output) != "working\n" || res.Code != 3 {
		t.Errorf("answer %q, output %q, %d", got, res.Output, res.Code)
	}
	c = sh("yes | head -n 200000; echo done >&2") // nobody takes the answer: the command goes on
	c.Answer = full{}
	if res, err := child.Run(t.Context(), c); err == nil || string(res.Output) != "done\n" {
		t.Errorf("output %q, %v", res.Output, err)
	}
}

func TestArgumentsArePassedUntouched(t *testing.T) {
	args := []string{"two words", "*", "$HOME", "`id`", "$(id)", "a;b", "", "'", `"`, "\\", "é", "-n", "a\nb", "{x,y}", "~"}
	c := sh(`for a in "$@"; do printf '<%s>' "$a"; done`, args...)
	if got, want := string(run(t, c).Output), "<"+strings.Join(args, "><")+">"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheEnvironmentIsExactlyTheGivenOne(t *testing.T) {
	t.Setenv("CHILD_TEST_LEAK", canary)
	for _, env := range [][]string{nil, {"A=1", "B=two words", "C="}} {
		c := sh("")
		c.Args, c.Env, c.Dir = []string{"/usr/bin/env"}, env, t.TempDir()
		got := strings.Fields(strings.ReplaceAll(string(run(t, c).Output), "two words", "two_words"))
		want := strings.Fields(strings.ReplaceAll(strings.Join(env, "\n"), "two words", "two_words"))
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNoOtherDescriptorIsHandedOn(t *testing.T) {
	// As one that was inherited: without close-on-exec.
	fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	res := run(t, sh(`readlink /proc/$$/fd/[0-9]*; cat`))
	if out := string(res.Output); strings.Contains(out, "/etc/passwd") || !strings.HasPrefix(out, "/dev/null\n") {
		t.Errorf("descriptors:\n%s", out)
	}
	c := sh("cat")
	c.Stdin = []byte("given")
	if got := string(run(t, c).Output); got != "given" {
		t.Errorf("standard input: %q", got)
	}
}

func TestNoCoreIsDumped(t *testing.T) {
	// The limit comes just after the start: the command waits until it is there, or forever.
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &lim); err != nil {
		t.Fatal(err)
	}
	raised := syscall.Rlimit{Cur: lim.Max, Max: lim.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &raised); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_CORE, &lim)
	c := sh(`while [ "$(ulimit -c)" != 0 ]; do :; done; echo none`)
	c.Within = 20 * time.Second
	res := run(t, c)
	if string(res.Output) != "none\n" {
		t.Errorf("%q", res.Output)
	}
}

func TestAProgramIsLookedForInTheGivenPathOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bin/tool", "other/tool", "plain"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho "+name+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "plain"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, path, want string }{
		{"tool", dir + "/missing:" + dir + "/bin:" + dir + "/other", "bin/tool"},
		{"tool", "bin:.::" + dir + "/other", "other/tool"},
		{"./bin/tool", "", "bin/tool"}, {"bin/tool", "", "bin/tool"}, {dir + "/other/tool", "", "other/tool"},
		{"tool", "bin", ""}, {"plain", dir, ""}, {"bin", dir, ""}, {"sh", "", ""}, {"./missing", "", ""}, {dir + "/plain", "", ""}, {"", dir, ""},
	} {
		cmd := sh("")
		cmd.Args, cmd.Dir, cmd.Env = []string{c.program}, dir, []string{"PATH=" + c.path}
		res, err := child.Run(context.Background(), cmd)
		if c.want == "" {
			if !errors.Is(err, child.ErrNotStarted) {
				t.Errorf("%q in %q: %v", c.program, c.path, err)
			}
		} else if strings.TrimSpace(string(res.Output)) != c.want || err != nil {
			t.Errorf("%q in %q: %q, %v", c.program, c.path, res.Output, err)
		}
	}
	cmd := sh("")
	cmd.Args = []string{"no-such-program"}
	if _, err := child.Run(context.Background(), cmd); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestHugeOutputKeepsItsBeginningAndItsEnd(t *testing.T) {
	c := sh(`echo begin; yes 0123456789abcdef | head -c 100000000; echo end`)
	c.MaxOutput = 1000
	var live counter
	c.Live = &live
	res := run(t, c)
	out := string(res.Output)
	left := 100000000 + 6 + 4 - 1000
	marker := "… 99,999,010 bytes left out …\n"
	if left != 99999010 || !res.Truncated || !strings.HasPrefix(out, "begin\n0123") || !strings.HasSuffix(out, "end\n") || !strings.Contains(out, marker) {
		t.Errorf("%d bytes: %.40q … %q", len(out), out, out[len(out)-40:])
	}
	if len(out) > 1000+len(marker)+1 || live.n != 100000010 {
		t.Errorf("kept %d, saw %d", len(out), live.n)
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// alive says whether a process is there and no zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func pids(t *testing.T, out []byte) []string {
	t.Helper()
	found := strings.Fields(string(out))
	for _, p := range found {
		if _, err := strconv.Atoi(p); err != nil {
			t.Fatalf("output %q", out)
		}
	}
	if len(found) == 0 {
		t.Fatal("no process told its number")
	}
	return found
}

// gone waits for the kernel to end what has been killed.
func gone(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Errorf("process %s is still there", pid)
			return
		}
	}
}

func TestWhatTheCommandLeavesBehindIsKilled(t *testing.T) {
	begin := time.Now()
	res := run(t, sh(`sleep 300 & echo $!; trap "" TERM; (trap "" TERM HUP; exec sleep 300) & echo $!; exit 3`))
	if res.Code != 3 || res.TimedOut || time.Since(begin) > 20*time.Second {
		t.Errorf("%+v", res)
	}
	for _, p := range pids(t, res.Output) {
		gone(t, p)
	}
}

func TestADaemonThatHoldsTheOutputDoesNotHoldTheCommand(t *testing.T) {
	begin := time.Now()
	res := run(t, sh(`mkfifo "$1" && (setsid sh -c 'echo $$; echo up >"$1"; exec sleep 60' sh "$1" & read x <"$1"; exit 0)`, filepath.Join(t.TempDir(), "up")))
	if res.Code != 0 || time.Since(begin) > 30*time.Second {
		t.Errorf("%+v after %v", res, time.Since(begin))
	}
	for _, p := range pids(t, res.Output) {
		if n, err := strconv.Atoi(p); err == nil { // it left the group, so it is the test's to end
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}

func TestTimeLimitEndsTheWholeGroup(t *testing.T) {
	for name, script := range map[string]string{
		"by SIGTERM":              `sleep 300 & echo $! $$; wait`,
		"deaf to SIGTERM":         `trap "" TERM; sleep 300 & echo $! $$; while :; do wait; sleep 300; done`,
		"with its output closed":  `echo $$; exec >&- 2>&-; sleep 300`,
		"with a grandchild apart": `(sleep 300 & echo $!; wait) & echo $$; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := sh(script)
			c.Within, c.Grace = 500*time.Millisecond, 300*time.Millisecond
			res := run(t, c)
			if !res.TimedOut || res.Took < c.Within || res.Took > 20*time.Second || res.Signal == "" && res.Code == 0 {
				t.Errorf("%+v", res)
			}
			for _, p := range pids(t, res.Output) {
				gone(t, p)
			}
		})
	}
}

func TestATimeLimitLetsTheCommandTidyUp(t *testing.T) {
	c := sh(`trap 'echo tidy; exit 9' TERM; sleep 300 & wait`)
	c.Within = 300 * time.Millisecond
	if res := run(t, c); string(res.Output) != "tidy\n" || res.Code != 9 || !res.TimedOut {
		t.Errorf("%+v %q", res, res.Output)
	}
}

type trigger struct{ f func() }

func (w trigger) Write(p []byte) (int, error) { w.f(); return len(p), nil }

func TestCancellingEndsTheCommand(t *testing.T) {
	why := errors.New("the runner was told to stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	c := sh(`echo $$; exec sleep 300`)
	c.Live = trigger{func() { cancel(why) }}
	res, err := child.Run(ctx, c)
	if !errors.Is(err, why) || errors.Is(err, child.ErrNotStarted) || res.TimedOut {
		t.Errorf("%+v, %v", res, err)
	}
	for _, p := range pids(t, res.Output) {
		gone(t, p)
	}
	if _, err := child.Run(ctx, sh("echo no")); !errors.Is(err, child.ErrNotStarted) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

func TestSecretsAreOutOfTheOutputBeforeItIsCut(t *testing.T) {
	const value = "hunter22-correct-horse-battery"
	var s redact.Set
	s.Add([]byte(value))
	for maxOutput := int64(60); maxOutput < 130; maxOutput++ {
		c := sh(`for i in 1 2 3 4 5 6 7 8 9; do printf 'got %s and ' "$1"; done; printf '%.20s' "$1"`, value)
		c.MaxOutput, c.Clean = maxOutput, s.Writer
		var live bytes.Buffer
		c.Live = &live
		res := run(t, c)
		for _, out := range []string{string(res.Output), live.String()} {
			if strings.Contains(out, "hunt") || strings.Contains(out, "horse") || !strings.Contains(out, "redacted") {
				t.Fatalf("at %d: %q", maxOutput, out)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestALiveWriterThatFailsDoesNotStopTheCommand(t *testing.T) {
	c := sh(`yes | head -c 1000000; exit 4`)
	c.Live = full{}
	res, err := child.Run(context.Background(), c)
	if !errors.Is(err, io.ErrShortWrite) || res.Code != 4 {
		t.Errorf("%+v, %v", res.Code, err)
	}
}

func TestAnIncompleteCommandIsNotStarted(t *testing.T) {
	for name, spoil := range map[string]func(*child.Command){
		"no arguments": func(c *child.Command) { c.Args = nil }, "no limit": func(c *child.Command) { c.Within = 0 },
		"no directory": func(c *child.Command) { c.Dir = "" }, "no cleaning": func(c *child.Command) { c.Clean = nil },
		"no clock": func(c *child.Command) { c.Now = nil }, "a directory that isn't there": func(c *child.Command) { c.Dir = "/no/such" },
		"a zero byte": func(c *child.Command) { c.Args = []string{"sh", "a\x00b"} },
	} {
		c := sh("echo ran")
		spoil(&c)
		if res, err := child.Run(context.Background(), c); !errors.Is(err, child.ErrNotStarted) || len(res.Output) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCutOutputHoldsWholeCharactersOnly(t *testing.T) {
	for maxOutput := int64(8); maxOutput < 16; maxOutput++ {
		c := sh(`printf 'ééééé%020dééééé'`, "0")
		c.MaxOutput = maxOutput
		if out := string(run(t, c).Output); strings.ToValidUTF8(out, "?") != out {
			t.Errorf("at %d: %q", maxOutput, out)
		}
	}
}

// Whoever ends the program doesn't wait for all of a command's grace.
func TestAnEndOfTheContextHurriesTheCommand(t *testing.T) {
	c := sh(`trap "" TERM; echo deaf; while :; do sleep 300; done`)
	c.Grace = time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	c.Live = writer(func(b []byte) (int, error) { stop(); return len(b), nil })
	if res, err := child.Run(ctx, c); !errors.Is(err, context.Canceled) || res.Signal != "killed" || res.Took > 30*time.Second {
		t.Errorf("%+v, %v", res, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
