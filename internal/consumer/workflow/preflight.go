package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// preflight refuses a workflow that couldn't be started, or whose run couldn't be told from others.
func (h *handler) preflight(ctx context.Context, v visit) (rotation.Result, error) {
	if h.hub == nil {
		return rotation.Result{}, rotation.Failf("set GITHUB_TOKEN and, outside of GitHub Actions, GITHUB_REPOSITORY", "there is no token of GitHub's: the workflow %s can't be looked at", v.Workflow)
	}
	repository := v.Repository
	if repository == "" {
		repository = h.hub.Repository()
	}
	hub := h.hub.In(repository)
	w, err := hub.Workflow(ctx, v.Workflow)
	if errors.Is(err, github.ErrNotFound) {
		return rotation.Result{}, rotation.Failf("check workflow and repository, and that the token may see it (permissions: actions: read)",
			"there is no workflow %s in %s", v.Workflow, repository)
	}
	if err != nil {
		return rotation.Result{}, err
	}
	if w.State != "active" {
		return rotation.Result{}, rotation.Failf("turn it on again, on its page under Actions", "%s of %s is off (%s)", v.Workflow, repository, problem.Plain(w.State))
	}
	ref := v.Ref
	if ref == "" {
		if ref, err = hub.DefaultBranch(ctx); err != nil {
			return rotation.Result{}, err
		}
	}
	text, err := hub.Content(ctx, ".github/workflows/"+v.Workflow, ref)
	if errors.Is(err, github.ErrNotFound) {
		return rotation.Result{}, rotation.Failf("check ref, and that the token may see it (permissions: contents: read)", "there is no %s in %s at %s", v.Workflow, repository, ref)
	}
	if err != nil {
		return rotation.Result{}, err
	}
	takes, err := v.fits(text.Text)
	if err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Facts: map[string]string{factRepository: repository, factRef: ref, factTakes: strings.Join(takes, " ")},
		Text: fmt.Sprintf("%s of %s at %s can be started, takes %s, and shows its key", v.Workflow, repository, ref, strings.Join(takes, ", "))}, nil
}

var showsKey = regexp.MustCompile(`\$\{\{[^}]*\binputs\.` + dispatch.KeyInput + `\b`)

// fits holds a workflow's file against what it will be started with, and answers which of Rekey's own inputs it has.
func (v visit) fits(text []byte) (takes []string, err error) {
	const contract = "docs/consumers.md shows what the file needs"
	file, _ := actionlint.Parse(text) // what else is wrong with it is GitHub's to say
	var on *actionlint.WorkflowDispatchEvent
	if file != nil {
		for _, e := range file.On {
			if d, ok := e.(*actionlint.WorkflowDispatchEvent); ok {
				on = d
			}
		}
	}
	switch {
	case on == nil:
		return nil, rotation.Failf(contract, "%s can't be started: it has no workflow_dispatch", v.Workflow)
	case on.Inputs[dispatch.KeyInput] == nil:
		return nil, rotation.Failf(contract, "%s has no input %s", v.Workflow, dispatch.KeyInput)
	case file.RunName == nil || !showsKey.MatchString(file.RunName.Value):
		return nil, rotation.Failf("write run-name: deploy ${{ inputs."+dispatch.KeyInput+" }}; "+contract, "the run-name of %s doesn't show its input %s: its run would be found by nothing", v.Workflow, dispatch.KeyInput)
	}
	for _, name := range own {
		if on.Inputs[name] != nil {
			takes = append(takes, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.Inputs)) {
		if on.Inputs[strings.ToLower(name)] == nil {
			return nil, rotation.Failf("add it there, or take it out of the registry", "%s has no input %s", v.Workflow, name)
		}
	}
	return takes, v.enough(on)
}

// enough refuses what GitHub would: a required input that nothing is given for, a choice that isn't one.
func (v visit) enough(on *actionlint.WorkflowDispatchEvent) error {
	sent := map[string]string{dispatch.KeyInput: "", inputSecret: "", inputVersion: "", inputEnvironment: ""}
	for name, value := range v.Inputs {
		sent[strings.ToLower(name)] = value
	}
	claim, _ := v.past.Claim()
	sent[inputSecret], sent[inputEnvironment] = claim.Plan.Secret, claim.Plan.Environment
	for _, key := range slices.Sorted(maps.Keys(on.Inputs)) {
		in := on.Inputs[key]
		value, given := sent[key]
		if !given && in.Required != nil && in.Required.Value && in.Default == nil {
			return rotation.Failf("give it under inputs, in the registry", "%s requires the input %s", v.Workflow, in.Name.Value)
		}
		chosen := in.Type != actionlint.WorkflowDispatchEventInputTypeChoice || slices.ContainsFunc(in.Options, func(o *actionlint.String) bool { return o.Value == value })
		if given && !chosen {
			return rotation.Failf("add it to the options there", "the input %s of %s can't be %s", in.Name.Value, v.Workflow, problem.Quote(value))
		}
	}
	return nil
}
