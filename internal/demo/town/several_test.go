package town_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
)

// TestTwoRequestsForOneSecretAreRotatedInTurn merges both before anybody is asked: their questions hold two requests for
// one secret, and one request for two secrets.
func TestTwoRequestsForOneSecretAreRotatedInTurn(t *testing.T) {
	s := many(t, 2)
	second := "rotations/2026/11/2026-11-23-once-more.yaml"
	s.GitHub.Commit("change-x", "li-pay", "Both", map[string]string{second: "secrets: [many/0, many/1]\nticket: \"#1\"\n"})
	pull := s.GitHub.OpenPull("li-pay", "Both", "", "change-x", "main", false)
	s.GitHub.Review(pull, "ana-sec", "APPROVED")
	s.GitHub.Merge(pull, "ana-sec")
	s.ok(s.Hour(t.Context()))
	done := func(env string) (n int) {
		for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/"+env+"/many~") {
			if strings.Contains(string(v.Body), `"step":"decommission"`) && strings.Contains(string(v.Body), `"outcome":"done"`) {
				n++
			}
		}
		return n
	}
	for range 24 { // six days
		for _, w := range s.Waits() {
			s.ok(s.Approve(t.Context(), w.Environment, "ana-sec", ""))
		}
		s.Clock.Move(6 * time.Hour)
		s.ok(s.Schedule(t.Context()))
	}
	if d, st := done("dev"), done("stage"); d != 4 || st != 4 {
		t.Errorf("%d rotations of dev and %d of stage are finished, of 4 each; attempts %d and %d; waits %v", d, st, s.attempts("dev"), s.attempts("stage"), s.Waits())
	}
	if n := s.attempts("dev") + s.attempts("stage"); n != 8 {
		t.Errorf("%d attempts", n)
	}
}

// TestWhatACrashLeftIsAskedAboutBesideWhatWaits leaves one rotation half-way where each visit asks. Another's question is
// asked while its runner might still be at work, and waits: that one doesn't hold it.
func TestWhatACrashLeftIsAskedAboutBesideWhatWaits(t *testing.T) {
	s := many(t, 2)
	late := "rotations/2026/11/2026-11-23-many-1.yaml"
	text := s.GitHub.Files("main")[late]
	s.GitHub.Commit("main", "root-admin", "Every visit asks, and one comes later", map[string]string{late: "",
		".github/rekey.yml": strings.Replace(rules, ", continue_environment: rekey-stage-continue", "", 1)})
	s.ok(s.Hour(t.Context()))
	var dead atomic.Bool // calls of one job arrive together
	s.AWS.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateSecretVersionStage" && strings.Contains(c.Target, "stage") {
			dead.Store(true)
		}
		if dead.Load() && (c.Service == "secretsmanager" || strings.Contains(c.Target, "journal/stage/many~0")) {
			return &sandbox.Error{Status: 500, Code: "InternalServiceError", Message: "no"}
		}
		return nil
	})
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.AWS.Fail(nil)
	if !dead.Load() {
		t.Fatal("nothing was changed in stage")
	}
	n, err := s.OpenPull(t.Context(), "li-pay", "Later", "", map[string]string{late: text + "reason: request\n"}, false)
	s.ok(err)
	s.GitHub.Review(n, "ana-sec", "APPROVED")
	s.ok(s.Merge(t.Context(), n, "ana-sec", late))
	if w := s.Waits(); len(w) != 1 {
		t.Fatalf("waits %v", w)
	}
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 2 {
		t.Errorf("waits %v\n%s", w, s.GitHub.Comments(1)[0].Body)
	}
	s.ok(s.Hour(t.Context()))
	if w := s.Waits(); len(w) != 2 {
		t.Errorf("an hour later waits %v", w)
	}
}
