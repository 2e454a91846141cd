package fence_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/rotation"
)

type lease struct {
	no         error
	asked      time.Duration
	unanswered int
}

func (l *lease) Pass(limit time.Duration) error { l.asked = limit; return l.no }
func (l *lease) Unanswered()                    { l.unanswered++ }

func TestAStatementLeavesUnderALeaseOnly(t *testing.T) {
	answered, lost := errors.New("answered"), errors.New("lost")
	for _, c := range []struct {
		name       string
		lease      *lease
		err        error
		sent       bool
		unanswered int
	}{
		{"no lease", nil, nil, false, 0},
		{"a lease that is too short", &lease{no: rotation.ErrNoLease}, nil, false, 0},
		{"done", &lease{}, nil, true, 0},
		{"the server says no", &lease{}, answered, true, 0},
		{"no answer", &lease{}, lost, true, 1},
	} {
		ctx, sent := t.Context(), false
		if c.lease != nil {
			ctx = rotation.WithFence(ctx, c.lease)
		}
		err := fence.Statement(ctx, time.Second, "ALTER", func(ctx context.Context) error {
			_, limited := ctx.Deadline()
			sent = limited
			return c.err
		}, func(err error) bool { return errors.Is(err, answered) })
		switch {
		case sent != c.sent:
			t.Errorf("%s: sent %v", c.name, sent)
		case c.sent && !errors.Is(err, c.err), !c.sent && !errors.Is(err, rotation.ErrNoLease):
			t.Errorf("%s: %v", c.name, err)
		case c.lease != nil && (c.lease.unanswered != c.unanswered || c.lease.asked != time.Second):
			t.Errorf("%s: %+v", c.name, c.lease)
		}
	}
}
