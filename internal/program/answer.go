package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/child"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	mostAnswer = 1 << 20  // bytes
	mostSaid   = 64 << 10 // bytes of standard error
	lastLines  = 5        // of them, in a text
)

// An Answer is what a program that was asked for a secret said.
type Answer struct {
	Bytes []byte // standard output: a secret
	said  []byte // standard error, which may quote it
}

// Said is the last lines of standard error without the secrets that are known at that place: those in Bytes must be among
// them.
func (a Answer) Said(at Place) string {
	var lines []string
	for line := range strings.Lines(at.Redact.String(string(a.said))) {
		if line = problem.Plain(strings.TrimSpace(line)); line != "" {
			lines = append(lines, line)
		}
	}
	if n := len(lines) - lastLines; n > 0 {
		lines = lines[n:]
	}
	return strings.Join(lines, " | ")
}

// Ask runs p for a secret, with more variables than it asks for itself. Not to be started, another exit status than 0, a
// missed limit are *rotation.Failure; a run that was broken off is an unknown outcome. The Answer is there in any case.
func (p Program) Ask(ctx context.Context, at Place, plan rotation.Plan, within time.Duration, more ...string) (Answer, error) {
	c, err := p.command(at, plan, within, more)
	if err != nil {
		return Answer{}, err
	}
	var out limited
	c.Answer = &out
	res, err := child.Run(ctx, c)
	a := Answer{out.Bytes(), res.Output}
	switch {
	case errors.Is(err, child.ErrNotStarted) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
		return a, p.Missing()
	case out.over:
		return a, rotation.Failf("it is asked for one value", "%s answered with more than %d bytes", p, mostAnswer)
	case err != nil:
		return a, fmt.Errorf("run %s: %w", p, err)
	case res.TimedOut:
		return a, rotation.Failf("give it more time with within", "%s was stopped after its limit of %s", p, within)
	case res.Signal != "":
		return a, rotation.Failf("", "%s was ended by a signal (%s)", p, res.Signal)
	case res.Code != 0:
		return a, rotation.Failf("", "%s ended with %d", p, res.Code)
	}
	return a, nil
}

// Findable is nil where Ask would find something to run. It runs nothing.
func (p Program) Findable(at Place, plan rotation.Plan) error {
	c, err := p.command(at, plan, time.Minute, nil)
	if err != nil {
		return err
	}
	if err := c.Findable(); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return p.Missing()
	} else if err != nil {
		return fmt.Errorf("look for %s: %w", p, err)
	}
	return nil
}

// Missing is that nothing can be started.
func (p Program) Missing() error {
	return rotation.Failf("check run and dir, and that the job installs it before", "%s can't be started: no such program, or it may not be run", p)
}

func (p Program) command(at Place, plan rotation.Plan, within time.Duration, more []string) (child.Command, error) {
	dir, err := p.Directory(at)
	if err != nil {
		return child.Command{}, err
	}
	env, err := p.Environ(at, plan)
	return child.Command{Args: p.Run, Dir: dir, Env: append(env, more...), Within: within, MaxOutput: mostSaid, Now: at.Now,
		Clean: func(w io.Writer) io.WriteCloser { return unclean{w} }}, err
}

// unclean hands on what can't be cleaned yet: the secret that it may quote isn't known before the end. It stays in
// Answer.said, from which only Said leads out.
type unclean struct{ io.Writer }

func (unclean) Close() error { return nil }

// limited keeps so much and no more.
type limited struct {
	bytes.Buffer
	over bool
}

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > mostAnswer {
		l.over = true
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(b)
}
