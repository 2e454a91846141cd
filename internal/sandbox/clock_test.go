package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
)

func TestClockMovesOnlyWhenTold(t *testing.T) {
	c := sandbox.NewClock(time.Now())
	at := c.Now()
	if err := c.Sleep(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
	c.Move(-30 * time.Minute)
	if got := c.Now().Sub(at); got != 30*time.Minute {
		t.Errorf("moved by %v", got)
	}
	if at != at.Round(0) || at.Location() != time.UTC {
		t.Errorf("%v has a monotonic reading or a zone", at)
	}
	done, stop := context.WithCancel(context.Background())
	stop()
	if err := c.Sleep(done, time.Hour); err == nil || c.Now().Sub(at) != 30*time.Minute {
		t.Error("slept in a finished context")
	}
}
