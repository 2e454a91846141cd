package town_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const urgent = "the password is public since 03:10, and no reviewer answers"

// glass is a siege whose stage lets administrators bypass its reviewers, with a rotation that waits for one there.
func glass(t *testing.T, allow string) *siege {
	t.Helper()
	s := besiege(t, true, "")
	s.GitHub.AddUser("robot[bot]", "admin", true)
	s.GitHub.SetEnvironment(passable)
	s.GitHub.Commit("main", "root-admin", "House rules", map[string]string{".github/rekey.yml": rules + "policy: {break_glass: " + allow + "}\n"})
	s.request("li-pay", "ana-sec", wanted)
	return s
}

var passable = github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre"}, AdminsBypass: true}

// breaks is an administrator who runs the workflow with inputs, and bypasses what that run asks.
func breaks(by string, listed bool, inputs map[string]string) func(*siege) error {
	return func(s *siege) error {
		if inputs != nil {
			if err := s.Dispatch(s.t.Context(), by, inputs); err != nil {
				return err
			}
		}
		w := s.Waits()
		return errors.Join(s.GitHub.Bypass(w[len(w)-1].Run, "rekey-stage", "root-admin", "", listed), s.Engine.Advance(s.t.Context()))
	}
}

func why(reason string) map[string]string {
	return map[string]string{"rotation": requestFile, "break_glass": reason}
}

// TestABypassIsRefused unless the house rules allow it, and somebody who may bypass said why in this very run.
func TestABypassIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		allow string
		how   func(s *siege) error
		job   string
		why   string
	}{
		"without a reason":             {"allow", breaks("", false, nil), "stage", "nobody approved it in run"},
		"where the house rules say so": {"refuse", breaks("root-admin", false, why(urgent)), "plan", "allows none"},
		"with no reason at all":        {"allow", breaks("root-admin", false, why("urgent")), "plan", "is no reason to break the glass"},
		"for whatever there is":        {"allow", breaks("root-admin", false, map[string]string{"break_glass": urgent}), "plan", "name the rotation"},
		"by who administrates nothing": {"allow", breaks("li-pay", false, why(urgent)), "stage", "@li-pay is no administrator of the repository"},
		"by a bot":                     {"allow", breaks("robot[bot]", false, why(urgent)), "stage", "@robot[bot] is no person"},
		"where nobody can have done it": {"allow", func(s *siege) error {
			e := passable
			e.AdminsBypass = false
			s.before = func(step workflow.Step) {
				if step.Job == "stage" {
					s.GitHub.SetEnvironment(e)
				}
			}
			return breaks("root-admin", false, why(urgent))(s)
		}, "stage", "lets no administrator bypass its reviewers"},
		"where nobody is asked": {"allow", func(s *siege) error {
			s.before = func(step workflow.Step) {
				if step.Job == "stage" {
					s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, AdminsBypass: true})
				}
			}
			return breaks("root-admin", false, why(urgent))(s)
		}, "stage", "it requires no reviewers"},
		"after somebody said no": {"allow", func(s *siege) error {
			if err := s.Dispatch(s.t.Context(), "root-admin", why(urgent)); err != nil {
				return err
			}
			w := s.Waits()
			run := w[len(w)-1].Run
			return errors.Join(s.GitHub.Reject(run, "rekey-stage", "ana-sec", "no"), s.Engine.Advance(s.t.Context()),
				s.Engine.Rerun(run, "root-admin", false), s.Engine.Advance(s.t.Context()), breaks("", false, nil)(s))
		}, "stage", "was rejected in run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := glass(t, c.allow)
			m := s.mark()
			s.ok(c.how(s))
			s.untouched(m, "stage")
			s.says(m, c.job, c.why)
		})
	}
}

// TestAGlassIsBroken: with a reason the job goes on, whether GitHub tells of the bypass or not, and that it went on
// without an approval is on record for good.
func TestAGlassIsBroken(t *testing.T) {
	for _, listed := range []bool{false, true} {
		s := glass(t, "allow")
		was := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]
		s.ok(breaks("root-admin", listed, why(urgent))(s))
		if s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"] == was {
			t.Fatal("stage wasn't rotated")
		}
		a := s.grants("stage")
		if len(a) != 1 || a[0].BreakGlass != urgent || !slices.Equal(a[0].By, []string{"root-admin"}) || a[0].Environment != "rekey-stage" {
			t.Errorf("listed %v: %+v", listed, a)
		}
		told := ""
		for _, c := range s.GitHub.Comments(2) {
			told += c.Body
		}
		if n := len(s.reviews()); n != 1 {
			t.Errorf("%d after-reviews", n)
		}
		if n := strings.Count(told, "BREAK-GLASS by @&#8288;root-admin"); n != 2 {
			t.Errorf("the pull request tells it %d times:\n%s", n, told)
		}
	}
}

