package apply

import (
	"context"
	"time"
)

// A Clock is the time. Now carries a monotonic reading where the machine has one.
type Clock interface {
	Now() time.Time
	Sleep(context.Context, time.Duration) error
	// After fires once after d while a step is under way; never, where time only moves by Sleep.
	After(d time.Duration) <-chan time.Time
}

// Machine is the machine's clock. Timers don't advance while a machine is suspended; nothing here relies on that
// they do.
type Machine struct{ Time func() time.Time }

// Now is Clock.
func (m Machine) Now() time.Time { return m.Time() }

// Sleep is Clock.
func (m Machine) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// After is Clock.
func (Machine) After(d time.Duration) <-chan time.Time { return time.After(d) }
