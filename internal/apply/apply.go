// Package apply carries rotations as far as they can go now: what is next, do it, record it, again. It owns
// claim, lease and fence. It knows no kind, consumer, check, cloud or secret, decides nothing that plan.Next
// doesn't say, and besides child it is the only package that waits.
//
// What a crash leaves behind is always one of: nothing (an unclaimed chain), or records whose next step looks
// before it acts. So there is no recovery code: the next run asks plan.Next like any other.
package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// Lease is how long a record keeps its chain for its runner, counted from before it was sent.
	Lease = 10 * time.Minute
	// Quiet is how long after it left a call can still arrive: AWS refuses requests whose signature is older
	// than five minutes (IAM User Guide, "Elements of an AWS API request signature"; S3 takes 15, but there the
	// conditional write decides). What an unanswered call may still change isn't called undone before.
	Quiet = 5 * time.Minute
	// Margin is what a second runner waits beyond the lease, by the store's clock: whatever the first one sent
	// within its lease has arrived, or is refused, by then.
	Margin = Quiet + time.Minute
	// MostAhead is how far a runner's clock may be ahead of the store's for steps that wait for a time.
	MostAhead = 10 * time.Minute
	// tries is how often an unknown outcome is looked at again before it is left to a later run.
	tries = 3
	// grace is what a step under way gets when the process is asked to stop: half of what GitHub leaves a job.
	grace = 5 * time.Second
	// catchUp is how long a journal that can't be written is left alone before it is tried again.
	catchUp = 15 * time.Second
)

// ErrChanged stops forward steps: request or target were edited after the claim.
var ErrChanged = errors.New("request or target changed since the rotation began")

// A Journal opens chains and reads former attempts.
type Journal interface {
	Open(context.Context, rotation.Chain) (*evidence.Chain, error)
	// Before reads the attempt that ends at the record before seq.
	Before(ctx context.Context, c rotation.Chain, seq int) ([]rotation.Record, error)
}

// A Bundle keeps what people and auditors look for beside the chain.
type Bundle interface {
	// Point leaves the pointer by which an open rotation is found. Again is fine.
	Point(context.Context, *rotation.Plan, rotation.Head) error
	// Keep stores files of a step; the references go into its record.
	Keep(context.Context, *rotation.Plan, rotation.Step, []rotation.File) ([]rotation.FileRef, error)
}

// A Runner is one process at work. All fields are required unless said otherwise.
type Runner struct {
	Journal Journal
	Bundle  Bundle
	// Handlers are what carries out a claim's steps, by Step.Uses, acting for its operator.
	Handlers func(context.Context, *rotation.Claim) (map[string]rotation.Handler, error)
	Clock    Clock
	Self     rotation.Runner
	Scrub    func(string) string // the redactor
	// Progress sees every record, and every wait that isn't recorded. It must not block.
	Progress func(*rotation.Plan, rotation.Record)
	// Patience is how far ahead a deferred step counts as due and is waited for. 0: not at all.
	Patience time.Duration
	// Barrier is where the jobs of this run meet that restart the same thing; nil: each restarts it by itself.
	Barrier *Barrier
}

// A Job is one secret in one environment, as the tree has it now.
type Job struct {
	Claim     rotation.Claim // its Plan is of attempt 1
	Withdrawn bool           // the request's file is gone: what hasn't begun doesn't begin
	Again     bool           // a person starts a rolled-back rotation again
	Attempt   int            // of Again: the attempt that was asked about, and no other; 0: whichever comes next
	RollBack  string         // a person wants the old credential back: who, and why
	OnlyBack  bool           // only what is going back already goes on
	OnlyBegun bool           // nothing new is claimed
	// Approval lets what waits for it go on. Its For and Digest say what people were asked about; "" by hand, where
	// a person approves what they start. nil: what waits for approval goes on waiting.
	Approval *rotation.Approval
	// Identity is the cloud identity that acts. It is asked when a claim is made, and not for what has begun: that
	// nobody answers keeps no old credential from being brought back. nil: the claim names none.
	Identity func(context.Context) (string, error)
	// Beside are the other environments of a rotation that begins in all of them at once. In order, the one before tells
	// what this one has to know of them.
	Beside []string
}

// A Status is where a job stands after Run.
type Status struct {
	Plan     rotation.Plan
	Decision plan.Decision
	Records  []rotation.Record // of this rotation's latest attempt; none when unclaimed
	Head     rotation.Head     // of the chain
	Chain    *evidence.Chain   // as this run left it
	Appended bool              // by this run
	Waits    string            // what an open step, or the whole job, waits for
	Busy     error             // of Look: a *Busy, where somebody else is at work on the chain or has it open
}

// Validated says whether the environment after this one may begin.
func (s Status) Validated(now time.Time) bool {
	return len(s.Records) > 0 && plan.Validated(&s.Plan, s.Records, now)
}

// A Busy chain is leased to another runner, or another rotation is open in it.
type Busy struct {
	Chain rotation.Chain
	Who   string
	Until time.Time // zero: until that rotation is over
}

func (b *Busy) Error() string {
	if b.Until.IsZero() {
		return fmt.Sprintf("%s: rotation %s is still open there", b.Chain, b.Who)
	}
	return fmt.Sprintf("%s: %s is at work there until %s at the latest", b.Chain, b.Who, b.Until.UTC().Format(time.RFC3339))
}

// Look says where a job stands and changes nothing.
func (r *Runner) Look(ctx context.Context, j Job) (Status, error) {
	w, err := r.open(ctx, j)
	if err != nil {
		return Status{}, err
	}
	s := w.status()
	if !s.Decision.State.Over() {
		s.Busy = w.free()
	}
	return s, nil
}

