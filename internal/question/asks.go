package question

import (
	"cmp"
	"slices"
	"time"
)

// Expiry is how long a question waits before it is taken back and asked anew.
const Expiry = 72 * time.Hour

// An Asker is a job that asked, or asks, about what is due in one environment.
type Asker struct {
	Run      int64
	Time     time.Time // its job began: it asks about what was due then, whatever it learns on the way
	End      time.Time // the environment's last job was over; zero: some wait, work, or may still come
	Rejected bool      // a person said no
	Again    bool      // a person started the run: what was rejected before may be asked again
}

// older orders askers; GitHub's seconds are too coarse alone.
func older(a, b Asker) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Run, b.Run)) }

// alive says whether a's question may still get an answer at t. In the second it ended it still counts: whoever asked
// in the same second may have seen it so.
func (a Asker) alive(t time.Time) bool {
	return !t.After(a.Time.Add(Expiry)) && (a.End.IsZero() || !t.After(a.End))
}

// refused says whether a person had said no by t. A no that came after the question had expired binds nobody who asked
// meanwhile.
func (a Asker) refused(t time.Time) bool { return a.Rejected && !a.End.IsZero() && !t.Before(a.End) }

// Asks says whether self asks about the item that d is of. others are the askers of the same environment, ended ones,
// too, and all of them that began at known or later.
//
// Of those that live at a time, the oldest that could ask does: for each job, oldest first, it is reckoned whether the
// item was due when it began, and nobody else was asking then. When that run ends without an answer, the next asker
// asks. What a person rejected isn't asked again until the request changes, which makes it due later, or a person
// starts a run for it.
//
// Of what became due before known, some who asked may be missing. There, every older asker that lives is taken to ask:
// the item may wait until that run has ended, but isn't asked twice.
func Asks(d Due, self Asker, others []Asker, known time.Time) bool {
	since, ever := d.Since()
	if !ever || !d.At(self.Time) {
		return false
	}
	if since.Before(known) && slices.ContainsFunc(before(d, self, others), func(a Asker) bool { return a.alive(self.Time) }) {
		return false
	}
	return !slices.ContainsFunc(asked(d, self, others), func(a Asker) bool { return a.bars(self) })
}

// Refused is the run in which a person said no to the item, where that is why self doesn't ask.
func Refused(d Due, self Asker, others []Asker) (run int64, ok bool) {
	all := asked(d, self, others)
	i := slices.IndexFunc(all, func(a Asker) bool { return a.refused(self.Time) && !self.Again })
	if i < 0 || slices.ContainsFunc(all, func(a Asker) bool { return a.alive(self.Time) }) {
		return 0, false
	}
	return all[i].Run, true
}

// bars says whether at doesn't ask what a asked.
func (a Asker) bars(at Asker) bool { return a.alive(at.Time) || a.refused(at.Time) && !at.Again }

// before are the older askers that could ask about the item, oldest first.
func before(d Due, self Asker, others []Asker) []Asker {
	all := slices.DeleteFunc(slices.Clone(others), func(a Asker) bool {
		return a.Run == self.Run || older(a, self) > 0 || !d.At(a.Time)
	})
	slices.SortFunc(all, older)
	return all
}

// asked are those of them that did.
func asked(d Due, self Asker, others []Asker) (all []Asker) {
	for _, a := range before(d, self, others) {
		if !slices.ContainsFunc(all, func(b Asker) bool { return b.bars(a) }) {
			all = append(all, a)
		}
	}
	return all
}
