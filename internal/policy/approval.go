package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// What an environment of rekey.yml asks for before a rotation goes on in it.
const (
	ByPerson  = "required" // a person approves the job's GitHub Environment
	ByReviews = "review"   // the reviews of the request stand in for that
	ByNobody  = "none"
)

// An Entry is one answer to a run's question. GitHub tells neither when it was given nor in which attempt of the run,
// and doesn't promise an order (REST API documentation, "Get the review history for a workflow run").
type Entry struct {
	State        string // approved, rejected, pending
	By           Person
	Comment      string
	Environments []string // GitHub Environments it is about
	// Bypass: administrators may bypass the reviewers, this is one, and isn't known as a reviewer. Whether GitHub lists
	// a bypass among the answers it doesn't say: so this may be none.
	Bypass bool
}

// A Question is what a job that has started needs an approval for.
type Question struct {
	For         string // rotation.ApprovesRotation, rotation.ApprovesDecommission
	Digest      string // of the plan
	Environment string // GitHub Environment of the job
	Run         string // without its attempt
	Asked       Asked
	Now         time.Time
	BreakGlass  *BreakGlass // why it can't wait for one; nil: it can
}

// Approval is who let it go on. kind is ByPerson, ByReviews or ByNobody; with that it is nil, and nothing is wrong. The error
// is a *rotation.Failure. Its Comment isn't redacted.
//
// Nobody approves what they asked for: with separation neither the operator nor who wrote the request counts. Who
// merged it may, like any reviewer: merging is agreeing to what somebody else wrote. Where a bot wrote it, though,
// merging was asking, and the merger is the operator. So two people stand behind each rotation.
//
// Count is how many approvals this run has seen: the caller must not let one serve two attempts at a rotation. A run in
// which somebody rejected it approves nothing any more: which came last, GitHub doesn't say.
func Approval(kind string, q Question, entries []Entry, rules Rules) (*rotation.Approval, error) {
	a := &rotation.Approval{For: q.For, Digest: q.Digest, Environment: q.Environment, Run: q.Run, SeenAt: q.Now.UTC()}
	switch kind {
	case ByNobody:
		return nil, nil
	case ByReviews:
		for _, login := range q.Asked.Actors.Reviewed {
			if !q.asked(login, rules) {
				a.By = add(a.By, login)
			}
		}
		if len(a.By) == 0 {
			return nil, q.nobodyReviewed()
		}
		return a, nil
	case ByPerson:
		err := q.answered(a, entries, rules)
		if err != nil && q.BreakGlass != nil && !q.rejected(entries) {
			err = q.BreakGlass.of(a, q, rules)
		}
		if err != nil {
			return nil, err
		}
		return a, nil
	}
	return nil, rotation.Failf("it is "+ByPerson+", "+ByReviews+" or "+ByNobody+" in "+rules.Config, "approval %q is unknown", kind)
}

// asked says whether this is who asks: their yes is no second one.
func (q Question) asked(login string, rules Rules) bool {
	return rules.Separation && (same(login, q.Asked.Actors.Operator) || same(login, q.Asked.Actors.Requested) || among(login, q.Asked.Wrote))
}

func (q Question) nobodyReviewed() error {
	if n := q.Asked.Origin.PullRequest; n > 0 {
		return rotation.Failf(fmt.Sprintf("have somebody with write permission who neither asked for it nor wrote it approve #%d at %s", n, short(q.Asked.Origin.Head)),
			"reviews stand in for the approval of %s, and nobody but who asked for it reviewed #%d", q.Environment, n)
	}
	return rotation.Failf("revert the commit and open a pull request with the file", "reviews stand in for the approval of %s, and what was pushed directly has none", q.Environment)
}

// about says whether e is about q's environment.
func (q Question) about(e Entry) bool {
	return slices.ContainsFunc(e.Environments, func(name string) bool { return same(name, q.Environment) })
}

// rejected says whether somebody said no: no reason goes past that.
func (q Question) rejected(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool { return e.State == "rejected" && q.about(e) })
}

func (q Question) answered(a *rotation.Approval, entries []Entry, rules Rules) error {
	var passed, rejected, comments []string
	for _, e := range entries {
		if !q.about(e) {
			continue
		}
		switch e.State {
		case "rejected":
			rejected = append(rejected, e.By.String())
		case "approved":
			a.Count++
			switch {
			case !e.By.person():
				passed = append(passed, e.By.String()+" is no person")
			case e.Bypass:
				passed = append(passed, e.By.String()+" may have bypassed the reviewers as an administrator (name them as a reviewer, or let no administrator bypass)")
			case q.asked(e.By.Login, rules):
				passed = append(passed, e.By.String()+" asked for it or wrote it")
			default:
				a.By = add(a.By, e.By.Login)
				if c := strings.TrimSpace(e.Comment); c != "" && !slices.Contains(comments, c) {
					comments = append(comments, c)
				}
			}
		}
	}
	a.Comment = strings.Join(comments, "; ")
	anew := "run the workflow anew (Run workflow, not Re-run)"
	switch {
	case rejected != nil:
		return rotation.Failf(anew+" if it should go on after all; else delete the request's file",
			"%s was rejected in run %s by %s", q.Environment, q.Run, strings.Join(rejected, ", "))
	case a.Count == 0:
		return rotation.Failf(anew+" and have it approved by a reviewer; see that no admin bypasses "+q.Environment+" and that it requires reviewers",
			"the job started in %s, but nobody approved it in run %s", q.Environment, q.Run)
	case len(a.By) == 0:
		return rotation.Failf(anew+" and have somebody else approve it", "no approval of %s in run %s counts: %s", q.Environment, q.Run, strings.Join(slices.Compact(passed), ", "))
	}
	return nil
}
