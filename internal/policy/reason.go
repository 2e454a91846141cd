package policy

import (
	"strings"
	"unicode"

	"github.com/rastup/rekey/internal/rotation"
)

// A BreakGlass is a person who lets a job go on that nobody approved. Whether GitHub tells of an administrator's bypass
// its documentation doesn't say ("Reviewing deployments", "Get the review history for a workflow run"): so it isn't
// looked for. What is looked at is that there can have been one, and that somebody who may bypass gave the reason.
type BreakGlass struct {
	Reason string
	By     Person // started the run, and gave the reason
	Event  string // that the run is of: a reason is an input of workflow_dispatch
	// Attempt of the run: a reason isn't given again by running it again.
	Attempt int
	Admin   bool // By administrates the repository
	Bypass  bool // the GitHub Environment lets administrators bypass its reviewers
}

// of fills in a by b, which is q's. It isn't an approval, and says so.
func (b BreakGlass) of(a *rotation.Approval, q Question, rules Rules) error {
	const anew = "run the workflow anew (Run workflow, not Re-run), with break_glass, and say why again"
	reason, err := Reason(b.Reason)
	switch {
	case !rules.BreakGlass:
		return rotation.Failf("have it approved by a reviewer; or have break_glass: allow under policy in "+rules.Config+" reviewed and merged first",
			"a reason to break the glass was given, and %s allows none", rules.Config)
	case err != nil:
		return err
	case b.Event != "workflow_dispatch" || b.Attempt != 1:
		return rotation.Failf(anew, "the reason to break the glass is for the first attempt of a run that a person started, and this is attempt %d by %s", b.Attempt, b.Event)
	case !b.By.person():
		return rotation.Failf("have an administrator run the workflow", "%s is no person: nobody answers for breaking the glass", b.By)
	case !b.Bypass:
		return rotation.Failf("have it approved by a reviewer", "GitHub Environment %q lets no administrator bypass its reviewers, and nobody approved it in run %s", q.Environment, q.Run)
	case !b.Admin:
		return rotation.Failf("have an administrator run the workflow, with break_glass", "%s is no administrator of the repository: breaking the glass isn't theirs", b.By)
	}
	a.By, a.Comment, a.BreakGlass = []string{b.By.Login}, "", reason
	return nil
}

// leastReason is how long a reason must be, in characters, to be one: "urgent" tells a reviewer nothing.
const leastReason, mostReason = 10, 500

// Reason is why somebody goes on without an approval, in one line. The error is a *rotation.Failure.
func Reason(text string) (string, error) {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
	switch n := len([]rune(text)); {
	case n < leastReason:
		return "", rotation.Failf("say in a sentence what can't wait, and why: it is what the after-review reads", "%q is no reason to break the glass: at least %d characters", text, leastReason)
	case n > mostReason:
		return "", rotation.Failf("say it shortly, and the rest in the after-review", "a reason of %d characters is too long: at most %d", n, mostReason)
	}
	return text, nil
}
