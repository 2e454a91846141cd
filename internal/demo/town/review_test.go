package town_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
)

// refusing fails an operation on an environment's secret.
func (s *siege) refusing(operation, env string) {
	s.AWS.Fail(func(c sandbox.Call) error {
		if c.Operation == operation && strings.Contains(c.Target, env) {
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	})
}

// attempts is how many attempts were claimed in an environment.
func (s *siege) attempts(env string) (n int) {
	s.t.Helper()
	for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/"+env+"/") {
		if strings.Contains(string(v.Body), `"outcome":"claimed"`) {
			n++
		}
	}
	return n
}

func (s *siege) lastRun() int64 {
	var last int64
	for _, r := range s.Engine.Runs() {
		last = max(last, r.ID)
	}
	return last
}

// TestARunThatIsRunAgainStartsNoOtherAttempt has a person start a rotation again, where nobody must approve it. What
// that run began rolls back; to run its jobs again isn't to want a third attempt.
func TestARunThatIsRunAgainStartsNoOtherAttempt(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprint(all), func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			s.refusing("PutSecretValue", "dev")
			s.request("li-pay", "ana-sec", wanted)
			if n := s.attempts("dev"); n != 1 {
				t.Fatalf("%d attempts", n)
			}
			s.Clock.Move(time.Hour)
			s.ok(s.Dispatch(t.Context(), "li-pay", map[string]string{"rotation": requestFile, "again": "true"}))
			if n := s.attempts("dev"); n != 2 {
				t.Fatalf("%d attempts after it was started again", n)
			}
			run := s.lastRun()
			for range 2 {
				s.Clock.Move(time.Hour)
				s.ok(s.Engine.Rerun(run, "mallory", all))
				s.ok(s.Engine.Advance(t.Context()))
			}
			if n := s.attempts("dev"); n != 2 {
				t.Errorf("%d attempts after the run was run again", n)
			}
		})
	}
}

// TestAnApprovalIsOfTheAttemptThatWasAskedAbout starts a rotation by hand while its question waits in a run that was
// told to start another one again.
func TestAnApprovalIsOfTheAttemptThatWasAskedAbout(t *testing.T) {
	s := besiege(t, true, wanted)
	s.refusing("PutSecretValue", "stage")
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.Clock.Move(time.Hour)
	s.ok(s.Dispatch(t.Context(), "li-pay", map[string]string{"rotation": requestFile, "again": "true"}))
	if n := len(s.Waits()); n != 1 {
		t.Fatalf("%d questions", n)
	}
	hand, err := s.Hand("bo-sre")
	s.ok(err)
	tasks, err := hand.Tasks(t.Context())
	s.ok(err)
	_, err = hand.Apply(t.Context(), tasks, app.Options{Environment: "stage", Again: true, ByHand: true, BreakGlass: "it is to be seen on stage now"})
	s.ok(err)
	if n := s.attempts("stage"); n != 2 {
		t.Fatalf("%d attempts", n)
	}
	s.AWS.Fail(nil)
	m := s.mark()
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	if n := s.attempts("stage"); n != 2 {
		t.Errorf("%d attempts", n)
	}
	s.untouched(m, "stage")
	s.says(m, "stage", "attempt 2 was asked about, and attempt 2 has rolled back")
}

// TestWhatRolledBackInTheRunIsShownAsThat looks at the page after a rotation that was started again failed again.
func TestWhatRolledBackInTheRunIsShownAsThat(t *testing.T) {
	s := besiege(t, true, "")
	s.refusing("PutSecretValue", "dev")
	n := s.request("li-pay", "ana-sec", wanted)
	s.Clock.Move(time.Hour)
	s.ok(s.Dispatch(t.Context(), "li-pay", map[string]string{"rotation": requestFile, "again": "true"}))
	if body := s.GitHub.Comments(n)[0].Body; !strings.Contains(body, "rolled back") {
		t.Errorf("the page says:\n%s", body)
	}
}

// TestOneBadChainStopsNoOther hurts what one rotation has on record, and closes one pull request's page.
func TestOneBadChainStopsNoOther(t *testing.T) {
	for name, hurt := range map[string]func(s *siege){
		"chain": func(s *siege) {
			s.AWS.S3.PutByHand(s.Scenario.Bucket, "journal/prod/app~database/000001.json", []byte("{}"), s.Clock.Now())
		},
		"comment": func(s *siege) {
			s.GitHub.Fail(func(c github.Call) error {
				if c.Method == "POST" && strings.HasSuffix(c.Path, "/comments") {
					return github.Broken(403)
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			hurt(s)
			m := s.mark()
			s.request("li-pay", "ana-sec", strings.Replace(wanted, "[dev, stage]", "[dev, stage, prod]", 1)+"window: {prod: 2026-11-24T10:00Z/PT4H}\n")
			if n := s.attempts("dev"); n != 1 {
				t.Errorf("%d attempts in dev", n)
			}
			if w := s.Waits(); len(w) != 1 || w[0].Environment != "rekey-stage" {
				t.Errorf("waits %v", w)
			}
			s.says(m, "plan", "::error::")
		})
	}
}

// TestWhatGoesBackWaitsForNobodysPolicy leaves a rotation half-way back where each visit asks, and takes its request's
// reviews away.
func TestWhatGoesBackWaitsForNobodysPolicy(t *testing.T) {
	s := besiege(t, true, "")
	theirs := strings.Replace(rules, ", continue_environment: rekey-stage-continue", "", 1)
	s.GitHub.Commit("main", "root-admin", "no continue", map[string]string{".github/rekey.yml": theirs})
	s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "li-pay"}})
	n := s.request("li-pay", "ana-sec", wanted)
	live := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.refusing("UpdateSecretVersionStage", "stage")
	hand, err := s.Hand("bo-sre")
	s.ok(err)
	tasks, err := hand.Tasks(t.Context())
	s.ok(err)
	_, _ = hand.Apply(t.Context(), tasks, app.Options{Environment: "stage", RollBack: "by bo-sre: it doesn't work"})
	if now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]; now == live {
		t.Fatal("it isn't promoted")
	}
	s.GitHub.Review(n, "ana-sec", "CHANGES_REQUESTED")
	s.AWS.Fail(nil)
	s.Clock.Move(time.Hour)
	s.ok(s.Schedule(t.Context()))
	s.ok(s.Approve(t.Context(), "rekey-stage", "li-pay", "")) // who asked for it may bring the old one back
	if now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]; now != live {
		t.Errorf("the old one is not back: %v", s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels)
	}
}

