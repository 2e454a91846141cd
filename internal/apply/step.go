package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// step asks s until it is done or failed; left means a later run takes it up.
func (w *work) step(ctx context.Context, s rotation.Step) (left bool, err error) {
	since, met := w.begins(s), s.Shared == ""
	missed := func() bool { return s.Within > 0 && !w.Clock.Now().Before(since.Add(time.Duration(s.Within))) }
	for try := 1; ; {
		res, err := w.do(ctx, s)
		rec := rotation.Record{Step: s.Key, Outcome: rotation.Done, Text: res.Text, Facts: res.Facts}
		err, lost := w.files(ctx, s, res.Files, &rec, err)
		if lost != nil {
			return false, lost
		}
		var failure *rotation.Failure
		switch {
		case errors.As(err, &failure):
			rec.Text, rec.Hint = failure.Msg, failure.Hint
			return w.fail(ctx, s, rec)
		case err != nil: // unknown outcome
			if try++; try > tries || ctx.Err() != nil || errors.Is(err, rotation.ErrNoLease) || errors.Is(err, evidence.ErrTaken) {
				if missed() && try > tries {
					rec.Text = "not done in time, last: " + err.Error()
					return w.fail(ctx, s, rec)
				}
				return false, err
			}
			if err := w.wait(ctx, s, time.Second<<try, err.Error()); err != nil {
				return false, err
			}
			continue
		case res.Wait == "":
			if wait := w.unquiet(s); wait > 0 { // what is undone here may still arrive: look again when it can't
				if err := w.wait(ctx, s, wait, "calls without an answer to be refused as too old"); err != nil {
					return false, err
				}
				continue
			}
			return false, w.append(ctx, rec)
		case len(res.Facts) > 0 && (!met || !w.recorded(s, res.Facts)): // record first, then go on
			rec.Outcome, rec.Text = rotation.Noted, res.Wait
			if err := w.note(ctx, s, rec, met); err != nil {
				return false, err
			}
			if !met {
				since, met = w.begins(s), true
			}
			continue
		case missed():
			rec.Text = "not in time: " + res.Wait
			return w.fail(ctx, s, rec)
		case res.Again == rotation.Later:
			return w.later(ctx, s, rec, res.Wait)
		}
		try = 1
		w.place.head(w.heading(s, false)) // nobody waits for what this one waits for
		if err := w.wait(ctx, s, res.Again, res.Wait); err != nil {
			return false, err
		}
	}
}

// waiting is what s waits for, and what the steps behind it do that look for the same at others: who has to see to it
// sees all of them at once, not one after the other.
func (w *work) waiting(ctx context.Context, s rotation.Step, what string) string {
	at := slices.IndexFunc(w.plan.Steps, func(o rotation.Step) bool { return o.Key == s.Key })
	if at < 0 || !s.Looks {
		return what
	}
	for _, o := range w.plan.Steps[at+1:] {
		if o.Phase != s.Phase || o.Name != s.Name || !o.Looks || o.After != s.After || o.Delay != s.Delay {
			break
		}
		res, err := w.handlers[o.Uses][o.Name](ctx, o, rotation.PastOf(w.past()).For(o))
		if err == nil && res.Wait != "" && res.Again == rotation.Later { // else it is told when its turn comes
			what += "; and for " + res.Wait
		}
	}
	return what
}

// later leaves s to a later run, unless policy says that it isn't waited for any more.
func (w *work) later(ctx context.Context, s rotation.Step, rec rotation.Record, wait string) (left bool, err error) {
	if w.lapsed(s) {
		rec.Facts = map[string]string{rotation.FactAhead: "policy"}
		rec.Text = fmt.Sprintf("went ahead by policy (adoption_wait, %s after the retention), although it still waited for %s", days(s.Lapse), wait)
		return false, w.append(ctx, rec)
	}
	w.waits = w.waiting(ctx, s, wait)
	w.Progress(&w.plan, w.fill(rotation.Record{Step: s.Key, Outcome: rotation.Waiting, Text: wait}))
	return true, nil
}

// lapsed says whether s is waited for no more.
func (w *work) lapsed(s rotation.Step) bool {
	at := plan.Lapses(s, w.records)
	return !at.IsZero() && !w.Clock.Now().Before(at)
}

