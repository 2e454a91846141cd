// Package incident projects what needs a person onto issues: an incident for each attempt that went wrong in an
// environment, closed when that secret rotates there after all; and an after-review for each time that somebody broke
// the glass, which a person closes. Where nobody reacts to an open incident in time, it calls who is next.
//
// It must never touch an issue that isn't by the bot's own login, marked and labelled by Rekey; never reopen one; never
// close an incident because a person might have seen to it: only the journal's word closes it; and never close an
// after-review, but for a second one about the same. That one is closed is the one thing that is read from an issue: it
// is a person's word, as a review is, and stands nowhere else.
package incident

import (
	"context"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	text "github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
)

// One of these labels is on every issue of this package: by it they are listed. GitHub makes a label when the first
// issue has it.
const (
	Label       = "rekey-incident"
	ReviewLabel = "rekey-after-review"
)

// A kind of issue.
type kind struct {
	label string
	what  string // for errors
	parse func(body string) (text.About, bool)
}

var (
	incidents = kind{Label, "incident", text.ParseIncident}
	reviews   = kind{ReviewLabel, "after-review", text.ParseAfterReview}
)

// A Lister lists issues by label, of any state; without a label, all. The list may lag behind what was written.
type Lister interface {
	Issues(ctx context.Context, label, state string) ([]github.Issue, error)
}

// A Writer makes and changes issues.
type Writer interface {
	CreateIssue(ctx context.Context, title, body string, labels, assignees []string) (github.Issue, error)
	EditIssue(ctx context.Context, number int, change github.IssueChange) error
}

// A Speaker comments on issues.
type Speaker interface {
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
}

// A Watcher sees what happened to an issue, and assigns more people.
type Watcher interface {
	IssueEvents(ctx context.Context, issue int) ([]github.IssueEvent, error)
	AddAssignees(ctx context.Context, issue int, logins []string) ([]string, error)
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Lister
	Writer
	Speaker
	Watcher
}

// An Issue is a rotation that needs a person in one environment.
type Issue struct {
	rotation.Chain
	Title     string   //
	Body      string   // text.Incident, or text.AfterReview: its marker tells which it is
	Labels    []string // severity; Label, or ReviewLabel, comes by itself
	Assignees []string // logins, "@" or not; teams can't be assigned and are left out

	Escalation Escalation // who is called next; the zero one is nobody
	Brief      text.Brief // for places outside GitHub
}

// An Escalation calls somebody else where nobody has reacted to an incident; see reacted.
type Escalation struct {
	Body      string        // text.IncidentEscalated: its marker tells that it was said; "" nobody is called
	Assignees []string      // like an Incident's
	After     time.Duration // since the issue was opened
}

// A Case is an incident's issue as Write left it.
type Case struct {
	About    text.About
	Issue    github.Issue
	Incident *Issue // nil: the journal shows none with that key now
}

// A Success is an attempt whose new credential is live and proven, with nothing failing.
type Success struct {
	rotation.Chain
	Before int    // it ends the incidents about claims before this record; see Ends
	Closed string // text.IncidentClosed
}

// Judge says whether an environment of a rotation needs an incident, whether it is a success, or neither: not yet.
// A refusal is an incident only where people had approved the rotation: they believe that it goes on.
func Judge(e report.Environment, s report.Standing) (incident, success bool) {
	if len(e.Records) == 0 {
		return false, false
	}
	d := e.Decision
	back := d.State == plan.RolledBack || d.Step.Phase == rotation.Rollback
	switch d.State {
	case plan.Stuck:
		incident = true
	case plan.Refused:
		incident = plan.Approval(e.Records, rotation.ApprovesRotation) != nil
	default:
		incident = back
	}
	return incident, !incident && !back && s.Validated && len(s.Failures) == 0
}

// Ends is the record up to which a success of e ends the incidents of its chain, that one not included: of all attempts
// before it, and its own once it is finished; until then it may get stuck.
func Ends(e report.Environment) (before int) {
	own := e.Records[0].Seq
	if e.Decision.State == plan.Finished {
		return own + 1
	}
	return own
}
