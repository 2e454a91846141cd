package town_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// kinds are all, with the target of a secret of each.
var kinds = []struct{ name, target string }{
	{"secretsmanager", "{secret: %s}"},
	{"kms", "{alias: alias/%s}"},
	{"manual", "{secret: %s, steps: [\"Ask the partner for a key.\"]}"},
	{"stripe-webhook", "{secret: %s, url: \"https://pay.example.com/%[1]s\", api_key: {secret: shop/stripe, key: api_key}, processors: [\"https://pay.example.com/%[1]s\"]}"},
	{"typesense", "{secret: %s, nodes: [\"https://search.example.com:8108\"], admin: {secret: shop/search-admin}, proof: /collections/%[1]s}"},
	{"postgres", "{secret: %s, admin: shop/postgres-admin}"},
	{"mysql", "{secret: %s, admin: shop/mysql-admin, strategy: alternating-users}"},
	{"rds-master", "{secret: %s, instance: db-%[1]s}"},
}

// A habit is how an owner goes about what is due.
type habit struct {
	merges int  // days after a secret's date; never: not at all
	closes int  // days after it; never: not at all
	past   int  // days after it the secret is rotated by hand, past the bot; never: not at all
	real   bool // the rotation runs, through rotate.yml
}

const never = 1000

var habits = map[string]habit{
	"@li-pay":     {merges: -4, closes: never, past: never},
	"@ana-sec":    {merges: 5, closes: never, past: never},
	"@bo-sre":     {merges: 17, closes: never, past: never}, // when others were told
	"@root-admin": {merges: never, closes: never, past: 3},
	"@mallory":    {merges: never, closes: -6, past: 40}, // says no to whatever is proposed
	"@eager":      {merges: -6, closes: never, past: never, real: true},
	"@zoe-gone":   {merges: never, closes: never, past: never},
}

// A year is a company of a hundred secrets, seen from outside.
type year struct {
	*town.Town
	t       *testing.T
	secrets []*kept
	pulls   map[int]github.Pull
	told    int
	busy    int // days in which rotate.yml has something to do
	lines   strings.Builder
	failed  string
}

type kept struct {
	name, kind, owner string
	interval          int // days
	since             time.Time
}

func (s *kept) due() time.Time { return s.since.AddDate(0, 0, s.interval) }

func (y *year) ok(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatalf("%s: %v\n%s", y.Clock.Now(), err, y.failed)
	}
}

var begin = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