// grants are the approvals on record in an environment.
func (s *siege) grants(env string) (all []rotation.Approval) {
	for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/"+env+"/") {
		var r rotation.Record
		if strings.HasSuffix(v.Key, ".json") && json.Unmarshal(v.Body, &r) == nil {
			if a := r.Grant(); a != nil {
				all = append(all, *a)
			}
		}
	}
	return all
}

// reviews are the issues about broken glass.
func (s *siege) reviews() (all []github.Issue) {
	for _, i := range s.GitHub.Issues() {
		if slices.Contains(i.Labels, "rekey-after-review") {
			all = append(all, i)
		}
	}
	return all
}

// TestTheNextOrdinaryRotationWaitsForTheAfterReview: the issue is opened in the same run, stays open until a person
// closes it, and until then nothing ordinary is asked about there; what is stolen doesn't wait, nor does what has begun.
func TestTheNextOrdinaryRotationWaitsForTheAfterReview(t *testing.T) {
	const next = "rotations/2026/11/2026-11-26-next.yaml"
	s := glass(t, "allow")
	s.ok(breaks("root-admin", false, why(urgent))(s))
	for _, w := range s.Waits() { // of the run that asked before the glass was broken: nothing is left to do
		s.ok(s.Approve(t.Context(), w.Environment, "bo-sre", ""))
	}
	review := s.reviews()
	if len(review) != 1 || review[0].State != "open" || !strings.Contains(review[0].Body, urgent) || !strings.Contains(review[0].Title, "root-admin") {
		t.Fatalf("%+v", review)
	}
	s.Clock.Move(49 * time.Hour)
	s.ok(s.Hour(t.Context()))
	if l := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels; len(l) != 1 {
		t.Errorf("the old credential's removal waits for the review: %v", l)
	}
	s.Clock.Move(24 * time.Hour)
	merge := func(path, text string) int {
		n, err := s.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{path: text}, false)
		s.ok(err)
		s.GitHub.Review(n, "ana-sec", "APPROVED")
		s.ok(s.Merge(t.Context(), n, "ana-sec", path))
		return n
	}
	m := s.mark()
	n := merge(next, "secret: app/database\nticket: \"#1\"\nenvironments: [stage]\n")
	held := fmt.Sprintf("after-review \\#&#8288;%d must be closed first", review[0].Number)
	for range 2 {
		if w := s.Waits(); len(w) > 0 {
			t.Fatalf("%v is asked", w)
		}
		s.untouched(m, "stage")
		if told := s.GitHub.Comments(n)[0].Body; !strings.Contains(told, held) {
			t.Errorf("the pull request doesn't say that %s:\n%s", held, told)
		}
		s.ok(s.Hour(t.Context()))
	}
	// GitHub doesn't list issues: nobody knows, so nothing begins.
	s.GitHub.Close(review[0].Number, "ana-sec")
	s.GitHub.Fail(func(c github.Call) error {
		if c.Method == "GET" && strings.HasSuffix(c.Path, "/issues") {
			return &github.Error{Status: 403, Message: "Resource not accessible by integration"}
		}
		return nil
	})
	_ = s.Hour(t.Context())
	s.GitHub.Fail(nil)
	if w := s.Waits(); len(w) > 0 {
		t.Fatalf("%v is asked while nobody can see the after-reviews", w)
	}
	s.untouched(m, "stage")
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 1 {
		t.Fatalf("it was closed, and %v waits", w)
	}
	if all := s.reviews(); len(all) != 1 || all[0].State != "closed" {
		t.Errorf("%+v", all)
	}
}

// TestWhatIsStolenWaitsForNoAfterReview.
func TestWhatIsStolenWaitsForNoAfterReview(t *testing.T) {
	s := glass(t, "allow")
	s.ok(breaks("root-admin", false, why(urgent))(s))
	n, err := s.OpenPull(t.Context(), "li-pay", "It is stolen", "", map[string]string{"rotations/2026/11/2026-11-23-stolen.yaml": "secret: app/database\nticket: \"#1\"\nreason: compromise\nenvironments: [stage]\n"}, false)
	s.ok(err)
	s.GitHub.Review(n, "ana-sec", "APPROVED")
	s.ok(s.Merge(t.Context(), n, "ana-sec", "rotations/2026/11/2026-11-23-stolen.yaml"))
	if !slices.ContainsFunc(s.Waits(), func(w town.Wait) bool { return w.Environment == "rekey-stage" }) {
		t.Errorf("%v waits", s.Waits())
	}
	if r := s.reviews(); len(r) != 1 || r[0].State != "open" {
		t.Errorf("%+v", r)
	}
}

