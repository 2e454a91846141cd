package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice/runs"
)

// actionsBot is who acts with a job's own token.
const actionsBot = "github-actions[bot]"

// hub is a client of GitHub with the token that gh uses, too; without one it asks as nobody.
func (f *flags) hub(repository string, readOnly bool) (*github.Client, error) {
	return github.New(github.Options{API: os.Getenv("GITHUB_API_URL"), Repository: repository, Token: token(), ReadOnly: readOnly, Clock: f.clock})
}

func token() string { return cmp.Or(os.Getenv("GITHUB_TOKEN"), os.Getenv("GH_TOKEN")) }

// see gives the app what it needs to look at workflows, where the variables say what that is.
func (f *flags) see(a *app.App) (err error) {
	repository := os.Getenv("GITHUB_REPOSITORY")
	if token() == "" || repository == "" {
		return nil
	}
	a.Hide(token())
	a.Bot = actionsBot
	a.GitHub, err = f.hub(repository, true)
	return err
}

// applied carries the tasks on. A workflow that they wait for is started and then watched, until none is left to be started.
func (f *flags) applied(c *cobra.Command, a *app.App, tasks []app.Task, o app.Options) (results []app.Result, err error) {
	for {
		if results, err = a.Apply(c.Context(), tasks, o); err != nil {
			return nil, err
		}
		if started, err := f.begin(c.Context(), c, a, results, o.OnlyBack); started == 0 || err != nil {
			return results, err
		}
		o.Again = false // that was one attempt
	}
}

// begin starts the workflows that results wait for, and answers how many it did. What it can't start, a person can by the
// line it prints.
func (f *flags) begin(ctx context.Context, c *cobra.Command, a *app.App, results []app.Result, onlyBack bool) (started int, err error) {
	read := f.clock.Now()
	asks, err := a.Asks(results, onlyBack)
	if err != nil || len(asks) == 0 {
		return 0, err
	}
	var wrong error
	if a.GitHub != nil {
		hub, err := f.hub(a.GitHub.Repository(), false)
		if err != nil {
			return 0, err
		}
		p := &runs.Projector{In: func(repository string) runs.GitHub { return hub.In(repository) }, Bot: a.Bot, Now: f.clock.Now, Read: read}
		t, err := p.Write(ctx, asks)
		for _, found := range t.Findings {
			a.Warn(found.URL + " " + found.Text)
		}
		if started, wrong = t.Created, err; wrong == nil {
			return started, nil
		}
		a.Warn(a.Scrub(wrong.Error()))
	}
	fmt.Fprintln(c.ErrOrStderr(), "Start what waits by hand, as @"+a.Actor+" on GitHub:")
	for _, ask := range asks {
		fmt.Fprintln(c.ErrOrStderr(), "  "+ask.Command())
	}
	return started, nil
}
