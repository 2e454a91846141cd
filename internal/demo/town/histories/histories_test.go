package histories

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestHistories plays a few, with REKEY_FULL=1 three hundred, with REKEY_SEED=n that one, and tells it.
func TestHistories(t *testing.T) {
	t.Setenv("AWS_CA_BUNDLE", "") // parsed anew by every process, where there is one
	first, n := uint64(1), uint64(8)
	if os.Getenv("REKEY_FULL") != "" {
		n = 300
	}
	if s := os.Getenv("REKEY_SEEDS"); s != "" {
		from, to, _ := strings.Cut(s, "-")
		first, _ = strconv.ParseUint(from, 10, 64)
		last, _ := strconv.ParseUint(to, 10, 64)
		n = last - first + 1
	}
	if s, err := strconv.ParseUint(os.Getenv("REKEY_SEED"), 10, 64); err == nil {
		h := play(t, s)
		t.Logf("%s", strings.Join(h.story, "\n"))
		for _, b := range h.broken {
			t.Errorf("seed %d: %s", s, b)
		}
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var next, played, broken atomic.Uint64
	next.Store(first)
	var g sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) { // calls that are lost are tried again after a while
		g.Go(func() {
			for s := next.Add(1) - 1; s < first+n && broken.Load() < 3; s = next.Add(1) - 1 {
				h := play(t, s)
				played.Add(1)
				if len(h.broken) > 0 {
					broken.Add(1)
					t.Errorf("seed %d: %s\n(REKEY_SEED=%[1]d tells it)", s, strings.Join(h.broken, "\n  "))
				}
			}
		})
	}
	g.Wait()
	t.Logf("%d histories", played.Load())
}
