package terraform

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// adopted waits while the repository names another version, or terraform would change anything that the rotation changed.
func (h *handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	if git := h.behind(c, want); git != "" {
		return rotation.Result{Wait: git, Again: rotation.Later}, nil
	}
	b, err := h.open(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	defer b.close()
	if err := b.init(ctx); err != nil {
		return rotation.Result{}, err
	}
	p, err := b.plan(ctx, "", "")
	if err != nil {
		return rotation.Result{}, err
	}
	foreseen, _ := c.foreseen()
	const text = "Git names the new version, and "
	switch others := beyond(p.changes, foreseen); {
	case p.code == 1:
		return rotation.Result{Files: b.files()}, fmt.Errorf("see whether %s runs with the new version: %s", c.Dir, b.why(p))
	case p.code == 0:
		return rotation.Result{Text: text + "terraform has nothing left to change in " + c.Dir, Files: b.files()}, nil
	case len(others) == len(p.changes) && len(foreseen) > 0:
		return rotation.Result{Text: fmt.Sprintf("%sof what the rotation changed in %s nothing is left to change; others' changes are pending (%s)", text, c.Dir, in(others)), Files: b.files()}, nil
	}
	return rotation.Result{Wait: fmt.Sprintf("%s to run with the new version: terraform would still %s", c.Dir, in(p.changes)), Again: rotation.Later}, nil
}

// back applies the plan that the old version makes, and then waits until Git names that version: what it names is what the
// next apply brings.
func (h *handler) back(ctx context.Context, c call) (rotation.Result, error) {
	old, err := c.old()
	if err != nil {
		return rotation.Result{}, err
	}
	if c.deployed(factRuns) == "" {
		return rotation.Result{Text: "nothing was applied in " + c.Dir}, nil
	}
	git := h.behind(c, old)
	if git != "" && c.past.Fact(c.step.Key, factBack) != "" {
		return rotation.Result{Wait: git + "; " + c.Dir + " runs with that already", Again: rotation.Later}, nil
	}
	if wait := h.begin(c); wait != nil {
		return *wait, nil
	}
	foreseen, _ := c.foreseen()
	res, done, err := h.change(ctx, c, old, func(_ context.Context, _ *bench, p *plan) (*rotation.Result, error) {
		if more := further(p.changes, foreseen); len(more) > 0 {
			return nil, rotation.Failf("apply or revert what is pending besides, so that only this is left; it is tried again",
				"to go back, terraform would change more in %s than this rotation did: %s", c.Dir, in(more))
		}
		return nil, nil
	})
	if err != nil || res.Wait != "" {
		return res, err
	}
	if git != "" { // until people see to that, terraform needn't be asked again
		res.Facts, res.Wait = map[string]string{factBack: c.past.Fact(c.step.Key, factRuns)}, git+"; "+done
		return res, nil
	}
	res.Text = done
	return res, nil
}

// behind is what to wait for while Git doesn't name a version, for people; "" where it does.
func (h *handler) behind(c call, want string) string {
	s, err := h.setting(c)
	switch {
	case err != nil:
		return fmt.Sprintf("Git to have %q as %s, or anybody's next apply changes it again: %s", want, c.called(), err)
	case s.value == want:
		return ""
	}
	return fmt.Sprintf("Git to name %s: merge %s at %s, or anybody's next apply goes back to %s", c.names(want), c.as(s, want), s.at(), c.names(s.value))
}

// names is which version a value names.
func (c call) names(value string) string {
	if old, err := c.old(); err == nil && value == old {
		return "the old version"
	}
	if made, err := c.new(); err == nil && value == made {
		return "the new version"
	}
	return "another version"
}
