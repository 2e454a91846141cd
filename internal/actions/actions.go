// Package actions is Rekey in a job of GitHub Actions: the commands of action.yml over internal/app, with GitHub as the
// place where people ask, approve and read.
//
//	lint   annotations for whatever is wrong in registry, requests and house rules
//	plan   of a pull request: lint, what would happen, a comment
//	due    bring comments, incidents and tickets up to date, and say what is to be asked where
//	apply  do what was approved, or is covered by an earlier approval
//	dates  offer the registry's dates as the journal knows them
//	overdue  look how old everything is, open the requests for what is due, keep the status issue right
//
// It owns the inputs (REKEY_*; composite steps get no INPUT_*), the outputs, and the rule that a text never speaks to
// the runner. It decides nothing about a rotation: plan does; nor about people: policy does.
package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

// A Process is what Run has of the one it runs in.
type Process struct {
	Getenv    func(string) string
	Lookup    func(string) (string, bool) // what command checks may hand on
	Clock     apply.Clock
	Root      string // the checkout
	Nonce     string // random
	Out       io.Writer
	Cloud     cloud.Options     // of tests and the demo; the zero value is the standard configuration
	Transport http.RoundTripper // of calls to GitHub; nil: Go's own
	Checks    *http.Client      // of http checks; nil: a plain one
	Services  http.RoundTripper // see app.World
	Dial      app.Dial          // likewise
}

const (
	// patience is how far ahead something counts as due and is waited for in the job: schedules are late by that much.
	patience = 30 * time.Minute
	// deadline is when a job stops by itself, at a safe point: ten minutes before its timeout in the workflows.
	deadline = 50 * time.Minute
)

// errSaid ends a run whose annotations have said everything.
var errSaid = errors.New("see the annotations")

// Run does what the job's inputs ask for. Its error is for the runner's exit status: everything was annotated.
func Run(ctx context.Context, p Process) error {
	ctx, stop := context.WithTimeout(ctx, deadline)
	defer stop()
	j, err := newJob(p)
	if err == nil {
		err = j.command(ctx)
	}
	j.failAll(err)
	return err
}

// A job is one run of the program.
type job struct {
	Process
	gha *githubactions.Action
	app *app.App
	hub *github.Client // nil where there is no token
}

func newJob(p Process) (*job, error) {
	j := &job{Process: p, gha: githubactions.New(githubactions.WithWriter(p.Out), githubactions.WithGetenv(p.Getenv))}
	w := app.World{
		Root: p.Root, Config: p.Getenv("REKEY_CONFIG"), Evidence: p.Getenv("REKEY_EVIDENCE"), Actor: p.Getenv("REKEY_ACTOR"),
		Commit: commit(p.Root, p.Getenv("GITHUB_SHA")), Program: "action " + p.Getenv("GITHUB_ACTION_REF"),
		Self:  rotation.Runner{ID: j.runURL() + "/attempts/" + p.Getenv("GITHUB_RUN_ATTEMPT"), Nonce: p.Nonce},
		Clock: p.Clock, Lookup: p.Lookup, Cloud: p.Cloud, HTTP: p.Checks, Services: p.Services, Dial: p.Dial, Warn: j.warn,
		Reads: slices.Contains([]string{"due", "dates", "overdue"}, j.input("command")), Preview: slices.Contains([]string{"plan", "overdue"}, j.input("command")),
		Progress: muted(j.gha, terminal.Progress(p.Out, terminal.Style{Several: true})),
	}
	if w.Config == "" {
		w.Config = config.DefaultPath
	}
	if j.input("command") == "apply" {
		w.Patience = patience
		_, w.Shards, _ = question.Part(j.input("shard")) // what isn't one is refused later
	}
	j.app = app.New(w)
	j.identity()
	return j, j.connect()
}

// input is an input of action.yml.
func (j *job) input(name string) string {
	return strings.TrimSpace(j.Getenv("REKEY_" + strings.ToUpper(name)))
}

func (j *job) command(ctx context.Context) error {
	switch c := j.input("command"); c {
	case "lint":
		return j.lint()
	case "plan":
		return j.plan(ctx)
	case "due":
		return j.due(ctx)
	case "apply":
		return j.apply(ctx)
	case "dates":
		return j.dates(ctx)
	case "overdue":
		return j.overdue(ctx)
	default:
		return fmt.Errorf("input command is lint, plan, due, apply, dates or overdue, not %q", c)
	}
}