func newYear(t *testing.T) *year {
	y := &year{t: t, pulls: map[int]github.Pull{}}
	owners := []string{"@li-pay", "@ana-sec", "@li-pay", "@bo-sre", "@li-pay", "@root-admin", "@ana-sec", "@mallory"}
	intervals := []int{60, 90, 120, 180, 365}
	for i := range 100 {
		s := &kept{name: fmt.Sprintf("s%02d", i), kind: kinds[i%len(kinds)].name, owner: owners[i%7%len(owners)+i/93], interval: intervals[i*3%5]}
		if s.kind == "secretsmanager" && i < 24 {
			s.owner = "@eager"
		}
		if i%33 == 12 {
			s.owner = "@zoe-gone"
		}
		s.since = begin.AddDate(0, 0, -(i*37)%s.interval)
		y.secrets = append(y.secrets, s)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	y.ok(err)
	y.Town, err = town.New(t.Context(), town.Options{Root: t.TempDir(), Start: begin, Within: true,
		Files:  map[string]string{".github/rekey.yml": strings.Replace(looked, "requests: {ticket: \"#1\"}", "requests: {ticket: \"#1\", limit: 12}", 1), "ops/config/registry.md": y.registry()},
		GitHub: github.Options{ActionsOpenPulls: true, Key: key},
		Log: func(s workflow.Step, text string, err error) {
			if err != nil {
				y.failed = text
			}
		}})
	y.ok(err)
	for _, login := range []string{"eager", "zoe-gone"} {
		y.GitHub.AddUser(login, "write", false)
	}
	y.ok(y.Init(t.Context()))
	y.GitHub.OpenIssue("li-pay", "Standing approval", "")
	for _, s := range y.secrets {
		y.ok(y.renew(s, s.since))
	}
	return y
}

// renew puts what is live by hand, as the kind would.
func (y *year) renew(s *kept, at time.Time) error {
	s.since = at
	if s.kind == "kms" {
		arn, err := y.AWS.KMS.MakeByHand(sandbox.Home, kms.Make{}, at.Add(365*24*time.Hour)) // one made by hand is a year old
		if err != nil {
			return err
		}
		return y.AWS.KMS.PointByHand(sandbox.Home, "alias/"+s.name, arn, at)
	}
	_, err := y.AWS.SecretsManager.PutByHand(sandbox.Home, s.name, "made on "+at.String(), at)
	return err
}

func (y *year) registry() string {
	var rows, blocks strings.Builder
	rows.WriteString("| Secret | Kind | Owner | Interval | Last rotated | Tags |\n| --- | --- | --- | --- | --- | --- |\n")
	for i, s := range y.secrets {
		tags := ""
		if i%6 == 0 {
			tags = "pci"
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %d days | %s | %s |\n", s.name, s.kind, s.owner, s.interval, s.since.Format(time.DateOnly), tags)
		fmt.Fprintf(&blocks, "\n## %s\n\n```yaml\ndev: {target: "+kinds[i%len(kinds)].target+"}\n```\n", s.name, s.name)
	}
	return rows.String() + blocks.String()
}

func (y *year) find(title string) *kept {
	name, _, _ := strings.Cut(strings.TrimPrefix(title, "Rotate "), ":")
	i := slices.IndexFunc(y.secrets, func(s *kept) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return y.secrets[i]
}

// people do what their habits are, on one day.
func (y *year) people() (did []string) {
	now := y.Clock.Now()
	for _, p := range y.GitHub.Pulls() {
		s := y.find(p.Title)
		if p.State != "open" || s == nil {
			continue
		}
		h := habits[s.owner]
		switch {
		case now.After(s.due().AddDate(0, 0, h.closes)):
			y.GitHub.Close(p.Number, strings.TrimPrefix(s.owner, "@"))
			did = append(did, fmt.Sprintf("%s said no to #%d", s.owner, p.Number))
		case now.After(s.due().AddDate(0, 0, h.merges)):
			y.merge(p, s, h.real)
			did = append(did, fmt.Sprintf("%s merged #%d", s.owner, p.Number))
		}
	}
	for _, s := range y.secrets {
		if h := habits[s.owner]; now.After(s.due().AddDate(0, 0, h.past)) {
			y.ok(y.renew(s, now))
			did = append(did, fmt.Sprintf("%s renewed %s past Rekey", s.owner, s.name))
		}
	}
	return did
}

// merge merges a request. Unless it is real the rotation is over at once: its file goes with the commit that dates it.
func (y *year) merge(p github.Pull, s *kept, real bool) {
	var file string
	was := y.GitHub.Files("main")
	for path := range y.GitHub.Files(p.Branch) {
		if _, there := was[path]; !there {
			file = path
		}
	}
	by := strings.TrimPrefix(s.owner, "@")
	if real {
		y.GitHub.Review(p.Number, "ana-sec", "APPROVED")
		y.ok(y.Merge(y.t.Context(), p.Number, by, file))
		s.since, y.busy = y.Clock.Now(), 4
		return
	}
	y.GitHub.Merge(p.Number, by)
	y.ok(y.renew(s, y.Clock.Now()))
	y.GitHub.Commit("main", by, "It rotated", map[string]string{file: "", "ops/config/registry.md": y.registry()})
}

// saw is what GitHub shows that it didn't show before.
func (y *year) saw() (all []string) {
	for _, p := range y.GitHub.Pulls() {
		was, known := y.pulls[p.Number]
		y.pulls[p.Number] = p
		switch {
		case !known:
			all = append(all, fmt.Sprintf("opened #%d %s", p.Number, p.Title))
		case was.State == "open" && p.State == "closed":
			all = append(all, fmt.Sprintf("closed #%d", p.Number))
		case was.Title != p.Title:
			all = append(all, fmt.Sprintf("#%d is now %s", p.Number, p.Title))
		}
	}
	for _, i := range y.GitHub.Issues() {
		if !slices.Contains(i.Labels, "rekey-overdue") {
			continue
		}
		comments := y.GitHub.Comments(i.Number)
		for _, c := range comments[y.told:] {
			levels := map[string][]string{}
			for _, key := range keyOf.FindAllStringSubmatch(c.Body, -1) {
				levels[key[2]] = append(levels[key[2]], key[1])
			}
			for _, level := range slices.Sorted(maps.Keys(levels)) {
				all = append(all, "told "+level+" of "+strings.Join(levels[level], ", "))
			}
		}
		y.told = len(comments)
	}
	return all
}

// counts is the headline of the status issue.
func (y *year) counts() string {
	for _, i := range y.GitHub.Issues() {
		if _, rest, ok := strings.Cut(i.Body, "### Secret rotation: "); ok {
			line, _, _ := strings.Cut(rest, "\n")
			return line
		}
	}
	return "no status issue"
}

// A hundred secrets of every kind over half a year: what the company sees on each day on which something happens.
func TestHalfAYearOfAHundredSecrets(t *testing.T) {
	synctest.Test(t, halfAYear) // what AWS grants few of is paced: a look takes seconds
}

func halfAYear(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a fifth of the time
	y := newYear(t)
	last := ""
	for range 182 {
		y.ok(y.Day(t.Context()))
		did := y.saw()
		if counts := y.counts(); len(did) > 0 || counts != last {
			last = counts
			fmt.Fprintf(&y.lines, "%s | %s | %s\n", y.Clock.Now().Format(time.DateOnly), counts, strings.Join(did, "; "))
		}
		y.Clock.Move(3 * time.Hour)
		if did := y.people(); len(did) > 0 {
			fmt.Fprintf(&y.lines, "           | %s\n", strings.Join(did, "; "))
		}
		y.saw() // what people did is told above
		if y.busy--; y.busy >= 0 {
			y.ok(y.Hour(t.Context()))
		}
	}
	for _, part := range []string{"@eager merged", "@bo-sre merged", "@mallory said no", "past Rekey", "told primary", "told secondary", "told liaison", "1 in progress", "Registry: dates"} {
		if !strings.Contains(y.lines.String(), part) {
			t.Errorf("nothing of %q happened", part)
		}
	}
	golden(t, "calendar.txt", y.lines.String())
}
