package terraform

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// deploy applies the plan that the new version makes.
func (h *handler) deploy(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	if err := (program.Program{Called: c.binary()}).Pass(ctx, c.limit()); err != nil {
		return h.still(ctx, c, want, err)
	}
	foreseen, known := c.foreseen()
	if known {
		if wait := h.begin(c); wait != nil {
			return *wait, nil
		}
	}
	res, done, err := h.change(ctx, c, want, func(ctx context.Context, b *bench, p *plan) (*rotation.Result, error) {
		if err := c.refused(p.changes); err != nil {
			return nil, err
		}
		if !known {
			return &rotation.Result{Facts: map[string]string{factChanges: list(p.changes)}, Wait: "what the new version changes in " + c.Dir + " to be on record: " + in(p.changes)}, nil
		}
		if more := beyond(p.changes, foreseen); len(more) > 0 {
			return nil, rotation.Failf("see who changed the configuration or the infrastructure since, and apply that first; then begin again",
				"terraform would change more in %s than was foreseen: %s", c.Dir, in(more))
		}
		return nil, b.alone(ctx, foreseen)
	})
	if err != nil || res.Wait != "" {
		return res, err
	}
	if res.Text = done; h.behind(c, want) != "" {
		res.Text += "; waiting for " + h.behind(c, want)
	}
	return res, nil
}

// still is for being asked without a lease: done where nothing is left to do, else lack.
func (h *handler) still(ctx context.Context, c call, want string, lack error) (rotation.Result, error) {
	b, err := h.open(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	defer b.close()
	if err := b.init(ctx); err != nil {
		return rotation.Result{}, err
	}
	p, err := b.plan(ctx, want, "")
	switch {
	case err != nil:
		return rotation.Result{}, err
	case p.code == 1:
		return rotation.Result{}, fmt.Errorf("see whether %s runs with the new version: %s", c.Dir, b.why(p))
	case p.code == 2:
		return rotation.Result{}, lack
	}
	return rotation.Result{Text: c.Dir + " still runs with the new version"}, nil
}
