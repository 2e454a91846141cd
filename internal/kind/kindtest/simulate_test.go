package kindtest

import (
	"flag"
	"slices"
	"testing"
)

var seed = flag.Uint64("seed", 0, "replay this seed only")

func TestSimulation(t *testing.T) {
	switch {
	case *seed != 0:
		Simulate(t, wholeValue, *seed, 1)
	case Full():
		Simulate(t, wholeValue, 1, 1500)
	default:
		Simulate(t, wholeValue, 1, 200)
	}
}

func TestASeedAlwaysMakesTheSameHistory(t *testing.T) {
	for seed := range uint64(5) {
		a, _ := simulate(t, wholeValue, seed+1, map[string]int{})
		b, _ := simulate(t, wholeValue, seed+1, map[string]int{})
		if !slices.Equal(a, b) {
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Errorf("seed %d: event %d is %q, then %q", seed+1, i, a[i], b[i])
					break
				}
			}
		}
	}
}
