package workflow

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const oneJob = "\njobs:\n  a: {runs-on: x, steps: [run: x]}\n"

// "Workflow syntax": on.push.<branches|tags>, paths, on.pull_request, filter pattern cheat sheet; "Events that trigger
// workflows": activity types, merge_group, schedule, workflow_dispatch, workflow_run.
func TestWhatAnEventStarts(t *testing.T) {
	pr := Event{Name: "pull_request", Ref: "refs/pull/12/merge", Base: "main", Head: "topic"}
	for _, c := range []struct {
		on   string
		e    Event
		want bool
	}{
		{"push", push, true},
		{"[push, pull_request]", pr, true},
		{"push", pr, false},
		{"{push: {branches: [main]}}", push, true},
		{"{push: {branches: [dev]}}", push, false},
		{"{push: {branches: ['**', '!main']}}", push, false},
		{"{push: {branches: ['!main', '**']}}", push, true},
		{"{push: {branches-ignore: [main]}}", push, false},
		{"{push: {branches-ignore: [dev]}}", push, true},
		{"{push: {branches: [main]}}", Event{Name: "push", Ref: "refs/tags/main"}, false},
		{"{push: {tags: ['v*']}}", push, false},
		{"{push: {tags: ['v*']}}", Event{Name: "push", Ref: "refs/tags/v1"}, true},
		{"{push: {tags-ignore: ['v*']}}", Event{Name: "push", Ref: "refs/tags/v1"}, false},
		{"push", Event{Name: "push", Ref: "refs/tags/v1"}, true},
		{"{push: {paths: ['rotations/**']}}", push, false},
		{"{push: {paths: ['rotations/**']}}", with(push, "README.md", "rotations/2026/11/x.yaml"), true},
		{"{push: {paths: ['rotations/**']}}", with(push, "README.md", "old/rotations/x.yaml"), false},
		{"{push: {paths: ['**', '!docs/**']}}", with(push, "docs/a.md"), false},
		{"{push: {paths-ignore: ['docs/**']}}", with(push, "docs/a.md"), false},
		{"{push: {paths-ignore: ['docs/**']}}", with(push, "docs/a.md", "x"), true},
		{"{push: {branches: [dev], paths: ['**']}}", with(push, "x"), false},
		{"{push: {paths: ['x']}}", Event{Name: "push", Ref: "refs/tags/v1", Files: []string{"y"}}, true},
		{"{pull_request: {branches: [main]}}", pr, true},
		{"{pull_request: {branches: [topic]}}", pr, false},
		{"{pull_request: {paths: [x]}}", pr, false},
		{"pull_request", Event{Name: "pull_request", Action: "closed", Base: "main"}, false},
		{"pull_request", Event{Name: "pull_request", Action: "synchronize", Base: "main"}, true},
		{"{pull_request: {types: [closed]}}", Event{Name: "pull_request", Action: "closed", Base: "main"}, true},
		{"{pull_request: {types: [closed]}}", pr, false},
		{"merge_group", Event{Name: "merge_group", Base: "main"}, true},
		{"{merge_group: {branches: [dev]}}", Event{Name: "merge_group", Base: "main"}, false},
		{"{schedule: [{cron: '7 * * * *'}, {cron: '9 1 * * *'}]}", Event{Name: "schedule", Cron: "9 1 * * *"}, true},
		{"{schedule: [{cron: '7 * * * *'}]}", Event{Name: "schedule", Cron: "8 * * * *"}, false},
		{"{workflow_run: {workflows: [deploy], types: [completed]}}", Event{Name: "workflow_run", Of: "deploy"}, true},
		{"{workflow_run: {workflows: [deploy], types: [completed]}}", Event{Name: "workflow_run", Of: "test"}, false},
		{"{workflow_run: {workflows: [deploy], types: [completed]}}", Event{Name: "workflow_run", Of: "deploy", Action: "requested"}, false},
		{"workflow_dispatch", Event{Name: "workflow_dispatch", File: "a.yml"}, true},
	} {
		w, err := Load(".github/workflows/a.yml", []byte("on: "+c.on+oneJob))
		if err != nil {
			t.Fatalf("%s: %v", c.on, err)
		}
		if got := w.starts(c.e); got != c.want {
			t.Errorf("%s, %+v: got %v", c.on, c.e, got)
		}
	}
}

