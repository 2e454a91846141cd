package github

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

const workflowsAt = ".github/workflows/"

// hasWorkflow says whether the default branch has a workflow's file, or it has run.
func (r *request) hasWorkflow(name string) bool {
	_, there := r.repo.commits[r.repo.branches[r.repo.branch]].tip()[workflowsAt+name]
	for _, n := range r.repo.runs {
		there = there || n.workflow == name || itoa(n.workflowID) == name
	}
	return there
}

func (r *request) getWorkflow() (answer, error) {
	name := r.args["workflow_id"]
	if !r.hasWorkflow(name) {
		return answer{}, notFound()
	}
	state := "active"
	if r.repo.disabled[name] {
		state = "disabled_manually"
	}
	at := r.api("/actions/workflows/" + name)
	return ok(doc{"id": r.repo.id*1000 + int64(len(name)), "node_id": node("Workflow", r.repo.id), "name": strings.TrimSuffix(name, ".yml"), "path": workflowsAt + name, "state": state,
		"created_at": stamp(r.repo.made), "updated_at": stamp(r.repo.made), "url": at, "html_url": r.html("/blob/" + r.repo.branch + "/" + workflowsAt + name),
		"badge_url": r.html("/workflows/" + name + "/badge.svg")})
}

// DisableWorkflow turns a workflow off, or on again.
func (s *Service) DisableWorkflow(file string, off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo.disabled[file] = off
}

// dispatch begins a run, queued. Its refusals are GitHub's, as issues of clients quote them: convictional's
// trigger-workflow-and-wait 4 and 44, benc-uk's workflow-dispatch 46.
func (r *request) dispatch() (answer, error) {
	var in struct {
		Ref     string         `json:"ref"`
		Inputs  map[string]any `json:"inputs"`
		Details bool           `json:"return_run_details"`
	}
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	name := r.args["workflow_id"]
	if !r.hasWorkflow(name) {
		return answer{}, notFound()
	}
	if in.Ref == "" {
		return answer{}, invalid("Invalid request.\n\n\"ref\" wasn't supplied.")
	}
	if len(in.Inputs) > 25 {
		return answer{}, invalid(fmt.Sprintf("Invalid request.\n\nNo more than 25 properties are allowed; %d were supplied.", len(in.Inputs)))
	}
	branch := strings.TrimPrefix(in.Ref, "refs/heads/")
	sha := r.repo.branches[branch]
	text, there := r.repo.commits[sha].tip()[workflowsAt+name]
	switch {
	case sha == "":
		return answer{}, invalid("No ref found for: " + in.Ref)
	case !there:
		return answer{}, notFound()
	case r.repo.disabled[name]:
		return answer{}, invalid("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
	}
	file, declared := dispatchable(text)
	if declared == nil {
		return answer{}, invalid("Workflow does not have 'workflow_dispatch' trigger")
	}
	inputs, err := given(declared.Inputs, in.Inputs)
	if err != nil {
		return answer{}, err
	}
	title := ""
	if file.RunName != nil {
		if title, err = named(file.RunName.Value, inputs); err != nil {
			return answer{}, err
		}
	}
	n := r.startRun(name, "workflow_dispatch", branch, sha, r.login)
	n.name, n.inputs = title, inputs
	if !in.Details {
		return answer{status: http.StatusNoContent}, nil
	}
	return ok(doc{"workflow_run_id": n.id, "run_url": r.api("/actions/runs/" + itoa(n.id)), "html_url": r.html("/actions/runs/" + itoa(n.id))})
}

// dispatchable is a workflow's file and its trigger; nil where it has none.
func dispatchable(text string) (*actionlint.Workflow, *actionlint.WorkflowDispatchEvent) {
	file, _ := actionlint.Parse([]byte(text))
	if file == nil {
		return nil, nil
	}
	for _, on := range file.On {
		if d, ok := on.(*actionlint.WorkflowDispatchEvent); ok {
			return file, d
		}
	}
	return file, nil
}

// given are the inputs as the run has them, defaults filled in.
func given(declared map[string]*actionlint.DispatchInput, in map[string]any) (map[string]string, error) {
	var unexpected []string
	inputs := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if declared[strings.ToLower(k)] == nil {
			unexpected = append(unexpected, strconv.Quote(k))
		}
		inputs[strings.ToLower(k)] = fmt.Sprint(in[k])
	}
	if len(unexpected) > 0 {
		return nil, invalid("Unexpected inputs provided: [" + strings.Join(unexpected, ", ") + "]")
	}
	for _, k := range slices.Sorted(maps.Keys(declared)) {
		d := declared[k]
		if _, has := inputs[k]; !has && d.Default != nil {
			inputs[k] = d.Default.Value
		}
		if d.Required != nil && d.Required.Value && inputs[k] == "" {
			return nil, invalid(fmt.Sprintf("Required input '%s' not provided", d.Name.Value))
		}
		if v := inputs[k]; v != "" && d.Type == actionlint.WorkflowDispatchEventInputTypeChoice &&
			!slices.ContainsFunc(d.Options, func(o *actionlint.String) bool { return o.Value == v }) {
			return nil, invalid(fmt.Sprintf("Provided value '%s' for input '%s' not in the list of allowed values", v, d.Name.Value))
		}
	}
	return inputs, nil
}

var inName = regexp.MustCompile(`\$\{\{\s*(?:github\.event\.)?inputs\.([\w-]+)\s*\}\}`)

// named is a run-name with its inputs; anything else in it isn't modelled, and an error of the sandbox's.
func named(text string, inputs map[string]string) (string, error) {
	text = inName.ReplaceAllStringFunc(text, func(s string) string { return inputs[strings.ToLower(inName.FindStringSubmatch(s)[1])] })
	if strings.Contains(text, "${{") {
		return "", fmt.Errorf("run-name %q: the sandbox knows inputs only", text)
	}
	return text, nil
}
