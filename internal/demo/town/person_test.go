package town_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

// byHand makes app/partner a secret that a person renews in dev, and merges a request for it.
func byHand(t *testing.T) (s *siege, name string, pull int) {
	s = many(t, 1)
	name, request := "rekey/dev/many-0", "rotations/2026/11/2026-11-23-partner.yaml"
	s.GitHub.Commit("main", "root-admin", "By hand", map[string]string{
		"rotations/2026/11/2026-11-23-many-0.yaml": "",
		"ops/config/registry.md": "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n| app/partner | manual | @rastup/platform | 90 days | never |\n" +
			"\n## app/partner\n\n```yaml\ndev:\n  target:\n    secret: " + name + "\n    steps: [\"Ask the partner for a key.\"]\n    revoke: [\"Have the old key revoked.\"]\n```\n"})
	n, err := s.OpenPull(t.Context(), "li-pay", "A key from the partner", "", map[string]string{request: "secret: app/partner\nticket: \"#1\"\nenvironments: [dev]\n"}, false)
	s.ok(err)
	s.GitHub.Review(n, "ana-sec", "APPROVED")
	s.ok(s.Merge(t.Context(), n, "ana-sec", request))
	return s, name, n
}

// TestAPersonIsWaitedForWithoutARunner: while the person takes their time, visits look, append nothing and end green; when
// they have done what they were asked, the next visit goes on.
func TestAPersonIsWaitedForWithoutARunner(t *testing.T) {
	s, name, pull := byHand(t)
	for _, w := range s.Waits() {
		s.ok(s.Approve(t.Context(), w.Environment, "ana-sec", ""))
	}
	comment := func() string {
		for _, c := range s.GitHub.Comments(pull) {
			if strings.Contains(c.Body, "Your move") {
				return c.Body
			}
		}
		return ""
	}
	line := func() string {
		_, after, _ := strings.Cut(comment(), "<code>aws ")
		line, _, ok := strings.Cut(after, "</code>")
		if !ok {
			t.Fatalf("nobody is asked: %v", s.GitHub.Comments(pull))
		}
		return strings.ReplaceAll("aws "+line, `\_`, "_")
	}
	asked := line()
	was := s.records()
	for range 5 {
		s.ok(s.Hour(t.Context()))
		if w := s.Waits(); len(w) > 0 {
			t.Fatalf("people are asked again: %v", w)
		}
	}
	if n := s.records(); n != was {
		t.Errorf("five visits appended %d records", n-was)
	}
	token := strings.Fields(strings.Split(asked, "--client-request-token ")[1])[0]
	s.ok(s.AWS.SecretsManager.TypeByHand(sandbox.Home, asked, `{"password":"from-the-partner-1"}`, s.Clock.Now()))
	s.ok(s.Hour(t.Context()))
	if at := s.AWS.Secret(name).Labels[sm.Current]; at != token {
		t.Fatalf("%s is live, not what the person stored (%s)\n%s", at, token, comment())
	}
	s.Clock.Move(49 * time.Hour)
	s.ok(s.Schedule(t.Context()))
	s.ok(s.AWS.SecretsManager.TypeByHand(sandbox.Home, line(), "", s.Clock.Now()))
	s.ok(s.Hour(t.Context()))
	last := s.GitHub.Comments(pull)
	if !strings.Contains(last[0].Body, "dev finished") {
		t.Errorf("it isn't over:\n%s", last[0].Body)
	}
}
