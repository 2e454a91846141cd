package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/schema"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema " + strings.Join(schema.Names(), "|"),
		Short: "Print a JSON Schema for completion in editors",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := schema.Get(args[0])
			if err != nil {
				return usageError{err}
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		},
	}
}
