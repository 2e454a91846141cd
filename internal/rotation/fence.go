package rotation

import (
	"context"
	"errors"
	"time"
)

// ErrNoLease refuses a changing call: nobody holds the chain, or not for long enough.
var ErrNoLease = errors.New("refused before it left: no lease on the rotation that covers this call")

// A Fence stands between a runner and every changing call, in the HTTP transport and in the SQL layer.
type Fence interface {
	// Pass is nil when a call that takes at most limit may leave now, else wraps ErrNoLease.
	Pass(limit time.Duration) error
	// Unanswered tells that a call which left may have arrived, or may still: its outcome is unknown.
	Unanswered()
}

type fenceKey struct{}

// WithFence lets the calls made under ctx change things while f lets them pass. Without it they are refused:
// that is what makes lint, plan and looking steps read-only.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// FenceOf is the fence of ctx; one that refuses everything when there is none.
func FenceOf(ctx context.Context) Fence {
	if f, ok := ctx.Value(fenceKey{}).(Fence); ok {
		return f
	}
	return closed{}
}

type closed struct{}

func (closed) Pass(time.Duration) error { return ErrNoLease }
func (closed) Unanswered()              {}
