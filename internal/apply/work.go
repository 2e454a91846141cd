package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// work is one Run of one job.
type work struct {
	*Runner
	job        Job
	place      *place // among the jobs of this run
	chain      *evidence.Chain
	plan       rotation.Plan
	records    []rotation.Record // of our attempt
	pending    []*rotation.Record
	tail       []rotation.Record // the chain's latest attempt as found, ours or not
	other      *rotation.Claim   // of the tail, when that is another rotation
	superseded bool
	appended   bool
	ahead      time.Duration      // our clock of the store's, when the chain was opened
	former     []rotation.Record  // of an attempt that was refused, and that this one takes the place of
	refused    string             // this one is refused as that one was
	takenUp    bool               // another runner began this attempt
	pointed    bool               // by this one; see found
	held       string             // why a new claim must wait
	granted    *rotation.Approval // of the former attempt: people weren't asked for nothing
	spent      map[string]int     // approvals that former attempts used, by run
	lease      lease
	handlers   map[string]rotation.Handler
	waits      string
}

func (w *work) status() Status {
	s := Status{Plan: w.plan, Records: w.records, Head: w.chain.Head(), Chain: w.chain, Appended: w.appended, Waits: cmp.Or(w.waits, w.held)}
	if w.superseded {
		s.Decision = plan.Decision{State: plan.Superseded, Why: "superseded by " + w.other.Plan.Rotation}
		return s
	}
	s.Decision = w.next()
	if w.refused != "" {
		s.Decision.State, s.Decision.Why = plan.Refused, w.refused
	}
	if s.Waits != "" && (s.Decision.State == plan.Open || s.Decision.Approval != "") {
		s.Decision.State, s.Decision.Why, s.Decision.Approval = plan.Waiting, s.Waits, "" // nobody is asked about it yet
	}
	return s
}

// next is plan.Next, and what the tree says on top of it: a withdrawn request never begins, and none begins before
// its day.
func (w *work) next() plan.Decision {
	now := w.Clock.Now()
	d := plan.Next(&w.plan, w.records, now)
	if d.Approval != "" && len(w.records) == 0 && w.granted != nil {
		d = plan.Next(&w.plan, []rotation.Record{{Outcome: rotation.Approved, Approval: w.granted}}, now)
	}
	if w.job.Withdrawn && !d.State.Over() && !plan.MayHaveBegun(&w.plan, w.records) {
		return plan.Decision{State: plan.Missed, Why: "its request was withdrawn"}
	}
	// Former attempts are looked for back to this day and no further, so none may be older.
	if day := requestDay(w.plan.Rotation); len(w.records) == 0 && !d.State.Over() && now.Before(day) {
		return plan.Decision{State: plan.Deferred, Step: d.Step, Until: day, Why: "its request is dated " + w.plan.Rotation[:len(time.DateOnly)]}
	}
	return d
}

// run goes on until there is nothing to do now, and leaves the chain to others.
func (w *work) run(ctx context.Context) error {
	if w.superseded {
		if w.job.RollBack != "" {
			return rotation.Failf("roll back that one instead", "%s of %s can't be rolled back: it is superseded by %s", w.plan.Rotation, w.plan.Chain, w.other.Plan.Rotation)
		}
		return nil
	}
	if w.job.RollBack != "" {
		if err := w.ask(ctx); err != nil {
			return err
		}
	}
	return w.release(ctx, w.loop(ctx))
}

