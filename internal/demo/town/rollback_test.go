package town_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
)

// back asks for the old credential back in an environment, as a person with their own key.
func (s *siege) back(env, why string) {
	s.t.Helper()
	hand, err := s.Hand("bo-sre")
	s.ok(err)
	tasks, err := hand.Tasks(s.t.Context())
	s.ok(err)
	_, err = hand.Apply(s.t.Context(), tasks, app.Options{Environment: env, RollBack: why})
	s.ok(err)
}

// texts are all that people read of a rotation on GitHub.
func (s *siege) texts(pull int) (page, incident string) {
	for _, c := range s.GitHub.Comments(pull) {
		page += c.Body + "\n---\n"
	}
	for _, i := range s.GitHub.Issues() {
		if !strings.HasPrefix(i.Title, "Rotation of ") {
			continue
		}
		incident += i.Title + "\n" + i.Body + "\n---\n"
	}
	return page, incident
}

// TestWhatCantBeTakenBackSaysWhatIsLeft takes the right to move labels away from a rotation that goes back, for hours.
func TestWhatCantBeTakenBackSaysWhatIsLeft(t *testing.T) {
	s := besiege(t, true, "")
	n := s.request("li-pay", "ana-sec", wanted)
	old := s.AWS.Secret(s.Scenario.Secrets["dev"]).Labels["AWSPREVIOUS"]
	s.refusing("UpdateSecretVersionStage", "dev")
	s.back("dev", "by bo-sre: partners still pin the old one")
	for hour := range 3 {
		calls := len(s.AWS.Calls())
		s.ok(s.Hour(t.Context()))
		tried := 0
		for _, c := range s.AWS.Calls()[calls:] {
			if c.Operation == "UpdateSecretVersionStage" && strings.Contains(c.Target, "dev") {
				tried++
			}
		}
		if tried == 0 {
			t.Errorf("hour %d: nobody tried again", hour)
		}
		page, incident := s.texts(n)
		for name, text := range map[string]string{"page": page, "incident": incident} {
			for _, want := range []string{"stuck rolling back, at restore", "**Not taken back yet in dev**, still to be done:\n- restore (makes the old credential the live one again): failed: ",
				"- discard (removes the new credential, or keeps and reports it): comes after that", "the old credential is not the live one again yet"} {
				if !strings.Contains(text, want) {
					t.Errorf("hour %d: the %s doesn't say %q:\n%s", hour, name, want, text)
				}
			}
			if strings.Contains(text, "rolled back") {
				t.Errorf("hour %d: the %s says that it is rolled back:\n%s", hour, name, text)
			}
		}
	}
	s.AWS.Fail(nil)
	s.ok(s.Hour(t.Context()))
	if now := s.AWS.Secret(s.Scenario.Secrets["dev"]).Labels["AWSCURRENT"]; now != old {
		t.Errorf("%s is live, was %s", now, old)
	}
	page, incident := s.texts(n)
	if !strings.Contains(page, "dev rolled back") || !strings.Contains(page, "dev · rolled back") || strings.Contains(s.GitHub.Comments(n)[0].Body, "Not taken back yet") {
		t.Errorf("the page says:\n%s", page)
	}
	if strings.Contains(incident, "Not taken back yet") {
		t.Errorf("the incident says:\n%s", incident)
	}
}

// TestAPersonBringsTheOldOneBackByRunningTheWorkflow has it go back without an approval where the environment goes on by
// itself, and after one where every visit asks; who wanted it is on record. What isn't theirs to take back is refused.
func TestAPersonBringsTheOldOneBackByRunningTheWorkflow(t *testing.T) {
	for _, asks := range []bool{false, true} {
		t.Run(fmt.Sprint("every visit asks ", asks), func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			if asks {
				s.GitHub.Commit("main", "root-admin", "no continue", map[string]string{".github/rekey.yml": strings.Replace(rules, ", continue_environment: rekey-stage-continue", "", 1)})
			}
			old := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]
			n := s.request("li-pay", "ana-sec", wanted)
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			if now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]; now == old {
				t.Fatal("it isn't promoted")
			}
			s.Clock.Move(time.Hour)
			m := s.mark()
			s.ok(s.Dispatch(t.Context(), "bo-sre", map[string]string{"rotation": requestFile, "rollback": "stage"}))
			if asks {
				s.untouched(m, "stage")
				s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			}
			if now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]; now != old {
				t.Errorf("%s is live, was %s\n%s", now, old, s.since(m, ""))
			}
			if w := s.Waits(); len(w) != 0 {
				t.Errorf("waits %v", w)
			}
			page, _ := s.texts(n)
			if !strings.Contains(page, "stage rolled back, dev validated") || !strings.Contains(page, "rollback asked: asked for by @&#8288;bo-sre in ") {
				t.Errorf("the page says:\n%s", page)
			}
			run := s.lastRun()
			s.Clock.Move(time.Hour)
			s.ok(s.Dispatch(t.Context(), "li-pay", map[string]string{"rotation": requestFile, "again": "true"}))
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			live := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]
			if live == old {
				t.Fatal("it isn't promoted again")
			}
			s.Clock.Move(time.Hour)
			m = s.mark()
			s.ok(s.Engine.Rerun(run, "mallory", true)) // an old wish isn't about a new attempt
			s.ok(s.Engine.Advance(t.Context()))
			s.says(m, "plan", "attempt 2 of 2026-11-23-app-database of app/database in stage began after this run was started")
			s.untouched(m, "stage")
		})
	}
	t.Run("what is refused", func(t *testing.T) {
		s := besiege(t, true, wanted)
		m := s.mark()
		for _, c := range []struct{ rotation, rollback, says string }{
			{requestFile, "stage", "2026-11-23-app-database of app/database in stage can't be rolled back: nothing has been changed"},
			{requestFile, "nowhere", `input rollback: no environment "nowhere" in .github/rekey.yml`},
			{"", "dev", "input rollback: name the rotation that is to be brought back"},
			{"2026-11-23-other", "dev", "2026-11-23-other has nothing in dev to roll back"},
		} {
			s.ok(s.Dispatch(t.Context(), "bo-sre", map[string]string{"rotation": c.rotation, "rollback": c.rollback}))
			s.says(m, "plan", c.says)
		}
		s.untouched(m, "")
		s.Clock.Move(49 * time.Hour)
		s.ok(s.Hour(t.Context()))
		s.ok(s.Dispatch(t.Context(), "bo-sre", map[string]string{"rotation": requestFile, "rollback": "dev"}))
		s.says(m, "plan", "2026-11-23-app-database of app/database in dev can't be rolled back: it is finished already")
	})
	t.Run("a stolen one", func(t *testing.T) {
		s := besiege(t, true, "")
		s.request("li-pay", "ana-sec", wanted+"reason: compromise\nretain: 48h\n")
		m := s.mark()
		s.ok(s.Dispatch(t.Context(), "bo-sre", map[string]string{"rotation": requestFile, "rollback": "dev"}))
		s.says(m, "plan", "2026-11-23-app-database of app/database in dev replaced a stolen credential: no run of the workflow brings that back")
		s.untouched(m, "dev")
	})
}