// TestARejectionIsShown looks at the page of a rotation whose question a person rejected.
func TestARejectionIsShown(t *testing.T) {
	s := besiege(t, true, "")
	n := s.request("li-pay", "ana-sec", wanted)
	s.ok(s.Reject(t.Context(), "rekey-stage", "ana-sec", "not today"))
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 0 {
		t.Fatalf("waits %v", w)
	}
	if body := s.GitHub.Comments(n)[0].Body; !strings.Contains(body, "rekey-stage was rejected in run") {
		t.Errorf("the page says:\n%s", body)
	}
	s.ok(s.Dispatch(t.Context(), "li-pay", nil))
	if w := s.Waits(); len(w) != 1 {
		t.Errorf("waits %v", w)
	}
}

// TestRulesThatChangeWhileSomethingIsOpen turns an approval from required to none, and back.
func TestRulesThatChangeWhileSomethingIsOpen(t *testing.T) {
	asking := strings.Replace(rules, "tickets:", "policy: {decommission: asked}\ntickets:", 1)
	t.Run("none any more", func(t *testing.T) {
		s := besiege(t, true, "")
		s.GitHub.Commit("main", "root-admin", "rules", map[string]string{".github/rekey.yml": asking})
		s.request("li-pay", "ana-sec", wanted)
		s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
		s.GitHub.Commit("main", "root-admin", "rules", map[string]string{".github/rekey.yml": strings.Replace(asking, "name: stage,", "name: stage, approval: none,", 1)})
		s.Clock.Move(49 * time.Hour)
		s.ok(s.Schedule(t.Context()))
		s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", "")) // claimed as something that asks
		if l := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels; l["AWSPREVIOUS"] != "" {
			t.Errorf("the old one is still there: %v", l)
		}
	})
	t.Run("required now", func(t *testing.T) {
		s := besiege(t, true, "")
		s.GitHub.Commit("main", "root-admin", "rules", map[string]string{".github/rekey.yml": strings.Replace(rules, "name: stage,", "name: stage, approval: none,", 1)})
		s.AWS.Fail(func(c sandbox.Call) error { // refused: nothing is changed
			if c.Operation == "DescribeSecret" && strings.Contains(c.Target, "stage") {
				return &sandbox.Error{Status: 400, Code: "ResourceNotFoundException", Message: "no"}
			}
			return nil
		})
		s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}})
		s.request("li-pay", "ana-sec", wanted)
		if n := s.attempts("stage"); n != 1 {
			t.Fatalf("%d attempts", n)
		}
		s.AWS.Fail(nil)
		s.GitHub.Commit("main", "root-admin", "rules", map[string]string{".github/rekey.yml": rules})
		s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre"}})
		m := s.mark()
		s.ok(s.Hour(t.Context()))
		s.untouched(m, "stage")
		s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
		if n := s.attempts("stage"); n != 2 {
			t.Errorf("%d attempts", n)
		}
	})
}

// TestAnEnvironmentThatIsGoneIsSaid removes one from the house rules and the registry while a rotation is open there.
func TestAnEnvironmentThatIsGoneIsSaid(t *testing.T) {
	s := besiege(t, true, wanted)
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	theirs := strings.ReplaceAll(registry, "~~~", "```")
	lines := slices.DeleteFunc(strings.Split(rules, "\n"), func(l string) bool { return strings.Contains(l, "name: stage,") })
	s.GitHub.Commit("main", "root-admin", "no stage", map[string]string{".github/rekey.yml": strings.Join(lines, "\n"), requestFile: "",
		"ops/config/registry.md": strings.Replace(theirs, "stage:\n  target: {secret: rekey/stage/app-database, key: password}\n", "", 1)})
	m := s.mark()
	s.ok(s.Hour(t.Context()))
	s.says(m, "plan", "is open in stage, which .github/rekey.yml doesn't have any more")
}

// TestWhoActsHasAName looks at the sessions of a day.
func TestWhoActsHasAName(t *testing.T) {
	s := besiege(t, true, wanted)
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.Clock.Move(49 * time.Hour)
	s.ok(s.Hour(t.Context()))
	for _, c := range s.AWS.Calls() {
		if c.Service == "secretsmanager" && !strings.HasSuffix(c.Principal, "/rekey-li-pay") {
			t.Errorf("%s on %s by %s", c.Operation, c.Target, c.Principal)
		}
		if strings.HasSuffix(c.Principal, "/rekey-") {
			t.Errorf("%s by %s", c.Operation, c.Principal)
		}
	}
}
