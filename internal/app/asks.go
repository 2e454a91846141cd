package app

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/consumer/workflow"
	"github.com/rastup/rekey/internal/notice/runs"
	"github.com/rastup/rekey/internal/rotation"
)

// Asks are the workflows' runs that rotations wait for, and that may be started. Those of a rotation that goes forward
// aren't where the tree has mistakes, or its request was edited since; none is that the registry doesn't name. With an
// error, the others.
func (a *App) Asks(results []Result, mistaken bool) (asks []runs.Ask, err error) {
	var failed []error
	for _, r := range results {
		d, p := r.Status.Decision, &r.Status.Plan
		j := r.Task.In(p.Environment)
		edited := j != nil && !j.Withdrawn && j.Claim.Plan.Digest != p.Digest
		if r.Err != nil || d.Step.Phase != rotation.Rollback && (mistaken || edited) {
			continue
		}
		ask, ok, err := runs.Open(p, r.Status.Records, d, a.Clock.Now())
		if err == nil && ok {
			ask.ByDefault, err = a.named(ask, consumer.Named(d.Step))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.Chain, err))
		} else if ok {
			asks = append(asks, ask)
		}
	}
	return asks, errors.Join(failed...)
}

// named refuses what no consumer of that name asks for in the registry: jobs that run commands of the tree can append to
// the journal, and mustn't be able to start just any workflow by that.
func (a *App) named(ask runs.Ask, name string) (byDefault bool, err error) {
	home := ""
	if a.GitHub != nil {
		home = a.GitHub.Repository()
	}
	if e, ok := a.Inputs.Registry.Find(ask.Chain.Secret); ok {
		if at := e.Environments[ask.Chain.Environment]; at != nil {
			for _, u := range at.Consumers {
				if u.Name != name || u.Uses != workflow.Consumer().Name {
					continue
				}
				if ok, byDefault := workflow.Names(u.With, ask.Ask, ask.Chain, home); ok {
					return byDefault, nil
				}
			}
		}
	}
	return false, rotation.Failf("put the consumer back into the registry as it was, or see who wrote that into the journal",
		"it asks for a run of %s in %s at %s that the registry doesn't name: it isn't started", ask.Workflow, ask.Repository, ask.Ref)
}

// starts says whether some secret has a workflow of this repository for a consumer.
func (a *App) starts() bool {
	for _, e := range a.Inputs.Registry.Entries {
		for _, at := range e.Environments {
			for _, u := range at.Consumers {
				var s workflow.Shape
				if u.Uses == workflow.Consumer().Name && json.Unmarshal(u.With, &s) == nil && s.Repository == "" {
					return true
				}
			}
		}
	}
	return false
}
