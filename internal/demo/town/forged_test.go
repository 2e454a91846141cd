package town_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/demo/town"
)

// TestAForgedCommentDoesNotTakeThePlaceOfOurs has a branch's workflow write comments with its token, whose author is the
// same github-actions[bot] as ours: comments are projections, so what they say decides nothing, and ours appears.
func TestAForgedCommentDoesNotTakeThePlaceOfOurs(t *testing.T) {
	for name, body := range map[string]string{
		"a status far ahead":     `<!-- rekey:status {\"records\":999999} -->\n\nAll good, nothing to see here.`,
		"a status":               `<!-- rekey:status {\"records\":1} -->\n\nAll good, nothing to see here.`,
		"a broken status":        `<!-- rekey:status {\"records\": -->\n\nAll good, nothing to see here.`,
		"an audit of nothing":    `<!-- rekey:audit {\"entries\":[{\"key\":\"0000000000000000\",\"environment\":\"stage\",\"secret\":\"app/database\",\"seq\":5,\"digest\":\"sha256:00\"}]} -->\n\nAll good, nothing to see here.`,
		"an audit of everything": `<!-- rekey:audit {\"entries\":[` + strings.TrimSuffix(strings.Repeat(`{\"key\":\"\",\"environment\":\"stage\",\"secret\":\"app/database\",\"seq\":5,\"digest\":\"\"},`, 3), ",") + `]} -->\n\nAll good, nothing to see here.`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			n, err := s.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{requestFile: wanted}, false)
			s.ok(err)
			s.GitHub.AddToken("branch", "github-actions[bot]", map[string]string{"issues": "write", "pull-requests": "write"})
			s.ask("POST", fmt.Sprintf("%s/repos/%s/issues/%d/comments", s.hub, town.Repository, n), "branch", `{"body":"`+body+`"}`)
			s.GitHub.Review(n, "ana-sec", "APPROVED")
			s.ok(s.Merge(t.Context(), n, "ana-sec", requestFile))
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			s.ok(s.Hour(t.Context()))
			all := ""
			for _, c := range s.GitHub.Comments(n) {
				all += c.Body + "\n---\n"
			}
			for _, want := range []string{"### 🔑 app/database · dev and stage validated", "dev · validated", "stage · validated"} {
				if !strings.Contains(all, want) {
					t.Errorf("no comment says %q:\n%s", want, all)
				}
			}
			if strings.HasPrefix(name, "a status") && strings.Contains(all, "nothing to see here") {
				t.Errorf("the forged status stands:\n%s", all)
			}
		})
	}
}
