// Command action is Rekey as a GitHub Action: what the command line does, with annotations at file and line and a
// job summary. It reads its inputs as REKEY_* (composite steps get no INPUT_*) and owns no rule of its own.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/child"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

func main() {
	a := githubactions.New()
	if err := child.Seal(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		a.Fatalf("%s", oneLine(err.Error()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, a); err != nil {
		a.Fatalf("%s", oneLine(err.Error()))
	}
}

func run(ctx context.Context, a *githubactions.Action) error {
	w := world(a)
	w.Progress = muted(a, terminal.Progress(os.Stdout, terminal.Style{Several: true}))
	rekey := app.New(w)
	paths := strings.Fields(a.Getenv("REKEY_REQUESTS"))
	if found := rekey.Load(paths...); found.Len() > 0 {
		annotate(a, found)
		err := fmt.Errorf("%d problems in registry, requests or configuration", len(found.Sorted()))
		if a.Getenv("REKEY_COMMAND") == "apply" && rekey.Ruled(found) && rekey.Actor != "" {
			err = errors.Join(err, takeBack(ctx, a, rekey)) // what is going back doesn't wait for them
		}
		return err
	}
	switch command := a.Getenv("REKEY_COMMAND"); command {
	case "lint":
		a.Infof("%d secrets, %d requests: no problems", len(rekey.Inputs.Registry.Entries), len(rekey.Inputs.Requests))
		return nil
	case "apply":
		return carry(ctx, a, rekey, paths)
	default:
		return fmt.Errorf("input command is lint or apply, not %q", command)
	}
}

func carry(ctx context.Context, a *githubactions.Action, rekey *app.App, paths []string) error {
	o := app.Options{Environment: a.Getenv("REKEY_ENVIRONMENT")}
	if _, ok := rekey.Inputs.Config.Environment(o.Environment); !ok {
		return fmt.Errorf("input environment %q is not in %s", o.Environment, rekey.Config)
	}
	if rekey.Actor == "" {
		return errors.New("input actor: nobody answers for it")
	}
	for _, p := range paths {
		if !rekey.Has(p) { // else it would be done at once, and nothing
			return fmt.Errorf("input requests: %q is no request in %s/", p, rekey.Inputs.Config.Requests)
		}
	}
	tasks, err := rekey.Tasks(ctx, paths...)
	if err != nil {
		return err
	}
	return advance(ctx, a, rekey, tasks, o)
}

func takeBack(ctx context.Context, a *githubactions.Action, rekey *app.App) error {
	tasks, err := rekey.Begun(ctx, "")
	if err != nil {
		return err
	}
	return advance(ctx, a, rekey, tasks, app.Options{Environment: a.Getenv("REKEY_ENVIRONMENT"), OnlyBack: true})
}

// advance carries the tasks on and shows how they stand.
func advance(ctx context.Context, a *githubactions.Action, rekey *app.App, tasks []app.Task, o app.Options) error {
	results, err := rekey.Apply(ctx, tasks, o)
	if err != nil {
		return err
	}
	var out strings.Builder
	if err := terminal.Status(&out, rekey.Views(results), terminal.Style{Width: 120}); err != nil {
		return err
	}
	a.AddStepSummary("```text\n" + strings.ReplaceAll(out.String(), "```", "'''") + "```\n")
	return failures(a, rekey, results)
}

func failures(a *githubactions.Action, rekey *app.App, results []app.Result) error {
	failed := 0
	for _, r := range results {
		var busy *apply.Busy
		s := r.Status.Decision
		switch {
		case r.Err != nil && !errors.As(r.Err, &busy):
			a.Errorf("%s", oneLine(rekey.Scrub(r.Err.Error())))
		case s.State == plan.RolledBack, s.State == plan.Refused, s.State == plan.Stuck:
			a.Errorf("%s", oneLine(fmt.Sprintf("%s: %s: %s", r.Status.Plan.Chain, s.State, s.Why)))
		default:
			continue
		}
		failed++
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rotations need somebody", failed, len(results))
	}
	return nil
}

func world(a *githubactions.Action) app.World {
	root, err := os.Getwd()
	if err != nil {
		a.Fatalf("%s", oneLine(err.Error()))
	}
	config := a.Getenv("REKEY_CONFIG")
	if config == "" {
		config = ".github/rekey.yml"
	}
	run := fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%s", a.Getenv("GITHUB_SERVER_URL"), a.Getenv("GITHUB_REPOSITORY"),
		a.Getenv("GITHUB_RUN_ID"), a.Getenv("GITHUB_RUN_ATTEMPT"))
	return app.World{
		Root: root, Config: config, Evidence: a.Getenv("REKEY_EVIDENCE"), Actor: a.Getenv("REKEY_ACTOR"), Commit: a.Getenv("GITHUB_SHA"),
		Program: "action " + a.Getenv("GITHUB_ACTION_REF"), Self: rotation.Runner{ID: run, Nonce: rand.Text()},
		Clock: apply.Machine{Time: time.Now}, Lookup: os.LookupEnv,
		Warn: func(s string) { a.Warningf("%s", oneLine(s)) },
	}
}

// annotate puts each problem at its line.
func annotate(a *githubactions.Action, found *problem.List) {
	for _, p := range found.Sorted() {
		at := map[string]string{"file": p.File, "title": p.Rule}
		if p.Line > 0 {
			at["line"], at["col"] = fmt.Sprint(p.Line), fmt.Sprint(max(p.Col, 1))
		}
		text := problem.Plain(p.Msg)
		if p.Hint != "" {
			text += "\nhint: " + problem.Plain(p.Hint)
		}
		a.WithFieldsMap(at).Errorf("%s", text)
	}
}

// muted keeps the runner from taking a line of progress, which may quote a command's output, for a command of ours.
func muted(a *githubactions.Action, next func(*rotation.Plan, rotation.Record)) func(*rotation.Plan, rotation.Record) {
	var mu sync.Mutex // what is stopped by one must not be resumed by another
	return func(p *rotation.Plan, r rotation.Record) {
		mu.Lock()
		defer mu.Unlock()
		token := rand.Text()
		a.IssueCommand(&githubactions.Command{Name: "stop-commands", Message: token})
		next(p, r)
		a.IssueCommand(&githubactions.Command{Name: token})
	}
}

// oneLine makes a text safe behind a workflow command.
func oneLine(s string) string { return problem.Plain(strings.Join(strings.Fields(s), " ")) }