func (w *work) loop(ctx context.Context) error {
	for {
		d := w.next()
		if d.Due() && w.held == "" {
			w.place.head(w.heading(d.Step, true))
		} else {
			w.place.head(nil)
		}
		if d.State == plan.Deferred && d.Until.Sub(w.Clock.Now()) <= w.Patience && w.Patience > 0 {
			// To everybody else a deferred rotation is one nobody is at work on: so it is to us.
			if err := w.release(ctx, nil); err != nil {
				return err
			}
			if err := w.Clock.Sleep(ctx, d.Until.Sub(w.Clock.Now())); err != nil {
				return err
			}
			continue
		}
		if on, err := w.approve(ctx, d); err != nil {
			return err
		} else if on {
			continue
		}
		if w.job.OnlyBegun && len(w.records) == 0 {
			return nil
		}
		if !d.Due() || w.held != "" || w.job.OnlyBack && d.Step.Phase != rotation.Rollback {
			return nil
		}
		if err := w.admit(ctx, d.Step); err != nil {
			return err
		}
		left, err := w.step(ctx, d.Step)
		switch {
		case err != nil && w.caughtUp(ctx, err):
		case err != nil:
			return fmt.Errorf("%s: %w", d.Step.ID, err)
		case left:
			return w.tell(ctx)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// admit lets s begin: nobody else is at work, the world is as the claim has it, and unless s only looks, the
// chain is ours.
func (w *work) admit(ctx context.Context, s rotation.Step) error {
	if s.Phase != rotation.Rollback && len(w.records) > 0 && !w.job.Withdrawn && w.job.Claim.Plan.Digest != w.plan.Digest {
		w.waits = "a request is never edited once it has begun: put it back, or roll it back and open another"
		return fmt.Errorf("%s: %w", w.plan.Chain, ErrChanged)
	}
	if err := w.known(ctx); err != nil {
		return err
	}
	if s.Phase != rotation.Rollback && w.ahead > MostAhead {
		return rotation.Failf("set this machine's clock", "the clock here is %s ahead of the evidence store's: windows and retentions would seem over that aren't",
			w.ahead.Round(time.Second))
	}
	if w.lease.remaining() > 0 {
		return w.found(ctx)
	}
	if err := w.free(); err != nil {
		return err
	}
	if s.Looks {
		return w.found(ctx)
	}
	return w.claim(ctx)
}

// found leaves the pointer by which the attempt is found without its request's file: whoever claimed it may have died
// before that. Nothing may have begun until it is there, and what looks first is recorded without taking the chain up.
func (w *work) found(ctx context.Context) error {
	if w.pointed || len(w.records) == 0 || plan.MayHaveBegun(&w.plan, w.records) {
		return nil
	}
	return w.point(ctx)
}

// known holds every step of the plan against the handlers, before the first one is asked anything.
func (w *work) known(ctx context.Context) (err error) {
	if w.handlers != nil {
		return nil
	}
	c := w.draft()
	if len(w.records) > 0 {
		c = claimOf(w.records)
	}
	if w.handlers, err = w.Handlers(ctx, &c); err != nil {
		return err
	}
	for _, list := range [][]rotation.Step{w.plan.Steps, w.plan.Undo} {
		for _, s := range list {
			if w.handlers[s.Uses][s.Name] == nil {
				return rotation.Failf("finish it with the version of rekey that began it: the claim names it",
					"this version doesn't know step %s of %s", s.Name, s.Uses)
			}
		}
	}
	return nil
}

// free refuses while another runner may be at work on the chain, or another rotation is open in it.
func (w *work) free() error {
	if len(w.tail) == 0 {
		return nil
	}
	now := w.Clock.Now()
	if w.other != nil {
		p := w.other.Plan
		switch d := plan.Next(&p, w.tail, now); {
		case d.State.Over(), !plan.MayHaveBegun(&p, w.tail):
		case w.plan.Supersede && plan.Validated(&p, w.tail, now):
		default:
			return &Busy{Chain: w.plan.Chain, Who: p.Rotation}
		}
	}
	if until := w.leased(); w.chain.StoreNow().Before(until) {
		return &Busy{Chain: w.plan.Chain, Who: w.tail[len(w.tail)-1].Runner.ID, Until: until}
	}
	return nil
}

// leased is until when the tail's last runner may still be at work, by the store's clock.
func (w *work) leased() time.Time {
	i := len(w.tail) - 1
	for i > 0 && w.tail[i].Outcome == rotation.Attached { // a person's, and no lease
		i--
	}
	last := w.tail[i]
	p := claimOf(w.tail).Plan
	switch {
	case last.Runner == w.Self && last.Rotation == w.plan.Rotation:
		return time.Time{}
	case last.Outcome != rotation.Released && !left(&p, w.tail[:i+1]):
	case last.QuietAt != nil:
		// As long after, rather than at that time: their clock may not be the store's.
		return w.chain.LastStored().Add(last.QuietAt.Sub(last.At))
	default:
		return time.Time{}
	}
	return w.chain.LastStored().Add(Lease + Margin)
}

// left says whether the last record by itself tells that its runner had nothing more to do. One that takes up a
// stuck step again is at work, though the step stays stuck until it is done.
func left(p *rotation.Plan, records []rotation.Record) bool {
	last := records[len(records)-1]
	switch d := plan.Next(p, records, last.At); d.State {
	case plan.Open:
		return false
	case plan.Stuck, plan.Refused:
		return last.Outcome == rotation.Failed
	}
	return true
}

// claim makes the chain ours by the next record: a new attempt, or its resumption.
func (w *work) claim(ctx context.Context) error {
	if len(w.records) > 0 {
		w.takenUp = true
		if err := w.append(ctx, rotation.Record{Outcome: rotation.Resumed}); err != nil {
			return err
		}
		return w.found(ctx)
	}
	c := w.draft()
	if w.job.Identity != nil {
		var err error
		if c.Identity, err = w.job.Identity(ctx); err != nil {
			return err
		}
	}
	if err := w.append(ctx, rotation.Record{Outcome: rotation.Claimed, Claim: &c}); err != nil {
		return err
	}
	return w.point(ctx)
}

// draft is the claim as it would be appended now.
func (w *work) draft() rotation.Claim {
	c := w.job.Claim
	c.Plan, c.Approval, c.Spent = w.plan, w.granted, w.spent
	if len(w.tail) == 0 {
		return c
	}
	last := claimOf(w.tail)
	switch state := plan.Next(&last.Plan, w.tail, w.Clock.Now()).State; {
	case w.other != nil && w.plan.Supersede && !state.Over():
		c.Supersedes, c.Inherits = last.Plan.Rotation, append(facts(w.tail), last.Inherits...)
	case state != plan.Finished: // it never came to what it answered for
		c.Inherits = last.Inherits
	}
	return c
}

// facts are all that was recorded, last value first, so that nothing kept is forgotten.
func facts(records []rotation.Record) (all []rotation.Fact) {
	seen := map[rotation.Fact]bool{}
	for i := len(records) - 1; i >= 0; i-- {
		for k, v := range records[i].Facts {
			f := rotation.Fact{Step: records[i].Step, Key: k, Value: v}
			if !seen[f] {
				seen[f], all = true, append(all, f)
			}
		}
	}
	sortFacts(all)
	return all
}

// point outlasts a request to stop: were the request's file deleted now, nobody would find the claim by it.
func (w *work) point(ctx context.Context) error {
	ctx, cancel := w.outlast(ctx)
	defer cancel()
	err := w.retry(ctx, func() error { return w.Bundle.Point(ctx, &w.plan, w.chain.Head()) })
	w.pointed = err == nil
	return err
}

// ask records that a person wants the old credential back.
func (w *work) ask(ctx context.Context) error {
	if d := w.next(); d.State == plan.RolledBack {
		return nil
	} else if ok, why := plan.CanRollBack(&w.plan, w.records, w.Clock.Now()); !ok {
		return rotation.Failf("", "%s of %s can't be rolled back: %s", w.plan.Rotation, w.plan.Chain, why)
	} else if d.Due() && d.Step.Phase == rotation.Rollback {
		return nil // it is on its way back already
	}
	if err := w.free(); err != nil {
		return err
	}
	return w.append(ctx, rotation.Record{Outcome: rotation.Asked, Text: w.job.RollBack})
}

// release gives the lease back and hands err on. It appends nothing where the last record tells that we have
// left, unless a call of ours may still arrive: until then nobody else may begin. Best effort: a lease that isn't
// given back runs out.
func (w *work) release(ctx context.Context, err error) error {
	if w.lease.remaining() <= 0 || errors.Is(err, evidence.ErrTaken) || len(w.pending) > 0 {
		return err
	}
	rec := rotation.Record{Outcome: rotation.Released}
	if err != nil {
		rec.Text = err.Error()
	} else if w.waits != "" {
		rec.Text = rotation.WaitsFor + w.waits
	}
	if err == nil && !w.lease.quietAt().After(w.Clock.Now()) && left(&w.plan, w.records) {
		w.lease.drop()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace/2)
	defer cancel()
	if err2 := w.append(ctx, rec); err2 == nil {
		w.lease.drop()
	}
	return err
}
