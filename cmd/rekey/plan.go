package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/report/terminal"
)

func newPlan(f *flags) *cobra.Command {
	var live, asJSON bool
	c := &cobra.Command{
		Use:   "plan [REQUEST...]",
		Short: "What would happen, step by step; never changes anything",
		Long: `Plan shows the steps, windows and dates of the requests named, or of all that may still begin. It needs no
credentials. With --live it also runs each preflight, which only reads, and says what stands in the way now.`,
		RunE: func(c *cobra.Command, paths []string) error {
			a, err := f.loaded(c, paths)
			if err != nil {
				return err
			}
			plans, err := a.Plans(paths...)
			if err != nil {
				return err
			}
			var notes []apply.Note
			if live {
				if err := f.see(a); err != nil {
					return err
				}
				notes = a.Preflight(c.Context(), plans)
			}
			if asJSON {
				if err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"plans": plans, "live": notes}); err != nil {
					return err
				}
			} else if err := terminal.Plan(c.OutOrStdout(), plans, append(derived(a, paths), texts(notes)...), a.Clock.Now(), style(c)); err != nil {
				return err
			}
			for _, n := range notes {
				if !n.OK {
					return errFound
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&live, "live", false, "look at what is live, too: read access is enough")
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

// derived says of the requests named why they are for more than they name.
func derived(a *app.App, paths []string) (all []string) {
	for _, r := range a.Inputs.Requests {
		for _, secret := range r.Secrets {
			if from := r.Derived[secret]; from != "" && (len(paths) == 0 || slices.Contains(paths, r.Path)) {
				all = append(all, fmt.Sprintf("%s is derived from %s, which %s says is stolen (derived: false leaves it out)", secret, from, r.Path))
			}
		}
	}
	return all
}

func texts(notes []apply.Note) (all []string) {
	for _, n := range notes {
		mark := "✔"
		if !n.OK {
			mark = "✘"
		}
		s := fmt.Sprintf("%s %s: %s", mark, n.Chain, n.Text)
		if n.Hint != "" {
			s += " (hint: " + n.Hint + ")"
		}
		all = append(all, s)
		if n.Users != "" {
			all = append(all, fmt.Sprintf("  %s: %s", n.Chain, n.Users))
		}
	}
	return all
}
