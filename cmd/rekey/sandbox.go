package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
)

// The sandbox's repository, and the one token there. It opens nothing else.
const (
	sandboxRepository = "rastup/shop"
	sandboxToken      = "ghp_sandbox0only0never0a0real0token0000"
)

func newSandbox(f *flags) *cobra.Command {
	var listen string
	var port uint16
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a small AWS and GitHub on loopback, for trying things by hand",
		Long: `Sandbox serves Secrets Manager, S3 with Object Lock, CloudWatch Logs, STS and IAM on this machine, with a
secret in three environments, and GitHub's REST API with a repository and its GitHub Environments. It refuses what AWS
and GitHub refuse. It plays no workflow: "rekey demo" does. Nothing is kept when it stops.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			w := sandbox.New(f.clock)
			s, err := sandbox.Seed(w)
			if err != nil {
				return err
			}
			aws, err := sandbox.Serve(ctx, w, listen)
			if err != nil {
				return usageError{err}
			}
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
			if err != nil {
				return usageError{fmt.Errorf("listen for GitHub: %w", err)}
			}
			hub := &http.Server{Handler: smallGitHub(f, s).Handler(), ReadHeaderTimeout: time.Minute}
			context.AfterFunc(ctx, func() { _ = hub.Close() })
			failed := make(chan error, 1)
			go func() {
				failed <- hub.Serve(l)
				stop() // neither goes on alone
			}()
			exports(c.OutOrStdout(), aws.URL(), s, l.Addr())
			fmt.Fprintf(c.ErrOrStderr(), "account %s: bucket %s, log group %s, secrets", s.Account, s.Bucket, s.LogGroup)
			for _, env := range s.Environments {
				fmt.Fprintf(c.ErrOrStderr(), " %s", s.Secrets[env])
			}
			fmt.Fprintf(c.ErrOrStderr(), "\nCtrl-C stops it\n")
			err = aws.Wait()
			stop()
			if closed := <-failed; !errors.Is(closed, http.ErrServerClosed) {
				err = errors.Join(err, closed)
			}
			return err
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "loopback address of AWS")
	c.Flags().Uint16Var(&port, "github", 4567, "port on 127.0.0.1 of GitHub")
	return c
}

// exports is for a shell.
func exports(out io.Writer, aws string, s sandbox.Scenario, hub net.Addr) {
	fmt.Fprintf(out, `export AWS_ENDPOINT_URL=%[1]s
export AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s
export AWS_ACCESS_KEY_ID=%[3]s
export AWS_SECRET_ACCESS_KEY=%[4]s
export GITHUB_API_URL=http://%[5]s
export GITHUB_REPOSITORY=%[6]s
export GITHUB_TOKEN=%[7]s
`, aws, s.Region, sandbox.AccessKeyID, sandbox.SecretAccessKey, hub, sandboxRepository, sandboxToken)
}

// smallGitHub is a repository with GitHub Environments, whose administrator holds the token.
func smallGitHub(f *flags, s sandbox.Scenario) *github.Service {
	hub := github.New(f.clock, github.Options{Repository: sandboxRepository})
	hub.AddUser("operator", "admin", false)
	hub.AddToken(sandboxToken, "operator", map[string]string{"metadata": "read", "contents": "write", "issues": "write", "pull-requests": "write",
		"actions": "write", "deployments": "write", "administration": "write"})
	hub.Commit("main", "operator", "Begin", map[string]string{"README.md": "A shop.\n"})
	for _, env := range s.Environments {
		hub.SetEnvironment(github.Environment{Name: "rekey-" + env, Branches: []string{"main"}, Reviewers: []string{"operator"}})
		hub.SetEnvironment(github.Environment{Name: "rekey-" + env + "-continue", Branches: []string{"main"}})
	}
	return hub
}
