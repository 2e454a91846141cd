package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts.
const (
	factRuns  = "runs"  // how often the command was begun, recorded before each time
	factEnded = "ended" // the last of them that ended with 0
)

// every is the pause between two looks at what runs.
const every = 15 * time.Second

type handler struct {
	consumer.Deps
	runs program.Runs // of this process
}

// A call is one asking of one step.
type call struct {
	Shape
	step rotation.Step
	past rotation.Past
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{Deps: d}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Preview: h.preview, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s, past: past}
	err := s.Into(&c.Shape)
	return c, err
}

// command is a command as texts name it.
func (c call) command(run []string) string { return c.program(run).String() }

func (c call) old() string { return c.past.Fact("preflight", "old") }
func (c call) new() string { return c.past.Fact("create", "new") }

// execute runs one of the commands, when the rotation's values are known to what redacts. as is what it is run for.
func (h *handler) execute(ctx context.Context, c call, run []string, as, version string) (program.End, error) {
	if version == "" {
		return program.End{}, fmt.Errorf("the records name no version for %s", c.command(run))
	}
	if err := h.Arm(ctx, c.past); err != nil {
		return program.End{}, fmt.Errorf("learn the rotation's values, so that %s can't print them: %w", c.command(run), err)
	}
	claim, _ := c.past.Claim()
	more := []string{"REKEY_VERSION=" + version, "REKEY_STEP=" + as, "REKEY_TOKEN=" + c.token()}
	if arn := c.past.Fact("preflight", "arn"); arn != "" {
		more = append(more, "REKEY_SECRET_ARN="+arn)
	}
	return c.program(run).Execute(ctx, h.Programs, claim.Plan, program.Limits{Within: c.limit()}, nil, more...)
}

func (c call) token() string { return c.past.Token(c.step.Key, "command") }

// seen is what look says of a version. An error is that it can't tell.
type seen struct {
	runs bool
	end  program.End
}

func (h *handler) look(ctx context.Context, c call, version string) (seen, error) {
	end, err := h.execute(ctx, c, c.Look, "look", version)
	switch {
	case err != nil:
		return seen{end: end}, err
	case end.TimedOut, end.Signal != "", end.Code != 0 && end.Code != c.notYet():
		return seen{end: end}, fmt.Errorf("%s: it can't tell what runs%s", end.What, end.Lines)
	}
	return seen{end.Code == 0, end}, nil
}

// preview runs nothing: a pull request could have changed what there is to run.
func (h *handler) preview(_ context.Context, c call) (rotation.Result, error) {
	return rotation.Result{Text: c.command(c.Run) + " was not looked at: nothing of a pull request is run"}, nil
}

// preflight refuses a command that isn't there, and what already doesn't run with the live version.
func (h *handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	claim, _ := c.past.Claim()
	for _, run := range [][]string{c.Run, c.Back, c.Look, c.Diff} {
		if len(run) == 0 {
			continue
		}
		if err := c.program(run).Findable(h.Programs, claim.Plan); err != nil {
			return rotation.Result{}, err
		}
	}
	text := []string{c.command(c.Run) + " can be started"}
	if len(c.Back) > 0 {
		text = append(text, c.command(c.Back)+" as well")
	}
	if len(c.Look) == 0 {
		text = append(text, "that it ends with 0 is all that will be known: there is no look")
	} else {
		s, err := h.look(ctx, c, c.old())
		switch {
		case err != nil && s.end.What != "" && ctx.Err() == nil:
			return rotation.Result{Files: s.end.Files()}, rotation.Failf("it must end with 0 where everything runs with REKEY_VERSION, and with "+fmt.Sprint(c.notYet())+" where not yet", "%v", err)
		case err != nil:
			return rotation.Result{Files: s.end.Files()}, err
		case !s.runs:
			return rotation.Result{Files: s.end.Files()}, rotation.Failf("deploy it, so that it runs with what is live now; then begin again",
				"it does not run with the live version even now: %s%s", s.end.What, s.end.Lines)
		}
		text = append(text, "everything runs with the live version, says "+c.command(c.Look))
	}
	if len(c.Diff) == 0 {
		return rotation.Result{Text: strings.Join(text, "; ")}, nil
	}
	end, err := h.execute(ctx, c, c.Diff, "diff", c.old())
	result := rotation.Result{Files: end.Files()}
	switch {
	case err != nil:
		return result, err
	case end.Code != 0:
		return result, rotation.Failf("deploy what is pending, or take it back; then begin again", "%s%s", end.What, end.Lines)
	}
	result.Text = strings.Join(append(text, end.What+end.Lines), "; ")
	return result, nil
}

