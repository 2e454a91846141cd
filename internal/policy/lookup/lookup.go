// Package lookup owns the questions that GitHub is asked for policy's decisions: which ones, how few, and how long an
// answer is good for. It must decide nothing itself and change nothing.
package lookup

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

// History is how files came to a branch.
type History interface {
	DefaultBranch(ctx context.Context) (string, error)
	CommitsOf(ctx context.Context, path, ref string) ([]github.Commit, error)
	PullsOf(ctx context.Context, sha string) ([]github.Pull, error)
}

// Pulls are pull requests.
type Pulls interface {
	Pull(ctx context.Context, number int) (github.Pull, error)
	FilesOf(ctx context.Context, number int) ([]github.File, error)
	CommitsIn(ctx context.Context, number int) ([]github.Commit, error)
}

// People are who reviewed, and what they may do.
type People interface {
	Reviews(ctx context.Context, number int) ([]github.Review, error)
	Permission(ctx context.Context, login string) (string, error)
}

// Gates are runs and the GitHub Environments they wait for.
type Gates interface {
	Runs(ctx context.Context, workflow, status string, since time.Time) ([]github.Run, error)
	Approvals(ctx context.Context, run int64) ([]github.Approval, error)
	Environment(ctx context.Context, name string) (github.Environment, bool, error)
}

// A Client answers all of it: *github.Client.
type Client interface {
	History
	Pulls
	People
	Gates
}

// Options of a Lookup.
type Options struct {
	Repository string // owner/name
	Ref        string // commit whose files are looked at: not a branch, which may move on
	Workflow   string // file name of the workflow that pushes start; "" by hand: nothing is waited for
	Rules      policy.Rules
	Now        func() time.Time
}

// How long an answer is good for. What leads to "not yet" or "no" has to be seen to change while a job waits.
const (
	keep      = 10 * time.Minute
	keepPulls = 30 * time.Second
)

// A Lookup asks, and remembers for a while. Safe for concurrent use; one question at a time leaves.
type Lookup struct {
	c Client
	o Options

	turn         *semaphore.Weighted     // of the question that leaves; who waits for it gives up with its context
	asked        map[string]policy.Asked // by path and blob: what was granted stands
	pullsOf      memory[string, []github.Pull]
	pulls        memory[int, policy.Pull]
	permissions  memory[string, string]
	environments memory[string, policy.Environment]
	pushed       memory[string, time.Time]
	answers      memory[int64, []github.Approval]
}

// New is a Lookup that knows nothing yet.
func New(c Client, o Options) *Lookup {
	return &Lookup{c: c, o: o, turn: semaphore.NewWeighted(1), asked: map[string]policy.Asked{}, pullsOf: memory[string, []github.Pull]{}, pulls: memory[int, policy.Pull]{},
		permissions: memory[string, string]{}, environments: memory[string, policy.Environment]{}, pushed: memory[string, time.Time]{}, answers: memory[int64, []github.Approval]{}}
}

// memory is answers by question, with the time they were given.
type memory[K comparable, V any] map[K]answer[V]

type answer[V any] struct {
	at    time.Time
	value V
}

func (m memory[K, V]) recall(key K, now time.Time, keep time.Duration, ask func() (V, error)) (V, error) {
	if a, ok := m[key]; ok && now.Sub(a.at) < keep {
		return a.value, nil
	}
	v, err := ask()
	if err == nil {
		m[key] = answer[V]{now, v}
	}
	return v, err
}

