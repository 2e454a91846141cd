package notice_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/requests"
	"github.com/rastup/rekey/internal/overdue"
	text "github.com/rastup/rekey/internal/report/comment"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

// offer is a request for a secret in a state, made on a day of November.
func offer(secret string, state overdue.State, day int) requests.Offer {
	made := time.Date(2026, 8, 18, 9, 0, 0, 0, time.UTC)
	w := overdue.Want{Slug: strings.ReplaceAll(secret, "/", "-"), Owner: "@ana-sec", Secrets: []overdue.Standing{{
		Secret: secret, Owner: "@ana-sec", Interval: calendar.Interval{Days: 90},
		Here: overdue.Here{State: state, Due: made.AddDate(0, 0, 90), Age: &overdue.Age{Since: made, Source: overdue.Registry}}}}}
	o := requests.Offer{Slug: w.Slug, Path: fmt.Sprintf("rotations/2026/11/2026-11-%02d-%s.yaml", day, w.Slug), File: fmt.Appendf(nil, "secret: %s\nticket: SEC-1\n", secret)}
	o.Title, o.Body = text.Rotation(w, text.Proposed{Ticket: "SEC-1"})
	o.Stands = func(path string, file []byte) bool {
		return strings.HasSuffix(path, w.Slug+".yaml") && strings.Contains(string(file), secret) && !strings.Contains(path, "2026-11-01")
	}
	return o
}

func (r *rig) requests(gate func(), limit int, offers ...requests.Offer) pass {
	p := &requests.Projector{GitHub: r.program(gate), Repository: repository, Bot: bot, Limit: limit}
	return func(ctx context.Context) (notice.Tally, error) {
		_, t, err := p.Write(ctx, offers)
		return t, err
	}
}

// asked are the open pull requests for rotations, as branch and files.
func (r *rig) asked(t *testing.T) (l []string) {
	t.Helper()
	base := r.Files("main")
	for _, p := range r.Pulls() {
		if p.State != "open" {
			continue
		}
		var adds []string
		for path := range r.Files(p.Head) {
			if _, there := base[path]; !there {
				adds = append(adds, path)
			}
		}
		l = append(l, p.Branch+" "+strings.Join(adds, " "))
	}
	return l
}

func TestRequestsComeRightThroughEveryMisfortune(t *testing.T) {
	offers := []requests.Offer{offer("team/one", overdue.Overdue, 22), offer("team/two", overdue.DueSoon, 22), offer("team/three", overdue.DueSoon, 22)}
	torture(t, 12, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		r.registry()
		return func(gate func()) pass { return r.requests(gate, 2, offers...) }, func(last notice.Tally) {
			// Two passes at once may open one more than the limit; the workflow has them one after the other.
			got := r.asked(t)
			for _, want := range []string{"rekey/rotate/team-one rotations/2026/11/2026-11-22-team-one.yaml", "rekey/rotate/team-two rotations/2026/11/2026-11-22-team-two.yaml"} {
				if !slices.Contains(got, want) {
					t.Errorf("open: %q", got)
				}
			}
			if n := len(got); n > 3 || n != len(r.Pulls()) || n == 2 && (len(last.Findings) != 1 || !strings.HasPrefix(last.Findings[0].Text, "1 more would be opened")) {
				t.Errorf("open: %q of %d, findings: %+v", got, len(r.Pulls()), last.Findings)
			}
		}
	})
}

func TestRequestsFollowWhatIsDue(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	run := func(offers ...requests.Offer) notice.Tally {
		t.Helper()
		return r.settle(func() pass { return r.requests(nil, 10, offers...) })
	}
	open := func(want ...string) {
		t.Helper()
		got := r.asked(t)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("open: %q, want %q", got, want)
		}
	}
	soon, late := offer("team/one", overdue.DueSoon, 22), offer("team/one", overdue.Overdue, 25)
	run(soon)
	open("rekey/rotate/team-one rotations/2026/11/2026-11-22-team-one.yaml")

	// More urgent by now: the same pull request says so, and its file stays.
	run(late)
	open("rekey/rotate/team-one rotations/2026/11/2026-11-22-team-one.yaml")
	if p := r.Pulls()[0]; !strings.Contains(p.Title, "overdue") {
		t.Errorf("title %q", p.Title)
	}

	// Rotated by hand: closed by itself, and open again when it is due again.
	run()
	open()
	if p := r.Pulls()[0]; !text.IsRotationClosed(p.Body) || !strings.Contains(p.Body, "no longer due") {
		t.Errorf("body %s", p.Body)
	}
	run(late)
	open("rekey/rotate/team-one rotations/2026/11/2026-11-25-team-one.yaml")

	// A person closed it: not again, until its state changes.
	r.Close(2, "ana-sec")
	if last := run(late); len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "closed by a person") {
		t.Errorf("findings: %+v", last.Findings)
	}
	open()
	again := offer("team/one", overdue.DueSoon, 26)
	run(again)
	open("rekey/rotate/team-one rotations/2026/11/2026-11-26-team-one.yaml")

	// Merged: the rotation is open, nothing is due.
	r.Merge(3, "ana-sec")
	run()
	open()
}

