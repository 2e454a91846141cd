package policy

import (
	"strings"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// leastReason is how long a reason must be, in characters, to be one: "urgent" tells a reviewer nothing.
const leastReason, mostReason = 10, 500

// Reason is why somebody goes on without an approval, in one line. The error is a *rotation.Failure.
func Reason(text string) (string, error) {
	text = problem.Plain(strings.Join(strings.Fields(text), " "))
	switch n := len([]rune(text)); {
	case n < leastReason:
		return "", rotation.Failf("say in a sentence what can't wait, and why: it is what the after-review reads", "%s is no reason to break the glass: at least %d characters", problem.Quote(text), leastReason)
	case n > mostReason:
		return "", rotation.Failf("say it shortly, and the rest in the after-review", "a reason of %d characters is too long: at most %d", n, mostReason)
	}
	return text, nil
}
