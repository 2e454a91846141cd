package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/problem"
)

func newLint(f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Check registry, requests and configuration; every problem at file:line:col",
		Long: `Lint reads everything people wrote and reports all problems at once. Requests that are named are held
against the present, too: a window that has passed is a mistake in a new request, and history in an old one.`,
		RunE: func(c *cobra.Command, paths []string) error {
			a, err := f.app(c)
			if err != nil {
				return err
			}
			found := a.Check(paths...)
			if asJSON {
				list := found.Sorted()
				if list == nil {
					list = []problem.Problem{}
				}
				if err := json.NewEncoder(c.OutOrStdout()).Encode(list); err != nil {
					return err
				}
			} else {
				fmt.Fprint(c.OutOrStdout(), found)
			}
			if found.Len() > 0 {
				if n := len(found.Sorted()); !asJSON {
					fmt.Fprintf(c.ErrOrStderr(), "%d %s\n", n, plural(n, "problem"))
				}
				return errFound
			}
			if !asJSON {
				fmt.Fprintf(c.ErrOrStderr(), "%d %s, %d %s: no problems\n", len(a.Inputs.Registry.Entries), plural(len(a.Inputs.Registry.Entries), "secret"),
					len(a.Inputs.Requests), plural(len(a.Inputs.Requests), "request"))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print problems as JSON")
	return c
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
