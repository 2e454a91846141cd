package acttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

var update = flag.Bool("update", false, "write the expected texts anew")

// These are the workflows with the action itself, its store a bucket with Object Lock, its log group, roles by OIDC
// behind the trust policies people copy, and people who approve.

func TestAForkIsToldWithoutAComment(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	number, sha := w.request("mallory", true)
	calls := len(w.aws.Calls())
	got := w.pull(number, sha, "mallory", true)
	expect(t, got, "plan: plan", "plan", true)
	w.noSecret(got)
	if n := len(w.hub.Comments(number)); n != 0 || len(w.aws.Calls()) != calls {
		t.Errorf("%d comments, calls to AWS %v\n%s", n, w.aws.Calls()[calls:], got.Log)
	}
	for path := range w.files {
		if strings.HasPrefix(path, "rotations/") {
			w.files[path] = "secret: app/databsae\nticket: \"#1\"\n"
		}
	}
	w.tip()
	if got = w.pull(number, sha, "mallory", true); got.OK || !strings.Contains(got.Log, "unknown-secret") {
		t.Errorf("a mistake isn't said:\n%s", got.Log)
	}
}

// A rotation from the pull request to the end of its retention: each run is act's, each answer a person's.
func TestARotationFromItsPullRequestToItsEnd(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	number, sha := w.request("li-pay", false)
	for range 2 { // the second edits nothing
		w.leaves(w.pull(number, sha, "li-pay", false), "plan: plan", "plan", true)
		w.holds("asked")
	}

	before := w.current()
	w.merged(number, "plan: due|dev: apply environment=dev shard=1/1|after-dev: due|stage: apply environment=stage shard=1/1|after-stage: due|prod: apply environment=prod shard=1/1|after-prod: due",
		"after-dev after-prod after-stage dev plan prod stage", true)
	w.holds("live")
	for env, was := range before {
		if w.current()[env] == was {
			t.Errorf("%s has its old version", env)
		}
	}

	w.clock.move(47 * time.Hour)
	w.leaves(w.happen(rotate, "schedule", "schedule", "main", w.hub.Head("main"), "root-admin"), "plan: due", "plan", true)
	w.holds("live")

	w.clock.move(2 * time.Hour)
	w.leaves(w.happen(rotate, "schedule", "schedule", "main", w.hub.Head("main"), "root-admin"),
		"plan: due|continue: apply environment=dev|continue: apply environment=stage|continue: apply environment=prod|after-prod: due", "after-prod continue plan", true)
	w.holds("over")

	w.clock.move(time.Hour)
	w.leaves(w.happen(rotate, "schedule", "schedule", "main", w.hub.Head("main"), "root-admin"), "plan: due", "plan", true)
	w.holds("over")
}

// What went back in stage is an incident, until a person starts it again and it succeeds.
func TestARotationIsStartedAgainAfterItWentBack(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	before := w.current()
	w.shop.Accept("stage", before["stage"]) // and no other
	number, _ := w.request("li-pay", false)
	w.merged(number, "plan: due|dev: apply environment=dev shard=1/1|after-dev: due|stage: apply environment=stage shard=1/1|after-stage: due", "after-dev after-stage dev plan stage!", false)
	w.holds("went-back")
	if now := w.current(); now["stage"] != before["stage"] || now["prod"] != before["prod"] || now["dev"] == before["dev"] {
		t.Errorf("live are %v, were %v", now, before)
	}

	w.shop.AcceptAll("stage")
	w.clock.move(time.Hour)
	payload := w.payload("workflow_dispatch", func(e map[string]any) { e["inputs"].(map[string]any)["rotation"] = w.rotation() })
	asked := " requests=" + w.rotation() + " again=true"
	w.people["rekey-stage"] = "bo-sre"
	w.people["rekey-prod"] = "!bo-sre"
	w.leaves(w.happen(rotate, "workflow_dispatch", payload, "main", w.hub.Head("main"), "ana-sec"),
		"plan: due"+asked+"|stage: apply environment=stage shard=1/1"+asked+"|after-stage: due"+asked+"|after-prod: due"+asked, "after-prod after-stage plan prod! stage", false)
	w.holds("again")
	w.clock.move(time.Hour)
	w.leaves(w.happen(rotate, "schedule", "schedule", "main", w.hub.Head("main"), "root-admin"), "plan: due", "plan", true) // who said no isn't asked again
	w.holds("rejected")
	if now := w.current(); now["stage"] == before["stage"] || now["prod"] != before["prod"] {
		t.Errorf("live are %v, were %v", now, before)
	}
}

