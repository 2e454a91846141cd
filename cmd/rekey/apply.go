package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

func newApply(f *flags) *cobra.Command {
	var o app.Options
	var wait time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "apply --environment ENV [REQUEST...]",
		Short: "Do whatever is due now: rotate, prove, record; resume, decommission, close",
		Long: `Apply carries rotations on in one environment as far as they can go now. Without REQUEST it takes every
request that may still begin and every rotation that is open. It can be stopped and run again at any time.`,
		RunE: func(c *cobra.Command, paths []string) error {
			return carry(c, f, o, wait, asJSON, paths)
		},
	}
	c.Flags().StringVarP(&o.Environment, "environment", "e", "", "the environment (required)")
	c.Flags().BoolVar(&o.Again, "again", false, "start rolled-back rotations again, as a new attempt")
	c.Flags().DurationVar(&wait, "wait", 0, "wait for what becomes due within this time")
	c.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return c
}

func newRollback(f *flags) *cobra.Command {
	var o app.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "rollback --environment ENV REQUEST",
		Short: "Bring the old credential back, as long as it isn't decommissioned",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, paths []string) error {
			who := "asked for by " + f.person()
			o.RollBack = cmp.Or(join(who, o.RollBack), who)
			return carry(c, f, o, 0, asJSON, paths)
		},
	}
	c.Flags().StringVarP(&o.Environment, "environment", "e", "", "the environment (required)")
	c.Flags().StringVar(&o.RollBack, "why", "", "kept in the journal")
	c.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return c
}

func join(who, why string) string {
	if why == "" {
		return who
	}
	return who + ": " + why
}

func carry(c *cobra.Command, f *flags, o app.Options, wait time.Duration, asJSON bool, paths []string) error {
	if o.Environment == "" {
		return usageError{errors.New("which environment? give --environment ENV")}
	}
	a, err := f.acting(c, paths)
	if err != nil {
		return err
	}
	if _, ok := a.Inputs.Config.Environment(o.Environment); !ok {
		return noEnvironment(a, o.Environment)
	}
	a.Patience = wait
	a.Progress = terminal.Progress(c.ErrOrStderr(), style(c))
	tasks, err := a.Tasks(c.Context(), paths...)
	if err != nil {
		return err
	}
	if f.unsealed != nil && o.RollBack == "" && runsCommands(tasks) {
		return fmt.Errorf("command checks could read the variables rekey was started with, credentials among them: %w", f.unsealed)
	}
	results, err := a.Apply(c.Context(), tasks, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(c.OutOrStdout()).Encode(outcomes(results, a))
	} else {
		err = printResults(c, a, results)
	}
	if err == nil && failed(results, o) {
		err = errFound
	}
	return err
}

func noEnvironment(a *app.App, name string) error {
	return usageError{fmt.Errorf("no environment %q in %s: there are %s", name, a.Config, strings.Join(a.Inputs.Config.Names(), ", "))}
}

func runsCommands(tasks []app.Task) bool {
	return slices.ContainsFunc(tasks, func(t app.Task) bool {
		return slices.ContainsFunc(t.Jobs, func(j apply.Job) bool {
			return slices.ContainsFunc(j.Claim.Plan.Steps, func(s rotation.Step) bool { return s.Uses == "check/command" })
		})
	})
}

// failed says whether somebody should look: anything but done, or to be done later as planned. A chain that another
// runner is at work on, or another rotation, is left to them.
func failed(results []app.Result, o app.Options) bool {
	return slices.ContainsFunc(results, func(r app.Result) bool {
		if r.Err != nil {
			return !isBusy(r.Err)
		}
		s := r.Status.Decision.State
		return s == plan.RolledBack && o.RollBack == "" || s == plan.Refused || s == plan.Stuck
	})
}

func isBusy(err error) bool {
	var busy *apply.Busy
	return errors.As(err, &busy) || errors.Is(err, evidence.ErrTaken)
}
