package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

// Attach adds a person's supporting evidence to a rotation: the files to its bundle, their digests to its
// chain. It needs a chain nobody is at work on, and leaves it so. by is the person's login.
func (r *Runner) Attach(ctx context.Context, j Job, by string, files []rotation.File) (rotation.Head, error) {
	w, err := r.open(ctx, j)
	if err != nil {
		return rotation.Head{}, err
	}
	if len(w.records) == 0 || w.other != nil {
		return rotation.Head{}, rotation.Failf("evidence is attached to the rotation a chain is at; status shows which that is",
			"%s: rotation %s isn't the latest one there", w.plan.Chain, w.plan.Rotation)
	}
	if err := w.free(); err != nil {
		return rotation.Head{}, err
	}
	rec := rotation.Record{Outcome: rotation.Attached}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	rec.Text = fmt.Sprintf("%s attached %s", by, strings.Join(names, ", "))
	// Named by what they hold, as a second screenshot of the same name is another one.
	step := rotation.Step{Key: "attached"}
	if err := w.keep(ctx, step, files, &rec); err != nil {
		return rotation.Head{}, err
	}
	if err := w.append(ctx, rec); err != nil {
		return rotation.Head{}, err
	}
	return w.chain.Head(), nil
}
