package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/apply"
)

const digest = "sha256:a9cd08a4ccc3c15647624a3a1f0f67e59cf0abca0bc8c39f362d3fb1d65ffbd7"

func TestHeadsAreTakenFromCommentsThatNobodyElseWroteOrChanged(t *testing.T) {
	audit := func(env, digest string) string {
		return fmt.Sprintf(`<!-- rekey:audit {"entries":[{"key":"aa118a42385125df","environment":%q,"secret":"app/database","seq":5,"digest":%q}]} -->`+"\n\ntext", env, digest)
	}
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	comment := func(id int, login, body string, edited bool) map[string]any {
		updated := at
		if edited {
			updated = at.Add(time.Hour)
		}
		return map[string]any{"id": id, "html_url": fmt.Sprintf("https://github.com/o/r/pull/7#issuecomment-%d", id), "body": body,
			"user": map[string]any{"login": login, "type": "Bot"}, "created_at": at, "updated_at": updated}
	}
	list := []any{
		comment(1, "github-actions[bot]", audit("dev", digest), false),
		comment(2, "github-actions[bot]", audit("stage", digest), true),
		comment(3, "mallory", audit("prod", digest), false),
		comment(4, "github-actions[bot]", audit("prod", "sha256:short"), false),
		comment(5, "li-pay", "thanks!", false),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/repos/o/r/issues/7/comments" || r.Header.Get("Authorization") != "Bearer t0ken" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
	defer server.Close()
	t.Setenv("GITHUB_API_URL", server.URL)
	t.Setenv("GITHUB_TOKEN", "t0ken")
	f := &flags{process: process{clock: apply.Machine{Time: time.Now}}}
	anchors, wrong, err := source{7, "o/r", "github-actions[bot]"}.anchors(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(anchors) != 2 || anchors[0].Environment != "dev" || anchors[0].Seq != 5 || anchors[0].Digest != digest || anchors[1].Environment != "stage" {
		t.Errorf("%+v", anchors)
	}
	want := `https://github.com/o/r/pull/7#issuecomment-2: was edited on 23 Nov 2026 10:00:00 UTC; audit comments never are
https://github.com/o/r/pull/7#issuecomment-3: looks like an audit comment, but mallory wrote it, not github-actions[bot]
https://github.com/o/r/pull/7#issuecomment-4: its marker isn't as it was written`
	if got := strings.Join(wrong, "\n"); got != want {
		t.Errorf("%s", got)
	}
	list = list[4:]
	if _, _, err := (source{7, "o/r", "github-actions[bot]"}).anchors(t.Context(), f); err == nil || err.Error() != "#7 of o/r has no audit comment by github-actions[bot]" {
		t.Errorf("%v", err)
	}
}
