package workflow

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// "Workflow syntax", permissions: the job's, else the workflow's, else the repository's; what isn't named is none.
func TestPermissions(t *testing.T) {
	const readAll = "actions=read attestations=read checks=read contents=read deployments=read discussions=read issues=read metadata=read models=read packages=read pages=read pull-requests=read repository-projects=read security-events=read statuses=read"
	for _, c := range []struct {
		workflow, job, want string
		fork                bool
	}{
		{"", "", "contents=read metadata=read packages=read", false},
		{"permissions: {}", "", "metadata=read", false},
		{"permissions: {contents: read}", "permissions: {issues: write, contents: none},", "issues=write metadata=read", false},
		{"permissions: {contents: read}", "permissions: {},", "metadata=read", false},
		{"permissions: write-all", "", strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(readAll, "read", "write"), "metadata=write", "metadata=read"), "issues", "id-token=write issues"), false},
		{"permissions: read-all", "", readAll, false},
		{"permissions: {contents: read, id-token: write, pull-requests: write}", "", "contents=read metadata=read pull-requests=read", true},
	} {
		w := newWorld(t, Options{}, c.workflow+"\n"+"on: [push, pull_request]\njobs:\n  a: {runs-on: x, "+c.job+" steps: [run: x]}\n")
		e := push
		if c.fork {
			e = Event{Name: "pull_request", Ref: "refs/pull/1/merge", Base: "main", Head: "ana:topic", Fork: true}
		}
		w.trigger(e)
		w.want(c.workflow+", "+c.job, names(w.steps[0].Permissions), c.want)
		w.want("grant", names(w.grants[0].Permissions), c.want)
	}
}

// "Variables reference", default environment variables; OIDC's only with id-token: write; the token ends with its job.
func TestWhatAStepIsHanded(t *testing.T) {
	w := newWorld(t, Options{Secrets: map[string]map[string]string{"": {"A": "1", "B": "1"}, "prod": {"B": "2"}}, Vars: map[string]map[string]string{"": {"V": "v"}}}, `
name: rotate it
on: push
env: {ONE: "${{ github.event.x.y }}", GITHUB_SHA: mine, TWO: w}
defaults: {run: {shell: bash}}
jobs:
  a:
    runs-on: x
    environment: prod
    timeout-minutes: 15
    permissions: {contents: read, id-token: write}
    env: {TWO: "${{ secrets.b }}${{ vars.V }}"}
    steps:
      - uses: ./
        id: s
        timeout-minutes: ${{ 3 }}
        env: {THREE: "${{ env.TWO }}${{ env.three }}"}
        with: {Command: "${{ env.THREE }} ${{ secrets.A }} ${{ secrets.GITHUB_TOKEN == github.token }} ${{ runner.os }}"}
      - run: x
  b: {runs-on: x, steps: [run: x]}
`)
	e := push
	e.Payload = []byte(`{"x": {"y": "z"}, "after": null}`)
	w.trigger(e)
	a, last := w.steps[0], w.steps[2]
	w.want("with", names(a.With), "command=2v 1 true Linux")
	w.want("env", names(a.Env), strings.Join([]string{
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=bearer ACTIONS_ID_TOKEN_REQUEST_URL=https://oidc CI=true",
		"GITHUB_ACTIONS=true GITHUB_ACTOR=li GITHUB_API_URL=https://api.github.com GITHUB_BASE_REF= GITHUB_EVENT_NAME=push",
		"GITHUB_GRAPHQL_URL=https://api.github.com/graphql GITHUB_HEAD_REF= GITHUB_JOB=a GITHUB_REF=refs/heads/main GITHUB_REF_NAME=main",
		"GITHUB_REF_TYPE=branch GITHUB_REPOSITORY=acme/shop GITHUB_REPOSITORY_OWNER=acme GITHUB_RUN_ATTEMPT=1 GITHUB_RUN_ID=1 GITHUB_RUN_NUMBER=1",
		"GITHUB_SERVER_URL=https://github.com GITHUB_SHA=c0ffee GITHUB_TRIGGERING_ACTOR=li GITHUB_WORKFLOW=rotate it",
		"GITHUB_WORKFLOW_REF=acme/shop/.github/workflows/a.yml@refs/heads/main GITHUB_WORKFLOW_SHA=c0ffee",
		"ONE=z RUNNER_ARCH=X64 RUNNER_ENVIRONMENT=github-hosted RUNNER_OS=Linux THREE=2v TWO=2v",
	}, " "))
	w.want("payload", string(a.Payload), "{\n  \"x\": {\n    \"y\": \"z\"\n  },\n  \"after\": null\n}")
	if a.Minutes != 3 || w.steps[1].Minutes != 15 || last.Minutes != 0 || w.steps[1].Shell != "bash" || a.ID != "s" || a.Uses != "./" || last.Token == a.Token {
		t.Errorf("%+v\n%+v\n%+v", a, w.steps[1], last)
	}
	if _, ok := last.Env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]; ok {
		t.Error("an OIDC request without id-token: write")
	}
	if !slices.Contains(w.history, "drop token-1") || !slices.Contains(w.history, "drop token-2") {
		t.Error("a token outlived its job")
	}
}

