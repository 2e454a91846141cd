package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/policy"
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
request that may still begin and every rotation that is open. It can be stopped and run again at any time.

What an environment asks an approval for isn't begun by hand, unless that approval is on record. In an emergency
--break-glass REASON goes on without: REASON is kept in the journal, and an after-review issue is opened. Whether one
is open, which would hold an ordinary rotation back on GitHub, can't be seen from here.`,
		RunE: func(c *cobra.Command, paths []string) error {
			if c.Flags().Changed("break-glass") {
				var err error
				if o.BreakGlass, err = policy.Reason(o.BreakGlass); err != nil {
					return usageError{err}
				}
				if len(paths) == 0 {
					return usageError{errors.New("--break-glass goes on without an approval: name the request it is for")}
				}
			}
			return carry(c, f, o, wait, asJSON, paths)
		},
	}
	c.Flags().StringVarP(&o.Environment, "environment", "e", "", "the environment (required)")
	c.Flags().BoolVar(&o.Again, "again", false, "start rolled-back rotations again, as a new attempt")
	c.Flags().StringVar(&o.BreakGlass, "break-glass", "", "why what is asked for can't wait for its approval")
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
	prepared := f.prepared
	if o.RollBack != "" {
		prepared = f.begun
	}
	a, tasks, err := prepared(c, paths)
	if errors.Is(err, errFound) && a != nil && o.RollBack == "" { // what is going back goes on going back
		o.OnlyBack = true
		tasks, err = a.Begun(c.Context(), "")
	}
	if err != nil {
		return err
	}
	if _, ok := a.Inputs.Config.Environment(o.Environment); !ok {
		return noEnvironment(a, o.Environment)
	}
	if err := f.see(a); err != nil {
		return err
	}
	a.Patience = wait
	a.Progress = terminal.Progress(c.ErrOrStderr(), style(c))
	if f.unsealed != nil && o.RollBack == "" && runsCommands(tasks) {
		return fmt.Errorf("command checks could read the variables rekey was started with, credentials among them: %w", f.unsealed)
	}
	o.ByHand = true
	results, err := f.applied(c, a, tasks, o)
	if err == nil && len(results) == 0 && o.RollBack != "" {
		err = rotation.Failf("see rekey status", "%s has nothing in %s to roll back", paths[0], o.Environment)
	}
	if err != nil {
		return err
	}
	if o.OnlyBack {
		results = slices.DeleteFunc(results, func(r app.Result) bool {
			d := r.Status.Decision
			return r.Err == nil && d.Step.Phase != rotation.Rollback && (d.State != plan.RolledBack || !r.Status.Appended)
		})
	}
	switch {
	case asJSON:
		err = json.NewEncoder(c.OutOrStdout()).Encode(outcomes(results, a))
	case len(results) > 0 || !o.OnlyBack:
		err = printResults(c, a, results)
	}
	if err == nil && (o.OnlyBack || slices.ContainsFunc(results, func(r app.Result) bool { return r.NeedsSomebody(o) })) {
		err = errFound
	}
	return err
}

// prepared is what can begin or is open. With errFound the App, where there is one, can still take back.
func (f *flags) prepared(c *cobra.Command, paths []string) (*app.App, []app.Task, error) {
	a, err := f.acting(c, paths)
	if err != nil {
		return a, nil, err
	}
	tasks, err := a.Tasks(c.Context(), paths...)
	return a, tasks, err
}

// begun is prepared for taking back. That needs nothing but the house rules and the journal: a request that is gone,
// or somebody's mistake in a registry, must not keep an old credential from coming back.
func (f *flags) begun(c *cobra.Command, paths []string) (*app.App, []app.Task, error) {
	a, err := f.app(c)
	if err != nil {
		return nil, nil, err
	}
	found := a.Load(paths...)
	if found.Len() == 0 && a.Has(paths[0]) {
		return f.prepared(c, paths)
	}
	fmt.Fprint(c.ErrOrStderr(), found)
	switch {
	case !a.Ruled(found):
		return nil, nil, errFound
	case a.Actor == "":
		return nil, nil, nobody
	}
	name := strings.TrimSuffix(path.Base(paths[0]), ".yaml")
	tasks, err := a.Begun(c.Context(), name)
	if err == nil && len(tasks) == 0 {
		err = usageError{fmt.Errorf("%s is no request in %s/, and the journal has no rotation %s open", paths[0], a.Inputs.Config.Requests, name)}
	}
	return a, tasks, err
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
