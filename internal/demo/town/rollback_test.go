package town_test

import (
	"strings"
	"testing"

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
