package town_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rastup/rekey/internal/sandbox"
)

// many is a siege over n secrets in dev and stage, each requested by a pull request of its own.
func many(t *testing.T, n int) *siege {
	s := besiege(t, false, "")
	c := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &s.cloud, Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")})
	var table, blocks strings.Builder
	table.WriteString("| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n")
	requests := map[string]string{}
	for i := range n {
		for _, env := range []string{"dev", "stage"} {
			_, err := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(fmt.Sprintf("rekey/%s/many-%d", env, i)), SecretString: aws.String(`{"password":"0123456789abcdef"}`)})
			s.ok(err)
		}
		fmt.Fprintf(&table, "| many/%d | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |\n", i)
		fmt.Fprintf(&blocks, "\n## many/%d\n\n```yaml\ndev:\n  target: {secret: rekey/dev/many-%[1]d, key: password}\nstage:\n  target: {secret: rekey/stage/many-%[1]d, key: password}\n```\n", i)
		requests[fmt.Sprintf("rotations/2026/11/2026-11-23-many-%d.yaml", i)] = fmt.Sprintf("secret: many/%d\nticket: \"#1\"\n", i)
	}
	s.GitHub.Commit("main", "root-admin", "Many", map[string]string{"ops/config/registry.md": table.String() + blocks.String()})
	for path, text := range requests {
		pull, err := s.OpenPull(t.Context(), "li-pay", path, "", map[string]string{path: text}, false)
		s.ok(err)
		s.GitHub.Review(pull, "ana-sec", "APPROVED")
		s.GitHub.Merge(pull, "ana-sec")
	}
	return s
}

// spent is GitHub's calls since the last time, by route.
func (s *siege) spent() (total int, routes string) {
	all := s.GitHub.Calls()
	calls := all[s.counted:]
	s.counted = len(all)
	n := map[string]int{}
	for _, c := range calls {
		if c.Method != "" && !strings.Contains(c.Path, "_oidc") {
			n[c.Route]++
		}
	}
	var b strings.Builder
	for _, r := range slices.Sorted(maps.Keys(n)) {
		total += n[r]
		fmt.Fprintf(&b, "  %4d %s\n", n[r], r)
	}
	return total, b.String()
}

// TestOpenRotationsCostGitHubOneCallEach counts what a scheduled run asks GitHub (a repository's token has
// 1,000 calls an hour): of what waits for an answer or for time, the page is read once, and nothing else.
func TestOpenRotationsCostGitHubOneCallEach(t *testing.T) {
	const n, besides = 5, 15
	s := many(t, n)
	s.ok(s.Hour(t.Context()))
	hour := func(what string) {
		t.Helper()
		s.ok(s.Hour(t.Context()))
		s.spent()
		s.ok(s.Hour(t.Context()))
		if total, routes := s.spent(); total > n+besides {
			t.Errorf("%s: %d calls for %d rotations\n%s", what, total, n, routes)
		}
	}
	if w := s.Waits(); len(w) != 1 {
		t.Fatalf("waits %v", w)
	}
	hour("they wait for an answer")
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	if _, routes := s.spent(); !strings.Contains(routes, "   1 GET /repos/{owner}/{repo}/actions/runs/{run_id}/approvals") {
		t.Errorf("approved\n%s", routes)
	}
	hour("they wait for their retention")
}
