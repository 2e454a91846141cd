package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// Patience is how long GitHub may take to know which pull request a commit came by.
const Patience = 10 * time.Minute

// GitHub lists no more than this of a pull request (REST API documentation, "List pull requests files" and "List
// commits on a pull request").
const (
	mostFiles   = 3000
	mostCommits = 250
)

// A Request is a request's file on the default branch, and what GitHub knows of how it came there.
type Request struct {
	Repository    string // owner/name
	DefaultBranch string
	Path          string
	Blob          string            // of the file as it is there: see Blob
	Commit        Commit            // the newest that touched it; zero: GitHub names none
	Pulls         []Pull            // that this commit belongs to
	Permissions   map[string]string // of Reviewers, by login: admin, write, read, none
	Pushed        time.Time         // the latest time at which the commit can have come; zero: longer ago than Patience
}

// An Asked is who asked for a rotation, and by what.
type Asked struct {
	Actors rotation.Actors
	Origin rotation.Origin // PullRequest 0: by a direct push
	Wrote  []string        // people who wrote it: author of the pull request, authors and committers of its commits
}

// Origin says how a request came to the default branch and who answers for it. The error is a *Later or a
// *rotation.Failure.
//
// The pull request must be merged into the default branch with the file exactly as it is there now: a commit that was
// pushed past it, a conflict resolved while merging and a file that was deleted and pushed again don't inherit its
// reviews. Where several were, the first that was merged brought it.
func Origin(r Request, rules Rules, now time.Time) (Asked, error) {
	fits := slices.DeleteFunc(slices.Clone(r.Pulls), func(p Pull) bool { return r.unfit(p) != "" })
	if len(fits) > 0 {
		return r.by(slices.MinFunc(fits, func(a, b Pull) int {
			return cmp.Or(a.MergedAt.Compare(b.MergedAt), cmp.Compare(a.Number, b.Number))
		}), rules)
	}
	if until := r.Pushed.Add(Patience); !r.Pushed.IsZero() && now.Before(until) {
		return Asked{}, &Later{until, fmt.Sprintf("%s: GitHub doesn't know yet which pull request it came by", r.Path)}
	}
	if rules.DirectPush {
		return r.pushed()
	}
	return Asked{}, r.past(rules)
}

// past refuses what came past a pull request.
func (r Request) past(rules Rules) error {
	which := ""
	if r.Commit.SHA != "" {
		which = fmt.Sprintf(" (commit %s by %s)", short(r.Commit.SHA), r.Commit.Author)
	}
	var why []string
	for _, p := range r.Pulls {
		why = append(why, fmt.Sprintf("#%d %s", p.Number, r.unfit(p)))
	}
	if why == nil {
		why = []string{"it was pushed directly"}
	}
	return rotation.Failf("revert that and open a pull request with the file; or have direct pushes allowed by policy.direct_push in "+rules.Config,
		"no pull request brought %s to %s as it is there%s: %s", r.Path, r.DefaultBranch, which, strings.Join(why, "; "))
}

// unfit is why p didn't bring the file as it is; "" when it did.
func (r Request) unfit(p Pull) string {
	i := slices.IndexFunc(p.Files, func(f File) bool { return f.Path == r.Path })
	switch {
	case p.MergedAt.IsZero():
		return "isn't merged"
	case p.Base != r.DefaultBranch:
		return fmt.Sprintf("was merged into %s, not %s", p.Base, r.DefaultBranch)
	case i < 0 && len(p.Files) >= mostFiles:
		return fmt.Sprintf("changes so many files that GitHub doesn't list all of them (%d)", mostFiles)
	case i < 0:
		return "doesn't change it"
	case p.Files[i].Status == "removed":
		return "deletes it"
	case p.Files[i].Blob == "" || p.Files[i].Blob != r.Blob:
		return "had another version of it when it was reviewed"
	}
	return ""
}

func (r Request) by(p Pull, rules Rules) (Asked, error) {
	a := Asked{
		Wrote: Wrote(p),
		Origin: rotation.Origin{Repository: r.Repository, PullRequest: p.Number, URL: p.URL,
			Head: p.Head, Merge: p.Merge, MergedAt: p.MergedAt.UTC()},
	}
	if p.Author.person() {
		a.Actors.Requested, a.Actors.Operator = p.Author.Login, p.Author.Login
	}
	if p.MergedBy.person() {
		a.Actors.Merged = p.MergedBy.Login
		a.Actors.Operator = cmp.Or(a.Actors.Operator, p.MergedBy.Login)
	}
	if err := attributable(p, rules); err != nil {
		return Asked{}, err
	}
	var passed []string
	a.Actors.Reviewed, passed = reviewed(p, r.Permissions, rules)
	if n := len(a.Actors.Reviewed); n < rules.Reviews {
		return Asked{}, tooFew(p, n, passed, rules)
	}
	if n := len(a.Actors.Reviewed); n > 0 {
		a.Actors.Operator = cmp.Or(a.Actors.Operator, a.Actors.Reviewed[n-1])
	}
	if a.Actors.Operator == "" {
		return Asked{}, rotation.Failf(fmt.Sprintf("have a person with write permission approve #%d at %s, who then answers for it", p.Number, short(p.Head)),
			"#%d has no person behind it: %s wrote it, %s merged it, and nobody's review counts", p.Number, p.Author, p.MergedBy)
	}
	return a, nil
}

func (r Request) pushed() (Asked, error) {
	c := r.Commit
	a := Asked{Origin: rotation.Origin{Repository: r.Repository, Head: c.SHA, Merge: c.SHA, MergedAt: c.At.UTC()}}
	for _, p := range []Person{c.Author, c.Committer} {
		if p.person() {
			a.Wrote = add(a.Wrote, p.Login)
		}
	}
	if len(a.Wrote) == 0 {
		return Asked{}, rotation.Failf("open a pull request with the file: then its author, or who merges it, answers for it",
			"%s was pushed directly and no person is behind commit %s: %s wrote it", r.Path, short(c.SHA), c.Author)
	}
	a.Actors = rotation.Actors{Operator: a.Wrote[0], Requested: a.Wrote[0]}
	return a, nil
}

// Wrote is the people who wrote p. Trailers such as Co-authored-by aren't among them: anybody can write any there.
func Wrote(p Pull) (logins []string) {
	people := []Person{p.Author}
	for _, c := range p.Commits {
		people = append(people, c.Author, c.Committer)
	}
	for _, who := range people {
		if who.person() {
			logins = add(logins, who.Login)
		}
	}
	return logins
}

// attributable refuses, with separation, what may have been written by one of those who reviewed it.
func attributable(p Pull, rules Rules) error {
	if !rules.Separation {
		return nil
	}
	again := fmt.Sprintf("revert #%d and open its request again", p.Number)
	if len(p.Commits) >= mostCommits {
		return rotation.Failf(again+" with fewer commits", "#%d has so many commits that GitHub doesn't list all of them (%d): who wrote it can't be told", p.Number, mostCommits)
	}
	for _, c := range p.Commits {
		if c.Author.Login == "" || c.Committer.Login == "" {
			return rotation.Failf("have its author add the commit's address to their GitHub account; or "+again+" with commits whose author GitHub knows",
				"commit %s of #%d belongs to nobody on GitHub: whether its reviewers wrote it can't be told", short(c.SHA), p.Number)
		}
	}
	return nil
}
