package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

// Every refusal there is, as the person reads it who must act.
func TestRefusals(t *testing.T) {
	var b strings.Builder
	say := func(name string, err error) {
		t.Helper()
		var no *rotation.Failure
		if !errors.As(err, &no) {
			t.Errorf("%s: %v isn't a refusal", name, err)
			return
		}
		if no.Hint == "" || strings.Contains(no.Msg+no.Hint, "\n") {
			t.Errorf("%s: no hint, or several lines: %q", name, no)
		}
		fmt.Fprintf(&b, "# %s\n%s\n    hint: %s\n\n", name, no.Msg, no.Hint)
	}
	origins(say)
	answers(say)
	protections(say)
	if *update {
		if err := os.WriteFile("testdata/refusals.golden", []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/refusals.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func origins(say func(string, error)) {
	two := house
	two.Reviews = 3
	open := house
	open.DirectPush = true
	file := func(change func(*policy.File)) func(*policy.Pull) {
		return func(p *policy.Pull) { change(&p.Files[1]) }
	}
	direct := request()
	direct.Commit = policy.Commit{SHA: push, Author: policy.Person{Login: "eve"}}
	unknown := request()
	unknown.Commit = policy.Commit{}
	unnamed := request(pull(file(func(f *policy.File) { f.Blob = "" })))
	unnamed.Blob = ""
	robot := request()
	robot.Commit = policy.Commit{SHA: push, Author: bot, Committer: web}
	long := pull()
	long.Commits = make([]policy.Commit, 250)
	many := pull()
	many.Files = make([]policy.File, 3000)
	for _, c := range []struct {
		name  string
		r     policy.Request
		rules policy.Rules
	}{
		{"pushed past every pull request", direct, house},
		{"a file that was deleted and pushed again: its old pull request isn't the newest commit's", direct, house},
		{"GitHub names no commit", unknown, house},
		{"its pull request isn't merged", request(pull(func(p *policy.Pull) { p.MergedAt = time.Time{} })), house},
		{"merged into another branch", request(pull(func(p *policy.Pull) { p.Base = "release" })), house},
		{"changed while it was merged, or pushed after", request(pull(file(func(f *policy.File) { f.Blob = policy.Blob(nil) }))), house},
		{"a file whose content GitHub doesn't name", unnamed, house},
		{"the pull request has another file", request(pull(file(func(f *policy.File) { f.Path = "rotations/2026/11/other.yaml" }))), house},
		{"the pull request deletes it", request(pull(file(func(f *policy.File) { f.Status = "removed" }))), house},
		{"more files than GitHub lists", request(many), house},
		{"two pull requests, neither fits", request(pull(func(p *policy.Pull) { p.Base = "release" }), pull(func(p *policy.Pull) { p.Number, p.MergedAt = 413, time.Time{} })), house},
		{"direct push allowed, by a bot", robot, open},
		{"a commit that belongs to nobody", request(pull(func(p *policy.Pull) { p.Commits[0].Author = policy.Person{} })), house},
		{"a commit that nobody on GitHub committed", request(pull(func(p *policy.Pull) { p.Commits[0].Committer = policy.Person{} })), house},
		{"more commits than GitHub lists", request(long), house},
		{"nobody reviewed it", request(pull(reviews())), house},
		{"only its author approved", request(pull(reviews(yes(li, head)))), house},
		{"approved at another commit", request(pull(reviews(yes(ana, push)))), house},
		{"approved, then changes requested", request(pull(reviews(yes(ana, head), policy.Review{By: ana, State: "CHANGES_REQUESTED", Commit: head}))), house},
		{"the approval was dismissed", request(pull(reviews(policy.Review{By: ana, State: "DISMISSED", Commit: head}))), house},
		{"approved, then dismissed", request(pull(reviews(yes(ana, head), policy.Review{By: ana, State: "DISMISSED", Commit: head}))), house},
		{"the reviewer wrote some of it", request(pull(func(p *policy.Pull) { p.Commits[0].Committer = ana })), house},
		{"the reviewer may only read, or left", request(pull(reviews(yes(policy.Person{Login: "eve"}, head), yes(policy.Person{Login: "left"}, head)))), house},
		{"a bot approved", request(pull(reviews(yes(bot, head)))), house},
		{"one of three", request(pull()), two},
		{"no person behind it", request(pull(author(bot), mergedBy(queue), reviews())), policy.Rules{Separation: true}},
	} {
		_, err := policy.Origin(c.r, c.rules, merged.Add(time.Hour))
		say(c.name, err)
	}
}

func answers(say func(string, error)) {
	alone := asked("ana-sec", "", "ana-sec")
	alone.Origin = rotation.Origin{PullRequest: 412, Head: head}
	for _, c := range []struct {
		name    string
		kind    string
		asked   policy.Asked
		entries []policy.Entry
	}{
		{"nobody approved: bypassed, or nothing asked", policy.ByPerson, asked("li-pay", "li-pay"), nil},
		{"approved is another environment", policy.ByPerson, asked("li-pay", "li-pay"), []policy.Entry{entry("approved", ana, "rekey-stage")}},
		{"still waits", policy.ByPerson, asked("li-pay", "li-pay"), []policy.Entry{entry("pending", ana, prod)}},
		{"only who asked approved", policy.ByPerson, asked("li-pay", "li-pay"), []policy.Entry{entry("approved", li, prod), entry("approved", li, prod)}},
		{"a bot's request: its merger is the operator", policy.ByPerson, asked("ana-sec", ""), []policy.Entry{entry("approved", ana, prod)}},
		{"an app approved", policy.ByPerson, asked("li-pay", "li-pay"), []policy.Entry{entry("approved", bot, prod)}},
		{"rejected after it was approved", policy.ByPerson, asked("li-pay", "li-pay"), []policy.Entry{entry("approved", ana, prod), entry("rejected", bo, prod)}},
		{"reviews stand in: only the operator reviewed", policy.ByReviews, alone, nil},
		{"reviews stand in: it was pushed directly", policy.ByReviews, asked("li-pay", "li-pay"), nil},
		{"an approval nobody knows", "sometimes", asked("li-pay", "li-pay"), nil},
	} {
		_, err := policy.Approval(c.kind, question(c.asked), c.entries, house)
		say(c.name, err)
	}
}

func protections(say func(string, error)) {
	for _, c := range []struct {
		name string
		env  policy.Environment
	}{
		{"a misspelt GitHub Environment", policy.Environment{}},
		{"no protection at all", policy.Environment{Found: true}},
		{"no reviewers", policy.Environment{Found: true, Restricted: true, Branches: []string{"main"}}},
		{"all protected branches", policy.Environment{Found: true, Reviewers: 1, Restricted: true, ProtectedOnly: true}},
		{"patterns that let others deploy", policy.Environment{Found: true, Reviewers: 1, Restricted: true, Branches: []string{"main", "release/*", "mai?"}}},
		{"only others", policy.Environment{Found: true, Reviewers: 1, Restricted: true, Branches: []string{"develop"}}},
		{"no branch at all", policy.Environment{Found: true, Reviewers: 1, Restricted: true}},
	} {
		_, err := policy.Protected(prod, c.env, "main", policy.ByPerson)
		say(c.name, err)
	}
	_, err := policy.Continues("rekey-prod-continue", policy.Environment{}, "main")
	say("no continue environment", err)
	_, err = policy.Continues("rekey-prod-continue", policy.Environment{Found: true, Reviewers: 2}, "main")
	say("a continue environment that asks, from any branch", err)
}
