package report

import (
	"fmt"
	"time"
)

// times are how instants are told: against now, or in words that stay true.
type times struct {
	now     time.Time
	year    time.Time // an instant of this one's year is told without it
	lasting bool      // never how far off it is
}

func (c times) stamp(t time.Time) string { return Stamp(t, c.year) }

func (c times) when(t time.Time) string {
	if c.lasting {
		return c.stamp(t)
	}
	return When(t, c.now)
}

// Stamp is an instant for people: "25 Nov 02:00 UTC", with the year where that isn't now's.
func Stamp(t, now time.Time) string {
	if t.UTC().Year() != now.UTC().Year() {
		return t.UTC().Format("2 Jan 2006 15:04 UTC")
	}
	return t.UTC().Format("2 Jan 15:04 UTC")
}

// When is Stamp and how far off that is: "25 Nov 02:00 UTC (in 1 d 16 h)".
func When(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d > 0:
		return Stamp(t, now) + " (in " + Span(d) + ")"
	case d < 0:
		return Stamp(t, now) + " (" + Span(-d) + " ago)"
	}
	return Stamp(t, now) + " (now)"
}

// Span is a length of time in its two largest units: "41 s", "2 min 5 s", "1 d 16 h".
func Span(d time.Duration) string {
	if d < time.Second {
		return "0 s"
	}
	units := []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.d {
			continue
		}
		big, rest := int64(d/u.d), d%u.d
		if i+1 < len(units) {
			if small := int64(rest / units[i+1].d); small > 0 {
				return fmt.Sprintf("%d %s %d %s", big, u.name, small, units[i+1].name)
			}
		}
		return fmt.Sprintf("%d %s", big, u.name)
	}
	return "0 s"
}
