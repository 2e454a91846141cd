package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

// append records rec and renews the lease by it. A record whose fate is unknown stays pending: nothing new
// begins, but what is being restored may go on inside the lease, and is recorded afterwards as observed.
func (w *work) append(ctx context.Context, rec rotation.Record) error {
	if rec.Outcome != rotation.Claimed && len(w.records) == 0 {
		if err := w.claim(ctx); err != nil {
			return err
		}
	}
	rec = w.fill(rec)
	w.pending = append(w.pending, &rec)
	if rec.Outcome == rotation.Claimed {
		w.records = nil
	}
	w.records = append(w.records, rec)
	ctx, cancel := w.outlast(ctx)
	defer cancel()
	err := w.flush(ctx)
	if err == nil || errors.Is(err, evidence.ErrTaken) || len(w.records) == 1 {
		return err
	}
	if d := w.next(); d.Step.Name == "restore" && w.lease.remaining() > 0 {
		w.Progress(&w.plan, w.fill(rotation.Record{Step: d.Step.Key, Outcome: rotation.Waiting,
			Text: "the journal can't be written; restoring first, recording afterwards: " + w.Scrub(err.Error())}))
		return nil
	}
	return err
}

// outlast is ctx for what must still be written when the process is asked to stop: what a step came to is worth
// more than a quick end.
func (w *work) outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-w.Clock.After(grace / 2):
			cancel()
		case <-inner.Done():
		}
	})
	return inner, func() { stop(); cancel() }
}

// flush appends what is pending, in order.
func (w *work) flush(ctx context.Context) error {
	for len(w.pending) > 0 {
		rec := w.pending[0]
		since := w.Clock.Now()
		if err := w.chain.Append(ctx, rec); err != nil {
			if errors.Is(err, evidence.ErrTaken) {
				w.lease.drop()
			}
			return fmt.Errorf("record %s: %w", rec.Outcome, err)
		}
		w.lease.renew(since)
		w.appended = true
		w.pending = w.pending[1:]
		w.records[len(w.records)-len(w.pending)-1] = *rec
		w.Progress(&w.plan, *rec)
	}
	return nil
}

// caughtUp waits within the lease for a journal that couldn't be written, so that what was restored meanwhile is on
// record before this process ends.
func (w *work) caughtUp(ctx context.Context, err error) bool {
	for len(w.pending) > 0 && w.pending[0].Claim == nil && !errors.Is(err, evidence.ErrTaken) && w.lease.remaining() > 0 {
		if w.Clock.Sleep(ctx, catchUp) != nil {
			return false
		}
		if err = w.flush(ctx); err == nil {
			return true
		}
	}
	return false
}

// fill adds what every record says, and scrubs its texts.
func (w *work) fill(rec rotation.Record) rotation.Record {
	rec.Chain, rec.Rotation, rec.Attempt, rec.Runner = w.plan.Chain, w.plan.Rotation, w.plan.Attempt, w.Self
	rec.At = w.Clock.Now().UTC().Round(0)
	rec.Text, rec.Hint = w.Scrub(rec.Text), w.Scrub(rec.Hint)
	if q := w.lease.quietAt().UTC().Round(0); q.After(rec.At) {
		rec.QuietAt = &q
	}
	if len(w.records) > 0 {
		rec.ClaimSeq = w.records[0].Seq
	}
	return rec
}

// keep stores a step's files and names them in its record.
func (w *work) keep(ctx context.Context, s rotation.Step, files []rotation.File, rec *rotation.Record) error {
	ctx, cancel := w.outlast(ctx)
	defer cancel()
	return w.retry(ctx, func() (err error) {
		rec.Files, err = w.Bundle.Keep(ctx, &w.plan, s, files)
		return err
	})
}

// retry gives an idempotent store call three tries.
func (w *work) retry(ctx context.Context, call func() error) (err error) {
	for try := range tries {
		if err = call(); err == nil || ctx.Err() != nil {
			return err
		}
		if err2 := w.Clock.Sleep(ctx, time.Second<<try); err2 != nil {
			return err
		}
	}
	return err
}
