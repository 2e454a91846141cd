// Package runs projects what steps ask for onto runs of GitHub's workflows: one for each ask in the journal that is still
// open, started where none answers it yet.
//
// It must never start one on what it read long ago, nor where a run may have been started already and the list only
// doesn't show it yet. GitHub takes no token for a dispatch: two jobs at the same moment can start two runs of one key.
// Both do the same, and the first is the one that is watched.
package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// Fresh is how old what was read of the journal may be when a run is started by it. Steps that go back count on it.
const Fresh = 5 * time.Minute

// GitHub is what the projection needs of it, in one repository; *github.Client is one.
type GitHub interface {
	Dispatched(ctx context.Context, workflow string, since time.Time) ([]github.Run, error)
	Dispatch(ctx context.Context, workflow, ref string, inputs map[string]string) error
	DefaultBranch(ctx context.Context) (string, error)
}

// An Ask is one that is open, and who answers for its rotation: a run they started by hand answers it, too.
type Ask struct {
	dispatch.Ask
	Chain     rotation.Chain
	Operator  string
	ByDefault bool // its ref must be the default branch
}

// Open is what the step that is due, or was left to a later run, asks for; false: nothing, or nothing that may still be
// started: its time is over.
func Open(p *rotation.Plan, records []rotation.Record, d plan.Decision, now time.Time) (a Ask, ok bool, err error) {
	if len(records) == 0 || !d.Due() && (d.State != plan.Waiting || d.Approval != "") {
		return a, false, nil
	}
	s, past := d.Step, rotation.PastOf(records)
	a.Ask, ok, err = dispatch.Of(s, past)
	if err != nil || !ok || s.Within > 0 && !now.Before(plan.Since(records).Add(time.Duration(s.Within))) {
		return a, false, err
	}
	claim, _ := past.Claim()
	a.Chain, a.Operator = p.Chain, claim.Actors.Operator
	return a, true, nil
}

// A Projector starts runs. It remembers which, for lists that lag; use one for all passes of a process, and not from two
// goroutines.
type Projector struct {
	In   func(repository string) GitHub
	Bot  string // login that starts them
	Now  func() time.Time
	Read time.Time // when the journal was

	began map[string]bool // by key: this process started it, or may have
}

// Write starts what asks lack. Where one can't be started the others still are; the errors come joined.
func (p *Projector) Write(ctx context.Context, asks []Ask) (t notice.Tally, err error) {
	var failed []error
	for _, a := range asks {
		if err := p.one(ctx, a, &t); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", a.Chain, err))
		}
	}
	return t, errors.Join(failed...)
}

func (p *Projector) one(ctx context.Context, a Ask, t *notice.Tally) error {
	hub := p.In(a.Repository)
	there, err := p.there(ctx, hub, a, t)
	if err != nil || there || p.began[a.Key()] {
		return err
	}
	left := Fresh - p.Now().Sub(p.Read)
	if left <= 0 {
		t.Again = true
		return nil
	}
	if a.ByDefault {
		if branch, err := hub.DefaultBranch(ctx); err != nil {
			return err
		} else if branch != a.Ref {
			return rotation.Failf("name the branch as ref, in the registry", "it asks for a run of %s at %s, and the default branch is %s: it isn't started", a.Workflow, a.Ref, branch)
		}
	}
	if p.began == nil {
		p.began = map[string]bool{}
	}
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	err = hub.Dispatch(limited, a.Workflow, a.Ref, a.Inputs)
	if errors.Is(err, github.ErrUnknown) {
		p.began[a.Key()] = true
		if there, _ := p.there(ctx, hub, a, t); there {
			t.Created++
			return nil
		}
		t.Again = true
		return err
	}
	if err != nil {
		return err
	}
	p.began[a.Key()] = true
	t.Created++
	return nil
}

// there says whether a's run has begun, and reports those that only look so.
func (p *Projector) there(ctx context.Context, hub GitHub, a Ask, t *notice.Tally) (bool, error) {
	list, err := hub.Dispatched(ctx, a.Workflow, a.At.Add(-dispatch.Skew))
	if err != nil {
		return false, err
	}
	ours, foreign := dispatch.Find(a.Ask, list, p.Bot, a.Operator)
	for _, f := range foreign {
		t.Find(f.URL, "see who started it, and why", "has the key %s of %s, and isn't Rekey's: @%s started it at %s", a.Key(), a.Chain, f.Actor.Login, f.Branch)
	}
	return ours != nil, nil
}
