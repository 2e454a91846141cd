package workflowtest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rhysd/actionlint"
)

const strict = "bash --noprofile --norc -euo pipefail {0}"

var stepRules = []rule{
	{
		Name: "an action is a commit, with its version beside it", Check: pins,
		Mutants: []mutant{
			{File: ci, Old: "@7a3fe6cf4cb3a834922a1244abfce67bcef6a0c5 # v6.2.0", New: "@v6"},
			{File: ci, Old: " # v6.2.0", New: ""},
			{File: rotate, After: "  prod:", Old: "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", New: "@de0fac2"},
			{File: planning, Old: "ce83dd # v6.0.2", New: "ce83dd # latest"},
			{File: planning, Old: "ce83dd # v6.0.2", New: "ce83dd # v7.0.0"},
			{File: ci, Old: "    runs-on: ubuntu-24.04", New: "    container: golang:latest\n    runs-on: ubuntu-24.04"},
		},
	},
	{
		Name: "no expression in a command", Check: commands,
		Mutants: []mutant{
			{File: ci, Old: "run: .ci/run", New: "run: .ci/run ${{ github.head_ref }}"},
			{File: rotate, After: "  expire:", Old: "in ${RUNS//[^0-9]/ }", New: "in ${{ needs.plan.outputs.expired }}"},
		},
	},
	{
		Name: "a command of rotate.yml stops at its first error", Check: shells,
		Mutants: []mutant{
			{File: rotate, After: "  expire:", Old: strict, New: "bash"},
			{File: rotate, After: "  expire:", Old: "        shell: " + strict + "\n", New: ""},
		},
	},
	{
		Name: "a checkout leaves no credential, and takes the tip of the branch", Check: checkouts,
		Mutants: []mutant{
			{File: ci, Old: "persist-credentials: false", New: "persist-credentials: true"},
			{File: planning, Old: "        with:\n          persist-credentials: false\n", New: ""},
			{File: rotate, After: "  stage:", Old: "          ref: ${{ github.ref }}\n", New: ""},
			{File: rotate, After: "  dev:", Old: "ref: ${{ github.ref }}", New: "ref: ${{ github.sha }}"},
			{File: daily, Old: "          ref: ${{ github.ref }}\n", New: ""},
			{File: rotate, After: "  plan:", Old: "ref: ${{ github.ref }}", New: "ref: ${{ github.ref }}\n          fetch-depth: 0"},
			{File: ci, Old: "persist-credentials: false", New: "persist-credentials: false\n          token: x"},
		},
	},
	{
		Name: "the daily job looks, then offers dates whatever became of that, as the same bot", Check: looks,
		Mutants: []mutant{
			{File: daily, After: "command: overdue", Old: "!cancelled() && ", New: "success() && "},
			{File: daily, After: "command: overdue", Old: " && steps.app.outcome != 'failure'", New: ""},
			{File: daily, After: "command: dates", Old: "steps.app.outputs.token || ", New: ""},
			{File: daily, After: "command: overdue", Old: "|| 'github-actions[bot]'", New: "|| 'rekey[bot]'"},
			{File: daily, Old: "vars.REKEY_APP_CLIENT_ID != ''", New: "vars.REKEY_APP_CLIENT_ID == ''"},
		},
	},
	{
		Name: "what starts or cancels runs has no code of anybody", Check: expiry,
		Mutants: []mutant{
			{File: rotate, After: "  after-dev:", Old: "      - uses: ./", New: "      - run: make smoke\n      - uses: ./", Also: "a command of rotate.yml stops at its first error"},
			{File: rotate, After: "  expire:", Old: "    steps:", New: "    steps:\n      - uses: ./", Also: "every job has a deadline"},
			{File: rotate, After: "  expire:", Old: `printf 'Authorization: Bearer %s\n' "$TOKEN" |`, New: "true |"},
			{File: rotate, After: "  expire:", Old: "--header @-", New: `--header "Authorization: Bearer $TOKEN"`},
		},
	},
}

var pinned = regexp.MustCompile(`^\s*(?:- )?uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v[0-9]+(?:\.[0-9]+)*)$`)

// pins looks at the lines, since a comment is no part of what is parsed. One commit has one version.
func pins(r *repo) (found []string) {
	versions := map[string]string{}
	for _, j := range r.jobs() {
		if j.Container != nil || j.Services != nil {
			found = append(found, j.at("runs an image"))
		}
		if j.WorkflowCall != nil && !strings.HasPrefix(j.WorkflowCall.Uses.Value, "./") {
			found = append(found, j.at("calls a workflow that lies elsewhere"))
		}
		lines := strings.Split(r.files[j.File], "\n")
		for _, s := range j.Steps {
			e, ok := s.Exec.(*actionlint.ExecAction)
			if !ok || strings.HasPrefix(e.Uses.Value, "./") {
				continue
			}
			m := pinned.FindStringSubmatch(lines[e.Uses.Pos.Line-1])
			if m == nil {
				found = append(found, fmt.Sprintf("%s:%d: %s", j.File, e.Uses.Pos.Line, e.Uses.Value))
				continue
			}
			if was, ok := versions[m[1]]; ok && was != m[2]+m[3] {
				found = append(found, fmt.Sprintf("%s:%d: %s has two versions", j.File, e.Uses.Pos.Line, m[1]))
			}
			versions[m[1]] = m[2] + m[3]
		}
	}
	return found
}