// deploy runs the command with the new version, unless everything is seen to run with that.
func (h *handler) deploy(ctx context.Context, c call) (rotation.Result, error) {
	if runs := c.past.Fact(c.step.Key, factRuns); len(c.Look) > 0 {
		s, err := h.look(ctx, c, c.new())
		switch {
		case err != nil:
			return rotation.Result{Files: s.end.Files()}, err
		case s.runs:
			return rotation.Result{Text: c.with("the new version"), Files: s.end.Files()}, nil
		case runs != "" && runs == c.past.Fact(c.step.Key, factEnded) && c.past.Done(c.step.Key).IsZero():
			return rotation.Result{Wait: c.command(c.Look) + " to say that everything runs with the new version", Again: every}, nil
		}
	} else if at := c.past.Done(c.step.Key); !at.IsZero() {
		return rotation.Result{Text: c.ended(at)}, nil
	}
	return h.run(ctx, c, c.Run, "the new version", c.new())
}

func (c call) with(version string) string {
	return "everything runs with " + version + ", says " + c.command(c.Look)
}

// ended is all that can be said of a deployment that nothing can look at.
func (c call) ended(at time.Time) string {
	return fmt.Sprintf("%s ended with 0 on %s; nothing here can tell whether everything runs with that version", c.command(c.Run), at.UTC().Format("2006-01-02 15:04 MST"))
}

// run runs one command that changes things, when that is on record.
func (h *handler) run(ctx context.Context, c call, run []string, called, version string) (rotation.Result, error) {
	if err := c.program(run).Pass(ctx, c.limit()); err != nil {
		return rotation.Result{}, err
	}
	runs := c.past.Fact(c.step.Key, factRuns)
	if record := h.runs.Begin(c.token(), runs); record != "" {
		return rotation.Result{Facts: map[string]string{factRuns: record}, Wait: "the run of " + c.command(run) + " to be on record before it begins"}, nil
	}
	end, err := h.execute(ctx, c, run, c.step.Name, version)
	result := rotation.Result{Files: end.Files()}
	again := ""
	if runs != "1" {
		again = "; it was begun " + runs + " times, with REKEY_TOKEN " + c.token()
	}
	switch {
	case err != nil:
		return result, err
	case end.TimedOut, end.Signal != "":
		return result, fmt.Errorf("%s, and how far it got nobody knows: it is run again%s%s", end.What, again, end.Lines)
	case end.Code != 0:
		return result, rotation.Failf("see "+program.Output+" in the evidence", "%s%s", end.What, end.Lines)
	case len(c.Look) > 0:
		result.Facts, result.Wait = map[string]string{factEnded: runs}, c.command(c.Look)+" to say that everything runs with "+called+"; "+end.What+again
		return result, nil
	}
	result.Text = end.What + again + end.Lines
	return result, nil
}

// adopted is what look says; without one, no more than that the deployment went well is known.
func (h *handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	deploy := consumer.Key(consumer.Deploy, consumer.Named(c.step))
	if len(c.Look) == 0 {
		at := c.past.Done(deploy)
		if at.IsZero() {
			return rotation.Result{}, errors.New("the records don't say that " + deploy + " was done")
		}
		return rotation.Result{Text: c.ended(at)}, nil
	}
	s, err := h.look(ctx, c, c.new())
	switch {
	case err != nil:
		return rotation.Result{Files: s.end.Files()}, err
	case !s.runs:
		return rotation.Result{Wait: "everything to run with the new version: " + s.end.What + s.end.Lines, Again: rotation.Later}, nil
	}
	return rotation.Result{Text: c.with("the new version"), Files: s.end.Files()}, nil
}

// back runs the command with the old version, which is live again. It doesn't look before: what a deployment set going
// that was broken off may yet come about.
func (h *handler) back(ctx context.Context, c call) (rotation.Result, error) {
	if c.past.Fact(consumer.Key(consumer.Deploy, consumer.Named(c.step)), factRuns) == "" {
		return rotation.Result{Text: c.command(c.Run) + " was never begun"}, nil
	}
	if runs := c.past.Fact(c.step.Key, factRuns); len(c.Look) > 0 && runs != "" && runs == c.past.Fact(c.step.Key, factEnded) {
		s, err := h.look(ctx, c, c.old())
		switch {
		case err != nil:
			return rotation.Result{Files: s.end.Files()}, err
		case s.runs:
			return rotation.Result{Text: c.with("the old version"), Files: s.end.Files()}, nil
		}
		return rotation.Result{Wait: c.command(c.Look) + " to say that everything runs with the old version", Again: every}, nil
	}
	run := c.Back
	if len(run) == 0 {
		run = c.Run
	}
	return h.run(ctx, c, run, "the old version", c.old())
}
