package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/demo"
)

func newDemo() *cobra.Command {
	o := demo.Options{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Some days of a company, in a sandbox on this machine",
		Long: `Demo lets a company rotate a secret on GitHub, with this very program and the workflows you would copy: request,
plan, review, merge, approvals, three environments, 48 hours, decommission. Then, in one environment, a secret of each
other kind. A sandbox speaks the protocols of AWS, GitHub and all these services over loopback and plays GitHub's
scheduler; its clock is moved. With --fail something goes wrong in the services of the first secret, and you see what
the program does about it, and what people do next.
Steps: ` + strings.Join(demo.Steps(), ", ") + ".",
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			o.Style = style(c)
			err := demo.Run(c.Context(), c.OutOrStdout(), o)
			var bad *demo.BadFail
			if errors.As(err, &bad) {
				return usageError{err}
			}
			return err
		},
	}
	c.Flags().StringVar(&o.Out, "out", "demo", "folder for the pull request's page, the evidence, logs and transcript")
	c.Flags().StringVar(&o.Fail, "fail", "", "let STEP@ENV go wrong")
	return c
}
