package town_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
)

var update = flag.Bool("update", false, "write what came out as what is wanted")

const looked = `environments:
  - {name: dev, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-dev", approval: none, preview: "arn:aws:iam::111111111111:role/rekey-preview"}
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  role: arn:aws:iam::111111111111:role/rekey-evidence
  reader: arn:aws:iam::111111111111:role/rekey-reader
  lock: {mode: COMPLIANCE, retain: 7y}
escalation: {primary: ["@rastup/security-oncall"], secondary: ["@bo-sre"], liaison: {pci: ["@root-admin"]}}
overdue:
  soon: 7d
  requests: {ticket: "#1"}
  escalate: {primary: 7d, secondary: 14d, liaison: 14d}
  heartbeat: {namespace: Rekey, region: us-east-1, role: "arn:aws:iam::111111111111:role/rekey-heartbeat"}
`

// rows are what the daily story is about: a secret of each fate, all in dev.
const rows = `| Secret | Kind | Owner | Interval | Last rotated | Tags | Due since | Exempt until |
| --- | --- | --- | --- | --- | --- | --- | --- |
| shop/merged | secretsmanager | @li-pay | 30 days | 2026-10-28 | | | |
| shop/closed | secretsmanager | @li-pay | 45 days | 2026-10-14 | | | |
| shop/silent | secretsmanager | @ana-sec | 60 days | 2026-09-29 | pci | | |
| shop/leaked | secretsmanager | @ana-sec | 1 year | 2026-11-20 | | | |
| shop/vendor | secretsmanager | @bo-sre | 30 days | 2026-08-01 | | | 2027-01-31 the vendor shuts down |
| shop/young | secretsmanager | @bo-sre | 1 year | 2026-11-20 | | | |
`

var made = map[string]string{"merged": "2026-10-28", "closed": "2026-10-14", "silent": "2026-09-29", "leaked": "2026-11-20", "vendor": "2026-08-01", "young": "2026-11-20"}

// shop is a siege, under the documented trust policies, over secrets of each fate.
func shop(t *testing.T) *siege {
	t.Helper()
	text := rows
	for _, name := range slices.Sorted(maps.Keys(made)) {
		text += fmt.Sprintf("\n## shop/%s\n\n```yaml\ndev: {target: {secret: shop/%[1]s}}\n```\n", name)
	}
	s := &siege{t: t}
	s.open(true, map[string]string{".github/rekey.yml": looked, "ops/config/registry.md": text}, github.Options{ActionsOpenPulls: true})
	for name, at := range made {
		day, err := time.Parse(time.DateOnly, at)
		s.ok(err)
		_, err = s.AWS.SecretsManager.PutByHand(sandbox.Home, "shop/"+name, "made by hand", day.Add(9*time.Hour))
		s.ok(err)
	}
	return s
}

// written is how many of GitHub's calls changed something, since it was last asked.
func (s *siege) written() (n int) {
	all := s.GitHub.Calls()
	for _, c := range all[s.counted:] {
		if c.Method != "GET" && !strings.Contains(c.Path, "_oidc") && !strings.HasSuffix(c.Path, "/graphql") {
			n++
		}
	}
	s.counted = len(all)
	return n
}

// board is what a person sees of GitHub: the pull requests, the status issue, and who was told there.
func (s *siege) board() string {
	var b strings.Builder
	for _, p := range s.GitHub.Pulls() {
		state := p.State
		if p.Merged {
			state = "merged"
		}
		fmt.Fprintf(&b, "#%d %s by %s: %s\n", p.Number, state, p.Author, p.Title)
	}
	for _, i := range s.GitHub.Issues() {
		if i.Author == "github-actions[bot]" {
			fmt.Fprintf(&b, "\n=== #%d %s %s\n\n%s", i.Number, i.State, i.Title, i.Body)
			for _, c := range s.GitHub.Comments(i.Number) {
				fmt.Fprintf(&b, "\n--- %s\n\n%s", c.Author, c.Body)
			}
		}
	}
	return b.String()
}

func (s *siege) pull(title string) (found github.Pull) {
	s.t.Helper()
	for _, p := range s.GitHub.Pulls() {
		if strings.HasPrefix(p.Title, title) {
			found = p
		}
	}
	if found.Number == 0 {
		s.t.Fatalf("no pull request %q:\n%s", title, s.board())
	}
	return found
}

// days are looks, a day after the other, each with a run of rotate.yml after it.
func (s *siege) days(n int) {
	s.t.Helper()
	for range n {
		if err := s.Day(s.t.Context()); err != nil {
			s.t.Fatalf("%v\n%v", err, s.said[len(s.said)-1])
		}
		s.ok(s.Hour(s.t.Context()))
	}
}

// warned is what jobs warned of, since said was so long.
func (s *siege) warned(since int) (all []string) {
	for _, one := range s.said[since:] {
		for line := range strings.Lines(one.text) {
			if text, ok := strings.CutPrefix(line, "::warning::"); ok {
				all = append(all, one.job+": "+strings.TrimSpace(text))
			}
		}
	}
	return all
}