func commands(r *repo) (found []string) {
	for _, j := range r.jobs() {
		for _, s := range j.Steps {
			if e, ok := s.Exec.(*actionlint.ExecRun); ok && strings.Contains(e.Run.Value, "${{") {
				found = append(found, j.at("line %d", e.RunPos.Line))
			}
		}
	}
	return found
}

func shells(r *repo) (found []string) {
	for _, j := range r.jobs(rotate) {
		for _, s := range j.Steps {
			if e, ok := s.Exec.(*actionlint.ExecRun); ok && (e.Shell == nil || e.Shell.Value != strict) {
				found = append(found, j.at("line %d: shell isn't %s", e.RunPos.Line, strict))
			}
		}
	}
	return found
}

func checkouts(r *repo) (found []string) {
	for _, j := range r.jobs() {
		for _, e := range j.uses("actions/checkout") {
			if input(e, "persist-credentials") != "false" || input(e, "token") != "" || input(e, "ssh-key") != "" {
				found = append(found, j.at("a credential stays on the disk"))
			}
			if depth := input(e, "fetch-depth"); depth != "" && depth != "1" {
				found = append(found, j.at("fetches history: whatever a branch once held"))
			}
			if ref, tip := input(e, "ref"), j.File == rotate || j.File == daily; tip && ref != "${{ github.ref }}" || !tip && ref != "" {
				found = append(found, j.at("checks out %q", ref))
			}
		}
	}
	return found
}

// looks: what one step opened the other must know for its own, and without a token of the App it mustn't write as another.
func looks(r *repo) (found []string) {
	for _, j := range r.jobs(daily) {
		uses, app := j.uses("./"), ""
		for _, s := range j.Steps {
			e, ok := s.Exec.(*actionlint.ExecAction)
			switch {
			case ok && strings.HasPrefix(e.Uses.Value, "actions/create-github-app-token@"):
				if s.If != nil {
					app = s.If.Value
				}
				if s.ID == nil || s.ID.Value != "app" || app != "${{ success() && vars.REKEY_APP_CLIENT_ID != '' }}" {
					found = append(found, j.at("the App's token is made %q", app))
				}
			case ok && input(e, "command") == "dates" && (s.If == nil || s.If.Value != "${{ !cancelled() && steps.app.outcome != 'failure' }}"):
				found = append(found, j.at("dates doesn't run after an overdue that failed, or runs as another"))
			}
		}
		if len(uses) != 2 || input(uses[0], "command") != "overdue" || input(uses[1], "command") != "dates" {
			continue // another rule's
		}
		for _, e := range uses {
			if input(e, "token") != "${{ steps.app.outputs.token || github.token }}" ||
				input(e, "bot") != "${{ steps.app.outputs.app-slug && format('{0}[bot]', steps.app.outputs.app-slug) || 'github-actions[bot]' }}" {
				found = append(found, j.at("line %d: isn't the App where there is one, and the job's own token elsewhere", e.Uses.Pos.Line))
			}
		}
	}
	return found
}

// expiry: curl gets the token on its standard input, from a command that is no process of its own.
func expiry(r *repo) (found []string) {
	for _, j := range r.jobs() {
		if !strings.Contains(spelled(j.Permissions), "actions: write") || surveys(j) {
			continue
		}
		for _, s := range j.Steps {
			e, ok := s.Exec.(*actionlint.ExecRun)
			if !ok {
				found = append(found, j.at("uses an action"))
				continue
			}
			if strings.Count(e.Run.Value, "$TOKEN") != 1 || !strings.Contains(e.Run.Value, `printf 'Authorization: Bearer %s\n' "$TOKEN" |`) ||
				!strings.Contains(e.Run.Value, "--header @-") {
				found = append(found, j.at("the token doesn't go in by standard input"))
			}
		}
	}
	return found
}

// surveys says whether a job does nothing but check out and run the command that starts workflows, which runs no code of
// anybody's. That it is behind no environment is another rule's.
func surveys(j job) bool {
	if len(j.Steps) != 2 {
		return false
	}
	for i, s := range j.Steps {
		e, ok := s.Exec.(*actionlint.ExecAction)
		if !ok || i == 0 && !strings.HasPrefix(e.Uses.Value, "actions/checkout@") || i == 1 && (e.Uses.Value != "./" || input(e, "command") != "due") {
			return false
		}
	}
	return true
}
