package notice

import (
	"context"
	"slices"

	"github.com/rastup/rekey/internal/github"
)

// Files are a repository's. PutFile makes one commit, where the file's blob still is was.
type Files interface {
	Content(ctx context.Context, path, ref string) (github.Content, error)
	PutFile(ctx context.Context, branch, path, message string, text []byte, was string) error
}

// Branches are a repository's.
type Branches interface {
	Branch(ctx context.Context, name string) (sha string, ok bool, err error)
	CreateBranch(ctx context.Context, name, sha string) error
	MoveBranch(ctx context.Context, name, sha string) error
}

// History is who made what: the pull requests of a branch, and commits. Lists of commits are short: see CommitsOf.
type History interface {
	PullsFrom(ctx context.Context, branch, state string) ([]github.Pull, error)
	CommitsIn(ctx context.Context, number int) ([]github.Commit, error)
	CommitsOf(ctx context.Context, path, ref string) ([]github.Commit, error)
}

// Pulls makes and changes pull requests. Issue is for their texts, which lists don't have.
type Pulls interface {
	DefaultBranch(ctx context.Context) (string, error)
	Issue(ctx context.Context, number int) (github.Issue, error)
	CreatePull(ctx context.Context, title, body, branch, base string) (github.Pull, error)
	EditPull(ctx context.Context, number int, title, body, state string) error
}

// Own says whether every commit that a branch at sha has, and the default branch at tip hasn't, is the bot's: only such a
// branch may be moved. Where a pull request shows the branch as it is, its commits tell; else those from sha back to one
// of the newest that tip has. The latter alone would be wrong for a branch that is older than those.
func Own(ctx context.Context, h History, bot, branch, sha, tip string) (bool, error) {
	pulls, err := h.PullsFrom(ctx, branch, "all")
	if err != nil {
		return false, err
	}
	for _, pull := range pulls {
		if pull.Head == sha {
			all, err := h.CommitsIn(ctx, pull.Number)
			return err == nil && len(all) > 0 && !Others(all, bot), err
		}
	}
	mine, err := h.CommitsOf(ctx, "", sha)
	if err != nil {
		return false, err
	}
	base, err := h.CommitsOf(ctx, "", tip)
	if err != nil {
		return false, err
	}
	for _, c := range mine {
		if slices.ContainsFunc(base, func(b github.Commit) bool { return b.SHA == c.SHA }) {
			return true, nil
		}
		if !Ours(c.Author, bot) {
			return false, nil
		}
	}
	return false, nil
}

// Others says whether some of the commits aren't the bot's.
func Others(all []github.Commit, bot string) bool {
	return slices.ContainsFunc(all, func(c github.Commit) bool { return !Ours(c.Author, bot) })
}
