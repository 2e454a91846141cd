package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build; a source build tells its commit.
var version = ""

func newRoot(process process) *cobra.Command {
	f := &flags{process: process}
	root := &cobra.Command{
		Use:   "rekey",
		Short: "Rotate secrets and keys from request files, with proof",
		Long: `Rekey rotates secrets and keys. A request is a YAML file; each environment is rotated in order,
every step is proven and recorded in a journal nobody can alter, and what fails is rolled back.

Start with "rekey demo", then "rekey lint" in your own repository.`,
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(process.out)
	root.SetErr(process.errs)
	root.SetVersionTemplate("rekey {{.Version}}\n")
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	p := root.PersistentFlags()
	p.StringVar(&f.config, "config", ".github/rekey.yml", "the house rules, in the repository you stand in")
	p.StringVar(&f.evidence, "evidence", "", "evidence store, instead of the configured one: s3://BUCKET/PREFIX or file://DIR")
	p.StringVar(&f.actor, "actor", "", "the person who answers for it, by login (default: $REKEY_ACTOR, else $USER)")
	root.AddCommand(newLint(f), newPlan(f), newApply(f), newRollback(f), newStatus(f), newOverdue(f), newReport(f), newVerify(f), newAttach(f),
		newInit(f), newSchema(), newDemo(), newSandbox(f))
	return root
}

func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %q?", err, near[0])
	}
	return usageError{err}
}

// arguments makes usage errors of cobra.ExactArgs and its like.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check(c, args) != nil {
			return usageError{fmt.Errorf("%d %s given, but it is: rekey %s", len(args), plural(len(args), "argument"), c.Use)}
		}
		return nil
	}
}

func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "source " + s.Value[:min(12, len(s.Value))]
		}
	}
	return info.Main.Version
}
