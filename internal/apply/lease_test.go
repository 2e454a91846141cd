package apply

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/rastup/rekey/internal/rotation"
)

type at struct{ t time.Time }

func (a *at) Now() time.Time { return a.t }

// setWall is t on a machine whose wall clock was set by d, which its monotonic clock doesn't know. The package time
// offers no way to make one: a wall reading with a monotonic one keeps its seconds from bit 30 on.
func setWall(t time.Time, d time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(int64(d/time.Second)) << 30
	return t
}

func TestSetWallSetsTheWallClockOnly(t *testing.T) {
	now := time.Now()
	later := setWall(now, -time.Hour)
	if got := later.Sub(now); got != 0 {
		t.Errorf("monotonic moved by %s", got)
	}
	if got := later.Round(0).Sub(now.Round(0)); got != -time.Hour {
		t.Errorf("wall moved by %s", got)
	}
}

func TestLeaseTakesTheWorseOfTwoClocks(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		now  time.Time
		want time.Duration
	}{
		"both go on":                        {now.Add(4 * time.Minute), 6 * time.Minute},
		"wall set back an hour":             {setWall(now.Add(4*time.Minute), -time.Hour), 6 * time.Minute},
		"wall set forward an hour":          {setWall(now.Add(4*time.Minute), time.Hour), -54 * time.Minute},
		"suspended: monotonic stands still": {setWall(now, 9*time.Minute), time.Minute},
		"no monotonic reading":              {now.Add(4 * time.Minute).Round(0), 6 * time.Minute},
		"run out":                           {now.Add(11 * time.Minute), -time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			l := lease{clock: &at{c.now}}
			l.renew(now)
			if got := l.remaining(); got != c.want {
				t.Errorf("%s left, want %s", got, c.want)
			}
		})
	}
}

func TestLeaseLetsPassOnlyWhatItCovers(t *testing.T) {
	now := time.Now()
	clock := &at{now}
	l := lease{clock: clock}
	if err := l.Pass(time.Second); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("without a lease: %v", err)
	}
	l.renew(now)
	clock.t = now.Add(Lease - 20*time.Second)
	if err := l.Pass(20 * time.Second); err != nil {
		t.Errorf("just covered: %v", err)
	}
	if err := l.Pass(21 * time.Second); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("not covered: %v", err)
	}
	l.drop()
	if err := l.Pass(time.Second); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("dropped: %v", err)
	}
}

func TestQuietCountsFromTheLastCallWithoutAnswer(t *testing.T) {
	clock := &at{time.Now()}
	l := lease{clock: clock}
	if !l.quietAt().IsZero() {
		t.Error("quiet, though every call was answered")
	}
	l.Unanswered()
	clock.t = clock.t.Add(time.Minute)
	l.Unanswered()
	if got := l.quietAt(); !got.Equal(clock.t.Add(Quiet)) {
		t.Errorf("quiet at %s", got)
	}
}