// Origin is policy.Origin of a request's file as Ref has it: a *policy.Later, a *rotation.Failure, or an error of a
// call.
func (l *Lookup) Origin(ctx context.Context, path string, text []byte) (policy.Asked, error) {
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return policy.Asked{}, err
	}
	defer l.turn.Release(1)
	blob := policy.Blob(text)
	if a, ok := l.asked[path+"\x00"+blob]; ok {
		return a, nil
	}
	r, err := l.request(ctx, path, blob)
	if err != nil {
		return policy.Asked{}, err
	}
	// Only what no pull request brought depends on when it was pushed.
	now := l.o.Now()
	r.Pushed = now
	a, err := policy.Origin(r, l.o.Rules, now)
	var later *policy.Later
	if errors.As(err, &later) {
		if r.Pushed, err = l.lastPush(ctx, now); err != nil {
			return policy.Asked{}, err
		}
		a, err = policy.Origin(r, l.o.Rules, now)
	}
	if err == nil {
		l.asked[path+"\x00"+blob] = a
	}
	return a, err
}

// Claimed is who asked for what has begun, as its claim has them, and who wrote it, as GitHub says now.
func (l *Lookup) Claimed(ctx context.Context, c rotation.Claim) (policy.Asked, error) {
	a := policy.Asked{Actors: c.Actors}
	if c.Origin == nil {
		return a, nil
	}
	a.Origin = *c.Origin
	if a.Origin.PullRequest == 0 {
		return a, nil
	}
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return a, err
	}
	defer l.turn.Release(1)
	p, err := l.pull(ctx, a.Origin.PullRequest)
	a.Wrote = policy.Wrote(p)
	return a, err
}

func (l *Lookup) request(ctx context.Context, path, blob string) (policy.Request, error) {
	r := policy.Request{Repository: l.o.Repository, Path: path, Blob: blob, Permissions: map[string]string{}}
	var err error
	if r.DefaultBranch, err = l.c.DefaultBranch(ctx); err != nil {
		return r, err
	}
	commits, err := l.c.CommitsOf(ctx, path, l.o.Ref)
	if err != nil || len(commits) == 0 {
		return r, err
	}
	r.Commit = commit(commits[0])
	list, err := l.pullsOf.recall(r.Commit.SHA, l.o.Now(), keepPulls, func() ([]github.Pull, error) { return l.c.PullsOf(ctx, r.Commit.SHA) })
	if err != nil {
		return r, err
	}
	for _, brief := range list {
		p := pull(brief)
		if brief.Merged && brief.Base == r.DefaultBranch {
			if p, err = l.pull(ctx, brief.Number); err != nil {
				return r, err
			}
		}
		r.Pulls = append(r.Pulls, p)
		for _, login := range policy.Reviewers(p) {
			r.Permissions[login], err = l.permissions.recall(login, l.o.Now(), keep, func() (string, error) { return l.c.Permission(ctx, login) })
			if err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// pull is all of a pull request.
func (l *Lookup) pull(ctx context.Context, number int) (policy.Pull, error) {
	return l.pulls.recall(number, l.o.Now(), keep, func() (p policy.Pull, err error) {
		whole, err := l.c.Pull(ctx, number)
		if err != nil {
			return p, err
		}
		p = pull(whole)
		files, err := l.c.FilesOf(ctx, number)
		if err != nil {
			return p, err
		}
		commits, err := l.c.CommitsIn(ctx, number)
		if err != nil {
			return p, err
		}
		reviews, err := l.c.Reviews(ctx, number)
		p.Files, p.Commits, p.Reviews = each(files, file), each(commits, commit), each(reviews, review)
		return p, err
	})
}

// lastPush is when the newest push came that a commit can have come by; zero when that is longer ago than GitHub needs.
func (l *Lookup) lastPush(ctx context.Context, now time.Time) (time.Time, error) {
	if l.o.Workflow == "" {
		return time.Time{}, nil
	}
	return l.pushed.recall("", now, keepPulls, func() (last time.Time, err error) {
		runs, err := l.c.Runs(ctx, l.o.Workflow, "", now.Add(-policy.Patience))
		for _, r := range runs {
			if r.Event == "push" && r.CreatedAt.After(last) {
				last = r.CreatedAt
			}
		}
		return last, err
	})
}
