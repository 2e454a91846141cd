package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

var gateRules = []rule{
	{
		Name: "the environments of rekey.yml have their jobs, in order", Check: order,
		Mutants: []mutant{
			{File: house, Old: "  - name: prod\n", New: "  - name: dr\n  - name: prod\n"},
			{File: house, Old: "  - name: dev\n", New: "  - name: dev\n    github_environment: development\n"},
			{File: rotate, After: "  prod:", Old: "environment: rekey-prod\n", New: "environment: rekey-stage\n"},
			{File: rotate, After: "  dev:", Old: "    environment: rekey-dev\n", New: ""},
			{File: rotate, After: "  stage:", Old: "          environment: stage\n", New: "          environment: prod\n"},
			{File: rotate, After: "  continue:", Old: "    environment: ${{ matrix.to.github }}\n", New: "    environment: rekey-prod\n"},
			{File: rotate, After: "  continue:", Old: "          environment: ${{ matrix.to.environment }}\n", New: "          environment: prod\n"},
			{File: rotate, After: "  prod:", Old: "          shard: ${{ matrix.shard }}\n", New: ""},
			{File: rotate, After: "  stage:", Old: "          break_glass: ${{ inputs.break_glass }}\n", New: ""},
			{File: rotate, After: "  dev:", Old: "name: dev ${{ matrix.shard }}", New: "name: dev"},
			{File: rotate, After: "    name: continue ", Old: "          rollback: ${{ inputs.rollback }}\n", New: ""},
			{File: rotate, After: "  prod:", Old: "          rollback: ${{ inputs.rollback }}\n", New: ""},
		},
	},
	{
		Name: "what follows an environment is told what it did", Check: after,
		Mutants: []mutant{
			{File: rotate, After: "  after-stage:", Old: "command: due", New: "command: lint", Also: "what starts or cancels runs has no code of anybody"},
			{File: rotate, After: "  after-dev:", Old: "      environments: ${{ steps.rekey.outputs.environments }}", New: "      environments: '{}'"},
			{File: rotate, After: "  plan:", Old: "      expired: ${{ steps.rekey.outputs.expired }}\n", New: ""},
			{File: rotate, After: "  after-dev:", Old: "    needs:", New: "    name: after dev\n    needs:"},
			{File: rotate, After: "  plan:", Old: "          break_glass: ${{ inputs.break_glass }}\n", New: ""},
			{File: rotate, After: "  after-prod:", Old: "          again: ${{ inputs.again }}\n", New: ""},
			{File: rotate, After: "  after-dev:", Old: "          rollback: ${{ inputs.rollback }}\n", New: ""},
		},
	},
}

// order: an environment's job needs what reads the journal after each environment before it, so that what dev proves
// is known before prod is asked for.
func order(r *repo) (found []string) {
	rest := map[string]job{}
	for _, j := range r.jobs(rotate) {
		if len(j.rotates()) > 0 {
			rest[j.ID.Value] = j
		}
	}
	before := []string{"plan"}
	for _, g := range r.gates {
		j, ok := rest[g.Name]
		if !ok {
			found = append(found, rotate+": no job rotates in "+g.Name)
			continue
		}
		delete(rest, g.Name)
		if got := slices.Sorted(slices.Values(j.needs())); !slices.Equal(got, slices.Sorted(slices.Values(before))) {
			found = append(found, j.at("needs %q, not %q", got, before))
		}
		if j.gate() != g.GitHub {
			found = append(found, j.at("stands behind %q, not %q", j.gate(), g.GitHub))
		}
		e := j.rotates()[0]
		if got := input(e, "environment"); got != g.Name || len(j.rotates()) != 1 {
			found = append(found, j.at("rotates in %q", got))
		}
		if input(e, "shard") != "${{ matrix.shard }}" || input(e, "question") == "" || j.Name == nil || j.Name.Value != g.Name+" ${{ matrix.shard }}" {
			found = append(found, j.at("isn't named for its shard, or isn't told it, or not what was asked"))
		}
		for name, want := range map[string]string{"again": "again", "break_glass": "break_glass", "requests": "rotation"} {
			if input(e, name) != "${{ inputs."+want+" }}" {
				found = append(found, j.at("isn't told %s", name))
			}
		}
		if !told(e) {
			found = append(found, j.at("isn't told what is to be brought back"))
		}
		before = append(before, "after-"+g.Name)
	}
	c, ok := rest["continue"]
	if delete(rest, "continue"); !ok || c.gate() != "${{ matrix.to.github }}" || input(c.rotates()[0], "environment") != "${{ matrix.to.environment }}" ||
		input(c.rotates()[0], "question") != "" || !slices.Equal(c.needs(), []string{"plan"}) || !told(c.rotates()[0]) {
		found = append(found, rotate+": continue doesn't take environment and gate from one matrix, or waits for an approval that isn't its own")
	}
	for _, id := range slices.Sorted(maps.Keys(rest)) {
		found = append(found, rest[id].at("rotates, but is no environment of %s", house))
	}
	return found
}

// told: what a person wants back is known to every job that may have to bring it.
func told(e *actionlint.ExecAction) bool {
	return input(e, "requests") == "${{ inputs.rotation }}" && input(e, "rollback") == "${{ inputs.rollback }}"
}

// after: plan and after-* are the same job; the last one's outputs are read by nobody.
func after(r *repo) (found []string) {
	outputs := map[string]string{"plan": "continue environments expired"}
	last := ""
	for _, j := range r.jobs(rotate) {
		if name, ok := strings.CutPrefix(j.ID.Value, "after-"); ok {
			outputs[j.ID.Value] = "environments"
			if len(r.gates) > 0 && name == r.gates[len(r.gates)-1].Name {
				last = j.ID.Value
			}
		}
	}
	if last != "" {
		outputs[last] = ""
	}
	for _, id := range slices.Sorted(maps.Keys(outputs)) {
		found = append(found, dueJob(r, id, outputs[id])...)
	}
	return found
}

func dueJob(r *repo, id, outputs string) (found []string) {
	if r.workflows[rotate].Jobs[id] == nil {
		return []string{rotate + ": no job " + id}
	}
	j := job{rotate, r.workflows[rotate].Jobs[id]}
	if j.Name != nil {
		found = append(found, j.at("is called %q: a job that asks finds itself by its id", j.Name.Value))
	}
	uses := j.uses("./")
	if len(uses) != 1 || input(uses[0], "command") != "due" || input(uses[0], "requests") != "${{ inputs.rotation }}" || input(uses[0], "again") != "${{ inputs.again }}" ||
		input(uses[0], "break_glass") != "${{ inputs.break_glass }}" ||
		input(uses[0], "rollback") != "${{ inputs.rollback }}" {
		return []string{j.at("isn't one step of due for what was asked for")}
	}
	if got := strings.Join(slices.Sorted(maps.Keys(j.Outputs)), " "); got != outputs {
		found = append(found, j.at("says %q, not %q", got, outputs))
	}
	for name, o := range j.Outputs {
		if want := fmt.Sprintf("${{ steps.rekey.outputs.%s }}", name); o.Value.Value != want {
			found = append(found, j.at("output %s is %s", name, o.Value.Value))
		}
	}
	return found
}