func with(e Event, files ...string) Event {
	e.Files = files
	return e
}

// The examples of the cheat sheet.
func TestPatterns(t *testing.T) {
	for p, names := range map[string]string{
		"feature/*": "feature/my-branch !feature/a/b", "feature/**": "feature/a/b feature/c", "*": "main !a/b", "**": "a/b/c", "*feature": "mona-feature feature ver-10-feature",
		"v2*": "v2 v2.0 !v1", "v[12].[0-9]+.[0-9]+": "v1.10.1 v2.0.0 !v3.0.0 !v1.x.1", "*.jsx?": "page.js page.jsx !a/page.js !pagexjs", "**.js": "index.js js/index.js src/js/app.js",
		"docs/*": "docs/README.md !docs/a/b", "docs/**": "docs/mona/octocat.txt !x/docs/a", "docs/**/*.md": "docs/README.md docs/mona/hello-world.md docs/a/markdown/file.md !docs/a.txt",
		"**/docs/**": "docs/hello.md dir/docs/my-file.txt space/docs/plan/space.doc", "**/README.md": "README.md js/README.md !xREADME.md", "**/*src/**": "a/src/app.js my-src/code/js/app.js",
		"**/*-post.md": "my-post.md path/their-post.md", "**/migrate-*.sql": "migrate-10909.sql db/migrate-v1.0.sql db/sept/migrate-v1.sql", "[CB]at": "Cat Bat !Rat",
	} {
		re, err := pattern(p)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(names) {
			name, not := strings.CutPrefix(name, "!")
			if re.MatchString(name) == not {
				t.Errorf("%s on %s: got %v", p, name, !not)
			}
		}
	}
}

