package app

import "testing"

// A limiter lets its burst through beside its rate: together they are what any second can see.
func TestNoSecondSeesMoreWritesThanPromised(t *testing.T) {
	a := New(World{})
	if most := int(a.writes.Limit()) + a.writes.Burst(); most > WritesPerSecond || a.writes.Burst() < 1 {
		t.Errorf("%d writes in a second, %d are promised", most, WritesPerSecond)
	}
}