// A company over some weeks: what is due is asked for, merged, rotated and dated; what a person closed stays closed; whose
// owner is silent is told to others, once each; and a look right after another writes nothing.
func TestSomeWeeksOfDailyLooks(t *testing.T) {
	s := shop(t)
	s.written()
	s.days(1)
	golden(t, "weeks-1-begin.md", s.board())
	first := s.written()
	s.ok(s.Look(t.Context()))
	if n := s.written(); first == 0 || n != 0 {
		t.Errorf("the first look wrote %d times, and the same again %d times", first, n)
	}

	// What the bot proposes is merged, and rotates.
	p := s.pull("Rotate shop/merged")
	golden(t, "weeks-2-pull.md", p.Title+"\n\n"+p.Body)
	var file string
	for path := range s.GitHub.Files(p.Branch) {
		if strings.HasSuffix(path, "-shop-merged.yaml") {
			file = path
		}
	}
	s.GitHub.Review(p.Number, "ana-sec", "APPROVED")
	before := s.AWS.Secret("shop/merged").Labels["AWSCURRENT"]
	s.ok(s.Merge(t.Context(), p.Number, "li-pay", file))
	for range 3 {
		s.ok(s.Hour(t.Context()))
	}
	if s.AWS.Secret("shop/merged").Labels["AWSCURRENT"] == before {
		t.Fatalf("it didn't rotate\n%s", s.said[len(s.said)-1].text)
	}
	s.days(1)
	dates := s.pull("Registry: ")
	if text := s.GitHub.Files(dates.Branch)["ops/config/registry.md"]; !strings.Contains(text, "| shop/merged | secretsmanager | @li-pay | 30 days | 2026-11-24 |") {
		t.Errorf("its date isn't offered:\n%s", text)
	}
	s.GitHub.Review(dates.Number, "ana-sec", "APPROVED")
	s.ok(s.Merge(t.Context(), dates.Number, "li-pay", "ops/config/registry.md"))

	// A person says no to one.
	p = s.pull("Rotate shop/closed")
	s.GitHub.Close(p.Number, "li-pay")
	s.days(2)
	if again := s.pull("Rotate shop/closed"); again.Number != p.Number || again.State != "closed" {
		t.Errorf("it is open again: #%d", again.Number)
	}
	golden(t, "weeks-3-said-no.md", s.board())

	// Nobody rotates what is overdue. Somebody reads a secret in the clear.
	s.GitHub.Commit("main", "root-admin", "It was read in the clear", map[string]string{"ops/config/registry.md": strings.Replace(
		s.GitHub.Files("main")["ops/config/registry.md"], "| shop/leaked | secretsmanager | @ana-sec | 1 year | 2026-11-20 | | |", "| shop/leaked | secretsmanager | @ana-sec | 1 year | 2026-11-20 | | 2026-11-27 read in the clear by a contractor |", 1)})
	s.days(1)
	s.pull("Rotate shop/leaked")
	told := func(level string) (n int) {
		for _, i := range s.GitHub.Issues() {
			for _, c := range s.GitHub.Comments(i.Number) {
				n += strings.Count(c.Body, "shop/silent 2026-11-28 "+level)
			}
		}
		return n
	}
	for s.Clock.Now().Before(time.Date(2026, 12, 14, 0, 0, 0, 0, time.UTC)) {
		s.days(1)
		s.written()
		s.ok(s.Look(t.Context()))
		if n := s.written(); n != 0 {
			t.Fatalf("%s: a look right after another wrote %d times", s.Clock.Now(), n)
		}
		since := s.Clock.Now().Sub(time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
		for level, after := range map[string]time.Duration{"primary": 7 * 24 * time.Hour, "secondary": 14 * 24 * time.Hour, "liaison": 14 * 24 * time.Hour} {
			want := 0
			if since >= after {
				want = 1
			}
			if n := told(level); n != want {
				t.Errorf("%s: %s was told %d times, want %d", s.Clock.Now(), level, n, want)
			}
		}
	}
	golden(t, "weeks-4-end.md", s.board())

	// GitHub stops the schedule: the next run of the other workflow says so, once.
	from := len(s.said)
	s.Clock.Move(44 * time.Hour)
	s.ok(s.Hour(t.Context()))
	if all := s.warned(from); len(all) > 0 {
		t.Errorf("two days aren't over: %q", all)
	}
	s.Clock.Move(8 * time.Hour)
	s.ok(s.Hour(t.Context()))
	want := "plan: the daily look for what is due was there last on 2026-12-14 05:41 UTC, 2 d 6 h ago: see whether GitHub has stopped the schedule of rotation-overdue.yml, and run it"
	if all := s.warned(from); len(all) != 1 || all[0] != want {
		t.Errorf("%q", all)
	}
	s.days(1)
	if !strings.Contains(s.board(), "The scan before this one was 48 hours late") {
		t.Errorf("the status issue doesn't say that it is late:\n%s", s.board())
	}

	// Where the heartbeat can't be put, all else is done, and the issue says it.
	s.AWS.Deny("*", "cloudwatch:PutMetricData", "*")
	s.ok(s.Look(t.Context()))
	if !strings.Contains(s.board(), "the heartbeat wasn't put: put the heartbeat in Rekey: ") {
		t.Errorf("the status issue doesn't say that the heartbeat fails:\n%s", s.board())
	}
	if scans := s.AWS.CloudWatch.Values(sandbox.Home, "Rekey", "Scans"); len(scans) < 20 {
		t.Errorf("%d values of the heartbeat", len(scans))
	}
}

// keyOf is the key of what somebody was told: secret, date, level.
var keyOf = regexp.MustCompile(`"([^" ]+) \d{4}-\d\d-\d\d (\w+)"`)

var ids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f]{4}…`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	seen := map[string]string{}
	got = ids.ReplaceAllStringFunc(got, func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("ID-%d", len(seen)+1)
		}
		return seen[id]
	})
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
