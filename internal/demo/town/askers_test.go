package town_test

import (
	"testing"
	"time"
)

// TestARunOfAnotherBranchKeepsNobodyFromBeingAsked has a fork's pull request bring its own rotate.yml, whose jobs have
// the names of ours and work for hours: what it seems to ask, nobody is asked.
func TestARunOfAnotherBranchKeepsNobodyFromBeingAsked(t *testing.T) {
	for name, c := range map[string]struct{ event, branch, actor string }{
		"a fork's pull request":                    {"pull_request", "change-9", "mallory"},
		"a fork's pull request from a branch main": {"pull_request", "main", "mallory"},
		"a push to a branch of the repository":     {"push", "innocent", "bo-sre"},
		"rotate.yml started from a branch by hand": {"workflow_dispatch", "innocent", "bo-sre"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			n, err := s.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{requestFile: wanted}, false)
			s.ok(err)
			s.GitHub.Review(n, "ana-sec", "APPROVED")
			s.GitHub.Merge(n, "ana-sec")
			s.Clock.Move(time.Minute)
			run := s.GitHub.StartRun("rotate.yml", c.event, c.branch, s.GitHub.Head("main"), c.actor)
			s.GitHub.SetJob(run, "plan", "in_progress", "")
			s.Clock.Move(time.Second)
			s.GitHub.SetJob(run, "plan", "completed", "success")
			s.GitHub.SetJob(run, "dev 1/1", "in_progress", "")
			m := s.mark()
			for range 3 {
				s.ok(s.Hour(t.Context()))
			}
			if s.AWS.Secret(s.Scenario.Secrets["dev"]).Labels["AWSCURRENT"] == m.labels["dev"]["AWSCURRENT"] {
				t.Errorf("after three hours nothing has begun in dev:\n%s", s.since(m, ""))
			}
		})
	}
}
