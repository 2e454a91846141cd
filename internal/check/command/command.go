package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/child"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// leastLease is how much of a lease must be left for a command to start. It needn't cover the whole run: while a
// step runs, apply renews the lease, and ends the step's context while a quarter of it is left when it can't;
// the command is gone within child.DefaultGrace and a second of that.
const leastLease = time.Minute

// Output is the name of the evidence file.
const Output = "output.txt"

// New makes the handler for one environment.
func New(d check.Deps) rotation.Handler {
	h := handler{d}
	return rotation.Handler{"baseline": h.run, "validate": h.run}
}

type handler struct{ check.Deps }

// run runs the command to its end. An exit status that isn't expected, or a limit passed, is definite; a run that
// was broken off from outside is an unknown outcome.
func (h handler) run(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var p Shape
	if err := s.Into(&p); err != nil {
		return rotation.Result{}, err
	}
	c, err := h.command(p, past)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := h.Arm(ctx, past); err != nil {
		return rotation.Result{}, fmt.Errorf("learn the rotation's values, so that %s can't print them: %w", p.program(), err)
	}
	if err := rotation.FenceOf(ctx).Pass(min(p.limit(), leastLease)); err != nil {
		return rotation.Result{}, fmt.Errorf("run %s: %w", p.program(), err)
	}
	res, err := child.Run(ctx, c)
	switch {
	case errors.Is(err, child.ErrNotStarted) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
		return rotation.Result{}, p.program().Missing()
	case errors.Is(err, child.ErrNotStarted):
		return rotation.Result{}, fmt.Errorf("run %s: %w", p.program(), err)
	}
	out, lines := h.output(res)
	result := rotation.Result{Files: []rotation.File{{Name: Output, Data: out}}}
	if err != nil {
		return result, fmt.Errorf("run %s: %w", p.program(), err)
	}
	return p.judged(result, res, lines)
}

func (p *Shape) judged(result rotation.Result, res child.Result, lines string) (rotation.Result, error) {
	expect := p.Expect
	if len(expect) == 0 {
		expect = []int{0}
	}
	took := res.Took.Round(100 * time.Millisecond)
	switch {
	case took >= 10*time.Second:
		took = took.Round(time.Second)
	case took < time.Second:
		took = res.Took.Round(time.Millisecond)
	}
	result.Facts = map[string]string{"exit": fmt.Sprint(res.Code), "took": took.String()}
	ended := fmt.Sprintf("%s ended with %d after %s", p.program(), res.Code, took)
	switch {
	case res.TimedOut:
		return result, rotation.Failf("see "+Output+" in the evidence; give it more time with within",
			"%s was stopped after its limit of %s%s", p.program(), p.limit(), lines)
	case res.Signal != "":
		return result, rotation.Failf("see "+Output+" in the evidence", "%s was ended by a signal (%s) after %s%s", p.program(), res.Signal, took, lines)
	case !slices.Contains(expect, res.Code):
		return result, rotation.Failf("see "+Output+" in the evidence", "%s%s", ended, lines)
	}
	result.Text = ended + lines
	return result, nil
}

// command is what the step's parameters ask for.
func (h handler) command(p Shape, past rotation.Past) (child.Command, error) {
	if len(p.Run) == 0 {
		return child.Command{}, rotation.Failf("", "the check names no program")
	}
	at := program.Place{Checkout: h.Checkout, Lookup: h.Lookup, Seen: h.Redact.Add}
	dir, err := p.program().Directory(at)
	if err != nil {
		return child.Command{}, err
	}
	c := child.Command{Args: p.Run, Dir: dir, Within: min(p.limit(), time.Duration(MostWithin)),
		MaxOutput: min(p.MaxOutput, MostMaxOutput), Clean: h.Redact.Writer, Now: h.Now}
	if c.MaxOutput <= 0 {
		c.MaxOutput = DefaultMaxOutput
	}
	claim, _ := past.Claim()
	c.Env, err = p.program().Environ(at, claim.Plan)
	return c, err
}
