package question

import (
	"slices"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/rotation"
	"pgregory.net/rapid"
)

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// played is an asker of a random history: when it began, when it looked at the others, how it ended.
type played struct {
	Asker
	looks time.Time
	ends  time.Time // zero: it outlives the history
	asked bool
}

// seen is what others see of p at an instant.
func (p played) seen(at time.Time) Asker {
	a := p.Asker
	if p.ends.IsZero() || p.ends.After(at) {
		a.End, a.Rejected = time.Time{}, false
	} else {
		a.End = p.ends.Truncate(time.Second)
	}
	return a
}

func history(t *rapid.T, manual bool) []*played {
	n := rapid.IntRange(1, 12).Draw(t, "askers")
	ids := rapid.SliceOfNDistinct(rapid.Int64Range(1, 99), n, n, rapid.ID[int64]).Draw(t, "runs")
	var list []*played
	for _, id := range ids {
		// Within a few seconds or a few hours of each other, so that they tie as well as pass each other by.
		at := monday.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hour")) * 12 * time.Hour).Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
		p := &played{Asker: Asker{Run: id, Time: at.Truncate(time.Second)}, looks: at.Add(time.Duration(rapid.IntRange(1000, 9000).Draw(t, "looks")) * time.Millisecond)}
		if rapid.Bool().Draw(t, "ends") {
			p.ends = p.looks.Add(time.Duration(rapid.IntRange(1, 100*3600).Draw(t, "after")) * time.Second)
			p.Rejected = rapid.IntRange(0, 3).Draw(t, "rejected") == 0
		}
		p.Again = manual && rapid.IntRange(0, 3).Draw(t, "again") == 0
		list = append(list, p)
	}
	// They look in the order of their looks, not of their times.
	slices.SortFunc(list, func(a, b *played) int { return a.looks.Compare(b.looks) })
	return list
}

func drawDue(t *rapid.T) Due {
	d := Due{After: monday.Add(time.Duration(rapid.IntRange(-3600, 5*86400).Draw(t, "due")) * time.Second).Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "due ms")) * time.Millisecond)}
	if rapid.Bool().Draw(t, "near an asker") {
		d.After = monday.Add(time.Duration(rapid.IntRange(0, 12000).Draw(t, "ms")) * time.Millisecond)
	}
	if rapid.Bool().Draw(t, "hours") {
		d.Hours = &rotation.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "09:00", To: "17:00", Zone: "Europe/Berlin"}
	}
	if rapid.IntRange(0, 3).Draw(t, "retention") == 0 {
		d.From = d.After.Add(48 * time.Hour)
	}
	return d
}

// Whoever began before asks, has asked, or is known to ask: as long as an item stays due, one run that lives asks about
// it, never two, and what a person rejected only who was started by a person.
func TestEveryItemIsAskedByExactlyOneAliveAsker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, d := history(t, true), drawDue(t)
		for i, self := range list {
			// All that began by then are seen, also those that look later.
			var others []Asker
			for _, o := range list {
				if o != self && !o.Time.After(self.looks) {
					others = append(others, o.seen(self.looks))
				}
			}
			self.asked = Asks(d, self.seen(self.looks), others, time.Time{})
			if self.asked && !d.At(self.Time) {
				t.Fatalf("%+v asks about what wasn't due when it began", *self)
			}
			for _, o := range list[:i] {
				if self.asked && o.asked && overlap(self, o) {
					t.Fatalf("%+v and %+v both ask about %+v", *self, *o, d)
				}
			}
		}
		for _, self := range list {
			if self.asked || !d.At(self.Time) {
				continue
			}
			if !slices.ContainsFunc(list, func(o *played) bool { return o.asked && older(o.Asker, self.Asker) < 0 && stands(o, self) }) {
				t.Fatalf("nobody asks about %+v when %+v began: %s", d, *self, all(list))
			}
		}
	})
}

func all(list []*played) (text string) {
	for _, p := range list {
		text += p.Time.Format("02T15:04:05") + "–" + p.ends.Format("02T15:04:05") + " "
		if p.asked {
			text += "asked "
		}
	}
	return text
}

// stands says whether o's question kept self from asking: it lived when self began, or a person had said no to it.
func stands(o, self *played) bool {
	end := o.Time.Add(Expiry)
	if !o.ends.IsZero() && o.ends.Before(end) {
		end = o.ends
	}
	rejected := o.Rejected && !o.ends.IsZero() && !self.Time.Before(o.ends.Truncate(time.Second))
	return !self.Time.After(end) || rejected && !self.Again
}

func overlap(a, b *played) bool {
	if older(a.Asker, b.Asker) > 0 {
		a, b = b, a
	}
	return !b.Time.After(a.Time.Add(Expiry)) && (a.ends.IsZero() || b.Time.Before(a.ends))
}