// TestAGlassBrokenByHandIsReviewedAsWell: nobody on GitHub was asked, and the next run tells.
func TestAGlassBrokenByHandIsReviewedAsWell(t *testing.T) {
	s := glass(t, "refuse") // which is about bypassed jobs
	hand, err := s.Hand("bo-sre")
	s.ok(err)
	apply := func(why string) error {
		tasks, err := hand.Tasks(t.Context())
		s.ok(err)
		results, err := hand.Apply(t.Context(), tasks, app.Options{Environment: "stage", ByHand: true, BreakGlass: why})
		s.ok(err)
		return results[0].Err
	}
	m := s.mark()
	if err := apply(""); err == nil || !strings.Contains(err.Error(), "waits for the approval of its rotation") {
		t.Errorf("without a reason: %v", err)
	}
	s.untouched(m, "stage")
	s.ok(apply(urgent))
	if a := s.grants("stage"); len(a) != 1 || a[0].BreakGlass != urgent || a[0].By[0] != "bo-sre" {
		t.Errorf("%+v", a)
	}
	s.ok(s.Hour(t.Context()))
	if r := s.reviews(); len(r) != 1 || !strings.Contains(r[0].Title, "by bo-sre") {
		t.Errorf("%+v", r)
	}
	// What was asked before finds nothing to begin.
	m = s.mark()
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.untouched(m, "stage")
}

// TestAQuestionFromBeforeTheGlassWasBrokenBeginsNothing: the job that is approved can't see issues, and needn't.
func TestAQuestionFromBeforeTheGlassWasBrokenBeginsNothing(t *testing.T) {
	s := glass(t, "allow")
	const stolen = "rotations/2026/11/2026-11-23-stolen.yaml"
	n, err := s.OpenPull(t.Context(), "li-pay", "It is stolen", "", map[string]string{stolen: "secret: app/database\nticket: \"#1\"\nreason: compromise\nenvironments: [stage]\n"}, false)
	s.ok(err)
	s.GitHub.Review(n, "ana-sec", "APPROVED")
	s.GitHub.Merge(n, "ana-sec")
	ordinary := s.Waits()[0].Run
	s.ok(breaks("root-admin", false, map[string]string{"rotation": stolen, "break_glass": urgent})(s))
	if a := s.grants("stage"); len(a) != 1 {
		t.Fatalf("%+v", a)
	}
	s.Clock.Move(time.Hour)
	m := s.mark()
	s.ok(errors.Join(s.GitHub.Approve(ordinary, "rekey-stage", "ana-sec", ""), s.Engine.Advance(t.Context())))
	s.untouched(m, "stage")
	s.says(m, "stage", "the glass was broken here by @root-admin since this run began")
}

// TestADeletedAfterReviewIsOpenedAgain by the next ordinary rotation that would wait for it, months later as well:
// whoever deletes the issue hasn't closed it, and what is waited for must be there to be closed.
func TestADeletedAfterReviewIsOpenedAgain(t *testing.T) {
	const next = "rotations/2026/12/2026-12-30-next.yaml"
	s := glass(t, "allow")
	s.ok(breaks("root-admin", false, why(urgent))(s))
	for _, w := range s.Waits() {
		s.ok(s.Approve(t.Context(), w.Environment, "bo-sre", ""))
	}
	s.GitHub.DeleteIssue(s.reviews()[0].Number)
	s.ok(s.Hour(t.Context()))
	first := s.reviews()
	if len(first) != 1 || first[0].State != "open" {
		t.Fatalf("it isn't there again: %+v", first)
	}
	s.Clock.Move(49 * time.Hour)
	s.ok(s.Hour(t.Context()))
	s.Clock.Move(time.Date(2026, 12, 30, 9, 0, 0, 0, time.UTC).Sub(s.Clock.Now()))
	s.GitHub.DeleteIssue(first[0].Number)
	n, err := s.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{next: "secret: app/database\nticket: \"#1\"\nenvironments: [stage]\n"}, false)
	s.ok(err)
	s.GitHub.Review(n, "ana-sec", "APPROVED")
	s.ok(s.Merge(t.Context(), n, "ana-sec", next))
	again := s.reviews()
	if len(again) != 1 || again[0].State != "open" || len(s.Waits()) > 0 {
		t.Fatalf("%+v, %v waits", again, s.Waits())
	}
	s.GitHub.Close(again[0].Number, "ana-sec")
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 1 {
		t.Errorf("%v waits", w)
	}
}
