package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

// flags are those every command has.
type flags struct {
	process
	config, evidence, actor string
}

// app makes the world of this process.
func (f *flags) app(c *cobra.Command) (*app.App, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return app.New(app.World{
		Root: root, Config: f.config, Evidence: f.evidence, Program: programVersion(), Lookup: os.LookupEnv, Clock: f.clock,
		Actor:  f.person(),
		Commit: os.Getenv("GITHUB_SHA"),
		Self:   self(),
		Warn:   func(s string) { fmt.Fprintln(c.ErrOrStderr(), "warning: "+s) },
	}), nil
}

// loaded is app with everything people wrote, which must be right: else errFound, and the App if that can still
// take something back.
func (f *flags) loaded(c *cobra.Command, paths []string) (*app.App, error) {
	a, err := f.app(c)
	if err != nil {
		return nil, err
	}
	if found := a.Load(paths...); found.Len() > 0 {
		fmt.Fprint(c.ErrOrStderr(), found)
		if !a.Ruled(found) || a.Actor == "" {
			a = nil
		}
		return a, errFound
	}
	for _, p := range paths {
		if !a.Has(p) {
			return nil, usageError{fmt.Errorf("%s is no request in %s/", p, a.Inputs.Config.Requests)}
		}
	}
	return a, nil
}

var nobody = usageError{errors.New("nobody answers for it: give --actor LOGIN")}

// acting is loaded for what changes things: somebody must answer for it.
func (f *flags) acting(c *cobra.Command, paths []string) (*app.App, error) {
	a, err := f.loaded(c, paths)
	if err != nil {
		return a, err
	}
	if a.Actor == "" {
		return nil, nobody
	}
	return a, nil
}

// self names this process where people would look for it.
func self() rotation.Runner {
	id := ""
	if run := os.Getenv("GITHUB_RUN_ID"); run != "" {
		id = fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%s", cmp.Or(os.Getenv("GITHUB_SERVER_URL"), "https://github.com"),
			os.Getenv("GITHUB_REPOSITORY"), run, cmp.Or(os.Getenv("GITHUB_RUN_ATTEMPT"), "1"))
	} else {
		host, _ := os.Hostname()
		id = fmt.Sprintf("%s pid %d", cmp.Or(host, "unknown host"), os.Getpid())
	}
	return rotation.Runner{ID: id, Nonce: rand.Text()}
}

// style is how the terminal wants texts.
func style(c *cobra.Command) terminal.Style {
	s := terminal.Style{Width: 100}
	if f, ok := c.OutOrStdout().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			s.Width = w
		}
		s.Color = os.Getenv("NO_COLOR") == "" && !strings.EqualFold(os.Getenv("TERM"), "dumb")
	}
	return s
}