// Who asked for it may be a reviewer to GitHub, and isn't to the policy.
func TestAnAuthorsApprovalRotatesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	before := w.current()
	w.people["rekey-stage"] = "li-pay"
	number, _ := w.request("li-pay", false)
	w.merged(number, "plan: due|dev: apply environment=dev shard=1/1|after-dev: due|stage: apply environment=stage shard=1/1|after-stage: due", "after-dev after-stage dev plan stage!", false)
	if now := w.current(); now["stage"] != before["stage"] || now["dev"] == before["dev"] {
		t.Errorf("live are %v, were %v", now, before)
	}
	if journal := w.journal(); strings.Contains(journal, "stage ") {
		t.Errorf("stage has begun:\n%s", journal)
	}
}

// merged reviews and merges a request, and plays the push.
func (w *town) merged(number int, calls, jobs string, ok bool) {
	w.t.Helper()
	w.hub.Review(number, "ana-sec", "APPROVED")
	sha := w.hub.Merge(number, "root-admin")
	payload := w.payload("push", func(e map[string]any) {
		e["after"] = sha
		e["head_commit"].(map[string]any)["id"] = sha
	})
	w.leaves(w.happen(rotate, "push", payload, "main", sha, "root-admin"), calls, jobs, ok)
}

func (w *town) current() map[string]string {
	all := map[string]string{}
	for _, env := range []string{"dev", "stage", "prod"} {
		all[env] = w.aws.Secret("rekey/" + env + "/app-database").At("AWSCURRENT").ID
	}
	return all
}

// leaves holds a run against its calls and jobs, what is left of it against every secret there is, and the evidence
// against itself, the copy in the log group and the audit comments.
func (w *town) leaves(got *run, calls, jobs string, ok bool) {
	w.t.Helper()
	for _, c := range got.Calls {
		delete(c, "REKEY_QUESTION")
	}
	want := strings.Split(calls, "|")
	slices.Sort(want)
	expect(w.t, got, strings.Join(want, "|"), jobs, ok)
	w.noSecret(got)
	w.verify()
}

