package town_test

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/sandbox/github"
)

// A bypass that GitHub lists among the approvals, as an entry of an admin who is no reviewer of the environment.
func TestAListedBypassIsNoApproval(t *testing.T) {
	s := besiege(t, true, "")
	s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec"}, AdminsBypass: true})
	s.request("li-pay", "ana-sec", wanted)
	m := s.mark()
	s.ok(s.GitHub.Bypass(s.Waits()[0].Run, "rekey-stage", "root-admin", "", true))
	s.ok(s.Engine.Advance(t.Context()))
	s.untouched(m, "stage")
}

// A command check that comes to main after the question was asked, runs under the approval; a check that goes isn't run.
func TestChecksThatChangeAfterTheQuestionAreAskedAnew(t *testing.T) {
	theirs := strings.ReplaceAll(registry, "~~~", "```")
	target := "  target: {secret: rekey/stage/app-database, key: password}"
	s := besiege(t, true, wanted)
	s.GitHub.Commit("main", "bo-sre", "x", map[string]string{"ops/config/registry.md": strings.Replace(theirs, target, target+"\n  checks:\n    - command: {run: [sh, -c, env], env: [PATH]}\n      name: env", 1)})
	m := s.mark()
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.untouched(m, "stage")
}
