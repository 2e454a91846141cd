package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// What each job may do, whole: "" is the workflow itself, for jobs that don't say.
var rights = map[string]map[string]string{
	rotate: {
		"":     "none",
		"plan": due, "after-dev": due, "after-stage": due, "after-prod": due,
		"continue": gated, "dev": gated, "stage": gated, "prod": gated,
		"expire": "actions: write",
	},
	planning: {
		"":     "none",
		"plan": "contents: read, id-token: write, issues: read, pull-requests: write",
	},
	daily: {
		"":        "none",
		"overdue": "actions: read, contents: write, id-token: write, issues: write, pull-requests: write",
	},
	ci: {
		"": "contents: read",
	},
}

const (
	due   = "actions: write, contents: read, id-token: write, issues: write, pull-requests: write"
	gated = "actions: read, contents: read, id-token: write, pull-requests: read"
)

func spelled(p *actionlint.Permissions) string {
	switch {
	case p == nil:
		return ""
	case p.All != nil:
		return p.All.Value
	case len(p.Scopes) == 0:
		return "none"
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.Scopes)) {
		all = append(all, name+": "+p.Scopes[name].Value.Value)
	}
	return strings.Join(all, ", ")
}

var rightsRules = []rule{
	{
		Name: "every job has exactly these rights", Check: exactRights,
		Mutants: []mutant{
			{File: rotate, Old: "permissions: {}", New: "permissions: read-all"},
			{File: rotate, After: "  after-dev:", Old: "      contents: read\n", New: "      contents: write\n"},
			{File: rotate, After: "  prod:", Old: "      actions: read\n", New: ""},
			{File: rotate, After: "  expire:", Old: "      actions: write\n", New: "      actions: write\n      contents: read\n"},
			{File: planning, Old: "      contents: read\n", New: "      contents: read\n      packages: read\n"},
			{File: daily, Old: "      actions: read\n", New: "      actions: read\n      packages: write\n"},
			{File: daily, Old: "permissions: {}", New: "permissions: {contents: write}"},
			{File: ci, Old: "  contents: read\n", New: "  contents: read\n  id-token: write\n"},
			{File: ci, Old: "permissions:\n  contents: read\n", New: ""},
		},
	},
	{
		Name: "no right to write to GitHub beside an environment, but for the bot's, which runs nobody's code", Check: writeBesideEnvironment,
		Mutants: []mutant{
			{File: rotate, After: "  expire:", Old: "    runs-on:", New: "    environment: production\n    runs-on:"},
			{File: rotate, After: "  after-prod:", Old: "    runs-on:", New: "    environment: {name: rekey-bot, url: 'https://example.com'}\n    runs-on:"},
			{File: daily, Old: "    environment: rekey-bot\n", New: "    environment: rekey-prod\n", Also: "no secret reaches a job but the App's key, in the bot's environment"},
			{File: daily, Old: "      - uses: ./", New: "      - run: make smoke\n      - uses: ./"},
			{File: daily, Old: "command: overdue", New: "command: apply\n          environment: prod"},
			{File: daily, Old: "command: dates", New: "command: due"},
		},
	},
	{
		Name: "no secret reaches a job but the App's key, in the bot's environment", Check: secrets,
		Mutants: []mutant{
			{File: ci, Old: "          REKEY_ARTIFACTS:", New: "          KEY: ${{ secrets.KEY }}\n          REKEY_ARTIFACTS:"},
			{File: rotate, After: "  prod:", Old: "          shard:", New: "          token: ${{ toJSON(secrets) }}\n          shard:"},
			{File: daily, Old: "secrets.REKEY_APP_KEY", New: "secrets.OTHER"},
			{File: daily, Old: "command: overdue\n", New: "command: overdue\n          actor: ${{ secrets.REKEY_APP_KEY }}\n"},
			{File: ci, Old: "    steps:", New: "    env: {KEY: \"${{ SECRETS['KEY'] }}\"}\n    steps:"},
		},
	},
	{
		Name: "these events start a workflow, and no other", Check: events,
		Mutants: []mutant{
			{File: ci, Old: "  merge_group:", New: "  merge_group:\n  pull_request_target:"},
			{File: ci, Old: "  merge_group:", New: "  merge_group:\n  workflow_run:\n    workflows: [rotate]"},
			{File: planning, Old: "  pull_request:", New: "  pull_request:\n    paths: [\"rotations/**\"]"},
			{File: planning, Old: "  merge_group:\n", New: ""},
			{File: rotate, Old: "  schedule:\n    - cron: \"17 * * * *\"\n", New: ""},
			{File: daily, Old: "  workflow_dispatch:\n", New: "  workflow_dispatch:\n  issues:\n"},
		},
	},
	{
		Name: "a pull request's job runs no code of its own with rights", Check: pullRequests,
		Mutants: []mutant{
			{File: ci, Old: "    steps:", New: "    environment: review\n    steps:"},
			{File: planning, Old: "      - uses: ./", New: "      - run: make lint\n      - uses: ./"},
			{File: planning, Old: "command: plan", New: "command: due"},
		},
	},
}

