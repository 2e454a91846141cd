// Package child runs commands: without a shell, with exactly the environment it is given, in a process group of
// their own that is gone afterwards, for a limited time, with limited and cleaned output. It is the only package
// that imports os/exec, and with apply the only one that waits: in real time, by timers, so that a clock in a
// test doesn't move it.
//
// It must never hand on a variable, a descriptor or standard input that the command wasn't given, nor hold
// output that hasn't gone through Command.Clean: standard output that is itself a secret goes to Command.Answer, and stays there. It is hygiene, not a boundary: a command may do what its user
// may, and a program that leaves its process group (setsid) outlives the command, though it can't hold it up.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// ErrNotStarted is wrapped by every error of Run that says the command never ran.
var ErrNotStarted = errors.New("not started")

// Defaults of a Command.
const (
	DefaultGrace     = 5 * time.Second
	DefaultMaxOutput = 256 << 10 // bytes
)

// hurry is how much of Grace is left to a command when ctx ends: whoever ends this process, too, allows it seconds, and
// it has to say yet how far it got.
const hurry = 2 * time.Second

// drain is how long Run waits, after the group is gone, for the end of an output that somebody who left the
// group still holds open.
const drain = time.Second

// A Command is what to run.
type Command struct {
	Args      []string                       // required: the program and its arguments, passed on untouched
	Dir       string                         // required: where it runs
	Env       []string                       // NAME=value: all it gets. A program without a slash is looked for in its PATH
	Within    time.Duration                  // required: limit of its run
	Grace     time.Duration                  // from SIGTERM to SIGKILL, default DefaultGrace
	MaxOutput int64                          // bytes of output that are kept, after Clean; default DefaultMaxOutput
	Stdin     []byte                         // nil: /dev/null
	Clean     func(io.Writer) io.WriteCloser // required: takes secrets out; redact.Set's Writer
	Live      io.Writer                      // gets the cleaned output as it comes, all of it; nil: nobody does
	Answer    io.Writer                      // gets standard output as it is, which then isn't in Output; nil: see Output
	Now       func() time.Time               // required: measures Result.Took
}

// A Result is how a command ended.
type Result struct {
	Code      int           // exit status; -1 when a signal ended it
	Signal    string        // that ended it, "killed"; "" when it exited
	Output    []byte        // standard output and error as they came, cleaned; of too much, the beginning and the end
	Truncated bool          // Output lacks its middle, and a line says how much
	TimedOut  bool          // Within passed, and it was ended
	Took      time.Duration //
}

// Run runs c and returns once its process group is gone. At the end of Within, or when ctx ends, the group gets
// SIGTERM, and after Grace, of which two seconds are left when ctx ended, SIGKILL. An exit status, whatever it is, is no
// error; an end of ctx is, beside the Result so far; so is what never started, which wraps ErrNotStarted (and, where it
// is that, fs.ErrNotExist).
func Run(ctx context.Context, c Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	cmd, err := c.prepare()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	out := &capped{max: c.MaxOutput}
	said, err := newStream(func(r io.Reader) error { return c.copy(out, r) })
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	defer said.r.Close()
	cmd.Stdout, cmd.Stderr = said.w, said.w
	streams := []*stream{said}
	if c.Answer != nil {
		answer, err := newStream(func(r io.Reader) error { return whole(c.Answer, r) })
		if err != nil {
			_ = said.w.Close()
			return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
		}
		defer answer.r.Close()
		cmd.Stdout, streams = answer.w, append(streams, answer)
	}

	// The kernel ends the command when the thread that started it ends (Pdeathsig), so that thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := c.Now()
	closeOnExec()
	err = cmd.Start()
	for _, s := range streams {
		_ = s.w.Close()
	}
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	limit(cmd.Process.Pid)

	for _, s := range streams {
		go func() { s.copied <- s.copy(s.r) }()
	}
	res := Result{TimedOut: c.await(ctx, cmd) && ctx.Err() == nil}
	var copyErr error
	for _, s := range streams {
		copyErr = errors.Join(copyErr, s.finish())
	}
	waitErr := cmd.Wait()
	res.Took = c.Now().Sub(begin)
	res.Output, res.Truncated = out.bytes()
	return res.ended(ctx, cmd.ProcessState, waitErr, copyErr)
}