// days is a span as people write it in the house rules.
func days(d rotation.Duration) string {
	if day := rotation.Duration(24 * time.Hour); d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// tell records what a step that only looks waits for, so that who reads the journal can show it. It isn't worth a record
// while it stays the same; nor is every change of it where it has waited for long: once an hour on the first day, once a
// day after the twenty-fourth. Of two runners that see the same, one tells it.
func (w *work) tell(ctx context.Context) error {
	if w.waits == "" || len(w.records) == 0 || w.lease.remaining() > 0 {
		return nil
	}
	now := w.Clock.Now()
	if told, began, last := plan.Waits(w.records); told == w.Scrub(w.waits) || !last.IsZero() && now.Sub(last) < now.Sub(began)/24 {
		return nil
	}
	known := len(w.records)
	err := w.append(ctx, rotation.Record{Outcome: rotation.Released, Text: rotation.WaitsFor + w.waits})
	w.lease.drop()
	if errors.Is(err, evidence.ErrTaken) {
		w.records, w.pending, err = w.records[:known], nil, nil
	}
	return err
}

// note records facts that aren't on record yet, and meets those who restart the same where that wasn't done.
func (w *work) note(ctx context.Context, s rotation.Step, rec rotation.Record, met bool) error {
	if !w.recorded(s, rec.Facts) {
		if err := w.append(ctx, rec); err != nil {
			return err
		}
	}
	if met {
		return nil
	}
	return w.meet(ctx, s)
}

// files keeps what a step made, and names it in its record. A failure that takes the rotation back can't wait for
// that: it only says so.
func (w *work) files(ctx context.Context, s rotation.Step, files []rotation.File, rec *rotation.Record, was error) (err, lost error) {
	if len(files) == 0 || errors.Is(was, rotation.ErrNoLease) {
		return was, nil
	}
	lost = w.keep(ctx, s, files, rec)
	var failure *rotation.Failure
	if lost != nil && errors.As(was, &failure) && s.Phase.Undone() {
		return &rotation.Failure{Msg: failure.Msg + " (its files could not be kept: " + lost.Error() + ")", Hint: failure.Hint}, nil
	}
	return was, lost
}

// fail records a definite failure. Where that undoes nothing by itself, this run has done what it can, and the
// same failure again isn't worth a record.
func (w *work) fail(ctx context.Context, s rotation.Step, rec rotation.Record) (left bool, err error) {
	rec.Outcome = rotation.Failed
	left = !s.Phase.Undone()
	last := w.last(s.Key, rotation.Failed)
	if len(w.records) == 0 {
		last = lastOf(w.former, s.Key, rotation.Failed)
	}
	if left && last != nil && last.Text == w.Scrub(rec.Text) {
		if len(w.records) == 0 { // by turns, two refused rotations would claim the chain for ever
			w.refused = last.Text
		}
		w.Progress(&w.plan, w.fill(rec))
		return true, nil
	}
	if len(w.records) == 0 {
		if err := w.claim(ctx); err != nil {
			return false, err
		}
	}
	if err := w.append(ctx, rec); err != nil {
		return false, err
	}
	if d := w.next(); d.Step.Key == s.Key { // on_failure: hold
		return true, nil
	}
	return left, nil
}

// do asks the step's handler, and when that is done, whether what it was asked about still holds.
func (w *work) do(ctx context.Context, s rotation.Step) (rotation.Result, error) {
	res, err := w.call(ctx, s)
	if err == nil && res.Wait == "" {
		err = w.still(ctx, s)
	}
	return res, err
}

// call calls the handler, with the fence its calls pass, and keeps the lease meanwhile. A run that is asked to
// stop lets the step under way come to an answer.
func (w *work) call(ctx context.Context, s rotation.Step) (rotation.Result, error) {
	past := w.past()
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	begin := make(chan chan error)
	switch {
	case s.Final && !w.has(s.Key, rotation.Begun):
		inner = rotation.WithFence(inner, &final{lease: &w.lease, begin: begin, ctx: inner})
	case !s.Looks:
		inner = rotation.WithFence(inner, &w.lease)
	}
	type answer struct {
		res rotation.Result
		err error
	}
	done := make(chan answer, 1)
	go func() {
		over, err := w.place.turn(inner, s)
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer over()
		res, err := w.handlers[s.Uses][s.Name](inner, s, rotation.PastOf(past).For(s))
		done <- answer{res, err}
	}()
	stop, renew, last := ctx.Done(), w.Clock.After(Lease/3), (<-chan time.Time)(nil)
	for {
		select {
		case a := <-done:
			if cause := context.Cause(inner); cause != nil && a.err != nil {
				return a.res, fmt.Errorf("%w: %w", cause, a.err)
			}
			return a.res, a.err
		case begun := <-begin:
			begun <- w.append(ctx, rotation.Record{Step: s.Key, Outcome: rotation.Begun})
		case <-stop:
			stop, last = nil, w.Clock.After(grace)
		case <-last:
			cancel(context.Cause(ctx))
		case <-renew:
			renew = w.Clock.After(Lease / 3)
			if s.Looks {
				continue
			}
			if err := w.append(ctx, rotation.Record{Step: s.Key, Outcome: rotation.Noted, Text: "still at it"}); err != nil && w.lease.remaining() < Lease/4 {
				cancel(err)
			}
		}
	}
}

// past is what handlers may know: a copy, because the lease is renewed while they work.
func (w *work) past() []rotation.Record {
	if len(w.records) > 0 {
		return slices.Clone(w.records)
	}
	c := w.draft()
	return []rotation.Record{w.fill(rotation.Record{Outcome: rotation.Claimed, Claim: &c})}
}

// still refuses a validation that was taken up by another runner when what was deployed is no longer so: the
// first runner may have failed it and restored the old credential without a journal to write that to, or a person
// did. A deploy step that is asked again without a fence can only look, and has nothing to do while it holds.
func (w *work) still(ctx context.Context, s rotation.Step) error {
	if s.Phase != rotation.Validate || !w.takenUp {
		return nil
	}
	for _, d := range w.plan.Steps {
		if d.Phase != rotation.Deploy {
			continue
		}
		res, err := w.handlers[d.Uses][d.Name](ctx, d, rotation.PastOf(w.past()).For(d))
		var failure *rotation.Failure
		switch {
		case errors.Is(err, rotation.ErrNoLease), errors.As(err, &failure):
			return rotation.Failf("see who changed it; if nobody did, the run before restored it and couldn't record that",
				"what %s did no longer holds", d.Key)
		case err != nil:
			return fmt.Errorf("see whether %s still holds: %w", d.Key, err)
		case res.Wait != "":
			return fmt.Errorf("see whether %s still holds: it waits for %s", d.Key, res.Wait)
		}
	}
	return nil
}

// wait sleeps in pieces that keep the lease.
func (w *work) wait(ctx context.Context, s rotation.Step, d time.Duration, why string) error {
	w.Progress(&w.plan, w.fill(rotation.Record{Step: s.Key, Outcome: rotation.Waiting, Text: w.Scrub(why)}))
	for end := w.Clock.Now().Add(d); ; {
		left := end.Sub(w.Clock.Now())
		if left <= 0 {
			return nil
		}
		if err := w.Clock.Sleep(ctx, min(left, Lease/3)); err != nil {
			return err
		}
		if !s.Looks && w.lease.remaining() < Lease/2 {
			if err := w.append(ctx, rotation.Record{Step: s.Key, Outcome: rotation.Noted, Text: "still at it"}); err != nil {
				return err
			}
		}
	}
}

// unquiet is how long an undo step must wait before what it undid can't come back.
func (w *work) unquiet(s rotation.Step) time.Duration {
	q := w.lease.quietAt()
	if s.Phase != rotation.Rollback || q.IsZero() {
		return 0
	}
	return q.Sub(w.Clock.Now())
}

// since is when the step that is now due became so: the last record that isn't about going on.
func (w *work) since() time.Time {
	if at := plan.Since(w.records); !at.IsZero() {
		return at
	}
	return w.Clock.Now()
}

func (w *work) last(key string, o rotation.Outcome) *rotation.Record {
	return lastOf(w.records, key, o)
}

func lastOf(records []rotation.Record, key string, o rotation.Outcome) *rotation.Record {
	for i := len(records) - 1; i >= 0; i-- {
		if r := &records[i]; r.Step == key && r.Outcome == o {
			return r
		}
	}
	return nil
}

func (w *work) has(key string, o rotation.Outcome) bool { return w.last(key, o) != nil }

// recorded says whether all of facts is on record already.
func (w *work) recorded(s rotation.Step, facts map[string]string) bool {
	past := rotation.PastOf(w.records)
	for k, v := range facts {
		if past.Fact(s.Key, k) != v {
			return false
		}
	}
	return true
}

func sortFacts(f []rotation.Fact) {
	slices.SortStableFunc(f, func(a, b rotation.Fact) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Key, b.Key))
	})
}
