package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

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
	if len(p.Run) == 0 {
		return rotation.Result{}, rotation.Failf("", "the check names no program")
	}
	at := program.Place{Checkout: h.Checkout, Lookup: h.Lookup, Redact: h.Redact, Now: h.Now}
	if err := h.Arm(ctx, past); err != nil {
		return rotation.Result{}, fmt.Errorf("learn the rotation's values, so that %s can't print them: %w", p.program(), err)
	}
	if err := p.program().Pass(ctx, p.limit()); err != nil {
		return rotation.Result{}, err
	}
	claim, _ := past.Claim()
	limits := program.Limits{Within: min(p.limit(), time.Duration(MostWithin)), MaxOutput: min(p.MaxOutput, MostMaxOutput)}
	end, err := p.program().Execute(ctx, at, claim.Plan, limits, nil)
	result := rotation.Result{Files: end.Files()}
	if err != nil {
		return result, err
	}
	return p.judged(result, end)
}

func (p *Shape) judged(result rotation.Result, end program.End) (rotation.Result, error) {
	expect := p.Expect
	if len(expect) == 0 {
		expect = []int{0}
	}
	result.Facts = map[string]string{"exit": fmt.Sprint(end.Code), "took": end.Took.String()}
	hint := "see " + program.Output + " in the evidence"
	if end.TimedOut {
		hint += "; give it more time with within"
	}
	if end.TimedOut || end.Signal != "" || !slices.Contains(expect, end.Code) {
		return result, rotation.Failf(hint, "%s%s", end.What, end.Lines)
	}
	result.Text = end.What + end.Lines
	return result, nil
}
