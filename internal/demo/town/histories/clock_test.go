package histories

import (
	"sync"
	"time"

	"github.com/rastup/rekey/internal/apply"
)

// A running clock goes with the bubble's time, from a time of its own: leases, limits and what waits go together.
type running struct {
	apply.Clock
	mu    sync.Mutex
	ahead time.Duration
}

func runningFrom(at time.Time) *running {
	return &running{Clock: apply.Machine{Time: time.Now}, ahead: time.Until(at)}
}

// Now has no monotonic reading, like a time read from a record.
func (r *running) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead).UTC().Round(0)
}

func (r *running) Move(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}
