package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/sarif"
	"github.com/rastup/rekey/internal/report/terminal"
)

func newOverdue(f *flags) *cobra.Command {
	var format, failOn string
	var all bool
	c := &cobra.Command{
		Use:   "overdue",
		Short: "How old every secret is, what is due, and what the registry and reality don't share; changes nothing",
		Long: `Overdue looks at what is live in every environment, by metadata alone, and says of each secret of the registry
whether it is stuck, overdue, due soon, in progress, current, exempt, or of unknown age, and by whose word.
It also says what differs: rows without a secret, secrets without a row, dates that aren't those of what is live,
what was rotated past Rekey, and what was left behind.

--fail-on makes it end with exit status 1 where a secret is in one of the states named, or with "findings" where
something differs: --fail-on stuck,overdue,findings.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			fails, err := overdue.Failing(failOn)
			if err != nil {
				return usageError{fmt.Errorf("--fail-on: %w", err)}
			}
			if !slices.Contains(formats, format) {
				return usageError{fmt.Errorf("no format %q: there are %s", format, strings.Join(formats, ", "))}
			}
			a, err := f.loaded(c, nil)
			if err != nil {
				return err
			}
			s, err := scan(c, a)
			if err != nil {
				return err
			}
			err = printScan(c, s, format, all)
			if err == nil && fails(s) {
				err = errFound
			}
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "text", "how to print: "+strings.Join(formats, ", "))
	c.Flags().BoolVar(&all, "all", false, "list the secrets that need nobody, too")
	c.Flags().StringVar(&failOn, "fail-on", "", "states, with commas between, that make it end with exit status 1; findings, too")
	return c
}

var formats = []string{"text", "json", "markdown", "sarif"}

// scan looks at everything with the roles that only read.
func scan(c *cobra.Command, a *app.App) (overdue.Scan, error) {
	a.Reads, a.Preview = true, true
	return a.Scan(c.Context())
}

func printScan(c *cobra.Command, s overdue.Scan, format string, all bool) error {
	switch format {
	case "json":
		return json.NewEncoder(c.OutOrStdout()).Encode(s)
	case "sarif":
		return sarif.Write(c.OutOrStdout(), s)
	case "markdown":
		_, err := fmt.Fprintln(c.OutOrStdout(), comment.Overdue(s, comment.OverdueOptions{}))
		return err
	}
	return terminal.Overdue(c.OutOrStdout(), s, all, style(c))
}
