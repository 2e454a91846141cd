package terraform

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// begin is nil when an apply may begin: that is on record then.
func (h *handler) begin(c call) *rotation.Result {
	record := h.runs.Begin(c.token(), c.past.Fact(c.step.Key, factRuns))
	if record == "" {
		return nil
	}
	return &rotation.Result{Facts: map[string]string{factRuns: record}, Wait: "an apply in " + c.Dir + " to be on record before it begins"}
}

// change plans with a value, has that plan judged, and applies it. done says what came of it.
func (h *handler) change(ctx context.Context, c call, value string, judge func(context.Context, *bench, *plan) (*rotation.Result, error)) (res rotation.Result, done string, err error) {
	begun := false
	defer func() {
		if !begun && c.past.Fact(c.step.Key, factRuns) != "" {
			h.runs.Unbegun(c.token(), c.past.Fact(c.step.Key, factRuns))
		}
	}()
	b, err := h.open(ctx, c)
	if err != nil {
		return res, "", err
	}
	defer func() {
		if res.Wait == "" || len(res.Facts) > 0 { // what only waits is asked again and again
			res.Files = b.files()
		}
		b.close()
	}()
	if err := b.init(ctx); err != nil {
		return res, "", err
	}
	out := filepath.Join(b.dir, "plan")
	p, err := b.plan(ctx, value, out)
	if err != nil {
		return res, "", err
	}
	if p.code == 0 {
		return res, "terraform has nothing to change in " + c.Dir, nil
	}
	if p.code == 1 {
		res.Wait, res.Again, err = b.stopped(p, "plan")
		return res, "", err
	}
	switch wait, err := judge(ctx, b, p); {
	case err != nil:
		return res, "", err
	case wait != nil:
		return *wait, "", nil
	}
	begun = true
	applied, err := b.apply(ctx, out)
	if err != nil {
		return res, "", err
	}
	if applied.code != 0 {
		res.Wait, res.Again, err = b.stopped(applied, "apply")
		begun = res.Wait == ""
		return res, "", err
	}
	again, err := b.plan(ctx, value, "")
	switch {
	case err != nil:
		return res, "", err
	case again.code == 1:
		return res, "", fmt.Errorf("look at %s after the apply: %s", c.Dir, b.why(again))
	case again.code == 2:
		return res, "", rotation.Failf("see terraform plan: a plan after an apply must have nothing to change", "terraform applied it in %s, and would still %s", c.Dir, in(again.changes))
	}
	return res, fmt.Sprintf("%s made %s in %s: %s", c.binary(), count(p.changes), c.Dir, in(p.changes)), nil
}

// stopped is what to make of a plan or apply that ended with 1. A lock of somebody else's, and a plan that the state has
// left behind, are to be waited for; a failed plan changed nothing, so that whether it fails the next time is open; a
// failed apply may have changed a part, and is definite.
func (b *bench) stopped(p *plan, what string) (wait string, again time.Duration, err error) {
	d, locked := p.is(isLocked)
	if who, ok := d.holder(); ok && locked {
		return fmt.Sprintf("the lock of the state of %s: %s; where that run is dead, a person frees it with %s force-unlock", b.Dir, who, b.binary()), every, nil
	}
	if _, ok := p.is(isStale); ok {
		return "another plan: the state of " + b.Dir + " changed since this one was made", time.Second, nil
	}
	if what == "plan" || locked { // an apply that got no lock changed nothing either
		return "", 0, fmt.Errorf("%s %s in %s: %s", b.binary(), what, b.Dir, b.why(p))
	}
	return "", 0, rotation.Failf("see "+evidence+" in the evidence", "%s apply in %s failed after %d of its changes: %s", b.binary(), b.Dir, p.applied, b.why(p))
}

// alone refuses an apply while, as the checkout has it, anything else is pending than what an apply of this rotation left
// half done. Asked after the plan was made: what changes the state in between makes that plan stale.
func (b *bench) alone(ctx context.Context, foreseen []string) error {
	p, err := b.plan(ctx, "", "")
	if err != nil {
		return err
	}
	pending := p.changes
	if b.past.Fact(b.step.Key, factRuns) != "1" {
		pending = beyond(pending, foreseen)
	}
	switch {
	case p.code == 1:
		return fmt.Errorf("%s plan in %s: %s", b.binary(), b.Dir, b.why(p))
	case len(pending) > 0:
		return rotation.Failf("apply that or take it back, or merge what another rotation asked for; then begin again",
			"terraform has changes pending in %s that are not this rotation's: %s", b.Dir, in(pending))
	}
	return nil
}
