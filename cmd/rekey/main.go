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
	"time"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/child"
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

// A process is what run has of the one it runs in.
type process struct {
	clock     apply.Clock
	out, errs io.Writer
	unsealed  error // why commands could read the variables this process was started with; nil: they can't
}

func main() {
	p := process{clock: apply.Machine{Time: time.Now}, out: os.Stdout, errs: os.Stderr}
	// First of all, while no other goroutine runs. Where nothing like it exists, the variables are as safe from
	// other programs of the same user as the system keeps them: rekey runs there by hand, not in a workflow.
	if err := child.Seal(); !errors.Is(err, errors.ErrUnsupported) {
		p.unsealed = err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, p, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, p process, args []string) int {
	errs := p.errs
	root := newRoot(p)
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
