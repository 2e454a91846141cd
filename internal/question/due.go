package question

import (
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/rotation"
)

// Patience is how long before something opens people are asked: schedules are late, and a job can wait that long.
const Patience = 30 * time.Minute

// A Due is what decides when an item is to be asked about. All of it is on record, so that it stays the same as long
// as nothing happens to the rotation: a question that waits doesn't become another one when business hours close.
type Due struct {
	After  time.Time // the last thing that happened: merge, the environment before validated, the chain's last record but attachments
	From   time.Time // not before: the retention is over; zero: nothing to wait for
	Window *rotation.Window
	Hours  *rotation.Hours
}

// Latest is the latest of some times: of the things that happened, for After.
func Latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// Since is the first instant at which the item is due; false: never. What happened is waited for to the instant, what
// opens only until Patience before: an item isn't due before it exists.
func (d Due) Since() (time.Time, bool) {
	at, _, ever := calendar.Opens(d.Window, d.Hours, Latest(d.After, d.From))
	if !ever {
		return time.Time{}, false
	}
	return Latest(d.After, at.Add(-Patience)).UTC(), true
}

// At says whether a job that began at t asks about the item, if nobody else does. GitHub's times are whole seconds, cut
// off: what happened in that second had happened.
func (d Due) At(t time.Time) bool {
	if t.Before(d.After.Truncate(time.Second)) {
		return false
	}
	at, _, ever := calendar.Opens(d.Window, d.Hours, Latest(t, d.From))
	return ever && !at.After(t.Add(Patience))
}
