// Package calendar owns everything about dates and times that people write: intervals, retention, windows,
// business hours. It is pure: it reads no clock and loads no files but Go's own time zones.
package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// A SpellingError says that text isn't the date, time or span it should be, and how to write one.
type SpellingError struct{ Msg, Hint string }

func (e *SpellingError) Error() string { return e.Msg }

func misspelt(hint, format string, a ...any) error {
	return &SpellingError{fmt.Sprintf(format, a...), hint}
}

// quote is s in quotation marks, cut to a readable length.
func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}

// An Interval is how often something rotates, in calendar units.
type Interval struct{ Years, Months, Days int }

const intervalHint = "write it like 90d, 12w, 3 months, 1 year or P90D"

var (
	intervalWords = regexp.MustCompile(`(?i)^(\d{1,5})[ \x{a0}]*(d|days?|w|weeks?|mo|months?|y|years?)$`)
	intervalISO   = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?$`)
)

const mostDays = 3660 // ten years: a longer interval is a mistake

// ParseInterval reads 90d, 90 days, 12w, 3 months, 1y, P90D, P1Y6M. The error is a *SpellingError.
func ParseInterval(s string) (Interval, error) {
	var i Interval
	t := strings.TrimSpace(s)
	if m := intervalWords.FindStringSubmatch(t); m != nil {
		n, _ := strconv.Atoi(m[1])
		switch unit := strings.ToLower(m[2]); {
		case unit[0] == 'd':
			i.Days = n
		case unit[0] == 'w':
			i.Days = 7 * n
		case unit[0] == 'm':
			i.Months = n
		default:
			i.Years = n
		}
	} else if m := intervalISO.FindStringSubmatch(t); m != nil && t != "P" {
		i.Years, i.Months, i.Days = number(m[1]), number(m[2]), 7*number(m[3])+number(m[4])
	} else {
		return i, misspelt(intervalHint, "%s isn't an interval", quote(s))
	}
	switch days := i.Years*366 + i.Months*31 + i.Days; {
	case days == 0:
		return i, misspelt(intervalHint, "an interval of nothing never passes")
	case days > mostDays:
		return i, misspelt(intervalHint, "%s is longer than ten years", quote(s))
	}
	return i, nil
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // "" is 0; the expressions allow nothing else
	return n
}

// After is the date one interval after t. Months end where they end: a month after 31 January is the last of
// February.
func (i Interval) After(t time.Time) time.Time {
	y, m, d := t.Date()
	first := time.Date(y+i.Years, m+time.Month(i.Months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(d, last)-1+i.Days)
}

// IsZero says whether there is no interval.
func (i Interval) IsZero() bool { return i == Interval{} }

// String is the interval as people write it: "90 days", "3 months", "1 year 6 months"; "" for none.
func (i Interval) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		unit string
	}{{i.Years, "year"}, {i.Months, "month"}, {i.Days, "day"}} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.unit)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.unit))
		}
	}
	return strings.Join(parts, " ")
}

// MarshalText writes the interval as String does.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// ParseDate reads 2026-11-25 as midnight UTC. The error is a *SpellingError.
func ParseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, misspelt("write it like 2026-11-25", "%s isn't a date", quote(s))
	}
	return t, nil
}

const durationHint = "write it like 48h, 2d, 1h30m, 45s, PT48H or P2D"

var (
	daysFirst   = regexp.MustCompile(`^(\d{1,4})(d|w)(.*)$`)
	durationISO = regexp.MustCompile(`^P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)
	clockUnits  = regexp.MustCompile(`^(\d{1,8}(\.\d{1,6})?(h|m|s|ms))+$`)
)

// ParseDuration reads 48h, 2d, 1d12h, 1h30m, 300ms, PT48H, P2D as a span of hours that are all equally long; a
// day is 24 of them. It is more than 0 and at most ten years. The error is a *SpellingError.
func ParseDuration(s string) (rotation.Duration, error) {
	const day = 24 * time.Hour
	var d time.Duration
	if m := durationISO.FindStringSubmatch(s); m != nil && s != "P" && m[3] != "T" {
		d = time.Duration(7*number(m[1])+number(m[2]))*day + time.Duration(number(m[4]))*time.Hour +
			time.Duration(number(m[5]))*time.Minute + time.Duration(number(m[6]))*time.Second
	} else {
		rest := s
		if m := daysFirst.FindStringSubmatch(s); m != nil {
			d, rest = time.Duration(number(m[1]))*day, m[3]
			if m[2] == "w" {
				d *= 7
			}
		}
		if rest != "" || d == 0 {
			clock, err := time.ParseDuration(rest)
			if err != nil || !clockUnits.MatchString(rest) {
				return 0, misspelt(durationHint, "%s isn't a length of time", quote(s))
			}
			d += clock
		}
	}
	switch {
	case d <= 0:
		return 0, misspelt(durationHint, "%s is no time at all", quote(s))
	case d > mostDays*day:
		return 0, misspelt(durationHint, "%s is longer than ten years", quote(s))
	}
	return rotation.Duration(d), nil
}

// HintOf is how to write what err says is misspelt; "" for other errors.
func HintOf(err error) string {
	var e *SpellingError
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
