package apply

import (
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
