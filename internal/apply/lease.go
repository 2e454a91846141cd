package apply

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// A lease is what this process may still do on a chain. It is the rotation.Fence of its calls.
type lease struct {
	clock interface{ Now() time.Time }
	mu    sync.Mutex
	since time.Time // before the last record of ours was sent; zero: none held
	lost  time.Time // when the last call without an answer may have left
}

// renew counts from since, which was read before the record was sent.
func (l *lease) renew(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = since
}

func (l *lease) drop() { l.renew(time.Time{}) }

// remaining takes the worse of the two clocks: the wall clock may be set, and the monotonic one stands still
// while a machine is suspended.
func (l *lease) remaining() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return 0
	}
	now := l.clock.Now()
	return Lease - max(now.Sub(l.since), now.Round(0).Sub(l.since.Round(0)))
}

// Pass is rotation.Fence.
func (l *lease) Pass(limit time.Duration) error {
	if left := l.remaining(); left < limit {
		return fmt.Errorf("%w: %s left of it, the call may take %s", rotation.ErrNoLease, left.Round(time.Second), limit)
	}
	return nil
}

// Unanswered is rotation.Fence.
func (l *lease) Unanswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = l.clock.Now()
}

// quietAt is when no call of ours can arrive any more; zero when all were answered.
func (l *lease) quietAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.IsZero() {
		return time.Time{}
	}
	return l.lost.Add(Quiet)
}

// final is the fence of a step that can't be undone: before the first call that changes something leaves, it is
// on record that the step began. A step that found nothing to do, or a reason not to, has not begun.
type final struct {
	*lease
	ctx   context.Context // of the step
	begin chan<- chan error

	mu    sync.Mutex
	begun bool
}

// Pass is rotation.Fence.
func (f *final) Pass(limit time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		answer := make(chan error, 1)
		select {
		case f.begin <- answer:
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
		if err := <-answer; err != nil {
			return fmt.Errorf("%w: that it begins isn't on record: %w", rotation.ErrNoLease, err)
		}
		f.begun = true
	}
	return f.lease.Pass(limit)
}