// Where it isn't known who asked before, an item may wait for the runs that live, but isn't asked twice.
func TestNothingIsAskedTwiceWhereTheHistoryIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, d := history(t, false), drawDue(t)
		for i, self := range list {
			known := self.Time.Add(-Expiry)
			var others []Asker
			for _, o := range list {
				a := o.seen(self.looks)
				cut := a.Time.Before(known) && !a.End.IsZero() && !a.Rejected
				if o != self && !o.Time.After(self.looks) && !cut {
					others = append(others, a)
				}
			}
			self.asked = Asks(d, self.seen(self.looks), others, known)
			for _, o := range list[:i] {
				if self.asked && o.asked && overlap(self, o) {
					t.Fatalf("%+v and %+v both ask about %+v", *self, *o, d)
				}
			}
			alone := !slices.ContainsFunc(others, func(a Asker) bool { return older(a, self.Asker) < 0 && (a.alive(self.Time) || a.Rejected) })
			if alone && d.At(self.Time) && !self.asked {
				t.Fatalf("nobody else lives, and %+v doesn't ask about %+v", *self, d)
			}
		}
	})
}

// Of what was pushed directly nobody may know when. It is asked about once, when no older run lives.
func TestWhatIsDueSinceNobodyKnowsIsAskedOnce(t *testing.T) {
	since, ever := Due{}.Since()
	text, err := Encode([]Item{{Rotation: "r", Secret: "s", Environment: "dev", For: rotation.ApprovesRotation, Digest: rotation.Digest(nil), Attempt: 1, Since: since}})
	if !ever || err != nil {
		t.Fatal(since, ever, err)
	}
	if items, err := Decode(text); err != nil || !items[0].Since.Equal(since) {
		t.Errorf("%v, %v", items, err)
	}
	self := Asker{Run: 5, Time: monday}
	if !Asks(Due{}, self, nil, monday.Add(-Expiry)) || Asks(Due{}, self, []Asker{{Run: 4, Time: monday.Add(-time.Hour)}}, monday.Add(-Expiry)) {
		t.Error("asked by none, or by two")
	}
}

func TestAsks(t *testing.T) {
	at := func(h int) time.Time { return monday.Add(time.Duration(h) * time.Hour) }
	due := Due{After: at(9)}
	for name, c := range map[string]struct {
		self   Asker
		others []Asker
		known  time.Time
		want   bool
	}{
		"alone":                           {Asker{Run: 5, Time: at(10)}, nil, at(0), true},
		"in the second it became due":     {Asker{Run: 5, Time: at(9)}, nil, at(0), true},
		"not due yet when it began":       {Asker{Run: 5, Time: at(8)}, nil, at(0), false},
		"an older one waits":              {Asker{Run: 5, Time: at(11)}, []Asker{{Run: 4, Time: at(10)}}, at(0), false},
		"an older one began before":       {Asker{Run: 5, Time: at(11)}, []Asker{{Run: 4, Time: at(8)}}, at(0), true},
		"a younger one waits":             {Asker{Run: 5, Time: at(10)}, []Asker{{Run: 6, Time: at(11)}}, at(0), true},
		"the same second, higher run":     {Asker{Run: 5, Time: at(10)}, []Asker{{Run: 6, Time: at(10)}}, at(0), true},
		"the same second, lower run":      {Asker{Run: 7, Time: at(10)}, []Asker{{Run: 6, Time: at(10)}}, at(0), false},
		"an earlier look of the same run": {Asker{Run: 5, Time: at(11)}, []Asker{{Run: 5, Time: at(10)}}, at(0), true},
		"an older one has ended":          {Asker{Run: 5, Time: at(12)}, []Asker{{Run: 4, Time: at(10), End: at(11)}}, at(0), true},
		"it ended since this began":       {Asker{Run: 5, Time: at(12)}, []Asker{{Run: 4, Time: at(10), End: at(13)}}, at(0), false},
		"it was rejected":                 {Asker{Run: 5, Time: at(12)}, []Asker{{Run: 4, Time: at(10), End: at(11), Rejected: true}}, at(0), false},
		"rejected, a person asks anew":    {Asker{Run: 5, Time: at(12), Again: true}, []Asker{{Run: 4, Time: at(10), End: at(11), Rejected: true}}, at(0), true},
		"rejected was another question":   {Asker{Run: 5, Time: at(12)}, []Asker{{Run: 3, Time: at(8), End: at(9), Rejected: true}}, at(0), true},
		"rejected didn't ask: an older one did, and ended": {Asker{Run: 5, Time: at(14)},
			[]Asker{{Run: 3, Time: at(10), End: at(13)}, {Run: 4, Time: at(11), End: at(12), Rejected: true}}, at(0), true},
		"one that waits didn't ask: an older one did, and ended": {Asker{Run: 5, Time: at(14)},
			[]Asker{{Run: 3, Time: at(10), End: at(13)}, {Run: 4, Time: at(11)}}, at(0), true},
		"... but that isn't known": {Asker{Run: 5, Time: at(14)}, []Asker{{Run: 3, Time: at(10), End: at(13)}, {Run: 4, Time: at(11)}}, at(11), false},
		"rejected only after it had expired and another had asked": {Asker{Run: 5, Time: at(100), Again: true},
			[]Asker{{Run: 3, Time: at(10), End: at(95), Rejected: true}, {Run: 4, Time: at(90)}}, at(0), false},
		"an older one waits, expired":  {Asker{Run: 5, Time: at(10 + 73)}, []Asker{{Run: 4, Time: at(10)}}, at(0), true},
		"an older one waits, just not": {Asker{Run: 5, Time: at(10 + 72)}, []Asker{{Run: 4, Time: at(10)}}, at(0), false},
	} {
		if got := Asks(due, c.self, c.others, c.known); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
