package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

const (
	home, other = "rastup/rekey", "rastup/shop"
	bot         = "rekey[bot]"
	file        = ".github/workflows/deploy.yml"

	looked, deploy, adopted, back = "consumer/shop", "deploy/shop", "adopted/shop", "back/shop"
)

const deployFile = `name: deploy
run-name: deploy ${{ inputs.rekey }}
on:
  workflow_dispatch:
    inputs:
      rekey: {type: string, required: true}
      version: {type: string}
      environment: {type: choice, options: [dev, prod]}
      region: {type: string, required: true}
jobs:
  deploy: {runs-on: ubuntu-24.04, steps: [{run: ./deploy}]}
`

// A lab is a repository with a workflow that deploys, and a rotation gone through step by step.
type lab struct {
	t       *testing.T
	clock   *sandbox.Clock
	home    *world.Service
	hub     *world.Service // the one with the workflow
	url     string
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    []string
}

func newLab(t *testing.T, change func(*Shape)) *lab {
	t.Helper()
	l := &lab{t: t, clock: sandbox.NewClock(start)}
	l.home = world.New(l.clock, world.Options{Repository: home, Limits: world.Limits{PerHour: -1, PointsPerMinute: -1, CreatePerMinute: -1}})
	l.hub = l.home.In(other)
	for _, r := range []*world.Service{l.home, l.hub} {
		r.AddUser(bot, "write", true)
		r.AddUser("li-pay", "write", false)
		r.AddUser("mallory", "write", false)
		r.AddToken("reads", bot, map[string]string{"actions": "read", "contents": "read"})
		r.Commit("main", "li-pay", "Begin", map[string]string{file: deployFile})
	}
	server := httptest.NewServer(l.home.Handler())
	t.Cleanup(server.Close)
	l.url = server.URL
	shape := Shape{Workflow: "deploy.yml", Repository: other, Inputs: map[string]string{"region": "eu-central-1"}}
	if change != nil {
		change(&shape)
	}
	with, err := json.Marshal(shape)
	l.ok(err)
	l.plan.Chain = rotation.Chain{Environment: "dev", Secret: "shop/token"}
	for key, function := range map[string]string{looked: "preflight", deploy: "deploy", adopted: "adopted", back: "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "r1/shop~token/dev/1/" + key, Key: key, Name: function, Uses: "consumer/workflow", With: with,
			Looks: function == "preflight" || function == "adopted", Reads: []string{"preflight", "create", "promote", looked, deploy}})
	}
	l.records = []rotation.Record{
		{Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "li-pay"}}},
		{Outcome: rotation.Done, Step: "preflight", Facts: map[string]string{"old": "OLD"}},
		{Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": "NEW"}},
	}
	return l.restart()
}

// restart is another process.
func (l *lab) restart() *lab {
	l.t.Helper()
	c, err := github.New(github.Options{API: l.url, Repository: home, Token: "reads", ReadOnly: true, Clock: l.clock})
	l.ok(err)
	l.handler = New(consumer.Deps{GitHub: c, Bot: bot, Now: l.clock.Now})
	return l
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// asked is what the step has on record; zero: nothing.
func (l *lab) asked(key string) dispatch.Ask {
	l.t.Helper()
	text := rotation.PastOf(l.records).Fact(key, dispatch.Fact)
	if text == "" {
		return dispatch.Ask{}
	}
	a, err := dispatch.Parse(text)
	l.ok(err)
	return a
}

// begin starts the run that the step asks for, as somebody, the way a person's token does it.
func (l *lab) begin(key, by, ref string) int64 {
	l.t.Helper()
	a := l.asked(key)
	l.hub.AddToken("of "+by, by, map[string]string{"actions": "write"})
	c, err := github.New(github.Options{API: l.url, Repository: a.Repository, Token: "of " + by, Clock: l.clock})
	l.ok(err)
	l.ok(c.Dispatch(l.t.Context(), a.Workflow, ref, a.Inputs))
	all := l.hub.Runs("")
	return all[len(all)-1].ID
}

func (l *lab) ask(key string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(key)
	if !ok {
		l.t.Fatalf("no step %q", key)
	}
	res, err := l.handler[s.Name](context.Background(), s, rotation.PastOf(l.records).For(s))
	said := fmt.Sprintf("%s: %s", key, res.Text)
	if res.Wait != "" {
		said = fmt.Sprintf("%s waits for %s", key, res.Wait)
	}
	var f *rotation.Failure
	if errors.As(err, &f) {
		said = fmt.Sprintf("%s: failed: %s\n    hint: %s", key, f.Msg, f.Hint)
	} else if err != nil {
		said = fmt.Sprintf("%s: unknown: %v", key, err)
	}
	if n := len(l.said); n == 0 || l.said[n-1] != said {
		l.said = append(l.said, said)
	}
	return res, err
}

var (
	errLeft = errors.New("left to a later run")
	errBusy = errors.New("at it for an hour")
)

// drive runs a step as the loop does: it records, waits and asks again.
func (l *lab) drive(key string) error {
	l.t.Helper()
	for end := l.clock.Now().Add(time.Hour); l.clock.Now().Before(end); {
		res, err := l.ask(key)
		rec := rotation.Record{At: l.clock.Now(), Step: key, Outcome: rotation.Done, Text: res.Text, Facts: res.Facts}
		var f *rotation.Failure
		switch {
		case errors.As(err, &f):
			rec.Outcome = rotation.Failed
			l.records = append(l.records, rec)
			return err
		case err != nil:
			return fmt.Errorf("unknown outcome: %w", err)
		case res.Wait == "":
			l.records = append(l.records, rec)
			return nil
		case len(res.Facts) > 0:
			rec.Outcome = rotation.Noted
			l.records = append(l.records, rec)
			continue
		case res.Again == rotation.Later:
			return errLeft
		}
		l.clock.Move(res.Again)
	}
	return errBusy
}

func (l *lab) want(key string, want error) *lab {
	l.t.Helper()
	if err := l.drive(key); !errors.Is(err, want) {
		l.t.Fatalf("%s: %v, want %v\n%s", key, err, want, strings.Join(l.said, "\n"))
	}
	return l
}

func (l *lab) fails(key string) *lab {
	l.t.Helper()
	var f *rotation.Failure
	if err := l.drive(key); !errors.As(err, &f) {
		l.t.Fatalf("%s: %v, want a failure\n%s", key, err, strings.Join(l.said, "\n"))
	}
	return l
}

// versions are what the runs so far were started with, and how they ended.
func (l *lab) versions() (all []string) {
	for _, r := range l.hub.Runs("deploy.yml") {
		all = append(all, strings.TrimSpace(r.Inputs["version"]+" "+r.Conclusion))
	}
	return all
}

func (l *lab) ran(want ...string) {
	l.t.Helper()
	if got := l.versions(); !slices.Equal(got, want) {
		l.t.Errorf("runs %q, want %q\n%s", got, want, strings.Join(l.said, "\n"))
	}
}