// Run carries a job as far as it can go now. An error besides a *Busy is an unknown outcome, or ErrChanged:
// the next run looks again. A definite failure is no error: Status.Decision says what came of it.
func (r *Runner) Run(ctx context.Context, j Job) (Status, error) {
	place := r.Barrier.join()
	defer place.leave()
	w, err := r.open(ctx, j)
	if err != nil {
		return Status{}, err
	}
	w.place = place
	err = w.run(ctx)
	return w.status(), err
}

// open finds the attempt a job is about: the one in the chain's tail, a former one, or a new one.
func (r *Runner) open(ctx context.Context, j Job) (*work, error) {
	c, err := r.Journal.Open(ctx, j.Claim.Plan.Chain)
	if err != nil {
		return nil, err
	}
	w := &work{Runner: r, job: j, chain: c, plan: j.Claim.Plan, tail: c.Records}
	if now := c.StoreNow(); !now.IsZero() {
		w.ahead = r.Clock.Now().Sub(now)
	}
	w.lease.clock = r.Clock
	if len(c.Records) == 0 {
		return w, w.order(ctx)
	}
	records := c.Records
	last := claimOf(records)
	for claimOf(records).Plan.Rotation != j.Claim.Plan.Rotation {
		// A rotation can't have been claimed before the day its request is named after.
		if records[0].Seq == 1 || records[0].At.Before(requestDay(j.Claim.Plan.Rotation)) {
			records = nil
			break
		}
		if records, err = r.Journal.Before(ctx, j.Claim.Plan.Chain, records[0].Seq); err != nil {
			return nil, err
		}
	}
	if records == nil || records[0].Seq != c.Records[0].Seq {
		w.other = &last
	}
	if records == nil { // never claimed
		return w, w.order(ctx)
	}
	w.plan, w.records = claimOf(records).Plan, records
	d := plan.Next(&w.plan, w.records, r.Clock.Now())
	idle := !plan.MayHaveBegun(&w.plan, w.records) && !d.State.Over()
	w.spend(records)
	again := j.Again && (j.Attempt == 0 || j.Attempt == w.plan.Attempt+1)
	// What hasn't changed anything yet begins by the rules of today: whoever must approve it now does.
	outdated := w.plan.Digest != j.Claim.Plan.Digest || !slices.Equal(w.plan.Approvals, j.Claim.Plan.Approvals)
	fresh := d.State == plan.RolledBack && again || idle && (w.other != nil || outdated)
	switch {
	case fresh && !j.Withdrawn:
		if idle && w.plan.Digest == j.Claim.Plan.Digest {
			w.former, w.granted = records, plan.Approval(records, rotation.ApprovesRotation)
		}
		w.plan, w.records = plan.Attempt(j.Claim.Plan, w.plan.Attempt+1), nil
		return w, w.order(ctx)
	case w.other != nil && !d.State.Over():
		w.superseded = true
	}
	return w, nil
}

// order holds a new claim back until the environment before is validated, and anchors its head. One rotation has one
// request in all environments: what was edited since it began in one of them could be finished in none.
func (w *work) order(ctx context.Context) error {
	if w.job.Withdrawn {
		return nil
	}
	for _, environment := range w.job.Beside {
		if _, records, err := w.beside(ctx, environment, true); err != nil || w.edited(records) {
			return err
		}
	}
	if w.plan.Needs == "" {
		return nil
	}
	head, records, err := w.beside(ctx, w.plan.Needs, w.plan.NeedsThis)
	if err != nil {
		return err
	}
	w.job.Claim.Previous = &head
	if len(records) > 0 {
		if p := claimOf(records).Plan; plan.Validated(&p, records, w.Clock.Now()) {
			w.edited(records)
			return nil
		}
	}
	w.held = w.plan.Needs + " is not validated"
	if w.plan.NeedsThis {
		w.held += " in this rotation"
	}
	return nil
}

// beside reads the secret's chain in another environment: its latest attempt, or with this, this rotation's.
func (w *work) beside(ctx context.Context, environment string, this bool) (head rotation.Head, records []rotation.Record, err error) {
	other := rotation.Chain{Environment: environment, Secret: w.plan.Secret}
	c, err := w.Journal.Open(ctx, other)
	if err != nil {
		return head, nil, err
	}
	records = c.Records
	for len(records) > 0 && this && claimOf(records).Plan.Rotation != w.plan.Rotation {
		if records[0].Seq == 1 || records[0].At.Before(requestDay(w.plan.Rotation)) {
			records = nil
		} else if records, err = w.Journal.Before(ctx, other, records[0].Seq); err != nil {
			return head, nil, err
		}
	}
	return c.Head(), records, nil
}

// edited holds a claim back whose request isn't the one that this rotation began with where records are.
func (w *work) edited(records []rotation.Record) bool {
	if len(records) == 0 {
		return false
	}
	c := claimOf(records)
	if c.Plan.Rotation != w.plan.Rotation || c.Request == w.job.Claim.Request || !plan.MayHaveBegun(&c.Plan, records) {
		return false
	}
	w.held = "its request was edited after it had begun in " + c.Plan.Environment + ": put it back, or open another for what is left"
	return true
}

func claimOf(records []rotation.Record) rotation.Claim { return *records[0].Claim }

// requestDay reads the date that a request's name begins with; zero when it has none.
func requestDay(name string) time.Time {
	if len(name) < len(time.DateOnly) {
		return time.Time{}
	}
	t, _ := time.Parse(time.DateOnly, name[:len(time.DateOnly)])
	return t.AddDate(0, 0, -1) // the day began earlier somewhere
}
