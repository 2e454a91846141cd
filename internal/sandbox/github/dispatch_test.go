package github_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/rastup/rekey/internal/github"
)

const deployFile = `name: deploy
run-name: deploy ${{ inputs.rekey }} of ${{ github.event.inputs.environment }}
on:
  workflow_dispatch:
    inputs:
      rekey: {type: string, required: true}
      version: {type: string}
      environment: {type: choice, options: [dev, prod], default: dev}
jobs:
  deploy: {runs-on: ubuntu-24.04, steps: [{run: ./deploy}]}
`

func newDeploys(t *testing.T) *bench {
	b := newBench(t)
	b.hub.Commit("main", "ada", "Deploy", map[string]string{".github/workflows/deploy.yml": deployFile, ".github/workflows/ci.yml": "on: push\njobs: {}\n",
		".github/workflows/odd.yml": strings.Replace(deployFile, "inputs.rekey", "github.sha", 1)})
	b.hub.Commit("old", "ada", "Before", map[string]string{".github/workflows/deploy.yml": ""})
	return b
}

func TestADispatchedRunHasItsNameAndIsListedLater(t *testing.T) {
	b := newDeploys(t)
	b.hub.Lag(time.Minute)
	check(t, b.c.Dispatch(ctx, "deploy.yml", "main", map[string]string{"rekey": "k1", "version": "v2"}))
	if l := must(b.c.Dispatched(ctx, "deploy.yml", start))(t); len(l) != 0 {
		t.Errorf("listed at once: %+v", l)
	}
	b.clock.Move(time.Minute)
	l := must(b.c.Dispatched(ctx, "deploy.yml", start))(t)
	if len(l) != 1 || l[0].Title != "deploy k1 of dev" || l[0].Event != "workflow_dispatch" || l[0].Branch != "main" || l[0].SHA != b.hub.Head("main") || l[0].Actor.Login != "rekey[bot]" || l[0].Status != "queued" {
		t.Fatalf("listed: %+v", l)
	}
	if r, _ := b.hub.Run(l[0].ID); r.Inputs["version"] != "v2" || r.Inputs["environment"] != "dev" {
		t.Errorf("inputs %q", r.Inputs)
	}
	if l := must(b.c.Dispatched(ctx, "deploy.yml", start.Add(time.Second)))(t); len(l) != 0 {
		t.Errorf("listed although older: %+v", l)
	}
	id := l[0].ID
	b.request("POST", "/actions/workflows/deploy.yml/dispatches", "app", map[string]any{"ref": "main", "inputs": map[string]any{"rekey": "k2"}, "return_run_details": true}, 200)
	b.hub.DeleteRun(id)
	if _, err := b.c.Run(ctx, id); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a deleted run: %v", err)
	}
	if w := must(b.c.Workflow(ctx, "deploy.yml"))(t); w != (client.Workflow{Path: ".github/workflows/deploy.yml", State: "active"}) {
		t.Errorf("the workflow: %+v", w)
	}
}

func TestDispatchesThatGitHubRefuses(t *testing.T) {
	b := newDeploys(t)
	b.hub.AddToken("reader", "rekey[bot]", map[string]string{"actions": "read"})
	b.hub.Commit("main", "ada", "Off", map[string]string{".github/workflows/off.yml": deployFile})
	b.hub.DisableWorkflow("off.yml", true)
	many := map[string]string{"rekey": "k"}
	for i := range 25 {
		many[fmt.Sprint("i", i)] = ""
	}
	key := map[string]string{"rekey": "k"}
	for _, tt := range []struct {
		file, ref, token string
		inputs           map[string]string
		want             string
	}{
		{"gone.yml", "main", "app", key, "404: Not Found"},
		{"deploy.yml", "old", "app", key, "404: Not Found"},
		{"ci.yml", "main", "app", key, "422: Workflow does not have 'workflow_dispatch' trigger"},
		{"off.yml", "main", "app", key, "422: Cannot trigger a 'workflow_dispatch' on a disabled workflow"},
		{"deploy.yml", "gone", "app", key, "422: No ref found for: gone"},
		{"deploy.yml", "main", "reader", key, "403: Resource not accessible by integration"},
		{"deploy.yml", "main", "app", nil, "422: Required input 'rekey' not provided"},
		{"deploy.yml", "main", "app", map[string]string{"rekey": "k", "secret": "s", "b": ""}, `422: Unexpected inputs provided: ["b", "secret"]`},
		{"deploy.yml", "main", "app", map[string]string{"rekey": "k", "environment": "test"}, "422: Provided value 'test' for input 'environment' not in the list of allowed values"},
	} {
		err := b.as(tt.token).Dispatch(ctx, tt.file, tt.ref, tt.inputs)
		if err == nil || !strings.HasSuffix(err.Error(), "GitHub answered "+tt.want) {
			t.Errorf("%s at %s: %v, want %s", tt.file, tt.ref, err, tt.want)
		}
	}
	for path, body := range map[string]any{"deploy.yml": map[string]any{"inputs": key}, "odd.yml": map[string]any{"ref": "main", "inputs": key}, "deploy.yml ": map[string]any{"ref": "main", "inputs": many}} {
		status, _, _ := b.raw("POST", "/repos/"+repository+"/actions/workflows/"+strings.TrimSpace(path)+"/dispatches", "app", body)
		if want := map[bool]int{true: 500, false: 422}[path == "odd.yml"]; status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if l := b.hub.Runs(""); len(l) != 0 {
		t.Errorf("runs %+v", l)
	}
	if w := must(b.c.Workflow(ctx, "off.yml"))(t); w.State != "disabled_manually" {
		t.Errorf("the workflow: %+v", w)
	}
	if _, err := b.c.Workflow(ctx, "gone.yml"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("no workflow: %v", err)
	}
}
