// Command action is Rekey as a GitHub Action. It owns the process: its environment, its clock, its signals.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rastup/rekey/internal/actions"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/child"
)

func main() {
	if err := child.Seal(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		fmt.Printf("::error::%s\n", err) // a system's own words
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	root, err := os.Getwd()
	if err == nil {
		err = actions.Run(ctx, actions.Process{Getenv: os.Getenv, Lookup: os.LookupEnv, Clock: apply.Machine{Time: time.Now}, Root: root,
			Nonce: rand.Text(), Out: os.Stdout})
	}
	if err != nil {
		return 1
	}
	return 0
}
