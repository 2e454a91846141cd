package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// A Standing is where one environment of a rotation stands.
type Standing struct {
	Name       string
	Attempt    int
	Decision   plan.Decision
	Validated  bool          // the new credential is live and proven
	Begun      bool          // something may have been changed
	Short      string        // "validated", "waits for its window"
	Next       string        // what comes next, and when; "" when over, or when it is a person's move
	Move       string        // what a person must do; "" nothing
	Ask        *rotation.Ask // that in detail, where a step waits for it; nil: Move says all
	Old        string        // where the old credential is: "goes 24 Nov 09:41 UTC"
	Stopped    string        // why the last run left in the middle; "" it didn't
	Steps      []Step
	Undo       []Step
	Failures   []Failure // what still counts, the cause first
	Claim      *rotation.Claim
	Records    int                 // of this attempt
	Head       rotation.Head       // of the chain
	Began      int                 // number of this attempt's claim; 0: none
	Seq        int                 // of this attempt's last record; 0: none
	Runner     string              // of this attempt's last record
	Runs       []Run               // of workflows that steps had started, in the plan's order
	Approvals  []rotation.Approval // that are on record, in order
	Approvers  []string            // who let the rotation go on, by what is on record
	Approval   string              // where approval stands: "not required", "asked in rekey-prod"; "" given
	Broken     []rotation.Approval // those of Approvals that nobody gave: a person broke the glass
	last       time.Time
	waitsFor   string    // the environment before
	waits      string    // what the last run left to a later one to wait for
	waitsSince time.Time // when runs began to
	lapses     time.Time // when policy ends that; zero: never
}

// A Run is the workflow's run that a step had started, and watches.
type Run struct {
	Step string // its key
	URL  string
}

// A Failure is a step that definitely failed, or another reason why a rotation was given up (no Step).
type Failure struct {
	Step  string
	At    time.Time // zero: unknown
	Text  string
	Hint  string
	Files []rotation.FileRef
}

// At is the last record's time; zero when there is none.
func (s Standing) At() time.Time { return s.last }

// stand sees e after the environments before it, which v has already.
func stand(e Environment, v View) Standing {
	d, now := e.Decision, v.Now
	s := Standing{Name: e.Name, Attempt: e.Plan.Attempt, Decision: d, Records: len(e.Records), Head: e.Head, Claim: claim(e.Records)}
	if n := len(e.Records); n > 0 {
		last := e.Records[n-1]
		s.last, s.Began, s.Seq, s.Runner = last.At, e.Records[0].Seq, last.Seq, last.Runner.ID
		s.Validated = plan.Validated(&e.Plan, e.Records, now)
		s.Begun = plan.MayHaveBegun(&e.Plan, e.Records)
		if !d.State.Over() {
			s.lapses = plan.Lapses(d.Step, e.Records)
			if s.waits, s.waitsSince, _ = plan.Waits(e.Records); s.waits == "" && last.Outcome == rotation.Released {
				s.Stopped = cmp.Or(last.Text, "stopped early")
			}
		}
	}
	s.Steps, s.Undo = steps(&e.Plan, e.Records, d, now)
	for _, st := range slices.Concat(e.Plan.Steps, e.Plan.Undo) {
		if past := rotation.PastOf(e.Records); past.Fact(st.Key, dispatch.Run) != "" {
			s.Runs = append(s.Runs, Run{st.Key, past.Fact(st.Key, dispatch.URL)})
		}
	}
	s.Failures = failures(s, e.Records)
	s.approvals(e, v.times)
	for _, before := range v.Environments {
		if before.Name == e.Plan.Needs && e.Plan.NeedsThis && !before.Validated && !s.Begun && d.State == plan.Waiting && d.Approval == "" {
			s.waitsFor = before.Name
		}
	}
	if s.Begun && d.Approval == "" && (d.State == plan.Open || d.State == plan.Waiting) {
		s.Ask = d.Step.Asks()
	}
	s.Short = short(s)
	s.Old = old(s, e, v.times)
	if s.Move = move(s, e, v); s.Move == "" {
		s.Next = next(s, e.Gate, v.times)
	}
	return s
}

