package calendar

import (
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

const windowHint = "write start and length, or start and end, with a time zone: 2026-11-25T02:00Z/PT2H"

// ParseWindow reads 2026-11-25T02:00Z/PT2H or 2026-11-25T02:00Z/2026-11-25T04:00Z. A zone (Z or +01:00) must be
// there. The error is a *SpellingError.
func ParseWindow(s string) (rotation.Window, error) {
	var w rotation.Window
	from, to, ok := strings.Cut(s, "/")
	if !ok {
		return w, misspelt(windowHint, "%s isn't a window: it has no end", quote(s))
	}
	var err error
	if w.From, err = instant(from); err != nil {
		return w, err
	}
	if to != "" && (to[0] == 'P' || to[0] >= '0' && to[0] <= '9' && !strings.Contains(to, "T")) {
		span, err := ParseDuration(to)
		if err != nil {
			return w, err
		}
		w.To = w.From.Add(time.Duration(span))
		return w, nil
	}
	if w.To, err = instant(to); err != nil {
		return w, err
	}
	if !w.To.After(w.From) {
		return w, misspelt(windowHint, "the window ends before it begins")
	}
	return w, nil
}

// instant reads a time with its zone, in UTC.
func instant(s string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, misspelt("add Z for UTC, or an offset like +01:00", "%s has no time zone", quote(s))
		}
	}
	return time.Time{}, misspelt(windowHint, "%s isn't a date and time", quote(s))
}

// days in the order of the week.
var days = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

const daysHint = "write them like mon-fri or mon,wed,sat"

// ParseDays reads mon-fri, sat-mon or mon,wed,fri into single days, Monday first. The error is a *SpellingError.
func ParseDays(s string) ([]string, error) {
	var on [7]bool
	for part := range strings.SplitSeq(strings.ToLower(s), ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			last = first
		}
		a, b := dayIndex(strings.TrimSpace(first)), dayIndex(strings.TrimSpace(last))
		if a < 0 || b < 0 {
			return nil, misspelt(daysHint, "%s isn't days of the week", quote(part))
		}
		for ; ; a = (a + 1) % 7 {
			on[a] = true
			if a == b {
				break
			}
		}
	}
	var list []string
	for i, d := range days {
		if on[i] {
			list = append(list, d)
		}
	}
	return list, nil
}

func dayIndex(s string) int {
	for i, d := range days {
		if s == d || s == [...]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}[i] {
			return i
		}
	}
	return -1
}

// ParseClock reads HH:MM as minutes since midnight; 24:00 is the end of the day. The error is a *SpellingError.
func ParseClock(s string) (int, error) {
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, misspelt(`write it like "09:00"`, "%s isn't a time of day", quote(s))
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Zone loads an IANA time zone. The error is a *SpellingError. "Local" and "" are none.
func Zone(name string) (*time.Location, error) {
	if name != "" && name != "Local" && !strings.HasPrefix(name, "/") {
		if z, err := time.LoadLocation(name); err == nil {
			return z, nil
		}
	}
	return nil, misspelt("write it like Europe/Berlin or UTC", "%s isn't a time zone", quote(name))
}