func TestDispatchInputs(t *testing.T) {
	const file = `
on:
  workflow_dispatch:
    inputs:
      rotation: {type: string}
      Again: {type: boolean, default: false}
      level: {type: choice, options: [low, high], default: high}
      n: {type: number, default: 3}
      must: {required: true, default: d}
jobs:
  a:
    runs-on: x
    if: inputs.again == true && inputs.n == 4 && github.event.inputs.again == 'true' && inputs.level == 'high'
    steps: [{run: "r=${{ inputs.rotation }} m=${{ inputs.must }} e=${{ toJSON(github.event.inputs) }}"}]
`
	w := newWorld(t, Options{}, file)
	id := w.trigger(Event{Name: "workflow_dispatch", File: "a.yml", Ref: "refs/heads/main", Inputs: map[string]string{"again": "true", "N": "4"}})
	w.want("job", w.results(id), "a=success")
	w.want("script", w.steps[0].Script, `r= m=d e={
  "Again": "true",
  "level": "high",
  "must": "d",
  "n": "4",
  "rotation": ""
}`)
	w.want("payload", string(w.steps[0].Payload), "{\n  \"inputs\": {\n    \"Again\": \"true\",\n    \"level\": \"high\",\n    \"must\": \"d\",\n    \"n\": \"4\",\n    \"rotation\": \"\"\n  }\n}")
	for in, want := range map[string]string{"nothing=1": `unexpected input "nothing"`, "again=yes": "isn't a boolean", "level=mid": "isn't one of its options", "n=x": "isn't a number", "must=": "isn't provided"} {
		k, v, _ := strings.Cut(in, "=")
		_, err := w.Trigger(Event{Name: "workflow_dispatch", File: "a.yml", Inputs: map[string]string{k: v}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", in, err)
		}
	}
	bare := newWorld(t, Options{}, "on: {workflow_dispatch: {inputs: {level: {type: choice, options: [low]}}}}"+oneJob)
	if _, err := bare.Trigger(Event{Name: "workflow_dispatch", File: "a.yml"}); !errors.Is(err, ErrNotModelled) {
		t.Errorf("a choice without a value: %v", err)
	}
	if _, err := w.Trigger(Event{Name: "workflow_dispatch", File: "b.yml"}); err == nil {
		t.Error("a workflow that isn't there was dispatched")
	}
}

// Load refuses what actionlint's parser refuses, what GitHub refuses, and what isn't modelled; all at once.
func TestLoadRefuses(t *testing.T) {
	job := func(s string) string { return "on: push\njobs:\n  a: {runs-on: x, " + s + "}\n" }
	for src, want := range map[string]string{
		"on: push\njobs:\n  a: {runs-on: x, steps: [run: x], sleeps: 1}\n": `a.yml:3:36: unexpected key "sleeps"`,
		"{":                              "a.yml:",
		"on: issues" + oneJob:            "event issues: not modelled",
		job("needs: b, steps: [run: x]"): `job "a" needs "b", which isn't there`,
		job("needs: a, steps: [run: x]"): `job "a" needs itself`,
		"on: push\njobs:\n  a: {uses: ./x.yml}\n":                                                  "calls a workflow: not modelled",
		job("steps: [run: x], container: y"):                                                       "containers and services: not modelled",
		job("steps: [run: x], continue-on-error: true"):                                            "continue-on-error of a job: not modelled",
		job("steps: [run: x], strategy: {max-parallel: 1, matrix: {a: [1]}}"):                      "max-parallel: not modelled",
		job("steps: [run: x], env: '${{ fromJSON(1) }}'"):                                          "env as one expression: not modelled",
		job("steps: [run: x], if: \"contains(needs.*.result, 'failure')\""):                        "the filter *: not modelled",
		job("steps: [{run: x, if: hashFiles('x')}]"):                                               "function hashFiles: not modelled",
		job("steps: [run: x], if: matrix.x"):                                                       "matrix can't be used in jobs.<job_id>.if",
		job("steps: [{run: x, if: secrets.x}]"):                                                    "secrets can't be used in jobs.<job_id>.steps.if",
		job("steps: [run: \"${{ success() }}\"]"):                                                  "success() can't be used in jobs.<job_id>.steps.run",
		job("steps: [run: \"${{ contains(1) }}\"]"):                                                "function contains: wrong number of arguments",
		job("steps: [run: \"${{ 1 + }}\"]"):                                                        "expression of jobs.<job_id>.steps.run",
		job("steps: [run: x], permissions: {content: read}"):                                       "permission content: not modelled",
		job("steps: [run: x], permissions: {contents: all}"):                                       `permission contents: "all"`,
		job("steps: [run: x], permissions: all"):                                                   "read-all or write-all",
		"on: {push: {branches: ['a\\b']}}" + oneJob:                                                "not modelled",
		job("steps: [run: x], if: failure('a')"):                                                   "arguments of failure: not modelled",
		job("steps: [run: x], strategy: {matrix: {s: ['${{ secrets.x }}', {b: '${{ env.x }}'}]}}"): "env can't be used in jobs.<job_id>.strategy",
	} {
		_, err := Load("a.yml", []byte(src))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot %v\nwant %s", src, err, want)
		} else if !strings.HasPrefix(err.Error(), "a.yml:") || !strings.HasSuffix(err.Error(), "[workflow]") {
			t.Errorf("%v has no position or rule", err)
		}
	}
	_, err := Load("a.yml", []byte(job("needs: b, if: env.x, steps: [run: x]")))
	if n := len(strings.Split(fmt.Sprint(err), "\n")); n != 2 {
		t.Errorf("got %d problems, want two:\n%v", n, err)
	}
}