// Findable is nil where Run would find a program to start. It starts nothing.
func (c Command) Findable() error {
	cmd, err := c.prepare()
	if err != nil {
		return err
	}
	info, err := os.Stat(cmd.Path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fs.ErrPermission
	}
	return err
}

// prepare checks c, fills in its defaults and finds the program.
func (c *Command) prepare() (*exec.Cmd, error) {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return nil, errors.New("no program is named")
	case c.Within <= 0:
		return nil, errors.New("no time limit is given")
	case c.Dir == "" || c.Clean == nil || c.Now == nil:
		return nil, errors.New("a command needs Dir, Clean and Now")
	}
	if c.Grace <= 0 {
		c.Grace = DefaultGrace
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = DefaultMaxOutput
	}
	path, err := find(c.Args[0], c.Dir, c.Env)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: path, Args: c.Args, Dir: c.Dir, Env: append([]string{}, c.Env...), // never nil: that inherits
		Stdin: stdin(c.Stdin), SysProcAttr: attributes(), WaitDelay: drain}, nil
}

// await returns once the main process has ended and its group has been killed; stopped says that it had to be told.
func (c *Command) await(ctx context.Context, cmd *exec.Cmd) (stopped bool) {
	pid, ended := cmd.Process.Pid, make(chan struct{})
	go func() { awaitEnd(cmd); close(ended) }()
	timer := time.NewTimer(c.Within)
	defer timer.Stop()
	grace := c.Grace
	select {
	case <-ended:
	case <-ctx.Done():
		stopped, grace = true, min(grace, hurry)
	case <-timer.C:
		stopped = true
	}
	if stopped {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		timer.Reset(grace)
		select {
		case <-ended:
		case <-timer.C:
		}
	}
	// On Linux the main process isn't reaped yet: its number, which is the group's, can't be anybody else's.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-ended
	return stopped
}

// A stream is one pipe out of the command.
type stream struct {
	r, w   *os.File
	copy   func(io.Reader) error
	copied chan error
}

func newStream(copy func(io.Reader) error) (*stream, error) {
	r, w, err := os.Pipe()
	return &stream{r, w, copy, make(chan error, 1)}, err
}

// finish waits for the end of what the command said, but not for long: see drain.
func (s *stream) finish() error {
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case err := <-s.copied:
		return err
	case <-timer.C:
		_ = s.r.Close()
		<-s.copied
		return nil
	}
}

// whole takes r to its end, also when it can't be written on.
func whole(w io.Writer, r io.Reader) error {
	_, err := io.Copy(onlyWriter{w}, r)
	if err != nil {
		_, _ = io.Copy(io.Discard, r)
	}
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return err
}

// copy takes the output to its end: a full pipe would stop the command.
func (c *Command) copy(out io.Writer, r io.Reader) error {
	if c.Live != nil {
		out = io.MultiWriter(out, c.Live)
	}
	clean := c.Clean(out)
	return errors.Join(whole(clean, r), clean.Close())
}

// onlyWriter hides ReadFrom, which may take more at a time than Clean is meant to hold.
type onlyWriter struct{ io.Writer }

func (res Result) ended(ctx context.Context, state *os.ProcessState, waitErr, copyErr error) (Result, error) {
	if state == nil {
		return res, fmt.Errorf("wait for the command: %w", waitErr)
	}
	res.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		res.Signal = status.Signal().String()
	}
	switch {
	case ctx.Err() != nil:
		return res, fmt.Errorf("command stopped: %w", context.Cause(ctx))
	case copyErr != nil:
		return res, fmt.Errorf("keep the command's output: %w", copyErr)
	}
	return res, nil
}
