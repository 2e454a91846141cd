package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

var actionRules = []rule{
	{
		Name: "action.yml hands its inputs over in the environment, and becomes the program", Check: handsOver,
		Mutants: []mutant{
			{File: actionYML, Old: `run: exec "$GITHUB_ACTION_PATH/action/start"`, New: `run: exec "$GITHUB_ACTION_PATH/action/start" "${{ inputs.command }}"`},
			{File: actionYML, Old: "run: exec ", New: "run: "},
			{File: actionYML, Old: "        REKEY_SHARD: ${{ inputs.shard }}\n", New: ""},
			{File: actionYML, Old: "REKEY_SHARD: ${{ inputs.shard }}", New: "REKEY_SHARD: ${{ inputs.question }}"},
			{File: actionYML, Old: "        REKEY_SHARD:", New: "        PATH: ${{ inputs.config }}\n        REKEY_SHARD:"},
			{File: actionYML, Old: "shell: " + strict, New: "shell: bash"},
			{File: actionYML, Old: "    - id: start\n", New: "    - run: true\n      shell: bash\n    - id: start\n"},
			{File: actionYML, Old: "steps.start.outputs.expired", New: "steps.start.outputs.continue"},
		},
	},
	{
		Name: "a workflow gives the action what it takes, and reads what it says", Check: takes,
		Mutants: []mutant{
			{File: planning, Old: "          command: plan", New: "          command: plan\n          comment: true"},
			{File: actionYML, Old: "  bot:\n", New: "  robot:\n", Also: "action.yml hands its inputs over in the environment, and becomes the program"},
			{File: actionYML, Old: "  expired:\n    description: \"of due: a JSON list of the runs whose question nobody answered\"\n    value: ${{ steps.start.outputs.expired }}\n", New: ""},
		},
	},
}

func handsOver(r *repo) (found []string) {
	bad := func(format string, a ...any) { found = append(found, actionYML+": "+fmt.Sprintf(format, a...)) }
	if r.action.Runs.Using != "composite" || len(r.action.Runs.Steps) != 1 {
		bad("isn't one composite step")
		return found
	}
	step := r.action.Runs.Steps[0]
	value := func(key string) string { n := step[key]; return n.Value }
	if got := slices.Sorted(maps.Keys(step)); !slices.Equal(got, []string{"env", "id", "run", "shell"}) {
		bad("the step has %q", got)
	}
	if value("run") != `exec "$GITHUB_ACTION_PATH/action/start"` {
		bad("run: %s", value("run"))
	}
	if value("shell") != strict {
		bad("shell: %s", value("shell"))
	}
	n, env := step["env"], map[string]string{}
	if err := n.Decode(&env); err != nil {
		bad("%v", err)
	}
	for name := range r.action.Inputs {
		key := "REKEY_" + strings.ToUpper(name)
		if env[key] != "${{ inputs."+name+" }}" {
			bad("input %s comes as %s: %q", name, key, env[key])
		}
		delete(env, key)
	}
	for key := range env {
		bad("%s is no input", key)
	}
	for name, o := range r.action.Outputs {
		if o.Value != "${{ steps."+value("id")+".outputs."+name+" }}" {
			bad("output %s is %s", name, o.Value)
		}
	}
	return found
}

// takes: some have no use in our own workflows, and people's rely on them.
func takes(r *repo) (found []string) {
	for _, name := range strings.Fields("command environment requests shard question again break_glass rollback fail_on config evidence actor token bot") {
		if _, ok := r.action.Inputs[name]; !ok {
			found = append(found, actionYML+": no input "+name)
		}
	}
	for _, j := range r.jobs() {
		for _, s := range j.Steps {
			e, ok := s.Exec.(*actionlint.ExecAction)
			if !ok || e.Uses.Value != "./" {
				continue
			}
			for name := range e.Inputs {
				if _, ok := r.action.Inputs[name]; !ok {
					found = append(found, j.at("no input %s", name))
				}
			}
		}
		for name := range j.Outputs {
			if _, ok := r.action.Outputs[name]; !ok {
				found = append(found, j.at("no output %s", name))
			}
		}
	}
	return found
}