// texts are all that a run and the services leave for people and programs to read, but for the lines in which act shows
// what our runner handed to the job.
func (w *town) texts(got *run) (all []byte) {
	w.t.Helper()
	for line := range bytes.Lines(got.Raw) {
		if !bytes.Contains(line, []byte("::set-env::")) {
			all = append(all, line...)
		}
	}
	all = append(all, w.said()...)
	for _, v := range w.aws.S3.Versions("rekey-evidence", "") {
		all = append(all, v.Key+"\n"...)
		all = append(all, v.Body...)
	}
	for _, e := range w.events() {
		all = append(all, e...)
	}
	err := filepath.WalkDir(w.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || name == filepath.Join(w.dir, "bin/action") {
			return err
		}
		b, err := os.ReadFile(name)
		all = append(all, b...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// events are the messages in the log group, by environment and secret.
func (w *town) events() (all []string) {
	for _, env := range []string{"dev", "stage", "prod"} {
		for _, e := range w.aws.Logs.Events(sandbox.Home, "/rekey/audit", env+"/app~database") {
			all = append(all, e.Message)
		}
	}
	return all
}

// noSecret looks for every value the secrets ever had, every token and every key, as such and in base64.
func (w *town) noSecret(got *run) {
	w.t.Helper()
	all := w.texts(got)
	for what, sign := range map[string]string{"the log": `"jobResult":"success"`, "the summary": "### ", "the workspace": "app-database.yaml"} {
		if !bytes.Contains(all, []byte(sign)) {
			w.t.Fatalf("%s isn't looked at: no %q", what, sign)
		}
	}
	secrets := map[string]string{sandbox.SecretAccessKey: "a key", "eyJhbGciOiJSUzI1NiI": "an identity"}
	for _, k := range w.keys {
		secrets[k] = "a token"
	}
	for _, env := range []string{"dev", "stage", "prod"} {
		for _, v := range w.aws.Secret("rekey/" + env + "/app-database").Versions {
			var value struct{ Password string }
			if err := json.Unmarshal([]byte(v.Text), &value); err != nil || len(value.Password) < 8 {
				w.t.Fatalf("%s: no password: %v", env, err)
			}
			secrets[value.Password] = "a password of " + env
			secrets[base64.StdEncoding.EncodeToString([]byte(value.Password))] = "a password of " + env
		}
	}
	if len(secrets) < 9 {
		w.t.Errorf("only %d secrets were looked for", len(secrets))
	}
	for s, what := range secrets {
		if bytes.Contains(all, []byte(s)) {
			w.t.Errorf("%s is in a text", what)
		}
	}
}

// verify is rekey verify with the heads in the audit comments, the copy in the log group and the locks.
func (w *town) verify() string {
	w.t.Helper()
	var anchors []evidence.Anchor
	for _, p := range w.hub.Pulls() {
		for _, c := range w.hub.Comments(p.Number) {
			for _, h := range comment.Anchors(c.Body) {
				anchors = append(anchors, evidence.Anchor{Head: h, By: fmt.Sprintf("comment in #%d", p.Number)})
			}
		}
	}
	report, err := w.hand().Verify(w.t.Context(), nil, anchors)
	if err != nil || report.Err() != nil || !report.Locks {
		w.t.Fatalf("locks %v: %v %v", report.Locks, err, report.Findings)
	}
	var b strings.Builder
	for _, c := range report.Chains {
		fmt.Fprintf(&b, "%s: %d records, %d files\n", c.Head.Chain, c.Records, c.Files)
		for _, by := range c.Confirmed {
			fmt.Fprintf(&b, "- up to %d: %s\n", by.Seq, by.By)
		}
	}
	return b.String()
}

// said is what people read on GitHub.
func (w *town) said() string {
	var b strings.Builder
	for _, p := range w.hub.Pulls() {
		fmt.Fprintf(&b, "# Pull request %d\n\n", p.Number)
		w.thread(&b, p.Number)
	}
	for _, i := range w.hub.Issues() {
		fmt.Fprintf(&b, "# Issue %d by %s, %s %s: %s\nlabels %v, assignees %v\n\n%s\n\n", i.Number, i.Author, i.State, i.Reason, i.Title, i.Labels, i.Assignees, i.Body)
		w.thread(&b, i.Number)
	}
	return b.String()
}

func (w *town) thread(b *strings.Builder, number int) {
	for _, c := range w.hub.Comments(number) {
		edited := ""
		if !c.UpdatedAt.Equal(c.CreatedAt) {
			edited = ", edited"
		}
		fmt.Fprintf(b, "## %s%s\n\n%s\n\n", c.Author, edited, c.Body)
	}
}

// journal is who did what in each environment, in order.
func (w *town) journal() string {
	var b strings.Builder
	journal, err := w.hand().Journal(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	run := regexp.MustCompile(`^https://github.com/rastup/rekey/actions/runs/`)
	for _, env := range []string{"dev", "stage", "prod"} {
		chain, err := journal.Open(w.t.Context(), rotation.Chain{Environment: env, Secret: "app/database"})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range chain.Records {
			fmt.Fprintf(&b, "%s %d %s %s", env, r.Seq, r.Outcome, r.Step)
			if r.Claim != nil {
				fmt.Fprintf(&b, " attempt %d, %+v", r.Attempt, r.Claim.Actors)
				r.Approval = r.Claim.Approval
			}
			if r.Approval != nil {
				fmt.Fprintf(&b, ", approved by %v for %s in run %s", r.Approval.By, r.Approval.For, run.ReplaceAllString(r.Approval.Run, ""))
			}
			fmt.Fprintf(&b, "; run %s\n", run.ReplaceAllString(r.Runner.ID, ""))
		}
	}
	return b.String()
}

// played is what was called in each role; but for a loser's write: jobs side by side may both notice that it is over.
func (w *town) played() string {
	did := map[string]bool{}
	for _, c := range w.aws.Calls() {
		if role, ok := strings.CutPrefix(c.Principal, "arn:aws:sts::111111111111:assumed-role/"); ok && !strings.HasSuffix(role, "/rekey-root-admin") && c.Code != "PreconditionFailed" {
			did[strings.TrimSuffix(fmt.Sprintf("- %s: %s %s %s", role, c.Service, c.Operation, c.Code), " ")+"\n"] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(did)), "")
}

// volatile is what differs from run to run. What is the same twice keeps its number, so that a swap is seen.
var volatile = []struct {
	find *regexp.Regexp // the first group tells which one it is
	name string
}{
	{regexp.MustCompile(`\b([0-9a-f]{8})-[0-9a-f]{4}(?:-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|…)`), "ID"},
	{regexp.MustCompile(`\b([0-9a-f]{8})[0-9a-f]{5}…`), "VERSION"},
	{regexp.MustCompile(`\bROLLBACK-([0-9a-f]{8})\b`), "VERSION"},
	{regexp.MustCompile(`\b([0-9a-f]{64})\b`), "DIGEST"},
	{regexp.MustCompile(`\b([0-9a-f]{16})\b`), "KEY"},
	{regexp.MustCompile(`\b(1\d{3})\b`), "RUN"},
}

var plain = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "SHOP"},
	{regexp.MustCompile(`20\d\d(/|%2F)\d\d(/|%2F)`), "YEAR${1}MONTH$2"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d`), "DATE"},
	{regexp.MustCompile(`\b\d+ m?s\b`), "SHORT"},
	{regexp.MustCompile(`(\d\d):\d\d(:\d\d)? UTC`), "$1:MM UTC"},
	{regexp.MustCompile(`(DAY\S*) (\d\d):\d\d`), "$1 $2:MM"},
}

var dates = regexp.MustCompile(`\b(\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))( 20\d\d)?\b`)

// seal is a status comment's digest of its own text, in which everything volatile is.
var seal = regexp.MustCompile(`(<!-- rekey:status [^>]*),"text":"sha256:[0-9a-f]{64}"`)

// normal takes out what differs from run to run, but not on which day and hour of the story something is.
func (w *town) normal(s string) string {
	s = seal.ReplaceAllString(s, "$1")
	numbers := map[string]map[string]int{}
	for _, v := range volatile {
		seen := numbers[v.name]
		if seen == nil {
			seen = map[string]int{}
			numbers[v.name] = seen
		}
		s = v.find.ReplaceAllStringFunc(s, func(m string) string {
			m = v.find.FindStringSubmatch(m)[1]
			if seen[m] == 0 {
				seen[m] = len(seen) + 1
			}
			return fmt.Sprintf("%s-%d", v.name, seen[m])
		})
	}
	s = dates.ReplaceAllStringFunc(s, func(m string) string {
		day, year := dates.FindStringSubmatch(m)[1], dates.FindStringSubmatch(m)[2]
		if year == "" {
			year = w.start.Format(" 2006")
		}
		at, err := time.Parse("2 Jan 2006", day+year)
		if err != nil {
			return m
		}
		later := ""
		if at.Year() >= w.start.Year()+7 { // locks
			at, later = at.AddDate(-7, 0, 0), "+7y"
		}
		if at.Before(w.start.AddDate(0, 0, -1)) { // next January, without a year
			at = at.AddDate(1, 0, 0)
		}
		return fmt.Sprintf("DAY-%d%s", int(at.Sub(w.start.Truncate(24*time.Hour))/(24*time.Hour)), later)
	})
	for _, p := range plain {
		s = p.find.ReplaceAllString(s, p.put)
	}
	return s
}

// holds compares what people read and what the journal says with what is expected.
func (w *town) holds(name string) {
	w.t.Helper()
	got := w.normal(w.said() + "# Journal\n\n" + w.journal() + "\n# Calls to AWS\n\n" + w.played() + "\n# Verify\n\n" + w.verify())
	golden := filepath.Join("testdata", "golden", strings.ReplaceAll(w.t.Name(), "/", "_")+"."+name+".md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		w.t.Errorf("%s (-want +got), go test -update writes it anew:\n%s", golden, diff)
	}
}
