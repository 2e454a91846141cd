package app

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/notice/bundle"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/site"
	"github.com/rastup/rekey/internal/rotation"
)

// Report is all that the site shows: a scan, the rotations that it saw, and of each secret what began in the months
// before, by one listing a month and one read of each that was closed. repository is its page; "" unknown. It changes nothing.
func (a *App) Report(ctx context.Context, months int, repository string) (site.Data, error) {
	now := a.Clock.Now().UTC()
	d := site.Data{Repository: repository, History: map[string][]site.Past{}, Since: time.Date(now.Year(), now.Month()-time.Month(months), 1, 0, 0, 0, 0, time.UTC)}
	var shown []Shown
	var err error
	if d.Scan, shown, err = a.scan(ctx); err != nil {
		return d, err
	}
	for _, v := range shown {
		r := site.Rotation{View: v.View.Lasting()}
		for _, s := range v.View.Environments {
			if s.Records > 0 {
				e := a.where(rotation.Chain{Environment: s.Name, Secret: v.View.Secret}, v.View.Rotation)
				e.Locked = a.LockedUntil(s.At())
				r.Evidence = append(r.Evidence, e)
			}
		}
		d.Rotations = append(d.Rotations, r)
	}
	began, err := a.bundle.Recent(ctx, d.Since, now, time.Time{})
	if err != nil {
		return d, err
	}
	all := make([]site.Past, len(began))
	var g errgroup.Group
	g.SetLimit(16)
	for i, o := range began {
		g.Go(func() error {
			all[i] = a.past(ctx, o)
			return nil
		})
	}
	_ = g.Wait() // each has its own trouble
	for i, o := range began {
		d.History[o.Secret] = append(d.History[o.Secret], all[i])
	}
	for _, all := range d.History { // they begin with their dates
		slices.SortFunc(all, func(a, b site.Past) int { return cmp.Compare(b.Rotation, a.Rotation) })
	}
	return d, nil
}

// past is a rotation as its bundle has it. What can't be read is said, and no error.
func (a *App) past(ctx context.Context, o evidence.Open) site.Past {
	p := site.Past{Rotation: o.Rotation, Attempt: o.Attempt, Closed: o.Closed}
	for _, env := range a.ordered(o.Environments) {
		p.Evidence = append(p.Evidence, a.where(rotation.Chain{Environment: env, Secret: o.Secret}, o.Rotation))
	}
	if o.Closed.IsZero() {
		return p
	}
	var c bundle.Closed
	data, err := a.bundle.ReadClose(ctx, o.Secret, o.Rotation, o.Attempt)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		p.Stood = "how it ended can't be read: " + cloud.Line(a.Scrub(err.Error()))
		return p
	}
	var order []string
	at := map[string][]string{}
	for _, e := range c.Environments {
		state := string(e.Outcome)
		if at[state] == nil {
			order = append(order, state)
		}
		at[state] = append(at[state], e.Environment)
	}
	for i, state := range order {
		order[i] = report.And(at[state]) + " " + state
	}
	p.Stood = strings.Join(order, ", ")
	return p
}

// where is an environment's bundle.
func (a *App) where(c rotation.Chain, name string) site.Evidence {
	e := site.Evidence{Environment: c.Environment}
	e.Label, e.URL = a.bundleURL(c, name)
	return e
}

// ordered are names of environments in the configured order; those that aren't configured any more come last.
func (a *App) ordered(names []string) []string {
	at := func(name string) int {
		for i, e := range a.Inputs.Config.Environments {
			if e.Name == name {
				return i
			}
		}
		return len(a.Inputs.Config.Environments)
	}
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(at(x), at(y)) })
	return names
}
