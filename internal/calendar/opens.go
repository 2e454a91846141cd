package calendar

import (
	"slices"
	"time"
	_ "time/tzdata" // hours mean the same on a machine without a zone database

	"github.com/rastup/rekey/internal/rotation"
)

// Opens is the next instant, now or later, at which both w and h allow a start. open says whether that is now;
// ever is false when there will be no such instant: the window has passed, or the hours don't fall into it. Either
// may be nil: it then allows any time. Hours that can't be read allow none.
func Opens(w *rotation.Window, h *rotation.Hours, now time.Time) (at time.Time, open, ever bool) {
	at = now
	if w != nil && at.Before(w.From) {
		at = w.From
	}
	if h != nil {
		if at, ever = nextHours(h, at); !ever {
			return time.Time{}, false, false
		}
	}
	if w != nil && !at.Before(w.To) {
		return time.Time{}, false, false
	}
	return at, !at.After(now), true
}

// nextHours is the first instant from t on that lies in the hours. Each opening lasts from the wall clock's From to
// its To, whatever the clocks do in between; where clocks skip From, it opens when they have skipped it.
func nextHours(h *rotation.Hours, t time.Time) (time.Time, bool) {
	zone, err := Zone(h.Zone)
	from, errFrom := ParseClock(h.From)
	to, errTo := ParseClock(h.To)
	if err != nil || errFrom != nil || errTo != nil || len(h.Days) == 0 {
		return time.Time{}, false
	}
	if to <= from {
		to += 24 * 60
	}
	y, m, d := t.In(zone).Date()
	for add := -1; add <= 15; add++ { // yesterday's may still be open, and a change of clocks can swallow a week's
		day := time.Date(y, m, d+add, 12, 0, 0, 0, zone)
		if !slices.Contains(h.Days, days[(int(day.Weekday())+6)%7]) {
			continue
		}
		opens, closes := wall(day, from, zone), wall(day, to, zone)
		if t.Before(closes) && opens.Before(closes) {
			if t.Before(opens) {
				return opens, true
			}
			return t, true
		}
	}
	return time.Time{}, false
}

// wall is the first instant of a day at or after the wall clock shows minutes since midnight. Where the clock
// shows it twice it is the first time; where it never does, the instant of the jump.
func wall(day time.Time, minutes int, zone *time.Location) time.Time {
	y, m, d := day.Date()
	t := time.Date(y, m, d, 0, minutes, 0, 0, zone)
	want := time.Date(y, m, d, 0, minutes, 0, 0, time.UTC)
	asShown := func(t time.Time) time.Time {
		_, off := t.Zone()
		return t.UTC().Add(time.Duration(off) * time.Second)
	}
	if asShown(t).Equal(want) {
		if start, _ := t.ZoneBounds(); !start.IsZero() { // shown twice? the earlier one lies before the clocks went back
			_, now := t.Zone()
			_, before := start.Add(-time.Second).In(zone).Zone()
			if earlier := t.Add(-time.Duration(before-now) * time.Second); before > now && earlier.Before(start) {
				return earlier
			}
		}
		return t
	}
	start, end := t.ZoneBounds()
	if asShown(t).After(want) && !start.IsZero() {
		return start
	}
	return end
}
