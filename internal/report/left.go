package report

import (
	"slices"

	"github.com/rastup/rekey/internal/rotation"
)

// Left is what is still to be done until a rotation that is going back is taken back: every undo step, in order, and why
// it isn't done. None where nothing goes back, or all of it is done.
func (s Standing) Left() (all []string) {
	if s.Decision.State.Over() || !s.back() {
		return nil
	}
	for _, u := range s.Undo {
		why := "comes after that"
		switch {
		case u.Mark == Done:
			continue
		case u.Mark == Failed:
			why = "failed: " + u.Text
		case u.Key == s.Decision.Step.Key && s.Stopped != "":
			why = "not known to be done, the last run stopped there: " + s.Stopped
		case u.Key == s.Decision.Step.Key && s.waits != "":
			why = "waits for " + s.waits
		case u.Key == s.Decision.Step.Key:
			why = "is next"
		}
		all = append(all, u.Key+" ("+Does(u.Step)+"): "+why)
	}
	return all
}

// returned says how far back a rotation is that can't be taken back to the end.
func returned(s Standing) string {
	left := func(name string) bool {
		return slices.ContainsFunc(s.Undo, func(u Step) bool { return u.Name == name && u.Mark != Done })
	}
	switch {
	case left("restore"):
		return "the old credential is not the live one again yet."
	case !slices.ContainsFunc(s.Undo, func(u Step) bool { return u.Name == "restore" }) && !s.replaced():
		return "the old credential was never replaced; what was made of the new one is not removed yet."
	case left("back") || left("validate"):
		return "the old credential is live again, and not proven yet: consumers may still have the new one."
	}
	return "the old credential is live again and proven; the new one is not removed yet."
}

// replaced says whether the new credential may have become the live one.
func (s Standing) replaced() bool {
	return slices.ContainsFunc(s.Steps, func(st Step) bool { return st.Phase == rotation.Deploy && st.Mark != Ahead })
}

// Ahead are the steps that policy ended while they still waited for somebody who used the old credential.
func (s Standing) Ahead() (all []Step) {
	for _, st := range s.Steps {
		if st.Mark == Done && slices.ContainsFunc(st.Facts, func(f rotation.Fact) bool { return f.Key == rotation.FactAhead }) {
			all = append(all, st)
		}
	}
	return all
}
