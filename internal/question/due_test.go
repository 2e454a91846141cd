package question

import (
	"testing"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/rotation"
	"pgregory.net/rapid"
)

func TestSince(t *testing.T) {
	office := &rotation.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "09:00", To: "17:00", Zone: "UTC"}
	window := &rotation.Window{From: monday.Add(26 * time.Hour), To: monday.Add(28 * time.Hour)}
	for name, c := range map[string]struct {
		d    Due
		want string
	}{
		"at once":                             {Due{After: monday}, "Mon 00:00"},
		"in hours":                            {Due{After: monday.Add(10 * time.Hour), Hours: office}, "Mon 10:00"},
		"before hours":                        {Due{After: monday, Hours: office}, "Mon 08:30"},
		"within patience of hours":            {Due{After: monday.Add(8*time.Hour + 45*time.Minute), Hours: office}, "Mon 08:45"},
		"after hours":                         {Due{After: monday.Add(20 * time.Hour), Hours: office}, "Tue 08:30"},
		"before its window":                   {Due{After: monday, Window: window}, "Tue 01:30"},
		"its window is over":                  {Due{After: monday.Add(30 * time.Hour), Window: window}, "never"},
		"its window has no hours":             {Due{After: monday, Window: window, Hours: office}, "never"},
		"retention is over":                   {Due{After: monday, From: monday.Add(48 * time.Hour)}, "Tue 23:30"},
		"retention is over, but out of hours": {Due{After: monday, From: monday.Add(48 * time.Hour), Hours: office}, "Wed 08:30"},
	} {
		got := "never"
		if at, ever := c.d.Since(); ever {
			got = at.Format("Mon 15:04")
		}
		if got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
	if got := Latest(monday, monday.Add(2), time.Time{}, monday.Add(1)); !got.Equal(monday.Add(2)) {
		t.Errorf("latest: %s", got)
	}
}

// Whoever finds it open, or about to, finds it due since before then; nobody finds it due before Since.
func TestSinceIsTheFirstInstantItIsDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDue(t)
		now := monday.Add(time.Duration(rapid.IntRange(-3600, 9*86400).Draw(t, "now")) * time.Second)
		since, ever := d.Since()
		if !ever {
			t.Fatal("no window here ends")
		}
		if d.At(now) && now.Before(since.Truncate(time.Second)) {
			t.Fatalf("%+v: due at %s, and since %s", d, now, since)
		}
		if !d.At(since.Truncate(time.Second)) && !d.At(since.Truncate(time.Second).Add(time.Second)) {
			t.Fatalf("%+v isn't due at %s", d, since)
		}
		_, open, _ := calendar.Opens(d.Window, d.Hours, now)
		if open && !now.Before(d.After) && !now.Before(d.From) && (!d.At(now) || since.After(now)) {
			t.Fatalf("%+v is open at %s, and due since %s", d, now, since)
		}
	})
}

// GitHub cuts its times off to seconds; the journal doesn't.
func TestWhatHappenedInTheSecondAJobBeganHadHappened(t *testing.T) {
	d := Due{After: monday.Add(500 * time.Millisecond)}
	if !d.At(monday) || d.At(monday.Add(-time.Second)) || !d.At(monday.Add(time.Second)) {
		t.Errorf("%v %v %v", d.At(monday), d.At(monday.Add(-time.Second)), d.At(monday.Add(time.Second)))
	}
}
