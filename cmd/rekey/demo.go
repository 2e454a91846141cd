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
		Short: "The life of one secret, in a sandbox on this machine",
		Long: `Demo drives this very program through a rotation: a sandbox speaks AWS's protocols over loopback, and its
clock is moved. With --fail something goes wrong in the services, and you see what the program does about it.
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
	c.Flags().StringVar(&o.Out, "out", "demo", "folder for journal, bundles and transcript")
	c.Flags().StringVar(&o.Fail, "fail", "", "let STEP@ENV go wrong")
	return c
}