// approvals tells who approved, or where it is asked.
func (s *Standing) approvals(e Environment, c times) {
	for _, r := range e.Records {
		if r.Claim != nil {
			s.Approvers = r.Claim.Actors.Approved
		}
		if a := r.Grant(); a != nil {
			if s.Approvals = append(s.Approvals, *a); a.BreakGlass != "" {
				s.Broken = append(s.Broken, *a)
				continue
			}
			for _, who := range a.By {
				if !slices.Contains(s.Approvers, who) {
					s.Approvers = append(slices.Clip(s.Approvers), who)
				}
			}
		}
	}
	where := ""
	if e.Gate != "" {
		where = " in " + e.Gate
	}
	switch d := e.Decision; {
	case d.Approval != "":
		s.Approval = "asked" + where
	case len(s.Approvers) > 0:
	case len(s.Broken) > 0:
		s.Approval = "nobody (break-glass)"
	case !slices.Contains(e.Plan.Approvals, rotation.ApprovesRotation):
		s.Approval = "not required"
	case d.State.Over():
		s.Approval = "not asked"
	case d.State == plan.Deferred && s.Records == 0:
		s.Approval = "asked from " + c.stamp(d.Until)
	default:
		s.Approval = "not asked yet"
	}
}

// failures are the steps that failed and weren't done later; or the decision's reason when no record tells.
func failures(s Standing, records []rotation.Record) (all []Failure) {
	for _, st := range slices.Concat(s.Steps, s.Undo) {
		if st.Mark == Failed {
			all = append(all, Failure{Step: st.Key, At: st.At, Text: st.Text, Hint: st.Hint, Files: st.Files})
		}
	}
	if s.Decision.State == plan.Stuck || s.Decision.State == plan.Refused {
		if !slices.ContainsFunc(all, func(f Failure) bool { return f.Step == s.Decision.Step.Key }) {
			all = append(all, Failure{Step: s.Decision.Step.Key, Text: s.Decision.Why})
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, r := range records {
		if r.Outcome == rotation.Asked && s.back() {
			return []Failure{{At: r.At, Text: "rollback asked: " + r.Text, Hint: r.Hint}}
		}
	}
	if s.back() {
		return []Failure{{Text: s.Decision.Why}}
	}
	return nil
}

// back says whether the rotation is, or was, taken back.
func (s Standing) back() bool {
	return s.Decision.State == plan.RolledBack || s.Decision.Step.Phase == rotation.Rollback
}

func (s Standing) urgent() int {
	switch d := s.Decision; {
	case d.State == plan.Stuck && d.Step.Phase == rotation.Rollback:
		return 3
	case d.State == plan.Stuck, d.Step.Phase == rotation.Rollback:
		return 2
	case s.Move != "":
		return 1
	}
	return 0
}

func short(s Standing) string {
	d := s.Decision
	switch d.State {
	case plan.Finished:
		return "finished"
	case plan.RolledBack:
		return "rolled back"
	case plan.Superseded:
		return cmp.Or(d.Why, "superseded")
	case plan.Missed:
		return "never began: " + d.Why
	case plan.Refused:
		return "refused"
	case plan.Stuck:
		switch {
		case d.Step.Phase == rotation.Rollback:
			return "stuck rolling back, at " + d.Step.Key
		case d.Step.Phase.Undone():
			return "held at " + d.Step.Key
		}
		return "stuck at " + d.Step.Key
	}
	if d.Step.Phase == rotation.Rollback {
		return "rolling back"
	}
	switch {
	case s.Ask != nil && s.Validated:
		return "validated, " + d.Step.Key + " waits for a person"
	case s.Ask != nil:
		return "waits for a person"
	case s.Validated && d.State == plan.Deferred:
		return "validated"
	case s.Validated && d.Approval != "":
		return "validated, " + d.Step.Key + " waits for approval"
	case d.Approval != "":
		return "waits for approval"
	case s.Validated && d.State == plan.Waiting:
		return "validated, " + d.Step.Key + " waits"
	case s.Validated && s.waits != "":
		return "validated, " + d.Step.Key + " waits"
	case s.Validated:
		return "validated, " + d.Step.Key + " is due"
	case d.State == plan.Deferred:
		return "waits for " + holder(d)
	case s.waitsFor != "":
		return "waits for " + s.waitsFor
	case d.State == plan.Waiting && !s.Begun:
		return "waits: " + d.Why
	case d.State == plan.Waiting:
		return "waits at " + d.Step.Key
	case s.Records == 0:
		return "can start now"
	}
	return "at " + d.Step.Key
}

// holder is what a deferred step waits for.
func holder(d plan.Decision) string {
	switch w, h := d.Step.Window, d.Step.Hours; {
	case w != nil && d.Until.Equal(w.From):
		return "its window"
	case h != nil && w != nil:
		return "business hours in its window"
	case h != nil && d.Step.After == "":
		return "business hours"
	case w != nil:
		return "its window"
	}
	return "its time"
}

func next(s Standing, gate string, c times) string {
	d := s.Decision
	if gate != "" {
		gate = ": it is asked in " + gate
	}
	switch {
	case d.State.Over():
		return ""
	case d.Approval == rotation.ApprovesDecommission:
		return fmt.Sprintf("%s waits for approval of %s%s", s.Name, d.Step.Key, gate)
	case d.Approval != "":
		return fmt.Sprintf("%s waits for approval%s", s.Name, gate)
	case d.State == plan.Deferred && s.Records == 0 && len(s.Approvers) == 0 && s.Approval != "not required" && gate != "":
		return fmt.Sprintf("%s waits for %s, opens %s; approval%s then", s.Name, holder(d), c.when(d.Until), strings.TrimPrefix(gate, ": it"))
	case d.State == plan.Deferred && s.Validated:
		return fmt.Sprintf("%s goes on with %s on %s", s.Name, d.Step.Key, c.when(d.Until))
	case d.State == plan.Deferred:
		return fmt.Sprintf("%s waits for %s, opens %s", s.Name, holder(d), c.when(d.Until))
	case d.State == plan.Waiting && d.Step.Key != "" && s.Records > 0:
		return fmt.Sprintf("%s waits at %s: %s", s.Name, d.Step.Key, d.Why)
	case d.State == plan.Waiting:
		return fmt.Sprintf("%s waits: %s", s.Name, d.Why)
	case s.Records == 0:
		return s.Name + " can start now"
	case s.waits != "" && !s.lapses.IsZero():
		return fmt.Sprintf("%s waits at %s since %s for %s. Goes ahead without that on %s, by policy.adoption_wait: what still uses the old credential then fails", s.Name, d.Step.Key, c.stamp(s.waitsSince), s.waits, c.stamp(s.lapses))
	case s.waits != "":
		return fmt.Sprintf("%s waits at %s since %s for %s; every run looks again", s.Name, d.Step.Key, c.stamp(s.waitsSince), s.waits)
	case s.Stopped != "":
		return fmt.Sprintf("%s: the last run stopped (%s); the next run looks again and goes on with %s", s.Name, s.Stopped, d.Step.Key)
	case d.Step.Phase == rotation.Rollback:
		return fmt.Sprintf("%s is being rolled back, next is %s", s.Name, d.Step.Key)
	}
	return fmt.Sprintf("%s goes on with %s now", s.Name, d.Step.Key)
}

// move says what a person must do, as on a call at three in the morning.
func move(s Standing, e Environment, v View) string {
	d, path := s.Decision, v.Path
	again, anew := command("apply", e, path), "Run workflow with again, or by hand: "+command("apply --again", e, path)
	if len(e.Plan.Approvals) > 0 { // another attempt is asked about anew
		anew = "Run workflow with again"
	}
	switch {
	case s.Ask != nil && d.Step.Within > 0:
		return "do this by " + v.times.stamp(plan.Since(e.Records).Add(time.Duration(d.Step.Within))) + "; the rotation sees it and goes on by itself."
	case s.Ask != nil:
		return "do this; the rotation sees it and goes on by itself."
	case d.State == plan.Refused:
		return "mend it, then run the workflow again (by hand: " + again + "). Nothing was changed."
	case d.State == plan.Stuck && d.Step.Phase == rotation.Rollback:
		return returned(s) + " Mend this now, then run the workflow again (by hand: " + again + "): it goes on with " + d.Step.Key + ", as every later run does."
	case d.State == plan.Stuck && d.Step.Phase.Undone():
		return "decide. The request says on_failure: hold, so nothing is undone by itself: the new credential stays the live one. Mend it and run the workflow again (by hand: " +
			again + "), or take it back (" + command("rollback", e, path) + "): that makes the old credential, which is said to be stolen, the live one again."
	case d.State == plan.Stuck:
		return "mend it, then run the workflow again (by hand: " + again + "); later runs try it again, too. The new credential was validated and stays; only the old one is not proven gone."
	case d.State == plan.RolledBack && len(s.Failures) == 1 && s.Failures[0].Step == "":
		return "none, unless the rotation is still wanted: then start it again (" + anew + ") or open a new request."
	case d.State == plan.RolledBack:
		return "mend what failed, then start it again (" + anew + ") or open a new request."
	case d.State == plan.Missed && plan.Next(&e.Plan, e.Records, v.Now).State == plan.Missed: // by its plan: not withdrawn
		return "open a new request if the rotation is still wanted."
	}
	return ""
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/~+@-]*$`)

// command is a line to copy: words that a shell could read otherwise are quoted.
func command(verb string, e Environment, path string) string {
	return "rekey " + verb + " --environment " + Word(e.Name) + " " + Word(cmp.Or(path, e.Plan.Rotation))
}

// Word is one word of a command line to copy: quoted where a shell would read it otherwise.
func Word(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
