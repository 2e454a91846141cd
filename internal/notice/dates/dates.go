// Package dates projects what rotated last onto the registry's column "Last rotated": one rolling pull request, that
// opens, follows and closes by itself.
//
// It must never change more of a file than cells of that column, never set a date back, and never move a branch that
// holds a commit of somebody else: that is a finding.
package dates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	text "github.com/rastup/rekey/internal/report/comment"
)

// Branch is the pull request's; it only ever holds whole sets of dates. Draft is where one is made: GitHub closes a
// pull request for good whose branch has no commit of its own for a moment.
const (
	Branch = "rekey/registry-dates"
	Draft  = "rekey/registry-dates-draft"
)

// Files are the repository's. PutFile makes one commit, where the file's blob still is was.
type Files interface {
	Content(ctx context.Context, path, ref string) (github.Content, error)
	PutFile(ctx context.Context, branch, path, message string, text []byte, was string) error
	CommitsOf(ctx context.Context, path, ref string) ([]github.Commit, error)
}

// Branches are the repository's.
type Branches interface {
	Branch(ctx context.Context, name string) (sha string, ok bool, err error)
	CreateBranch(ctx context.Context, name, sha string) error
	MoveBranch(ctx context.Context, name, sha string) error
}

// Reader reads pull requests. Issue is for their texts, which lists don't have.
type Reader interface {
	PullsFrom(ctx context.Context, branch, state string) ([]github.Pull, error)
	CommitsIn(ctx context.Context, number int) ([]github.Commit, error)
	Issue(ctx context.Context, number int) (github.Issue, error)
}

// Writer changes pull requests.
type Writer interface {
	DefaultBranch(ctx context.Context) (string, error)
	CreatePull(ctx context.Context, title, body, branch, base string) (github.Pull, error)
	EditPull(ctx context.Context, number int, title, body, state string) error
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Files
	Branches
	Reader
	Writer
}

// A Projector keeps the pull request right.
type Projector struct {
	GitHub GitHub
	Bot    string // login that writes it
}

// A Date is when a secret was last rotated, and by which rotation.
type Date struct {
	At       time.Time
	Rotation string
}

// A file is one registry file as it is and as it should be.
type file struct {
	path     string
	is, want []byte
	blob     string
	changes  []text.Change
}

// Write brings the pull request up to date. paths are the registry's files; dates are by secret, and of those only
// later ones than the registry has matter. Without any, the pull request is closed.
func (p *Projector) Write(ctx context.Context, paths []string, dates map[string]Date) (t notice.Tally, err error) {
	base, err := p.GitHub.DefaultBranch(ctx)
	if err != nil {
		return t, err
	}
	tip, ok, err := p.GitHub.Branch(ctx, base)
	if err != nil || !ok {
		return t, errors.Join(err, fmt.Errorf("registry dates: the branch %q can't be read", base))
	}
	files, err := p.files(ctx, paths, dates, tip, &t)
	if err != nil {
		return t, err
	}
	var changes []text.Change
	for _, f := range files {
		changes = append(changes, f.changes...)
	}
	w := &work{Projector: p, base: base, tip: tip, files: files, t: &t}
	if len(changes) == 0 {
		return t, w.close(ctx)
	}
	w.title, w.body = text.Dates(changes)
	return t, w.offer(ctx)
}

// files are the registry at tip, with the dates it should have.
func (p *Projector) files(ctx context.Context, paths []string, dates map[string]Date, tip string, t *notice.Tally) ([]file, error) {
	var files []file
	var parsed []registry.File
	for _, path := range paths {
		c, err := p.GitHub.Content(ctx, path, tip)
		if err != nil {
			return nil, fmt.Errorf("registry dates: read %s: %w", path, err)
		}
		files = append(files, file{path: path, is: c.Text, want: c.Text, blob: c.Blob})
		parsed = append(parsed, registry.File{Path: path, Bytes: c.Text})
	}
	r := registry.Parse(parsed, registry.Shapes{}, &problem.List{}) // what is wrong in them is lint's
	var nowhere problem.List
	days := map[string]time.Time{}
	for secret, d := range dates {
		days[secret] = d.At
	}
	for i := range files {
		f := &files[i]
		page, changes := r.Dated(f.path, days, &nowhere)
		if len(changes) == 0 {
			continue
		}
		if err := readBack(f.path, page, changes); err != nil {
			return nil, err
		}
		f.want = page
		for _, c := range changes {
			f.changes = append(f.changes, text.Change{Secret: c.Secret, File: f.path, Was: c.Was, Is: c.Is, Rotation: dates[c.Secret].Rotation})
		}
	}
	for _, one := range nowhere.Sorted() {
		t.Find("", one.Hint, "%s: %s", one.Pos, one.Msg)
	}
	return files, nil
}

// readBack sees that the page says now what it was made to say.
func readBack(path string, page []byte, changes []registry.Change) error {
	r := registry.Parse([]registry.File{{Path: path, Bytes: page}}, registry.Shapes{}, &problem.List{})
	for _, c := range changes {
		if e, ok := r.Find(c.Secret); !ok || !e.LastRotated.Equal(c.Is) {
			return fmt.Errorf("registry dates: %s would not say that %s was rotated on %s", path, c.Secret, c.Is.Format(time.DateOnly))
		}
	}
	return nil
}

// holds says whether the registry's files at ref are as they should be.
func (w *work) holds(ctx context.Context, ref string) (bool, error) {
	for _, f := range w.files {
		c, err := w.GitHub.Content(ctx, f.path, ref)
		if errors.Is(err, github.ErrNotFound) {
			return false, nil
		}
		if err != nil || !bytes.Equal(c.Text, f.want) {
			return false, err
		}
	}
	return true, nil
}

// ours says whether every commit that branch has, and the default branch hasn't, is the bot's.
func (w *work) ours(ctx context.Context, branch, sha string) (bool, error) {
	pulls, err := w.GitHub.PullsFrom(ctx, branch, "all")
	if err != nil {
		return false, err
	}
	for _, pull := range pulls {
		if pull.Head == sha {
			all, err := w.GitHub.CommitsIn(ctx, pull.Number)
			return err == nil && len(all) > 0 && !slices.ContainsFunc(all, w.others), err
		}
	}
	// No pull request shows the branch as it is: its commits, back to one that the default branch has, too.
	mine, err := w.GitHub.CommitsOf(ctx, "", sha)
	if err != nil {
		return false, err
	}
	base, err := w.GitHub.CommitsOf(ctx, "", w.tip)
	if err != nil {
		return false, err
	}
	for _, c := range mine {
		if slices.ContainsFunc(base, func(b github.Commit) bool { return b.SHA == c.SHA }) {
			return true, nil
		}
		if w.others(c) {
			return false, nil
		}
	}
	return false, nil
}

func (w *work) others(c github.Commit) bool { return !notice.Ours(c.Author, w.Bot) }