func exactRights(r *repo) (found []string) {
	for _, file := range slices.Sorted(maps.Keys(r.workflows)) {
		table, w := maps.Clone(rights[file]), r.workflows[file]
		if got := spelled(w.Permissions); got != table[""] || got == "" {
			found = append(found, fmt.Sprintf("%s: %q, not %q", file, got, table[""]))
		}
		delete(table, "")
		for _, j := range r.jobs(file) {
			if got := spelled(j.Permissions); got != table[j.ID.Value] {
				found = append(found, j.at("%q, not %q", got, table[j.ID.Value]))
			}
			delete(table, j.ID.Value)
		}
		for id := range table {
			found = append(found, file+": no job "+id)
		}
	}
	return found
}

func writeBesideEnvironment(r *repo) (found []string) {
	for _, j := range r.jobs() {
		p := j.Permissions
		if p == nil {
			p = r.workflows[j.File].Permissions
		}
		if j.Environment == nil {
			continue
		}
		if p == nil || p.All != nil {
			found = append(found, j.at("rights for everything"))
			continue
		}
		if j.isBot() {
			continue
		}
		for name, scope := range p.Scopes {
			if scope.Value.Value == "write" && name != "id-token" {
				found = append(found, j.at("%s: write behind %s", name, j.gate()))
			}
		}
	}
	return found
}

// bot is the environment of what writes to GitHub and rotates nothing.
const bot = "rekey-bot"

// isBot says whether a job is the daily one, behind its environment, and does nothing but check out, make the App's token,
// and look.
func (j job) isBot() bool {
	if j.File != daily || j.gate() != bot {
		return false
	}
	for _, s := range j.Steps {
		e, ok := s.Exec.(*actionlint.ExecAction)
		if !ok {
			return false
		}
		switch name, _, _ := strings.Cut(e.Uses.Value, "@"); name {
		case "actions/checkout", "actions/create-github-app-token":
		case "./":
			if c := input(e, "command"); c != "overdue" && c != "dates" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// secrets looks at the text, too: the context can be spelt in many ways and stand anywhere.
func secrets(r *repo) (found []string) {
	for _, j := range r.jobs() {
		if j.WorkflowCall != nil && (j.WorkflowCall.InheritSecrets || len(j.WorkflowCall.Secrets) > 0) {
			found = append(found, j.at("hands secrets to another workflow"))
		}
	}
	for name, text := range r.files {
		if name == daily {
			text = r.withoutAppKey(text)
		}
		for _, inside := range expressions(text) {
			if strings.Contains(strings.ToLower(inside), "secrets") {
				found = append(found, name+": ${{"+inside+"}}")
			}
		}
	}
	return found
}

// withoutAppKey is the text of the daily workflow without the one place in which the App's key may stand.
func (r *repo) withoutAppKey(text string) string {
	const key = "${{ secrets.REKEY_APP_KEY }}"
	for _, j := range r.jobs(daily) {
		for _, e := range j.uses("actions/create-github-app-token") {
			if j.gate() == bot && input(e, "private-key") == key {
				text = strings.Replace(text, "private-key: "+key, "", 1)
			}
		}
	}
	return text
}

func expressions(text string) (all []string) {
	for _, piece := range strings.Split(text, "${{")[1:] {
		inside, _, _ := strings.Cut(piece, "}}")
		all = append(all, inside)
	}
	return all
}

var starts = map[string]string{
	rotate:   "push schedule workflow_dispatch",
	planning: "merge_group pull_request",
	daily:    "schedule workflow_dispatch",
	ci:       "merge_group pull_request push",
}

func events(r *repo) (found []string) {
	for file, w := range r.workflows {
		var names []string
		for _, e := range w.On {
			names = append(names, e.EventName())
			if e, ok := e.(*actionlint.WebhookEvent); ok && e.Hook.Value == "pull_request" {
				if !e.Paths.IsEmpty() || !e.PathsIgnore.IsEmpty() || !e.Branches.IsEmpty() || !e.BranchesIgnore.IsEmpty() || len(e.Types) > 0 {
					found = append(found, file+": a required check must report on every pull request")
				}
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != starts[file] {
			found = append(found, fmt.Sprintf("%s: %q, not %q", file, got, starts[file]))
		}
	}
	return found
}

// pullRequests: what a pull request can start stands behind no environment; with more than a right to read it does
// nothing but check out and plan.
func pullRequests(r *repo) (found []string) {
	for _, j := range r.jobs() {
		if !strings.Contains(starts[j.File], "pull_request") {
			continue
		}
		if j.Environment != nil {
			found = append(found, j.at("stands behind %s", j.gate()))
		}
		p := j.Permissions
		if p == nil {
			p = r.workflows[j.File].Permissions
		}
		if !strings.Contains(spelled(p), "write") || j.File == ci {
			continue
		}
		for _, s := range j.Steps {
			e, ok := s.Exec.(*actionlint.ExecAction)
			if !ok || !strings.HasPrefix(e.Uses.Value, "actions/checkout@") && (e.Uses.Value != "./" || input(e, "command") != "plan") {
				found = append(found, j.at("a step other than checkout and plan"))
			}
		}
	}
	return found
}
