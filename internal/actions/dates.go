package actions

import (
	"context"
	"errors"
	"slices"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/notice/dates"
	"github.com/rastup/rekey/internal/rotation"
)

// dates offers the registry's column "Last rotated" as the journal knows it, by one pull request that is kept right.
func (j *job) dates(ctx context.Context) error {
	if j.hub == nil {
		return errors.New("input token: without it nothing can be offered")
	}
	if err := j.onDefaultBranch(ctx); err != nil {
		return err
	}
	found := j.app.Load()
	if j.annotate(found); found.Len() > 0 {
		return errSaid
	}
	tasks, err := j.app.Tasks(ctx)
	if err != nil {
		return err
	}
	results, err := j.app.Look(ctx, tasks, false)
	if err != nil {
		return err
	}
	last := map[string]dates.Date{}
	for _, v := range j.app.Shown(results) {
		if d, ok := validated(v); ok && d.At.After(last[v.View.Secret].At) {
			last[v.View.Secret] = d
		}
	}
	var paths []string
	for _, e := range j.app.Inputs.Registry.Entries {
		paths = append(paths, e.Pos.File)
	}
	slices.Sort(paths)
	p := &dates.Projector{GitHub: j.hub, Bot: j.bot()}
	t, err := p.Write(ctx, slices.Compact(paths), last)
	j.findings(t, "")
	j.gha.Infof("%d written, %d edited, %d closed", t.Created, t.Edited, t.Closed)
	return err
}

// validated is when a rotation was validated in the last of its environments; false: it isn't in all of them.
func validated(v app.Shown) (d dates.Date, ok bool) {
	for i, e := range v.Environments {
		if !v.View.Environments[i].Validated {
			return d, false
		}
		for _, s := range e.Plan.Steps {
			if at := recorded(e.Records, s.Key); s.Phase != rotation.Decommission && at.After(d.At) {
				d.At = at
			}
		}
	}
	d.Rotation = v.Task.Rotation
	return d, len(v.Environments) > 0
}
