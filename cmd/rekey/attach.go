package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/rotation"
)

func newAttach(f *flags) *cobra.Command {
	var environment string
	c := &cobra.Command{
		Use:   "attach --environment ENV REQUEST FILE...",
		Short: "Add supporting evidence, such as a screenshot, to a rotation",
		Long: `Attach stores files in the rotation's bundle and their digests in its chain. Look at them first: nothing
removes a secret from a picture, and what is stored can't be deleted.`,
		Args: arguments(cobra.MinimumNArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			if environment == "" {
				return usageError{errors.New("which environment? give --environment ENV")}
			}
			var files []rotation.File
			for _, path := range args[1:] {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				files = append(files, rotation.File{Name: filepath.Base(path), Data: data})
			}
			a, err := f.acting(c, args[:1])
			if err != nil {
				return err
			}
			tasks, err := a.Tasks(c.Context(), args[0])
			if err != nil {
				return err
			}
			if len(tasks) != 1 {
				return usageError{fmt.Errorf("%s is for %d secrets: attach to a request for one", args[0], len(tasks))}
			}
			if !slices.ContainsFunc(tasks[0].Jobs, func(j apply.Job) bool { return j.Claim.Plan.Environment == environment }) {
				return noEnvironmentOf(a, tasks[0], environment)
			}
			head, err := a.Attach(c.Context(), tasks[0], environment, files)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d %s attached to %s: record %d, head %s\n", len(files), plural(len(files), "file"), head.Chain, head.Seq, head.Digest)
			return nil
		},
	}
	c.Flags().StringVarP(&environment, "environment", "e", "", "the environment (required)")
	return c
}

func noEnvironmentOf(a *app.App, t app.Task, environment string) error {
	if _, ok := a.Inputs.Config.Environment(environment); !ok {
		return noEnvironment(a, environment)
	}
	return usageError{fmt.Errorf("the registry has no %s in %s", t.Secret, environment)}
}