func TestAForkHasNoSecrets(t *testing.T) {
	w := newWorld(t, Options{Secrets: map[string]map[string]string{"": {"A": "1"}}}, "on: pull_request\njobs:\n  a: {runs-on: x, steps: [run: \"<${{ secrets.A }}>\"]}\n")
	w.trigger(Event{Name: "pull_request", Ref: "refs/pull/1/merge", Base: "main", Fork: true})
	w.want("script", w.steps[0].Script, "<>")
}

// What can't be told stops the engine, and it says so each time.
func TestNotModelledIsAnErrorOfAdvance(t *testing.T) {
	for _, jobs := range []string{
		"a: {runs-on: x, if: github.job, steps: [run: x]}",
		"a: {runs-on: x, steps: [{if: always(), run: \"${{ github.workspace }}\"}]}",
		"a: {runs-on: x, steps: [{if: runner.temp, run: x}]}",
		"a: {runs-on: x, outputs: {x: \"${{ job.services }}\"}, steps: [run: x]}",
		"a: {runs-on: x, concurrency: \"${{ github.path }}\", steps: [run: x]}",
		"a: {runs-on: x, strategy: {matrix: {s: [{x: 1}]}}, steps: [run: x]}",
		"a: {runs-on: x, env: {A: \"${{ strategy.max-parallel }}\"}, steps: [run: x]}",
	} {
		w := newWorld(t, Options{}, header+"  "+jobs+"\n")
		if _, err := w.Trigger(push); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Advance(context.Background()); !errors.Is(err, ErrNotModelled) || !strings.HasPrefix(err.Error(), "a.yml: a: ") {
				t.Errorf("%s: got %v", jobs, err)
			}
		}
	}
}

func TestAdvanceStopsBeforeAStepWhenToldTo(t *testing.T) {
	w := newWorld(t, Options{}, header+"  a: {runs-on: x, steps: [{run: stop}, {run: x}]}\n")
	ctx, stop := context.WithCancel(context.Background())
	w.hooks["stop"] = func(context.Context) {
		stop()
		if err := w.Advance(context.Background()); err == nil {
			t.Error("Advance within Advance")
		}
	}
	if _, err := w.Trigger(push); err != nil {
		t.Fatal(err)
	}
	if err := w.Advance(ctx); !errors.Is(err, context.Canceled) || len(w.steps) != 1 {
		t.Errorf("%v after %d steps", err, len(w.steps))
	}
	w.advance()
	w.want("later", w.results(1), "a=success")
}

const mixed = `
on: [push, schedule]
jobs:
  a: {runs-on: x, strategy: {fail-fast: false, matrix: {s: [1, 2, 3]}}, outputs: {o: "${{ matrix.s }}"}, steps: [{run: x}, {run: x}]}
  b: {runs-on: x, needs: a, strategy: {matrix: {s: [1, 2, 3]}}, environment: prod, steps: [{run: x}, {run: "${{ matrix.s == needs.a.outputs.o && 'fail' || 'x' }}"}, {if: always(), run: x}]}
  c: {runs-on: x, needs: [a, b], if: "!cancelled() && needs.b.result != 'skipped'", concurrency: c, steps: [run: x]}
  d: {runs-on: x, steps: [run: x, run: "${{ github.run_attempt == 1 && 'lost' || 'x' }}"]}
`

// The same seed gives the same history, other seeds give others, and in all of them each job ends once.
func TestSameSeedSameHistory(t *testing.T) {
	flow := strings.Replace(strings.Replace(mixed, "on: [push, schedule]", "on: [push, workflow_dispatch]", 1), "run: x, run:", "{run: x}, {run:", 1)
	flow = strings.Replace(flow, "'lost' || 'x' }}\"]", "'lost' || 'x' }}\"}]", 1)
	histories := map[string]bool{}
	for seed := range uint64(200) {
		once, again := history(t, flow, seed), history(t, flow, seed)
		if !slices.Equal(once, again) {
			t.Fatalf("seed %d:\n%s\n\nthen\n%s", seed, strings.Join(once, "\n"), strings.Join(again, "\n"))
		}
		histories[strings.Join(once, "\n")] = true
	}
	if len(histories) < 50 {
		t.Errorf("200 seeds gave %d histories", len(histories))
	}
}

func history(t *testing.T, flow string, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, Options{Pick: r.IntN}, flow)
	w.reviewers["prod"] = true
	for range 12 {
		switch n := r.IntN(6); n {
		case 0, 1:
			if _, err := w.Trigger(push); err != nil {
				t.Fatal(err)
			}
		case 2, 3:
			for id := range w.last {
				if slices.Contains(w.said[id+1].Waiting, "prod") {
					w.review(id+1, "prod", n == 3)
				}
			}
		case 4:
			if w.last > 0 {
				_ = w.Rerun(1+r.Int64N(w.last), "ana", r.IntN(2) == 0)
			}
		case 5:
			if w.last > 0 {
				_ = w.Cancel(1 + r.Int64N(w.last))
			}
		}
		w.advance()
	}
	ends := map[string]int{}
	for _, line := range w.history {
		switch {
		case strings.HasPrefix(line, "rerun"):
			clear(ends)
		case strings.Contains(line, ": completed"):
			name, _, _ := strings.Cut(line, ": completed")
			if ends[name]++; ends[name] > 1 {
				t.Fatalf("seed %d: %s ended twice:\n%s", seed, name, strings.Join(w.history, "\n"))
			}
		}
	}
	return w.history
}
