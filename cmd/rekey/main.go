// Command rekey rotates secrets from request files, by hand with one's own cloud profile or in a workflow.
// It owns the command line, the process's environment and its clock; all else is internal/app's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/rotation"
)

// Exit statuses.
const (
	exitDone  = 0
	exitFound = 1 // findings, or a rotation that failed or isn't known to have succeeded
	exitUsage = 2
)

// errFound ends a command whose output has said everything already.
var errFound = errors.New("findings")

// A usageError is a command line that can't be meant.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	root := newRoot(out, errs)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var failure *rotation.Failure
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		return exitFound
	case errors.As(err, &usage):
		fmt.Fprintf(errs, "error: %v\nhint: rekey %s--help\n", err, subcommand(root, args))
		return exitUsage
	case errors.As(err, &failure) && failure.Hint != "":
		fmt.Fprintf(errs, "error: %v\nhint: %s\n", err, failure.Hint)
	default:
		fmt.Fprintf(errs, "error: %v\n", err)
	}
	return exitFound
}

func subcommand(root *cobra.Command, args []string) string {
	if c, _, err := root.Find(args); err == nil && c != root {
		return c.Name() + " "
	}
	return ""
}
