package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/sandbox"
)

func newSandbox(f *flags) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a small AWS on loopback, for trying things by hand",
		Long: `Sandbox serves Secrets Manager, S3 with Object Lock, CloudWatch Logs, STS and IAM on this machine, with a
secret in three environments. It refuses what AWS refuses. Nothing is kept when it stops.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			w := sandbox.New(f.clock)
			s, err := sandbox.Seed(w)
			if err != nil {
				return err
			}
			server, err := sandbox.Serve(c.Context(), w, listen)
			if err != nil {
				return usageError{err}
			}
			fmt.Fprintf(c.OutOrStdout(), `export AWS_ENDPOINT_URL=%[1]s
export AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s
export AWS_ACCESS_KEY_ID=%[3]s
export AWS_SECRET_ACCESS_KEY=%[4]s
`, server.URL(), s.Region, sandbox.AccessKeyID, sandbox.SecretAccessKey)
			fmt.Fprintf(c.ErrOrStderr(), "account %s: bucket %s, log group %s, secrets", s.Account, s.Bucket, s.LogGroup)
			for _, env := range s.Environments {
				fmt.Fprintf(c.ErrOrStderr(), " %s", s.Secrets[env])
			}
			fmt.Fprintf(c.ErrOrStderr(), "\nCtrl-C stops it\n")
			return server.Wait()
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "loopback address")
	return c
}