func TestARequestThatIsOutOfDateIsMadeAnew(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	old := offer("team/one", overdue.Overdue, 1)
	old.Stands = func(string, []byte) bool { return true }
	r.settle(func() pass { return r.requests(nil, 10, old) })
	r.settle(func() pass { return r.requests(nil, 10, offer("team/one", overdue.Overdue, 25)) })
	if got := r.asked(t); fmt.Sprint(got) != "[rekey/rotate/team-one rotations/2026/11/2026-11-25-team-one.yaml]" {
		t.Errorf("open: %q", got)
	}
}

// The branch of the last rotation is still there, and the default branch has gone on by more commits than one list has.
func TestARequestIsAskedForAgainAfterManyCommits(t *testing.T) {
	for _, end := range []string{"merged", "squashed", "closed"} {
		t.Run(end, func(t *testing.T) {
			r := newRig(t, 1)
			r.registry()
			r.Commit("main", "ana-sec", "Before", map[string]string{"before": "x"}) // the last of theirs that the branch has
			r.settle(func() pass { return r.requests(nil, 10, offer("team/one", overdue.DueSoon, 22)) })
			switch end {
			case "merged":
				r.Merge(1, "ana-sec")
			case "squashed":
				r.Squash(1, "ana-sec")
			default:
				r.Close(1, "ana-sec")
			}
			for i := range 120 {
				r.Commit("main", "ana-sec", fmt.Sprint("Change ", i), map[string]string{"file": fmt.Sprint(i)})
			}
			last := r.settle(func() pass { return r.requests(nil, 10, offer("team/one", overdue.Overdue, 25)) })
			if got := r.asked(t); len(got) != 1 || len(last.Findings) != 0 {
				t.Errorf("open: %q, findings: %+v", got, last.Findings)
			}
		})
	}
}

func TestWhatAPersonMadeOfARequestStays(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	one := offer("team/one", overdue.Overdue, 22)
	r.settle(func() pass { return r.requests(nil, 10, one) })
	mine := r.Commit("rekey/rotate/team-one", "ana-sec", "my window", map[string]string{one.Path: "secret: team/one\nticket: SEC-2\n"})
	one.Stands = func(string, []byte) bool { return false }
	r.settle(func() pass { return r.requests(nil, 10, one) })
	last := r.settle(func() pass { return r.requests(nil, 10) })
	if p := r.Pulls()[0]; p.State != "open" || p.Head != mine {
		t.Errorf("%+v", p)
	}
	if len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "holds a commit") {
		t.Errorf("findings: %+v", last.Findings)
	}
	r.Close(1, "ana-sec")
	was := offer("team/one", overdue.DueSoon, 26)
	last = r.settle(func() pass { return r.requests(nil, 10, was) })
	if r.Head("rekey/rotate/team-one") != mine || len(last.Findings) != 1 {
		t.Errorf("the branch was moved, or nothing said: %+v", last.Findings)
	}
}

func TestAForeignPullRequestOfTheSameBranchIsLeft(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	r.Commit("rekey/rotate/team-one", "ana-sec", "mine", map[string]string{"x": "y"})
	n := r.OpenPull("ana-sec", "mine", "text", "rekey/rotate/team-one", "main", false)
	last := r.settle(func() pass { return r.requests(nil, 10, offer("team/one", overdue.Overdue, 22)) })
	if p := r.Pulls()[0]; p.Number != n || p.Title != "mine" || p.State != "open" || len(r.Pulls()) != 1 {
		t.Errorf("%+v", r.Pulls())
	}
	if len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "isn't by @") {
		t.Errorf("findings: %+v", last.Findings)
	}
}

// Where GitHub lets the workflow's token open no pull requests, that is said, and nothing else is stopped.
func TestATokenThatMayOpenNoPullRequests(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	r.fault = func(c world.Call) error {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/pulls") {
			return world.Broken(http.StatusForbidden)
		}
		return nil
	}
	_, err := r.requests(nil, 10, offer("team/one", overdue.Overdue, 22))(context.Background())
	if err == nil || !strings.Contains(err.Error(), "open the pull request") {
		t.Errorf("%v", err)
	}
}
