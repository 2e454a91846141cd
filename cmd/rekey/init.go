package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/evidence"
)

func newInit(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make the evidence store ready, once in its life",
		Long: `Init looks that the evidence store keeps what is written to it (versioning and Object Lock of a bucket) and
writes its marker. Nothing runs on a store without one: an emptied or a swapped store is noticed.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := f.loaded(c, nil)
			if err != nil {
				return err
			}
			m, err := a.Init(c.Context())
			if errors.Is(err, evidence.ErrExists) {
				fmt.Fprintln(c.OutOrStdout(), "the evidence store is ready already")
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "the evidence store is ready: %s\n", m.Store)
			return nil
		},
	}
}