// identity exchanges the job's OIDC token for roles, unless the job brings credentials of its own.
func (j *job) identity() {
	url, bearer := j.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), j.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if url == "" || bearer == "" || j.Getenv("AWS_ACCESS_KEY_ID") != "" || j.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
		return
	}
	j.app.Hide(bearer)
	j.app.Cloud.WebIdentity = func(ctx context.Context) (string, error) {
		token, err := github.IDToken(ctx, github.TokenOptions{URL: url, Bearer: bearer, Audience: "sts.amazonaws.com", Transport: j.Transport, Clock: j.Clock})
		if err == nil {
			j.app.Hide(token)
		}
		return token, err
	}
}

// connect makes the client of GitHub. Only jobs that rotate nothing may write there.
func (j *job) connect() (err error) {
	token := j.input("token")
	if token == "" {
		return nil
	}
	j.app.Hide(token)
	j.hub, err = github.New(github.Options{API: j.Getenv("GITHUB_API_URL"), Repository: j.Getenv("GITHUB_REPOSITORY"), Token: token,
		ReadOnly: j.input("command") == "apply" || j.input("command") == "lint", Transport: j.Transport, Clock: j.Clock})
	j.app.GitHub, j.app.Bot = j.hub, j.bot()
	return err
}

// bot is the login that jobs write and start workflows as.
func (j *job) bot() string { return cmp.Or(j.input("bot"), actionsBot) }

// actionsBot is whose the workflow's own token is.
const actionsBot = "github-actions[bot]"

func (j *job) runURL() string {
	return fmt.Sprintf("%s/%s/actions/runs/%s", j.Getenv("GITHUB_SERVER_URL"), j.Getenv("GITHUB_REPOSITORY"), j.Getenv("GITHUB_RUN_ID"))
}

// fail annotates an error with its hint.
func (j *job) fail(err error) {
	text := err.Error()
	var failure *rotation.Failure
	if errors.As(err, &failure) && failure.Hint != "" {
		text += "\nhint: " + failure.Hint
	}
	j.gha.Errorf("%s", lines(j.app.Scrub(text)))
}

// failAll annotates all of err that hasn't been.
func (j *job) failAll(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			j.failAll(e)
		}
	} else if err != nil && !errors.Is(err, errSaid) {
		j.fail(err)
	}
}

// findings warns of what a projection found; again says what follows where the answer to a changing call was lost.
func (j *job) findings(t notice.Tally, again string) {
	for _, f := range t.Findings {
		j.warn(j.app.Scrub(fmt.Sprintf("%s %s (%s)", f.URL, f.Text, f.Hint)))
	}
	if t.Again && again != "" {
		j.warn(again)
	}
}

// lostAnswer is what follows where a projection can be repeated.
const lostAnswer = "a changing call got no answer: the next run looks whether it happened"

func (j *job) warn(text string) { j.gha.Warningf("%s", lines(text)) }

// output sets an output. The library marks its end with a line that a value could hold, so a value is one line.
func (j *job) output(name, value string) error {
	if strings.ContainsAny(value, "\r\n") {
		return fmt.Errorf("output %s would be more than one line", name)
	}
	if scrubbed := j.app.Scrub(value); scrubbed != value {
		return fmt.Errorf("output %s would hold a secret", name)
	}
	return kept(func() { j.gha.SetOutput(name, value) })
}

// summary adds to the job's summary. What it can't keep, the log has.
func (j *job) summary(text string) {
	if err := kept(func() { j.gha.AddStepSummary(text) }); err != nil {
		j.warn("the job's summary: " + err.Error())
	}
}

// kept is a write to one of the runner's files. The library panics where it can't.
func kept(write func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the runner's file can't be written: %v", r)
		}
	}()
	write()
	return nil
}

// muted keeps the runner from taking a line of progress, which may quote a command's output, for a command of ours.
func muted(a *githubactions.Action, next func(*rotation.Plan, rotation.Record)) func(*rotation.Plan, rotation.Record) {
	var mu sync.Mutex // what is stopped by one must not be resumed by another
	return func(p *rotation.Plan, r rotation.Record) {
		mu.Lock()
		defer mu.Unlock()
		quote(a, func() { next(p, r) })
	}
}

// quote lets print write what may hold anything.
func quote(a *githubactions.Action, print func()) {
	token := token()
	a.IssueCommand(&githubactions.Command{Name: "stop-commands", Message: token})
	print()
	a.IssueCommand(&githubactions.Command{Name: token})
}

// lines makes a text safe behind a workflow command: the library escapes line breaks there, and no others count.
func lines(s string) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range all {
		all[i] = problem.Plain(strings.TrimSpace(l))
	}
	return strings.Join(all, "\n")
}
