package town_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/sandbox/github"
)

// page holds that a pull request shows its status once, that it says want, and each of these audits once.
func (s *siege) page(pull int, want string, audits ...string) {
	s.t.Helper()
	statuses, all := 0, ""
	for _, c := range s.GitHub.Comments(pull) {
		if _, ok := comment.ParseStatus(c.Body); ok {
			if statuses++; !strings.Contains(c.Body, want) || comment.EditedStatus(c.Body) {
				s.t.Errorf("the status doesn't say %q:\n%s", want, c.Body)
			}
			continue
		}
		all += c.Body
	}
	if statuses != 1 {
		s.t.Errorf("%d status comments", statuses)
	}
	for _, a := range audits {
		if n := strings.Count(all, a); n != 1 {
			s.t.Errorf("%q is told %d times:\n%s", a, n, all)
		}
	}
}

// TestARotationDoesntNeedItsPage has GitHub refuse, and not answer, what is written there while a rotation begins. The
// rotation goes on, every run says what it couldn't write, and the next one that can makes the page right.
func TestARotationDoesntNeedItsPage(t *testing.T) {
	busy := func(status int) func() error {
		return func() error {
			e := github.Throttled(2 * time.Hour)
			e.Status = status
			return e
		}
	}
	for name, trouble := range map[string]func() error{
		"403":                    func() error { return github.Broken(403) },
		"secondary limit as 403": busy(403),
		"429":                    busy(429),
		"502":                    func() error { return github.Broken(502) },
		"answer lost":            func() error { return github.ErrLost },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			s.GitHub.Fail(func(c github.Call) error {
				if c.Method != "GET" && strings.HasSuffix(c.Path, "/comments") {
					return trouble()
				}
				return nil
			})
			m := s.mark()
			n := s.request("li-pay", "ana-sec", wanted)
			if got := s.attempts("dev"); got != 1 {
				t.Fatalf("%d attempts in dev", got)
			}
			if l := s.AWS.Secret(s.Scenario.Secrets["dev"]).Labels; l["AWSCURRENT"] == m.labels["dev"]["AWSCURRENT"] {
				t.Errorf("dev is not rotated: %v", l)
			}
			if w := s.Waits(); len(w) != 1 || w[0].Environment != "rekey-stage" {
				t.Errorf("waits %v", w)
			}
			switch name {
			case "answer lost": // it is there, and seen at once
			case "502":
				s.says(m, "after-dev", "a changing call got no answer: the next run looks whether it happened")
			default:
				s.says(m, "after-dev", "comments of pull request #")
			}
			s.GitHub.Fail(nil)
			s.Clock.Move(2 * time.Hour)
			s.ok(s.Hour(t.Context()))
			s.page(n, "app/database · dev validated, stage waits for approval", "dev · validated")
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			s.page(n, "app/database · dev and stage validated", "dev · validated", "stage · validated")
		})
	}
}

// TestWhatPeopleDoToThePageChangesNoRotation deletes and edits comments between two runs: the page is put right, but for
// an audit comment that was edited, and every one of it is said.
func TestWhatPeopleDoToThePageChangesNoRotation(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *siege, status, audit github.Comment)
		says string
	}{
		"status deleted": {func(s *siege, status, _ github.Comment) { s.GitHub.DeleteComment(status.ID) }, "the status comment was deleted; it is written anew"},
		"status edited": {func(s *siege, status, _ github.Comment) {
			s.GitHub.EditComment(status.ID, status.Body+"\nApproved by all.")
		}, "the status comment was edited; it is put right"},
		"audit deleted": {func(s *siege, _, audit github.Comment) { s.GitHub.DeleteComment(audit.ID) }, "the audit comment that app/database in dev was validated isn't there"},
		"audit edited": {func(s *siege, _, audit github.Comment) {
			s.GitHub.EditComment(audit.ID, audit.Body+"\nApproved by all.")
		}, "an audit comment was edited"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			n := s.request("li-pay", "ana-sec", wanted)
			s.ok(s.Hour(t.Context()))
			all := s.GitHub.Comments(n)
			if len(all) != 2 {
				t.Fatalf("%d comments", len(all))
			}
			c.do(s, all[0], all[1])
			m := s.mark()
			s.ok(s.Hour(t.Context()))
			s.untouched(m, "")
			s.says(m, "plan", c.says)
			s.page(n, "app/database · dev validated, stage waits for approval", "dev · validated")
			if now := fmt.Sprint(s.GitHub.Comments(n)); strings.Contains(now, "Approved by all.") != (name == "audit edited") {
				t.Errorf("the page says:\n%s", now)
			}
			m = s.mark()
			s.ok(s.Hour(t.Context()))
			if name != "audit edited" && strings.Contains(s.since(m, "plan"), c.says) {
				t.Errorf("it is said again and again:\n%s", s.since(m, "plan"))
			}
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			s.page(n, "app/database · dev and stage validated", "stage · validated")
		})
	}
}

// TestAReviewThatIsDismissedAfterTheMerge takes back the only approving review: what hasn't begun is asked about no more,
// and an answer to a question from before doesn't count; what has begun was reviewed when it began, and goes on.
func TestAReviewThatIsDismissedAfterTheMerge(t *testing.T) {
	t.Run("before anything was asked", func(t *testing.T) {
		s := besiege(t, true, "")
		n, err := s.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{requestFile: wanted}, false)
		s.ok(err)
		s.GitHub.Review(n, "ana-sec", "APPROVED")
		m := s.mark()
		s.GitHub.Merge(n, "ana-sec")
		s.GitHub.Review(n, "ana-sec", "DISMISSED")
		s.ok(s.Hour(t.Context()))
		s.untouched(m, "")
		if w := s.Waits(); len(w) != 0 {
			t.Errorf("waits %v", w)
		}
		s.says(m, "plan", "nobody is asked: ")
		page, _ := s.texts(n)
		if !strings.Contains(page, "review") {
			t.Errorf("the page says:\n%s", page)
		}
	})
	t.Run("while the question waits", func(t *testing.T) {
		s := besiege(t, true, "")
		s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"bo-sre"}})
		n := s.request("li-pay", "ana-sec", wanted)
		s.GitHub.Review(n, "ana-sec", "DISMISSED")
		m := s.mark()
		s.ok(s.Approve(t.Context(), "rekey-stage", "bo-sre", ""))
		s.untouched(m, "stage")
		s.says(m, "stage", "review")
		if got := s.attempts("stage"); got != 0 {
			t.Errorf("%d attempts in stage", got)
		}
	})
	t.Run("after it began", func(t *testing.T) {
		s := besiege(t, true, "")
		n := s.request("li-pay", "ana-sec", wanted)
		s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
		s.GitHub.Review(n, "ana-sec", "DISMISSED")
		s.Clock.Move(49 * time.Hour)
		s.ok(s.Hour(t.Context()))
		s.page(n, "dev and stage finished", "dev · finished", "stage · finished")
		page, _ := s.texts(n)
		if !strings.Contains(page, "reviewed by @&#8288;ana-sec") {
			t.Errorf("who reviewed it isn't told any more:\n%s", page)
		}
	})
}
