package sandbox

import (
	"context"
	"sync"
	"time"
)

// A Clock is a time that moves only when it is told to. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock stands at the given time, in UTC and without a monotonic reading, like a time read from a record.
func NewClock(at time.Time) *Clock { return &Clock{now: at.UTC().Round(0)} }

// Now is where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move takes the clock forward by d, or back.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// After never fires: nothing moves the clock while somebody waits for it.
func (c *Clock) After(time.Duration) <-chan time.Time { return nil }

// Sleep moves the clock by d and returns at once; with a finished ctx it moves nothing and returns its error.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Move(max(d, 0))
	return nil
}
