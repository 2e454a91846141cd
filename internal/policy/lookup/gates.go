package lookup

import (
	"context"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

// Approval is policy.Approval of a run, its latest state: the many items that a job does at once share it. A person's approval counts only where
// the GitHub Environment is protected as it should be.
func (l *Lookup) Approval(ctx context.Context, kind string, q policy.Question, run int64) (*rotation.Approval, error) {
	if kind != policy.ByPerson {
		return policy.Approval(kind, q, nil, l.o.Rules)
	}
	if _, err := l.Protected(ctx, q.Environment, kind); err != nil {
		return nil, err
	}
	entries, err := l.approvals(ctx, run)
	if err != nil {
		return nil, err
	}
	all := each(entries, entry)
	for i := range all {
		if all[i].Bypass, err = l.bypass(ctx, q.Environment, all[i].By.Login); err != nil {
			return nil, err
		}
	}
	if q.BreakGlass != nil {
		b := *q.BreakGlass
		if b.Bypass, b.Admin, err = l.administers(ctx, q.Environment, b.By.Login); err != nil {
			return nil, err
		}
		q.BreakGlass = &b
	}
	return policy.Approval(kind, q, all, l.o.Rules)
}

func (l *Lookup) approvals(ctx context.Context, run int64) ([]github.Approval, error) {
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer l.turn.Release(1)
	return l.answers.recall(run, l.o.Now(), keepPulls, func() ([]github.Approval, error) { return l.c.Approvals(ctx, run) })
}

// bypass says whether login's yes may be an administrator's bypass.
func (l *Lookup) bypass(ctx context.Context, environment, login string) (bool, error) {
	e, _, err := l.environment(ctx, environment)
	if err != nil || slices.ContainsFunc(e.Users, func(u string) bool { return strings.EqualFold(u, login) }) {
		return false, err
	}
	may, admin, err := l.administers(ctx, environment, login)
	return may && admin, err
}

// administers says whether administrators may bypass an environment's reviewers, and whether login then is one.
func (l *Lookup) administers(ctx context.Context, environment, login string) (may, admin bool, err error) {
	e, _, err := l.environment(ctx, environment)
	if err != nil || !e.AdminsBypass || login == "" {
		return false, false, err
	}
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return true, false, err
	}
	defer l.turn.Release(1)
	permission, err := l.permissions.recall(login, l.o.Now(), keep, func() (string, error) { return l.c.Permission(ctx, login) })
	return true, permission == "admin", err
}

// Protected is policy.Protected of a GitHub Environment.
func (l *Lookup) Protected(ctx context.Context, name, kind string) (warnings []string, err error) {
	e, branch, err := l.environment(ctx, name)
	if err != nil {
		return nil, err
	}
	return policy.Protected(name, e, branch, kind)
}

// Continues is policy.Continues of a GitHub Environment.
func (l *Lookup) Continues(ctx context.Context, name string) (warnings []string, err error) {
	e, branch, err := l.environment(ctx, name)
	if err != nil {
		return nil, err
	}
	return policy.Continues(name, e, branch)
}

func (l *Lookup) environment(ctx context.Context, name string) (e policy.Environment, branch string, err error) {
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return e, "", err
	}
	defer l.turn.Release(1)
	if branch, err = l.c.DefaultBranch(ctx); err != nil {
		return e, "", err
	}
	e, err = l.environments.recall(name, l.o.Now(), keep, func() (policy.Environment, error) {
		e, found, err := l.c.Environment(ctx, name)
		return policy.Environment{Found: found, Reviewers: e.Reviewers, Users: e.Users, AdminsBypass: e.AdminsBypass, Restricted: e.Restricted,
			ProtectedOnly: e.ProtectedOnly, Branches: e.Branches, WaitMinutes: e.WaitMinutes}, err
	})
	return e, branch, err
}

func each[A, B any](list []A, f func(A) B) (all []B) {
	for _, a := range list {
		all = append(all, f(a))
	}
	return all
}

func person(u github.User) policy.Person { return policy.Person{Login: u.Login, Bot: u.Bot} }

func file(f github.File) policy.File {
	return policy.File{Path: f.Path, Status: f.Status, Blob: f.Blob}
}

func commit(c github.Commit) policy.Commit {
	return policy.Commit{SHA: c.SHA, Author: person(c.Author), Committer: person(c.Committer), At: c.At}
}

func review(r github.Review) policy.Review {
	return policy.Review{By: person(r.User), State: r.State, Commit: r.Commit}
}

func entry(a github.Approval) policy.Entry {
	return policy.Entry{State: a.State, By: person(a.User), Comment: a.Comment, Environments: a.Environments}
}

func pull(p github.Pull) policy.Pull {
	q := policy.Pull{Number: p.Number, URL: p.URL, Author: person(p.Author), MergedBy: person(p.MergedBy), Base: p.Base, Head: p.Head, Merge: p.Merge}
	if p.Merged {
		q.MergedAt = p.MergedAt
	}
	return q
}
