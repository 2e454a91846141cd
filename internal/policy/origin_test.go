package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	path  = "rotations/2026/11/2026-11-22-payments-stripe.yaml"
	head  = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
	merge = "77aa88bb99cc00dd11ee22ff33445566778899aa"
	push  = "e1e2e3e4e5e6e7e8e9e0f1f2f3f4f5f6f7f8f9f0"
)

var (
	merged = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	blob   = policy.Blob([]byte("secret: payments/stripe\n"))
	li     = policy.Person{Login: "li-pay"}
	ana    = policy.Person{Login: "ana-sec"}
	bo     = policy.Person{Login: "bo-sre"}
	bot    = policy.Person{Login: "rekey[bot]", Bot: true}
	queue  = policy.Person{Login: "github-merge-queue[bot]", Bot: true}
	web    = policy.Person{Login: "web-flow"}
	house  = policy.Rules{Reviews: 1, Separation: true, Config: ".github/rekey.yml"}
)

// pull is one that li wrote, ana reviewed and merged, changed by change.
func pull(change ...func(*policy.Pull)) policy.Pull {
	p := policy.Pull{
		Number: 412, URL: "https://github.com/acme/payments/pull/412", Author: li, MergedBy: ana, MergedAt: merged,
		Base: "main", Head: head, Merge: merge,
		Files:   []policy.File{{Path: "README.md", Status: "modified", Blob: policy.Blob(nil)}, {Path: path, Status: "added", Blob: blob}},
		Commits: []policy.Commit{{SHA: head, Author: li, Committer: web}},
		Reviews: []policy.Review{{By: ana, State: "APPROVED", Commit: head}},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func request(pulls ...policy.Pull) policy.Request {
	return policy.Request{
		Repository: "acme/payments", DefaultBranch: "main", Path: path, Blob: blob,
		Commit: policy.Commit{SHA: merge, Author: li, Committer: web, At: merged}, Pulls: pulls,
		Permissions: map[string]string{"ana-sec": "admin", "bo-sre": "write", "li-pay": "write", "eve": "read"},
	}
}

func actors(operator, requested, merged string, reviewed ...string) rotation.Actors {
	return rotation.Actors{Operator: operator, Requested: requested, Merged: merged, Reviewed: reviewed}
}

func reviews(list ...policy.Review) func(*policy.Pull) {
	return func(p *policy.Pull) { p.Reviews = list }
}

func author(who policy.Person) func(*policy.Pull) {
	return func(p *policy.Pull) {
		p.Author, p.Commits = who, []policy.Commit{{SHA: head, Author: who, Committer: web}}
	}
}

func mergedBy(who policy.Person) func(*policy.Pull) {
	return func(p *policy.Pull) { p.MergedBy = who }
}

func yes(who policy.Person, at string) policy.Review {
	return policy.Review{By: who, State: "APPROVED", Commit: at}
}

func TestOriginOfWhatWasReviewedAndMerged(t *testing.T) {
	older := func(p *policy.Pull) { p.Number, p.MergedAt = 400, merged.Add(-time.Hour) }
	for name, c := range map[string]struct {
		r     policy.Request
		rules policy.Rules
		want  rotation.Actors
	}{
		"author, reviewer, merger": {request(pull()), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"squash and rebase merges have other commits than the head": {request(pull(func(p *policy.Pull) { p.Merge = push })), house,
			actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"a merge queue merges and is nobody":       {request(pull(mergedBy(queue))), house, actors("li-pay", "li-pay", "", "ana-sec")},
		"a bot wrote it: its merger answers":       {request(pull(author(bot), mergedBy(bo))), house, actors("bo-sre", "", "bo-sre", "ana-sec")},
		"a bot wrote it, a queue merged it":        {request(pull(author(bot), mergedBy(queue))), house, actors("ana-sec", "", "", "ana-sec")},
		"... the last reviewer answers":            {request(pull(author(bot), mergedBy(queue), reviews(yes(ana, head), yes(bo, head)))), house, actors("bo-sre", "", "", "ana-sec", "bo-sre")},
		"its author's account was deleted":         {request(pull(func(p *policy.Pull) { p.Author = policy.Person{Login: "ghost"} })), house, actors("ana-sec", "", "ana-sec", "ana-sec")},
		"a renamed file":                           {request(pull(func(p *policy.Pull) { p.Files[1].Status = "renamed" })), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"a comment takes nothing back":             {request(pull(reviews(yes(ana, head), policy.Review{By: ana, State: "COMMENTED", Commit: head}))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"a draft says nothing":                     {request(pull(reviews(yes(ana, head), policy.Review{By: ana, State: "PENDING", Commit: head}))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"changes requested, then approved":         {request(pull(reviews(policy.Review{By: ana, State: "CHANGES_REQUESTED", Commit: push}, yes(ana, head)))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"an older approval dismissed, then a new":  {request(pull(reviews(policy.Review{By: ana, State: "DISMISSED", Commit: push}, yes(ana, head)))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"approved twice counts once":               {request(pull(reviews(yes(ana, push), yes(ana, head)))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"who may only read doesn't count":          {request(pull(reviews(yes(policy.Person{Login: "eve"}, head), yes(ana, head)))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"none needed, none there":                  {request(pull(reviews())), policy.Rules{Separation: true}, actors("li-pay", "li-pay", "ana-sec")},
		"without separation a co-author may":       {request(pull(func(p *policy.Pull) { p.Commits[0].Author = ana })), policy.Rules{Reviews: 1}, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"without separation unknown authors may":   {request(pull(func(p *policy.Pull) { p.Commits[0].Author = policy.Person{} })), policy.Rules{Reviews: 1}, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"the first that was merged brought it":     {request(pull(mergedBy(bo)), pull(older)), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
		"a revert of the revert is its own author": {request(pull(author(bo))), house, actors("bo-sre", "bo-sre", "ana-sec", "ana-sec")},
		"others that don't fit are passed over": {request(pull(func(p *policy.Pull) { p.Base = "release" }), pull(func(p *policy.Pull) { p.MergedAt = time.Time{} }), pull(mergedBy(bo))), house,
			actors("li-pay", "li-pay", "bo-sre", "ana-sec")},
		"logins are compared as GitHub does": {request(pull(reviews(yes(policy.Person{Login: "LI-pay"}, head), yes(ana, strings.ToUpper(head))))), house, actors("li-pay", "li-pay", "ana-sec", "ana-sec")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policy.Origin(c.r, c.rules, merged.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.Actors); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if o := got.Origin; o.PullRequest == 0 || o.Head != head || o.MergedAt.IsZero() || o.Repository != "acme/payments" || o.URL == "" {
				t.Errorf("origin %+v", o)
			}
		})
	}
}

func TestOriginNamesAllWhoWroteIt(t *testing.T) {
	p := pull(func(p *policy.Pull) {
		p.Commits = append(p.Commits, policy.Commit{SHA: push, Author: bo, Committer: web}, policy.Commit{SHA: push, Author: bot, Committer: policy.Person{Login: "dee"}})
	})
	got, err := policy.Origin(request(p), house, merged)
	if d := cmp.Diff([]string{"li-pay", "bo-sre", "dee"}, got.Wrote); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// Only a push that may be younger than GitHub's delay is waited for, and only while nothing fits.
func TestOriginWaitsForWhatGitHubMayNotKnowYet(t *testing.T) {
	young := request()
	young.Pushed = merged
	var later *policy.Later
	if _, err := policy.Origin(young, house, merged.Add(policy.Patience-time.Second)); !errors.As(err, &later) || !later.Until.Equal(merged.Add(policy.Patience)) {
		t.Errorf("a second before: %v", err)
	}
	open := house
	open.DirectPush = true
	if _, err := policy.Origin(young, open, merged.Add(time.Minute)); !errors.As(err, &later) {
		t.Errorf("direct pushes are allowed, but its pull request would be forgotten: %v", err)
	}
	var no *rotation.Failure
	if _, err := policy.Origin(young, house, merged.Add(policy.Patience)); !errors.As(err, &no) {
		t.Errorf("after: %v", err)
	}
	fits := request(pull())
	fits.Pushed = merged
	if _, err := policy.Origin(fits, house, merged); err != nil {
		t.Errorf("a pull request that fits: %v", err)
	}
}

func TestOriginOfAnAllowedDirectPush(t *testing.T) {
	rules := policy.Rules{Reviews: 1, Separation: true, DirectPush: true}
	r := request()
	r.Commit = policy.Commit{SHA: push, Author: li, Committer: bo, At: merged}
	got, err := policy.Origin(r, rules, merged)
	want := policy.Asked{Actors: actors("li-pay", "li-pay", ""), Wrote: []string{"li-pay", "bo-sre"},
		Origin: rotation.Origin{Repository: "acme/payments", Head: push, Merge: push, MergedAt: merged}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	r.Commit.Author = bot
	if got, err := policy.Origin(r, rules, merged); err != nil || got.Actors.Operator != "bo-sre" {
		t.Errorf("a bot's commit that a person committed: %+v, %v", got, err)
	}
}

func TestBlobIsGits(t *testing.T) {
	for text, want := range map[string]string{"": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "hello\n": "ce013625030ba8dba906f756967f9e9ca394464a"} {
		if got := policy.Blob([]byte(text)); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestReviewersAreThoseWhoseLastWordIsYes(t *testing.T) {
	p := pull(reviews(yes(ana, push), yes(bo, head), policy.Review{By: bo, State: "DISMISSED"}, policy.Review{By: li, State: "CHANGES_REQUESTED"}, yes(bot, head)))
	if d := cmp.Diff([]string{"ana-sec"}, policy.Reviewers(p)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
