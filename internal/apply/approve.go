package apply

import (
	"cmp"
	"context"
	"maps"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// approve puts on record that people let the rotation go on, where it waits for that; on says that it was done. The
// record comes before anything else does, so that nobody is asked twice for what a crash interrupts.
func (w *work) approve(ctx context.Context, d plan.Decision) (on bool, err error) {
	if d.Approval == "" || w.job.Approval == nil || w.held != "" || w.job.OnlyBack || w.job.OnlyBegun && len(w.records) == 0 {
		return false, nil
	}
	a := *w.job.Approval
	a.Comment, a.BreakGlass = w.Scrub(a.Comment), w.Scrub(a.BreakGlass)
	a.For, a.Digest = cmp.Or(a.For, d.Approval), cmp.Or(a.Digest, plan.Fingerprint(&w.plan))
	changed := a.Digest != plan.Fingerprint(&w.plan) || !w.job.Withdrawn && w.job.Claim.Plan.Digest != w.plan.Digest
	switch {
	case a.For != d.Approval:
		return false, nil
	case changed:
		w.waits = "its request, or what would be done for it, was changed after it was asked about: the next run asks again"
		return false, nil
	case a.Count > 0 && w.spent[a.Run] >= a.Count:
		w.waits = "this run's approval was used for an earlier attempt: run the workflow anew, instead of running it again"
		return false, nil
	}
	if err := w.free(); err != nil {
		return false, err
	}
	if len(w.records) == 0 {
		w.granted = &a
		return true, w.claim(ctx)
	}
	return true, w.append(ctx, rotation.Record{Outcome: rotation.Approved, Approval: &a})
}

// spend counts what the attempt that ends with records, and those before it, have used.
func (w *work) spend(records []rotation.Record) {
	w.spent = maps.Clone(claimOf(records).Spent)
	for _, scope := range []string{rotation.ApprovesRotation, rotation.ApprovesDecommission} {
		if a := plan.Approval(records, scope); a != nil && a.Count > 0 {
			if w.spent == nil {
				w.spent = map[string]int{}
			}
			w.spent[a.Run] = max(w.spent[a.Run], a.Count)
		}
	}
}
