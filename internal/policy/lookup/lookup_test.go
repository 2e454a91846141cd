package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/policy/lookup"
	"github.com/rastup/rekey/internal/rotation"
	sandbox "github.com/rastup/rekey/internal/sandbox/github"
)

const path = "rotations/2026/11/2026-11-22-payments-stripe.yaml"

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.pass(d)
	return nil
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a repository with people, and a client that may read what the gated jobs may.
func world(t *testing.T) (*sandbox.Service, *clock, *github.Client) {
	c := &clock{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	s := sandbox.New(c, sandbox.Options{Repository: "acme/payments"})
	for login, permission := range map[string]string{"li-pay": "write", "ana-sec": "admin", "bo-sre": "maintain", "eve": "read"} {
		s.AddUser(login, permission, false)
	}
	s.AddUser("rekey[bot]", "write", true)
	s.AddToken("token", "github-actions[bot]", map[string]string{"contents": "read", "actions": "read", "pull-requests": "read"})
	s.Commit("main", "li-pay", "begin", map[string]string{"README.md": "payments\n"})
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	client, err := github.New(github.Options{API: server.URL, Repository: "acme/payments", Token: "token", ReadOnly: true, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, client
}

func lookupAt(s *sandbox.Service, c *clock, client *github.Client, rules policy.Rules) *lookup.Lookup {
	return lookup.New(client, lookup.Options{Repository: "acme/payments", Ref: s.Head("main"), Workflow: "rotate.yml", Rules: rules, Now: c.Now})
}

// brought merges a pull request by author with these files, reviewed by reviewer.
func brought(s *sandbox.Service, author, reviewer, merger string, squash bool, files map[string]string) (number int) {
	branch := "request-" + author
	s.DeleteBranch(branch)
	s.Commit(branch, author, "a request", files)
	number = s.OpenPull(author, "Rotate", "", branch, "main", true)
	if number == 0 {
		number = s.OpenPull(author, "Rotate", "", branch, "main", false)
	}
	s.Review(number, reviewer, "APPROVED")
	if squash {
		s.Squash(number, merger)
	} else {
		s.Merge(number, merger)
	}
	return number
}

var house = policy.Rules{Reviews: 1, Separation: true, Config: ".github/rekey.yml"}

func TestOriginFromGitHub(t *testing.T) {
	for _, squash := range []bool{false, true} {
		for author, want := range map[string]rotation.Actors{
			"li-pay":     {Operator: "li-pay", Requested: "li-pay", Merged: "bo-sre", Reviewed: []string{"ana-sec"}},
			"rekey[bot]": {Operator: "bo-sre", Merged: "bo-sre", Reviewed: []string{"ana-sec"}},
		} {
			t.Run(fmt.Sprintf("%s squash=%v", author, squash), func(t *testing.T) {
				s, c, client := world(t)
				text := "secret: payments/stripe\n"
				number := brought(s, author, "ana-sec", "bo-sre", squash, map[string]string{path: text})
				l := lookupAt(s, c, client, house)
				got, err := l.Origin(t.Context(), path, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got.Actors); d != "" || got.Origin.PullRequest != number {
					t.Errorf("#%d, not #%d (-want +got):\n%s", got.Origin.PullRequest, number, d)
				}
				again, err := l.Claimed(t.Context(), rotation.Claim{Actors: got.Actors, Origin: &got.Origin})
				if d := cmp.Diff(got, again); err != nil || d != "" {
					t.Errorf("as its claim has it: %v (-want +got):\n%s", err, d)
				}
				if u := s.Unknown(); len(u) > 0 {
					t.Errorf("routes the sandbox doesn't know: %q", u)
				}
			})
		}
	}
}

// A hundred requests of one pull request cost one call each, and a handful for all.
func TestOriginAsksLittle(t *testing.T) {
	s, c, client := world(t)
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("rotations/2026/11/r%d.yaml", i)] = fmt.Sprintf("secret: s%d\n", i)
	}
	brought(s, "li-pay", "ana-sec", "bo-sre", false, files)
	l := lookupAt(s, c, client, house)
	for range 2 {
		for p, text := range files {
			if _, err := l.Origin(t.Context(), p, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(s.Calls()); n > 100+7 {
		t.Errorf("%d calls", n)
	}
}

func TestADirectPushIsWaitedForThenRefusedAndAReviewAfterwardsIsSeen(t *testing.T) {
	s, c, client := world(t)
	sha := s.Commit("main", "eve", "quick", map[string]string{path: "secret: x\n"})
	s.StartRun("rotate.yml", "push", "main", sha, "eve")
	l := lookupAt(s, c, client, house)
	c.pass(time.Minute)
	var later *policy.Later
	if _, err := l.Origin(t.Context(), path, []byte("secret: x\n")); !errors.As(err, &later) {
		t.Errorf("a minute after: %v", err)
	}
	c.pass(policy.Patience)
	var no *rotation.Failure
	if _, err := l.Origin(t.Context(), path, []byte("secret: x\n")); !errors.As(err, &no) {
		t.Errorf("eleven minutes after: %v", err)
	}
	allowed := house
	allowed.DirectPush = true
	if a, err := lookupAt(s, c, client, allowed).Origin(t.Context(), path, []byte("secret: x\n")); err != nil || a.Actors.Operator != "eve" {
		t.Errorf("allowed: %+v, %v", a, err)
	}
}

// Deleting a request withdraws it; pushing the same bytes again doesn't bring its reviews back.
func TestAWithdrawnRequestPushedAgainHasNoReviews(t *testing.T) {
	s, c, client := world(t)
	text := "secret: payments/stripe\n"
	brought(s, "li-pay", "ana-sec", "bo-sre", false, map[string]string{path: text})
	c.pass(time.Hour)
	s.Commit("main", "li-pay", "withdraw", map[string]string{path: ""})
	s.Commit("main", "eve", "again", map[string]string{path: text})
	c.pass(time.Hour)
	var no *rotation.Failure
	if a, err := lookupAt(s, c, client, house).Origin(t.Context(), path, []byte(text)); !errors.As(err, &no) {
		t.Errorf("%+v, %v", a, err)
	}
}
