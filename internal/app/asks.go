package app

import (
	"errors"
	"fmt"

	"github.com/rastup/rekey/internal/notice/runs"
	"github.com/rastup/rekey/internal/rotation"
)

// Asks are the workflows' runs that rotations wait for, and that may be started. Those of a rotation that goes forward
// aren't where the tree has mistakes, or its request was edited since. With an error, those that could be read.
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
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.Chain, err))
		}
		if ok {
			asks = append(asks, ask)
		}
	}
	return asks, errors.Join(failed...)
}
